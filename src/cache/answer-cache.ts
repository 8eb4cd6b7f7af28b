/**
 * The cache of one server block: two stores, and one answer at most to a question.
 *
 * Owns:    that a fresh entry of one kind removes the other kind, and that a server error never
 *          replaces or hides anything usable.
 * Is not:  the counting, writing and refreshing (hits.ts), nor the walk of a miss (resolver.ts).
 * Hot path, stop 4 of 6: `find`.
 */
import { isInZones } from '../dns/in-zone.ts';
import { NXDOMAIN } from '../dns/rcode.ts';
import type { NormalizedResponse } from '../dns/response.ts';
import { A, AAAA } from '../dns/rrtype.ts';
import type { CacheConfig } from './config.ts';
import { DeniedTypes } from './denial/denied-types.ts';
import { CacheEntry, DENIED, type EntryKind, POSITIVE, SERVER_ERROR } from './entry.ts';
import { EVERY_TYPE, cacheKey } from './key.ts';
import type { CacheQuestion, NamedQuestion } from './question.ts';
import { Store } from './store.ts';
import { type ResponseClass, isTruncated, storeOf } from './ttl-policy.ts';

/** Records each entry that is kept. */
export interface EntryLog {
  append(entry: CacheEntry): void;
}

export class AnswerCache {
  readonly config: CacheConfig;
  /** Each kept answer is written there, for the next worker to inherit. */
  log: EntryLog | undefined;
  readonly success: Store;
  readonly denial: Store;
  readonly #prefersPositive: boolean;
  /** Zones whose NXDOMAINs to A and AAAA are right about both: docs/ndots.md. */
  readonly #trustedZones: readonly string[];

  constructor(config: CacheConfig) {
    this.config = config;
    this.success = new Store(config.success.entriesMax);
    this.denial = new Store(config.denial.entriesMax);
    this.#prefersPositive = config.stale?.preferPositive ?? false;
    this.#trustedZones = config.cutZones
      .filter(({ kind }) => kind !== 'search')
      .map(({ zone }) => zone);
  }

  /** The live entry that answers the question, or undefined. */
  find(question: CacheQuestion, nowDs: number): CacheEntry | undefined {
    const { nameHash, qtype, qclass, dnssecOk, checkingDisabled } = question;
    const key = cacheKey(nameHash, qtype, qclass, dnssecOk, checkingDisabled);
    let entry = this.success.get(key);
    if (entry !== undefined && entry.remainingSec(nowDs) > 0) {
      if (entry.answers(question, qtype)) return entry;
    }
    if (
      this.#prefersPositive &&
      usable(entry, question, qtype, nowDs, this.config.stale!.durationSec)
    ) {
      return undefined; // a stale positive answer is wanted rather than a live denial
    }
    const nameKey = cacheKey(nameHash, EVERY_TYPE, qclass, dnssecOk, checkingDisabled);
    entry = this.denial.get(nameKey);
    if (entry !== undefined && entry.remainingSec(nowDs) > 0) {
      if (entry.denied?.covers(qtype, nowDs) === true && entry.answers(question, EVERY_TYPE)) {
        return entry;
      }
    }
    entry = this.denial.get(key);
    if (entry !== undefined && entry.remainingSec(nowDs) > 0) {
      if (entry.answers(question, qtype)) return entry;
    }
    return undefined;
  }

  /** Whether a stale positive answer is there and wanted rather than a live denial. */
  prefersStale(question: CacheQuestion, nowDs: number): boolean {
    if (!this.#prefersPositive) return false;
    const { nameHash, qtype, qclass, dnssecOk, checkingDisabled } = question;
    const entry = this.success.get(cacheKey(nameHash, qtype, qclass, dnssecOk, checkingDisabled));
    const staleSec = this.config.stale!.durationSec;
    return usable(entry, question, qtype, nowDs, staleSec);
  }

  /**
   * Whether an NXDOMAIN to the question for A would answer this question too: the name was denied when last
   * heard of, be that some time ago, and its type is covered (denial/denied-types.ts).
   */
  fallsWithA(question: CacheQuestion, nowDs: number): boolean {
    return this.#deniedTypes(question)?.coveredByA(question.qtype, nowDs) === true;
  }

  /** The types for which the name is denied, as far as is known; undefined if it is not. */
  #deniedTypes(question: CacheQuestion): DeniedTypes | undefined {
    const { nameHash, qclass, dnssecOk, checkingDisabled } = question;
    const entry = this.denial.get(
      cacheKey(nameHash, EVERY_TYPE, qclass, dnssecOk, checkingDisabled),
    );
    return entry?.answers(question, EVERY_TYPE) === true ? entry.denied : undefined;
  }

  /**
   * The entry that may stand in for the answer although it has expired, by no more than `staleSec`:
   * positive before denial, a server error never.
   */
  findStale(question: CacheQuestion, nowDs: number, staleSec: number): CacheEntry | undefined {
    const { nameHash, qtype, qclass, dnssecOk, checkingDisabled } = question;
    const key = cacheKey(nameHash, qtype, qclass, dnssecOk, checkingDisabled);
    const nameKey = cacheKey(nameHash, EVERY_TYPE, qclass, dnssecOk, checkingDisabled);
    const positive = this.success.get(key);
    if (usable(positive, question, qtype, nowDs, staleSec)) return positive;
    const noName = this.denial.get(nameKey);
    if (noName?.denied?.covers(qtype, nowDs - 10 * staleSec) === true) {
      if (usable(noName, question, EVERY_TYPE, nowDs, staleSec)) return noName;
    }
    const noData = this.denial.get(key);
    if (usable(noData, question, qtype, nowDs, staleSec)) return noData;
    return undefined;
  }

  /**
   * Takes in what an upstream has said: what contradicts it ends, and it is kept for `lifetimeSec` if a
   * response of that class is to be kept. Returns the entry.
   */
  keep(
    question: NamedQuestion,
    message: NormalizedResponse,
    responseClass: ResponseClass,
    lifetimeSec: number,
    nowDs: number,
  ): CacheEntry | undefined {
    this.#endContrary(question, message, responseClass);
    const entry = this.#put(question, message, responseClass, lifetimeSec, nowDs);
    if (entry !== undefined) this.log?.append(entry);
    return entry;
  }

  /**
   * Whether an entry for the question, of its type or of every type, was stored at `storedDs` or later.
   * Off the hot path: for entries of another process.
   */
  isNewerThan(question: CacheQuestion, storedDs: number): boolean {
    const { nameHash, qtype, qclass, dnssecOk, checkingDisabled } = question;
    const key = cacheKey(nameHash, qtype, qclass, dnssecOk, checkingDisabled);
    const nameKey = cacheKey(nameHash, EVERY_TYPE, qclass, dnssecOk, checkingDisabled);
    const known = [this.success.get(key), this.denial.get(key), this.denial.get(nameKey)];
    return known.some((entry) => entry !== undefined && entry.storedDs >= storedDs);
  }

  /**
   * Like `keep`, for a response that another process kept at `storedDs`, and without an entry in the log.
   * Callers have seen that the cache has nothing newer.
   */
  restore(
    question: NamedQuestion,
    message: NormalizedResponse,
    responseClass: ResponseClass,
    lifetimeSec: number,
    storedDs: number,
  ): CacheEntry | undefined {
    return this.#put(question, message, responseClass, lifetimeSec, storedDs);
  }

  #put(
    question: NamedQuestion,
    message: NormalizedResponse,
    responseClass: ResponseClass,
    lifetimeSec: number,
    nowDs: number,
  ): CacheEntry | undefined {
    const storeName = storeOf(responseClass);
    if (storeName === undefined || lifetimeSec <= 0 || isTruncated(message)) return undefined;
    const { disabledZones } = this.config[storeName];
    if (disabledZones.length > 0 && isInZones(question.name, disabledZones)) return undefined;

    const { nameHash, qtype, qclass, dnssecOk, checkingDisabled } = question;
    const key = cacheKey(nameHash, qtype, qclass, dnssecOk, checkingDisabled);
    const nameKey = cacheKey(nameHash, EVERY_TYPE, qclass, dnssecOk, checkingDisabled);
    const staleSec = this.config.stale?.durationSec ?? 0;
    if (responseClass === 'server-error') {
      if (this.findStale(question, nowDs, staleSec) !== undefined) {
        return undefined;
      }
    }
    // NXDOMAIN behind a CNAME denies the CNAME's target, not the name asked (RFC 2308 section 2.1).
    const deniesName =
      responseClass === 'name-error' && message.answers === 0 && !message.ofTypeOnly;
    const entry = new CacheEntry(message, {
      kind: KIND_OF[responseClass] ?? POSITIVE,
      qtype: deniesName ? EVERY_TYPE : qtype,
      dnssecOk,
      checkingDisabled,
      storedDs: nowDs,
      lifetimeSec,
      denied: deniesName ? this.#denied(question, nowDs, lifetimeSec) : undefined,
    });
    if (storeName === 'success') {
      this.success.set(key, entry);
      this.denial.delete(key);
      this.denial.delete(nameKey);
    } else if (deniesName) {
      this.denial.set(nameKey, entry);
      this.denial.delete(key);
      if (!this.#prefersPositive) this.success.delete(key);
    } else {
      this.denial.set(key, entry);
      if (responseClass !== 'server-error') {
        this.denial.delete(nameKey);
        if (!this.#prefersPositive) this.success.delete(key);
      }
    }
    return entry;
  }

  /** The types that an NXDOMAIN answers, which was heard at `nowDs` for the type of the question. */
  #denied(question: NamedQuestion, nowDs: number, lifetimeSec: number): DeniedTypes {
    const { qtype, name } = question;
    const denied = new DeniedTypes(this.#deniedTypes(question), nowDs);
    denied.heard(qtype, nowDs, lifetimeSec);
    // In these zones the Corefile says that an NXDOMAIN is right about the other type of address too.
    if ((qtype === A || qtype === AAAA) && isInZones(name, this.#trustedZones)) {
      denied.heard(qtype === A ? AAAA : A, nowDs, lifetimeSec);
    }
    return denied;
  }

  /**
   * Forgets what a fresh word of an upstream contradicts, for clients with DO and without, whether or not it
   * is going to be kept itself. A server's trouble (SERVFAIL, REFUSED) says nothing of the name.
   */
  #endContrary(
    { nameHash, qtype, qclass, checkingDisabled }: CacheQuestion,
    message: NormalizedResponse,
    responseClass: ResponseClass,
  ): void {
    const word = wordOf(message, responseClass);
    if (word === undefined) return;
    for (let at = 0; at < 2; at++) {
      const dnssecOk = at === 1;
      const key = cacheKey(nameHash, qtype, qclass, dnssecOk, checkingDisabled);
      if (word !== 'no name') {
        this.denial.delete(cacheKey(nameHash, EVERY_TYPE, qclass, dnssecOk, checkingDisabled));
      }
      if (word === 'records') this.denial.delete(key);
      else if (!this.#prefersPositive) this.success.delete(key);
    }
  }
}

/** The word of a response on the name and type asked; undefined if it has none. */
function wordOf(
  message: NormalizedResponse,
  responseClass: ResponseClass,
): 'records' | 'no records' | 'no name' | undefined {
  switch (responseClass) {
    case 'positive':
      if (message.answers > 0) return 'records';
      return isTruncated(message) ? undefined : 'no records';
    case 'no-data':
      return isTruncated(message) ? undefined : 'no records';
    case 'name-error':
      return message.answers > 0 || message.ofTypeOnly ? 'no records' : 'no name';
    case 'other-error': // without an SOA it is not kept (RFC 2308 section 5), and with one not believed
      return message.rcode === NXDOMAIN && !message.hasSoa ? 'no name' : undefined;
    case 'delegation':
    case 'server-error':
    case 'meta':
      return undefined;
    default:
      return responseClass satisfies never;
  }
}

const KIND_OF: Partial<Record<ResponseClass, EntryKind>> = {
  positive: POSITIVE,
  delegation: POSITIVE,
  'no-data': DENIED,
  'name-error': DENIED,
  'server-error': SERVER_ERROR,
};

function usable(
  entry: CacheEntry | undefined,
  question: CacheQuestion,
  qtype: number,
  nowDs: number,
  staleSec: number,
): boolean {
  return (
    entry !== undefined &&
    entry.kind !== SERVER_ERROR &&
    entry.remainingSec(nowDs) + staleSec > 0 &&
    entry.answers(question, qtype)
  );
}
