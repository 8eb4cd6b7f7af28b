/**
 * Refreshes under way: for each entry one at most, and the queries that wait for its outcome
 * (`serve_stale verify`).
 *
 *   idle --begin--> refreshing --succeeded--> idle    the entry has been replaced
 *                       '------- failed ----> idle    and left alone for RECHECK
 *
 * CoreDNS 1.13 refreshes once for every query that meets the entry.
 *
 * Owns:    the one refresh of each entry, and the queries that wait for it.
 */
import type { Query } from '../../query/query.ts';
import type { CacheEntry } from '../entry.ts';

export class Refreshes {
  readonly #waiters = new Map<CacheEntry, Query[]>();

  /** Whether a refresh may begin now; if so it has, and `ended` must follow. */
  begin(entry: CacheEntry, nowDs: number): boolean {
    if (entry.refreshing || nowDs < entry.recheckDs) return false;
    entry.refreshing = true;
    entry.hold();
    return true;
  }

  /** The query is answered when the entry's refresh ends, or patience does. */
  wait(entry: CacheEntry, query: Query): void {
    const waiters = this.#waiters.get(entry);
    if (waiters === undefined) this.#waiters.set(entry, [query]);
    else waiters.push(query);
  }

  /** Ends the refresh. After a failure the next may begin at `recheckDs`. */
  ended(entry: CacheEntry, recheckDs: number): void {
    entry.refreshing = false;
    entry.recheckDs = recheckDs;
    entry.release();
  }

  /** Those who wait for the entry; they wait no longer. */
  takeWaiters(entry: CacheEntry): readonly Query[] {
    const waiters = this.#waiters.get(entry);
    this.#waiters.delete(entry);
    return waiters ?? NOBODY;
  }

  /** Entries that somebody waits for. */
  awaited(): readonly CacheEntry[] {
    return [...this.#waiters.keys()];
  }
}

const NOBODY: readonly Query[] = [];
