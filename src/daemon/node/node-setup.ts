/**
 * The steps that make us the cache of a node (`-localip`): the interface before the sockets, the rules
 * once we answer, and both undone in the other order.
 *
 * Owns:    that queries are diverted to us only while we answer them.
 */
import type { Flags } from '../../cli/flags.ts';
import { describeNode, findOwners, surveyNode } from '../../hostnet/kube-proxy.ts';
import { isTakenOver } from '../../hostnet/rules.ts';
import { HostNetwork, type HostNetworkObserver, type SetupErrorKind } from '../../hostnet/sync.ts';
import type { Log } from '../../observe/log.ts';
import type { Metrics } from '../../observe/metrics.ts';
import type { Troubles } from '../../observe/troubles.ts';
import { ownInodes } from '../../sys/bound-sockets.ts';
import { hostNetworkOptions } from './node-options.ts';
import { sharedAddresses } from './other-daemons.ts';
import { answersSoon } from '../serving/self-query.ts';

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
  readonly #troubles: Troubles;
  /** Addresses that belong to another interface, with its name. */
  #ceded: ReadonlyMap<string, string> = new Map();
  #retry: NodeJS.Timeout | undefined;
  /** Sockets of ours, by inode, once the end has begun; our supervisor may keep them open. */
  #own: ReadonlySet<number> = new Set();
  /** The end has begun: nothing is diverted any longer. */
  #ending = false;
  /** Why the rules do not stand, as far as that is known. */
  #failure = 'the rules of the firewall are not in yet';

  constructor(flags: Flags, log: Log, metrics: Metrics, troubles: Troubles) {
    this.#flags = flags;
    this.#log = log;
    this.#troubles = troubles;
    const observer: HostNetworkObserver = {
      failed: (errortype, error) => {
        metrics.counter('coredns_nodecache_setup_errors_total', { errortype }).value++;
        log.error(error.message);
        this.#failure = error.message;
        troubles.begin('network', errortype, error.message);
      },
      succeeded: (part) => {
        for (const errortype of SETUP_ERRORS) {
          if (errortype.startsWith(part)) troubles.end('network', errortype);
        }
      },
      repaired: (what) => log.info(what),
      info: (text) => log.info(text),
    };
    this.#network = new HostNetwork(hostNetworkOptions(flags), observer);
  }

  /** Why queries are not diverted to us; undefined if they are, or that is left to others. */
  get undiverted(): string | undefined {
    if (this.#flags.firewall === 'none' || this.#network.isDiverting) return undefined;
    return this.#failure;
  }

  /**
   * Finds the addresses that belong to another interface (kube-ipvs0), which are neither bound nor diverted: IPVS
   * answers for them before any socket. Before all else.
   */
  async look(): Promise<ReadonlySet<string>> {
    this.#ceded = await findOwners(this.#flags.localIps);
    for (const [address, owner] of this.#ceded) {
      const text =
        `${address} belongs to ${owner}, so nothing listens there: leave it out of -localip, and let ` +
        "kubelet's clusterDNS name the link-local address";
      this.#log.warning(text);
      this.#troubles.begin('network', address, text);
    }
    this.#network.cede(this.#ceded.keys());
    return new Set(this.#ceded.keys());
  }

  /**
   * Removes the rules of a daemon that was killed, before anything else: until we answer, kube-dns
   * should. The rules of a daemon that still serves stay.
   */
  async clearLeftovers(): Promise<void> {
    this.#leaveToOthers('its rules stay');
    await this.#network.withdraw();
    this.#network.leaveTo([]);
  }

  /** Another daemon that serves our addresses needs what we would remove. */
  #leaveToOthers(consequence: string): void {
    const shared = sharedAddresses(this.#flags, this.#own);
    for (const { text } of shared) this.#log.info(`${text}: ${consequence}`);
    this.#network.leaveTo(shared.map(({ address }) => address));
  }

  /** The interface, before sockets are bound to its addresses. */
  setUp(): Promise<void> {
    return this.#network.setUp();
  }

  /** The rules, when our own query to each address has been answered; then both are watched. */
  async divert(): Promise<void> {
    const silent = await this.#silentAddresses();
    if (this.#ending) return;
    if (silent.length > 0) {
      const text = `no answer from ${silent.join(', ')}: queries are not diverted there yet`;
      this.#log.error(text);
      this.#failure = text;
      this.#troubles.begin('network', 'silent', text);
      this.#retry = setTimeout(() => void this.divert(), DIVERT_RETRY_MS).unref();
      return;
    }
    this.#troubles.end('network', 'silent');
    await this.#network.divert();
    this.#network.watch(this.#flags.syncIntervalMs);
    // Reading all rules of a large cluster's node takes seconds; nothing waits for it.
    void this.#describe();
  }

  async #describe(): Promise<void> {
    const { localIps: addresses, interfaceName, firewall } = this.#flags;
    const survey = await surveyNode({ addresses, interfaceName });
    for (const warning of survey.warnings) this.#log.warning(warning);
    const isDiverting = firewall !== 'none' && this.#network.isDiverting;
    this.#log.info(
      describeNode(survey, {
        diverted: isDiverting ? addresses.filter((address) => !this.#ceded.has(address)) : [],
        ceded: this.#ceded,
        firewall: this.#network.firewall,
      }),
    );
  }

  /**
   * Whether our own queries to `host` come to ourselves. Queries to the address of a Service go to kube-dns
   * until they are diverted, so that a silent kube-dns would be taken for our own silence.
   */
  reaches(host: string): boolean {
    return !isTakenOver(host) || this.#network.isDivertingHost;
  }

  /** The addresses where nothing answers, although we have asked for a while. */
  async #silentAddresses(): Promise<string[]> {
    const { dnsPort } = this.#flags;
    const localIps = this.#flags.localIps.filter(
      (host) => this.reaches(host) && !this.#ceded.has(host),
    );
    const answering = await Promise.all(localIps.map((host) => answersSoon(host, dnsPort)));
    return localIps.filter((_, i) => !answering[i]);
  }

  /** Sends to kube-dns the queries that it can serve, while we still answer. */
  async withdraw(): Promise<void> {
    this.#ending = true;
    clearTimeout(this.#retry);
    if (this.#flags.skipTeardown) return;
    this.#own = ownInodes(); // while we have them all
    this.#leaveToOthers('its rules stay');
    await this.#network.withdraw('diversion');
  }

  /** Leaves interface and rules to another daemon. */
  abandon(): void {
    this.#ending = true;
    clearTimeout(this.#retry);
    this.#network.unwatch();
  }

  async tearDown(): Promise<void> {
    this.#ending = true;
    clearTimeout(this.#retry);
    this.#network.unwatch();
    if (this.#flags.skipTeardown) return;
    if (this.#own.size === 0) this.#own = ownInodes();
    this.#leaveToOthers('interface and rules stay');
    await this.#network.tearDown();
  }
}
