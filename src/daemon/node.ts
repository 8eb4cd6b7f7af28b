/**
 * What makes us the cache of a node (`-localip`): the interface before the sockets, the rules once we
 * answer, and the way back in the other order.
 *
 * Owns:    that queries are diverted to us only while we answer them.
 */
import type { Flags } from '../cli/flags.ts';
import { HostNetwork, type HostNetworkObserver, type SetupErrorKind } from '../hostnet/sync.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { answersSoon } from './self-query.ts';

export const SETUP_ERRORS: readonly (SetupErrorKind | 'configmap')[] = [
  'configmap',
  'interface_add',
  'interface_check',
  'iptables',
  'iptables_lock',
];
const DIVERT_RETRY_MS = 5000;

export class NodeSetup {
  readonly #flags: Flags;
  readonly #log: Log;
  readonly #network: HostNetwork;
  #retry: NodeJS.Timeout | undefined;

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

  /** The rules of a predecessor that was killed go first of all: until we answer, kube-dns shall. */
  async clearLeftovers(): Promise<void> {
    await this.#network.withdraw();
  }

  /** The interface, before sockets are bound to its addresses. */
  setUp(): Promise<void> {
    return this.#network.setUp();
  }

  /** The rules, when our own query to each address has been answered; then both are watched. */
  async divert(): Promise<void> {
    const silent = await this.#silentAddresses();
    if (silent.length > 0) {
      this.#log.error(`no answer from ${silent.join(', ')}: queries are not diverted there yet`);
      this.#retry = setTimeout(() => void this.divert(), DIVERT_RETRY_MS).unref();
      return;
    }
    await this.#network.divert();
    this.#network.watch(this.#flags.syncIntervalMs);
  }

  /** Those where nothing answers, although we have asked for a while. */
  async #silentAddresses(): Promise<string[]> {
    const { localIps, dnsPort } = this.#flags;
    const answering = await Promise.all(localIps.map((host) => answersSoon(host, dnsPort)));
    return localIps.filter((_, i) => !answering[i]);
  }

  /** Lets kube-dns have what it can serve, while we still answer. */
  async withdraw(): Promise<void> {
    if (!this.#flags.skipTeardown) await this.#network.withdraw('diversion');
  }

  async tearDown(): Promise<void> {
    clearTimeout(this.#retry);
    this.#network.unwatch();
    if (!this.#flags.skipTeardown) await this.#network.tearDown();
  }
}
