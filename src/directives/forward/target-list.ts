/**
 * The upstreams of one `forward` at this moment: addresses, what files name, what names lead to.
 * Files and names are followed for as long as the forward serves.
 *
 * Owns:    that a file or name that is not there yet keeps nobody from starting, and that one that
 *          goes takes nothing away: the upstreams that it led to before may do.
 */
import { Resolver, lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { fileStampNow } from '../../files/file-stamp.ts';
import { Poll } from '../../files/poll.ts';
import { formatHostPort } from '../../net/host-port.ts';
import type { Log } from '../../observe/log.ts';
import { reasonOf } from '../../observe/reason.ts';
import { type UpstreamTarget } from '../../upstream/config.ts';
import type { ForwardUse } from './config.ts';
import { DNS_PORT, TARGETS_MAX, readNameservers } from './targets.ts';

/** Files that name upstreams are looked at that often. */
const FILE_CHECK_MS = 2000;
/** Names are looked up again after so long; after a failure sooner, and each time twice as late. */
const LOOK_UP_MS = 30_000;
const LOOK_UP_AGAIN_MS = 1000;
/** How long one server of `resolver` is given, and how often it is asked, as in CoreDNS. */
const RESOLVER_MS = 2000;
const RESOLVER_TRIES = 1;

/** Addresses of a host name. Rejects if there are none, or nobody can tell. */
export type LookUp = (name: string) => Promise<readonly string[]>;

export class TargetList {
  readonly #use: ForwardUse;
  readonly #log: Log;
  readonly #onChange: (targets: readonly UpstreamTarget[]) => void;
  readonly #lookUp: LookUp;
  readonly #files: readonly string[];
  /** Addresses by name, as they were found last. */
  readonly #addresses = new Map<string, readonly string[]>();
  /** Of names. */
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #filePoll: Poll | undefined;
  #targets: readonly UpstreamTarget[] = [];
  #stopped = false;

  /** `onChange` is called with the first targets at once, and with others later. */
  constructor(
    use: ForwardUse,
    log: Log,
    onChange: (targets: readonly UpstreamTarget[]) => void,
    lookUp: LookUp = use.resolvers.length > 0 ? throughResolvers(use.resolvers) : bySystem,
  ) {
    this.#use = use;
    this.#log = log;
    this.#onChange = onChange;
    this.#lookUp = lookUp;
    this.#files = use.to.flatMap(({ file }) => (file === undefined ? [] : [file]));
    this.#settle();
    this.#followFiles();
    for (const name of new Set(use.to.flatMap(({ named }) => named?.host ?? []))) {
      void this.#followName(name, LOOK_UP_AGAIN_MS);
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#filePoll?.stop();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  #followFiles(): void {
    const files = this.#files;
    if (files.length === 0) return;
    if (this.#targets.length === 0) {
      this.#log.warning(`plugin/forward: no nameservers found in ${files.join(', ')} yet`);
    }
    let seen = files.map(fileStampNow).join();
    this.#filePoll = new Poll(() => {
      const stamp = files.map(fileStampNow).join();
      if (stamp === seen) return;
      seen = stamp;
      this.#change(files.join(', '));
    });
    this.#filePoll.start(FILE_CHECK_MS);
  }

  /** Looks the name up, now and from time to time; after a failure `againMs` later. */
  async #followName(name: string, againMs: number): Promise<void> {
    let [nextMs, afterFailureMs] = [LOOK_UP_MS, LOOK_UP_AGAIN_MS];
    try {
      const found = [...new Set(await this.#lookUp(name))].filter((host) => isIP(host) !== 0);
      if (found.length === 0) throw new Error('no addresses found');
      if (this.#stopped) return;
      // Servers give the addresses in any order, and no upstream is changed for that.
      const addresses = found.toSorted();
      const before = this.#addresses.get(name);
      this.#addresses.set(name, addresses);
      if (before === undefined || before.join() !== addresses.join()) this.#change(name);
    } catch (error) {
      if (this.#stopped) return;
      [nextMs, afterFailureMs] = [againMs, Math.min(2 * againMs, LOOK_UP_MS)];
      if (againMs === LOOK_UP_AGAIN_MS) this.#tellFailure(name, error);
    }
    const timer = setTimeout(() => void this.#followName(name, afterFailureMs), nextMs);
    timer.unref();
    this.#timers.set(name, timer);
  }

  #tellFailure(name: string, error: unknown): void {
    const reason = reasonOf(error);
    const kept = this.#addresses.get(name);
    const meanwhile = kept === undefined ? 'trying again' : `${kept.join(', ')} may do meanwhile`;
    this.#log.warning(`plugin/forward: failed to resolve "${name}": ${reason}; ${meanwhile}`);
  }

  #change(what: string): void {
    const before = this.#targets;
    if (!this.#settle()) return;
    const names = (targets: readonly UpstreamTarget[]): string =>
      targets.map(formatHostPort).join(', ');
    if (names(before) === names(this.#targets)) return;
    this.#log.info(`plugin/forward: ${what} changed: upstreams are ${names(this.#targets)}`);
  }

  /** Takes what there is now. False if that is nothing, and what there was before is kept. */
  #settle(): boolean {
    const targets = this.#use.to.flatMap(({ target, named, file }) => {
      if (target !== undefined) return [target];
      if (named !== undefined) {
        return (this.#addresses.get(named.host) ?? []).map((host) => ({ ...named, host }));
      }
      const { source } = this.#use;
      const from = source === undefined ? {} : { source };
      return readNameservers(file).map((host) => ({
        host,
        port: DNS_PORT,
        tls: undefined,
        ...from,
      }));
    });
    // An empty file is one that is being written, or a network that is gone.
    if (targets.length === 0) return false;
    if (targets.length > TARGETS_MAX) {
      this.#log.warning(
        `plugin/forward: more than ${TARGETS_MAX} TOs configured: ${targets.length}. ` +
          `Using the first ${TARGETS_MAX}.`,
      );
    }
    this.#targets = targets.slice(0, TARGETS_MAX);
    this.#onChange(this.#targets);
    return true;
  }
}

/** Asks the servers of `resolver` in turn. What only one family has is found all the same. */
function throughResolvers(servers: readonly string[]): LookUp {
  const resolver = new Resolver({ timeout: RESOLVER_MS, tries: RESOLVER_TRIES });
  resolver.setServers(servers);
  return async (name) => {
    const [four, six] = await Promise.allSettled([
      resolver.resolve4(name),
      resolver.resolve6(name),
    ]);
    if (four.status === 'rejected' && six.status === 'rejected') throw four.reason;
    return [four, six].flatMap((found) => (found.status === 'fulfilled' ? found.value : []));
  };
}

/** As getaddrinfo() does: /etc/hosts, then /etc/resolv.conf. */
async function bySystem(name: string): Promise<readonly string[]> {
  const found = await lookup(name, { all: true });
  return found.map(({ address }) => address);
}
