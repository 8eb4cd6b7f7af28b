/**
 * Refreshes under way: for each entry one at most, and the queries that wait for its outcome
 * (`serve_stale verify`).
 *
 *   idle --begin--> refreshing --succeeded--> idle    the entry has been replaced
 *                       '------- failed ----> idle    and left alone for RECHECK
 *
 * CoreDNS 1.13 refreshes once for every query that meets the entry.
 *
 * Owns: when a refresh may begin, its sending, and the end of each wait for it.
 */
import type { QueryFacts } from '../../dns/question.ts';
import type { AddressIndex } from '../../query/address-index.ts';
import type { Query } from '../../query/query.ts';
import type { Response } from '../../query/response.ts';
import { nowMs, toDs } from '../../sys/clock.ts';
import { answerExpired } from '../answers.ts';
import type { ChainBelow } from '../chain-below.ts';
import { questionAbove } from '../denial/cut.ts';
import type { CacheEntry } from '../entry.ts';
import { type Keeper, bringsNews } from '../keeper.ts';
import type { CacheParts } from '../parts.ts';
import { passOn } from './pass-on.ts';

/** Stale answers follow within 100 ms of the news that no upstream answers. */
const REACHABILITY_CHECK_MS = 50;

export class Refreshes {
  readonly #parts: CacheParts;
  readonly #below: ChainBelow;
  readonly #keeper: Keeper;
  readonly #resume: (query: Query) => void;
  readonly #waiters = new Map<CacheEntry, Set<Query>>();
  #reachabilityCheck: NodeJS.Timeout | undefined;

  /** `resume` lets a waiter go on whose question a refresh has not answered. */
  constructor(
    parts: CacheParts,
    below: ChainBelow,
    keeper: Keeper,
    resume: (query: Query) => void,
  ) {
    this.#parts = parts;
    this.#below = below;
    this.#keeper = keeper;
    this.#resume = resume;
  }

  /** Asks below for a new answer, unless a refresh is under way or has just failed. */
  begin(question: QueryFacts, addressIndex: AddressIndex, entry: CacheEntry, nowDs: number): void {
    if (!this.#below.isAttached || entry.refreshing || nowDs < entry.recheckDs) return;
    entry.refreshing = true;
    entry.hold();
    this.#parts.counters[addressIndex]!.prefetches.value++;
    // An entry of fewer octets than the question is a cut above it.
    const { nameOctets } = entry;
    const asked =
      nameOctets === question.nameOctets ? question : questionAbove(question, nameOctets);
    this.#below.ask(asked, addressIndex, (own, response) => this.#ended(entry, own, response));
  }

  #ended(entry: CacheEntry, own: Query, response: Response): void {
    const waiters = this.#takeWaiters(entry);
    // Before the waiters go on: one that meets the entry again must not wait for this refresh.
    entry.refreshing = false;
    if (bringsNews(response)) {
      entry.recheckDs = 0;
      const kept = this.#keeper.keep(own, response, entry);
      for (const waiter of waiters) passOn(kept, own, waiter, this.#resume);
    } else {
      entry.recheckDs = toDs(nowMs() + (this.#parts.config.stale?.recheckMs ?? 0));
      for (const waiter of waiters) answerExpired(this.#parts, entry, waiter);
    }
    entry.release(); // last: a failure is answered with its octets
  }

  /**
   * Answers the query when the refresh of `entry` ends; with the expired entry when `timeoutMs` have passed
   * (0: never) or every upstream has fallen silent.
   */
  wait(entry: CacheEntry, query: Query, timeoutMs: number): void {
    const waiters = this.#waiters.get(entry);
    if (waiters === undefined) this.#waiters.set(entry, new Set([query]));
    else waiters.add(query);
    this.#watchReachability();
    if (timeoutMs > 0) setTimeout(() => this.#late(entry, query), timeoutMs).unref();
  }

  /** Nothing happens to a query that has gone on: the refresh, and its hold of the entry, have ended. */
  #late(entry: CacheEntry, query: Query): void {
    if (this.#waiters.get(entry)?.delete(query)) answerExpired(this.#parts, entry, query);
  }

  #watchReachability(): void {
    this.#reachabilityCheck ??= setInterval(() => {
      const awaited = [...this.#waiters.keys()];
      if (awaited.length > 0 && this.#below.isReachable()) return;
      for (const entry of awaited) {
        for (const waiter of this.#takeWaiters(entry)) answerExpired(this.#parts, entry, waiter);
      }
      clearInterval(this.#reachabilityCheck);
      this.#reachabilityCheck = undefined;
    }, REACHABILITY_CHECK_MS).unref();
  }

  /** The queries that wait for the entry; they no longer do. */
  #takeWaiters(entry: CacheEntry): Iterable<Query> {
    const waiters = this.#waiters.get(entry);
    this.#waiters.delete(entry);
    return waiters ?? NO_QUERIES;
  }
}

const NO_QUERIES: readonly Query[] = [];
