/**
 * What makes us the cache of a node (`-localip`): the interface before the sockets, the rules once we
 * answer, and the way back in the other order.
 *
 * Owns:    that queries are diverted to us only while we answer them.
 */
import { type Socket, createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { Flags } from '../cli/flags.ts';
import { HostNetwork, type HostNetworkObserver, type SetupErrorKind } from '../hostnet/sync.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';

export const SETUP_ERRORS: readonly (SetupErrorKind | 'configmap')[] = [
  'configmap',
  'interface_add',
  'interface_check',
  'iptables',
  'iptables_lock',
];
const SELF_QUERY_MS = 200;
const SELF_QUERIES_MAX = 25;

export class NodeSetup {
  readonly #flags: Flags;
  readonly #log: Log;
  readonly #network: HostNetwork;

  constructor(flags: Flags, log: Log, metrics: Metrics) {
    this.#flags = flags;
    this.#log = log;
    const observer: HostNetworkObserver = {
      failed: (errortype, error) => {
        metrics.counter('coredns_nodecache_setup_errors_total', { errortype }).value++;
        log.error(error.message);
      },
      repaired: (what) => log.info(what),
      info: (text) => log.info(text),
    };
    this.#network = new HostNetwork(
      {
        addresses: flags.localIps,
        dnsPort: flags.dnsPort,
        healthPort: flags.healthPort,
        interfaceName: flags.interfaceName,
        setupInterface: flags.setupInterface,
        firewall: flags.firewall,
        crashSafe: flags.crashSafe,
      },
      observer,
    );
  }

  /**
   * The interface, before sockets are bound to its addresses. Before it, the rules of a predecessor
   * that was killed go: until we answer, kube-dns shall.
   */
  async setUp(): Promise<void> {
    await this.#network.withdraw();
    await this.#network.setUp();
  }

  /** The rules, when our own query to each address has been answered; then both are watched. */
  async divert(): Promise<void> {
    const answering = await Promise.all(
      this.#flags.localIps.map((address) => answers(address, this.#flags.dnsPort)),
    );
    const silent = this.#flags.localIps.filter((_, i) => !answering[i]);
    if (silent.length > 0) {
      this.#log.error(`no answer from ${silent.join(', ')}: queries are not diverted there yet`);
    } else {
      await this.#network.divert();
    }
    this.#network.watch(this.#flags.syncIntervalMs);
  }

  /** Lets kube-dns have what it can serve, while we still answer. */
  async withdraw(): Promise<void> {
    if (!this.#flags.skipTeardown) await this.#network.withdraw('diversion');
  }

  async tearDown(): Promise<void> {
    this.#network.unwatch();
    if (!this.#flags.skipTeardown) await this.#network.tearDown();
  }
}

/** Whether something answers DNS there: any answer will do. */
async function answers(address: string, port: number): Promise<boolean> {
  for (let i = 0; i < SELF_QUERIES_MAX; i++) {
    if (await answersOnce(address, port)) return true;
  }
  return false;
}

function answersOnce(address: string, port: number): Promise<boolean> {
  // A header and the question `. NS IN`; an opcode that is answered without asking any upstream.
  const STATUS = 2 << 3;
  const query = Buffer.from([1, 1, STATUS, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1]);
  return new Promise((resolve) => {
    const socket: Socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    const end = (answered: boolean): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => undefined);
      socket.close();
      resolve(answered);
    };
    const timer = setTimeout(() => end(false), SELF_QUERY_MS);
    socket.once('message', () => end(true));
    socket.once('error', () => end(false));
    socket.send(query, port, address);
  });
}
