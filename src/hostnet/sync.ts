/**
 * The node's network as we want it: the interface, and the rules that divert queries to it; put in,
 * checked, repaired, taken out.
 *
 *   setUp   the interface, before sockets are bound
 *   divert  the rules, once the listeners answer
 *   check   both, every -syncinterval
 *   withdraw, tearDown   the rules before the listeners stop, the interface last
 *
 * Nothing here rejects: failures are reported to the observer, and the daemon serves on.
 *
 * Owns:    that these run one after another, in order of the calls; that `withdraw` and `tearDown`
 *          abort a check that waits for a lock; and the timer of `watch`.
 * Is not:  the judge of when listeners answer, or of which addresses another daemon needs: the
 *          caller says so by `leaveTo`.
 */
import { reasonOf } from '../observe/reason.ts';
import { type Hold, HostnetError, type Run, holdCommand, runCommand } from './command.ts';
import { HostInterface } from './interface.ts';
import { Iptables } from './iptables.ts';
import { Nftables } from './nftables.ts';
import { OwnedTable } from './owned-table.ts';
import { type Firewall, type FirewallRule, rulesFor } from './rules.ts';

/** The values of node-cache's `errortype` label that belong here. */
export type SetupErrorKind = 'iptables' | 'iptables_lock' | 'interface_add' | 'interface_check';

export interface HostNetworkObserver {
  /** To be counted and logged. A lack of NET_ADMIN is reported once, with the code `forbidden`. */
  failed(kind: SetupErrorKind, error: HostnetError): void;
  /** All is in place of what the failures of this part are about. */
  succeeded?(part: 'interface' | 'iptables'): void;
  /** A check found something wrong and repaired it; a line for each thing. */
  repaired(what: string): void;
  /** Something to know about how it is done on this node; once each. */
  info(text: string): void;
}

type FirewallChoice = 'auto' | 'iptables' | 'nftables' | 'none';

export interface HostNetworkOptions {
  readonly addresses: readonly string[];
  readonly dnsPort: number;
  readonly healthPort: number;
  readonly interfaceName: string;
  /** False with `-setupinterface=false`. */
  readonly setupInterface: boolean;
  /** `none` with `-setupiptables=false`. */
  readonly firewall: FirewallChoice;
  /** Wanted; where the kernel lacks the socket match, node-cache's own rules go in instead. */
  readonly crashSafe: boolean;
  /** With `-notrack=false`: connection tracking sees it all. */
  readonly tracked?: boolean;
  /** `dummy` unless given. */
  readonly interfaceKind?: string;
  readonly run?: Run;
  readonly hold?: Hold;
  /** For the jitter; from 0 up to 1. */
  readonly random?: () => number;
}

/** `diversion` leaves what our responses need, and what concerns link-local addresses. */
export type Withdrawal = 'diversion' | 'all';

/** After these the next check is due at its interval again. */
const LOCK_RETRY_FIRST_MS = 1000;
/** How long withdrawing goes on trying where another holds the lock. */
const WITHDRAW_MS = 5000;
const WITHDRAW_PAUSE_MS = 50;

export class HostNetwork {
  readonly #options: HostNetworkOptions;
  readonly #observer: HostNetworkObserver;
  readonly #run: Run;
  #interface: HostInterface;
  readonly #owned: OwnedTable;
  /** Every rule that could be ours, in node-cache's form. */
  readonly #known: readonly FirewallRule[];
  /** The rules that we want, in node-cache's form. */
  #plain: readonly FirewallRule[];
  #rules: readonly FirewallRule[];
  /** Which of the rules should stand now. */
  #wanted: 'all' | 'answers' | 'none' = 'none';
  #interfaceWanted = false;
  /** Addresses that another daemon serves too. */
  #left: ReadonlySet<string> = new Set();
  #firewall: Firewall | undefined;
  /** NET_ADMIN is missing, which does not change: no use in trying anything. */
  #forbidden = false;
  /** Nor the firewall alone, for which there may also be no program. */
  #firewallHopeless = false;
  #ownedMissingReported = false;
  #standing = false;
  #otherCleared = false;
  #lockedTimes = 0;
  #tail: Promise<unknown> = Promise.resolve();
  #abort = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #watching = false;

  /** Throws Error if one of `addresses` is not an address. */
  constructor(options: HostNetworkOptions, observer: HostNetworkObserver) {
    this.#options = options;
    this.#observer = observer;
    this.#run = options.run ?? runCommand;
    this.#interface = this.#interfaceFor(options.addresses);
    this.#owned = new OwnedTable(options.hold ?? holdCommand);
    this.#known = rulesFor({ ...options, crashSafe: false, tracked: false });
    this.#plain = rulesFor({ ...options, crashSafe: false });
    this.#rules = rulesFor(options);
  }

  #interfaceFor(addresses: readonly string[]): HostInterface {
    const { interfaceName: name, interfaceKind: kind = 'dummy' } = this.#options;
    return new HostInterface(this.#run, { name, kind, addresses });
  }

  /**
   * Leaves these addresses to others; before `setUp`. Rules that an earlier process has put in for
   * them are still taken out.
   */
  cede(addresses: Iterable<string>): void {
    const theirs = new Set(addresses);
    const ours = this.#options.addresses.filter((address) => !theirs.has(address));
    this.#interface = this.#interfaceFor(ours);
    this.#plain = rulesFor({ ...this.#options, addresses: ours, crashSafe: false });
    this.#rules = rulesFor({ ...this.#options, addresses: ours });
  }

  /** Whether all rules stood when they were last looked at: queries come here. */
  get isDiverting(): boolean {
    return this.#standing && this.#wanted === 'all';
  }

  /** The firewall that has the rules; `none` also before it is chosen. */
  get firewall(): 'iptables' | 'nftables' | 'none' {
    return this.#firewall?.name ?? 'none';
  }

  /** Whether what the host's own processes ask comes here as well. */
  get isDivertingHost(): boolean {
    const byTable = this.#rules.some(({ life }) => life === 'while-alive');
    return this.isDiverting && (!byTable || this.#owned.isHeld);
  }

  /** Makes the interface. */
  setUp(): Promise<void> {
    if (!this.#options.setupInterface) return Promise.resolve();
    this.#interfaceWanted = true;
    return this.#inTurn(async (signal) => {
      await this.#ensureInterface(signal);
    });
  }

  /** Puts the rules in; call when the listeners answer. Resolves to whether all of them stand. */
  divert(): Promise<boolean> {
    if (this.#options.firewall === 'none') return Promise.resolve(true);
    if (this.#wanted !== 'all') this.#standing = false;
    this.#wanted = 'all';
    return this.#inTurn(async (signal) => (await this.#ensureRules(signal)) !== undefined);
  }

  /** Looks after all that was asked for so far. Resolves to the repairs made. */
  check(): Promise<readonly string[]> {
    return this.#inTurn(async (signal) => {
      const repaired = await this.#ensureInterface(signal);
      repaired.push(...((await this.#ensureRules(signal)) ?? []));
      for (const what of repaired) this.#observer.repaired(what);
      return repaired;
    });
  }

  /**
   * Another daemon serves these addresses, given in the spelling of RFC 5952: their rules, and the
   * interface, stay as they are when ours are taken out.
   */
  leaveTo(addresses: Iterable<string>): void {
    this.#left = new Set(addresses);
  }

  /**
   * Takes rules out, so that kube-dns gets the queries: milliseconds, unless another holds the
   * xtables lock, for which it waits 5 s altogether. Resolves to whether they are out.
   */
  withdraw(what: Withdrawal = 'all'): Promise<boolean> {
    this.#wanted = what === 'all' ? 'none' : 'answers';
    this.#abort.abort();
    if (this.#options.firewall === 'none') return Promise.resolve(true);
    return this.#inTurn(async () => {
      await this.#owned.drop();
      if (this.#known.every(({ address }) => this.#left.has(address))) return true;
      const deadlineMs = performance.now() + WITHDRAW_MS;
      for (;;) {
        this.#lockedTimes = 0;
        if ((await this.#ensureRules(undefined, true)) !== undefined) return true;
        if (this.#lockedTimes === 0 || performance.now() > deadlineMs) return false;
        await new Promise((resolve) => setTimeout(resolve, WITHDRAW_PAUSE_MS));
      }
    });
  }

  /** Ends the watch and takes everything out: the rules, then the interface. */
  async tearDown(): Promise<void> {
    this.unwatch();
    this.#interfaceWanted = false;
    await this.withdraw('all');
    if (!this.#options.setupInterface || this.#forbidden || this.#left.size > 0) return;
    await this.#inTurn(async () => {
      try {
        await this.#interface.remove();
      } catch (error) {
        this.#failed('interface_check', error);
      }
    });
  }

  /**
   * Checks every `intervalMs` from now on, and sooner after a check that met the lock. The timer
   * does not keep the process alive.
   */
  watch(intervalMs: number): void {
    this.unwatch();
    this.#watching = true;
    this.#schedule(intervalMs);
  }

  unwatch(): void {
    this.#watching = false;
    clearTimeout(this.#timer);
  }

  #schedule(intervalMs: number): void {
    const random = this.#options.random ?? Math.random;
    // With every contender's clock the same they would meet again.
    const retryMs = LOCK_RETRY_FIRST_MS * 2 ** (this.#lockedTimes - 1) * (0.5 + random());
    const waitMs = this.#lockedTimes > 0 ? Math.min(retryMs, intervalMs) : intervalMs;
    this.#timer = setTimeout(() => {
      void this.check().then(() => {
        if (this.#watching) this.#schedule(intervalMs);
      });
    }, waitMs);
    this.#timer.unref();
  }

  /** One after another: a check must not put back what a withdrawal takes out. */
  #inTurn<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const turn = this.#tail.then(() => {
      this.#abort = new AbortController();
      return work(this.#abort.signal);
    });
    this.#tail = turn.catch(() => undefined);
    return turn;
  }

  /** Resolves to the things made. */
  async #ensureInterface(signal: AbortSignal): Promise<string[]> {
    if (!this.#interfaceWanted || this.#forbidden) return [];
    const { made, failures } = await this.#interface.ensure(signal);
    for (const { kind, error } of failures) this.#failed(kind, error);
    if (failures.length === 0) this.#observer.succeeded?.('interface');
    return [...made];
  }

  /** Resolves to the changes made; undefined if it failed. */
  async #ensureRules(
    signal?: AbortSignal,
    evenNone: boolean = false,
  ): Promise<string[] | undefined> {
    if (this.#wanted === 'none' && !evenNone) return [];
    if (this.#forbidden || this.#firewallHopeless) return undefined;
    const firewall = await this.#chooseFirewall();
    if (firewall === undefined) return undefined;
    try {
      const changes = await this.#apply(firewall, signal);
      this.#lockedTimes = 0;
      changes.push(...(await this.#applyOwned()));
      await this.#clearOther(firewall, signal);
      this.#standing = true;
      this.#observer.succeeded?.('iptables');
      return changes;
    } catch (error) {
      this.#standing = false;
      this.#failed('iptables', error);
      return undefined;
    }
  }

  async #apply(firewall: Firewall, signal?: AbortSignal): Promise<string[]> {
    const kept = (): FirewallRule[] =>
      this.#wantedRules().filter(({ life }) => life !== 'while-alive');
    if (this.#left.size > 0) return this.#applyBesideOthers(firewall, kept(), signal);
    try {
      return await firewall.apply(kept(), this.#known, signal);
    } catch (error) {
      const matches = kept().some(({ life }) => life === 'while-listening');
      const other = error instanceof HostnetError && error.code === 'failed';
      if (!matches || !other) throw error;
      const crashSafe = this.#rules;
      this.#rules = this.#plain;
      try {
        const changes = await firewall.apply(kept(), this.#known, signal);
        this.#observer.info(
          `The rules stay in force if this process is killed, as node-cache's do, until it is ` +
            `started again: this node has no socket match (${error.message})`,
        );
        return changes;
      } catch (plainError) {
        this.#rules = crashSafe; // The match was not what failed.
        throw plainError;
      }
    }
  }

  /** Applies our wanted rules, and leaves other daemons' rules alone. */
  #applyBesideOthers(
    firewall: Firewall,
    wanted: readonly FirewallRule[],
    signal?: AbortSignal,
  ): Promise<string[]> {
    const isOurs = ({ address }: FirewallRule): boolean => !this.#left.has(address);
    const ours = wanted.filter(isOurs);
    if (firewall.name === 'iptables') {
      return firewall.apply(ours, this.#known.filter(isOurs), signal);
    }
    // The table is replaced as a whole, so what stays is written again.
    const theirs = this.#rules.filter((rule) => !isOurs(rule) && rule.life !== 'while-alive');
    return firewall.apply([...ours, ...theirs], this.#known, signal);
  }

  async #applyOwned(): Promise<string[]> {
    const rules = this.#wantedRules().filter(({ life }) => life === 'while-alive');
    if (rules.length === 0 || this.#owned.isHeld) return [];
    try {
      await this.#owned.put(rules);
      return [`added: nftables table inet ${this.#owned.name}`];
    } catch (error) {
      // Tracked queries are diverted by our translation only.
      if (rules.some(({ table }) => table === 'nat')) throw error;
      const why = reasonOf(error);
      if (this.#ownedMissingReported) return [];
      this.#ownedMissingReported = true;
      this.#observer.info(
        "Queries of the host's own processes to the addresses of Services go to kube-dns, not " +
          `through this cache: rules for them that end with this process need nftables (${why})`,
      );
      return [];
    }
  }

  /**
   * Removes what an earlier process left in the other firewall: its rules would go on without anyone to
   * look after them. Once; that it cannot be looked at is no news.
   */
  async #clearOther(chosen: Firewall, signal?: AbortSignal): Promise<void> {
    if (this.#otherCleared || this.#left.size > 0) return;
    this.#otherCleared = true;
    const other = chosen.name === 'iptables' ? new Nftables(this.#run) : new Iptables(this.#run);
    try {
      await other.apply([], this.#known, signal);
    } catch {
      // Missing, most often.
    }
  }

  #wantedRules(): readonly FirewallRule[] {
    if (this.#wanted === 'none') return [];
    if (this.#wanted === 'all') return this.#rules;
    return this.#rules.filter(({ diverts }) => !diverts);
  }

  async #chooseFirewall(): Promise<Firewall | undefined> {
    if (this.#firewall !== undefined) return this.#firewall;
    const { firewall: choice } = this.#options;
    if (choice === 'iptables') this.#firewall = new Iptables(this.#run);
    else if (choice === 'nftables') this.#firewall = new Nftables(this.#run);
    else if (await this.#has('iptables')) this.#firewall = new Iptables(this.#run);
    else if (await this.#has('nft')) this.#firewall = new Nftables(this.#run);
    else {
      this.#failed('iptables', new HostnetError('missing', 'iptables', 'nor is nft'));
      this.#firewallHopeless = true;
      return undefined;
    }
    this.#observer.info(`The firewall's rules go through ${this.#firewall.name}.`);
    return this.#firewall;
  }

  async #has(program: string): Promise<boolean> {
    try {
      await this.#run(program, ['--version']);
      return true;
    } catch (error) {
      return !(error instanceof HostnetError && error.code === 'missing');
    }
  }

  #failed(kind: SetupErrorKind, thrown: unknown): void {
    const error =
      thrown instanceof HostnetError ? thrown : new HostnetError('failed', kind, String(thrown));
    if (error.code === 'aborted' || this.#forbidden) return;
    if (error.code === 'forbidden') {
      if (kind === 'iptables') this.#firewallHopeless = true;
      else this.#forbidden = true;
    }
    if (error.code !== 'locked') this.#observer.failed(kind, error);
    else {
      this.#lockedTimes = Math.min(this.#lockedTimes + 1, 10);
      this.#observer.failed('iptables_lock', error);
    }
  }
}
