/** What goes wrong in a row, at which second, and that it is right again afterwards. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Namespace } from './namespace.ts';
import { drain, fill } from './conntrack.ts';
import type { Lab } from './lab.ts';

export type Fault = (lab: Lab) => Promise<void>;

/** Time for pools and caches to fill before it begins. */
export const CALM_SEC = 3;

/** Backends that neither answer nor refuse, as those of a host that is gone, for `seconds`. */
export function mute(addresses: readonly string[], afterSec: number, seconds: number): Fault {
  return async ({ cluster: { host } }) => {
    await sleep(afterSec * 1000);
    const rules = addresses.map((address) => `INPUT -d ${address} -j DROP`);
    for (const rule of rules) host.run(`iptables -A ${rule}`);
    await sleep(seconds * 1000);
    for (const rule of rules) host.run(`iptables -D ${rule}`);
  };
}

const MARKED = 'PREROUTING -m connmark --mark 1 -j DROP';

/**
 * The flows to a backend that there are after some seconds never hear anything again; new ones do. As
 * when a backend's address went to another host. Until the end of the load.
 */
export function silenceFlows(address: string, afterSec: number, seconds: number): Fault {
  return async ({ cluster: { host } }) => {
    host.run(`iptables -t mangle -A ${MARKED}`); // which makes the host track connections
    await sleep(afterSec * 1000);
    await host.runLong(`conntrack -U -d ${address} --mark 1`);
    await sleep(seconds * 1000);
    host.run(`iptables -t mangle -D ${MARKED}`);
    await host.runLong('conntrack -F');
  };
}

/** No room in the node's table from about then on, for `seconds`. */
export function fillTable(afterSec: number, seconds: number, meanwhile?: Fault): Fault {
  return async (lab) => {
    const node: Namespace = lab.cluster.node;
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
