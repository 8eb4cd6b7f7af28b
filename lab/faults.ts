/** The faults of a row, each at its second, and their removal afterwards. */
import { setTimeout as sleep } from 'node:timers/promises';
import { BACKENDS } from './cluster.ts';
import { drain, fill } from './conntrack.ts';
import type { Lab } from './lab.ts';

export type Fault = (lab: Lab) => Promise<void>;

/** Time for pools and caches to fill before it begins. */
export const CALM_SEC = 3;

/**
 * Backends that neither answer nor refuse, as those of a host that is gone, for `seconds`: both, or the
 * one that has most of the daemon's connections.
 */
export function mute(which: 'one' | 'both', afterSec: number, seconds: number): Fault {
  return async ({ cluster }) => {
    await sleep(afterSec * 1000);
    const addresses = which === 'both' ? BACKENDS : [await cluster.busiestBackend()];
    const rules = addresses.map((address) => `INPUT -d ${address} -j DROP`);
    for (const rule of rules) cluster.host.run(`iptables -A ${rule}`);
    await sleep(seconds * 1000);
    for (const rule of rules) cluster.host.run(`iptables -D ${rule}`);
  };
}

const MARKED = 'PREROUTING -m connmark --mark 1 -j DROP';

/**
 * The flows that there are after some seconds, to the backend that has most of the daemon's
 * connections, never hear anything again; new ones do. As when an address went to another host.
 */
export function silenceFlows(afterSec: number, seconds: number): Fault {
  return async ({ cluster }) => {
    const { host } = cluster;
    host.run(`iptables -t mangle -A ${MARKED}`); // which makes the host track connections
    await sleep(afterSec * 1000);
    await host.runLong(`conntrack -U -d ${await cluster.busiestBackend()} --mark 1`);
    await sleep(seconds * 1000);
    host.run(`iptables -t mangle -D ${MARKED}`);
    await host.runLong('conntrack -F');
  };
}

/** Of a flow: in DNS that is AAAA, right behind A. */
const SECOND_PACKETS =
  'PREROUTING -p udp --dport 53 -m connbytes --connbytes 2:2 --connbytes-dir original ' +
  '--connbytes-mode packets -m statistic --mode random --probability 0.002 -j DROP';

/**
 * The behaviour of kernels that do not resolve clashes: when A and AAAA of one socket meet in conntrack, one of
 * them is dropped. Here 0.2 % of the second packets of tracked flows are, for `seconds`.
 */
export function dropSecondPackets(seconds: number): Fault {
  return async ({ cluster: { node } }) => {
    node.run('tee /proc/sys/net/netfilter/nf_conntrack_acct', '1'); // connbytes needs the counts
    node.run(`iptables -t mangle -A ${SECOND_PACKETS}`);
    await sleep(seconds * 1000);
    node.run(`iptables -t mangle -D ${SECOND_PACKETS}`);
  };
}

/** No room in the node's table from about then on, for `seconds`. */
export function fillTable(afterSec: number, seconds: number, meanwhile?: Fault): Fault {
  return async (lab) => {
    const { node } = lab.cluster;
    await sleep(afterSec * 1000);
    await fill(node, lab.fillFile);
    await Promise.all([sleep(seconds * 1000), meanwhile?.(lab)]);
    await drain(node);
  };
}

/** Killed, and started again 1 s later as kubelet would. */
export const killDaemon: Fault = async ({ daemon }) => {
  await sleep(CALM_SEC * 1000);
  await daemon.kill();
  await sleep(1000);
  await daemon.start();
};

/** Stopped, and started again at once. */
export const restartDaemon: Fault = async ({ daemon }) => {
  await sleep(CALM_SEC * 1000);
  await daemon.stop();
  await daemon.start();
};

/** A new one is started beside it, which takes over, and it is stopped. */
export const replaceDaemon: Fault = async ({ daemon }) => {
  await sleep(CALM_SEC * 1000);
  await daemon.replace();
};

/** Its worker is killed, and its supervisor is not. */
export const killWorker: Fault = async ({ daemon }) => {
  await sleep(CALM_SEC * 1000);
  daemon.killWorker();
};
