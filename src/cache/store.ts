/**
 * One of a cache's two stores: entries by key, the least recently used one evicted when full.
 *
 * Owns:    the bound on entries, and which one makes room for a new one.
 */
import { LRUCache } from 'lru-cache';
import type { CacheEntry } from './entry.ts';

/** lru-cache sets its table up in full, 24 octets an entry; a million answers are 400 MB. */
const ENTRIES_MAX = 1_000_000;
/** The least that CoreDNS's 256 shards hold: what a capacity of 0 or less means there. */
const ENTRIES_FALLBACK = 1024;

/** Passed at each call, or lru-cache would make an object of 56 octets each time. */
const DEFAULTS = {};

export class Store {
  readonly #entries: LRUCache<number, CacheEntry>;
  /** Entries dropped to make room, since the start. */
  evictions = 0;

  constructor(entriesMax: number) {
    this.#entries = new LRUCache({
      max: entriesMax > 0 ? Math.min(entriesMax, ENTRIES_MAX) : ENTRIES_FALLBACK,
      dispose: (entry, _key, reason) => {
        entry.release();
        if (reason === 'evict') this.evictions++;
      },
    });
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: number): CacheEntry | undefined {
    return this.#entries.get(key, DEFAULTS);
  }

  /** Whether another entry is one too many. */
  get isFull(): boolean {
    return this.#entries.size >= this.#entries.max;
  }

  /** All entries, the most recently used one first. */
  values(): Iterable<CacheEntry> {
    return this.#entries.values();
  }

  set(key: number, entry: CacheEntry): void {
    this.#entries.set(key, entry);
  }

  delete(key: number): void {
    this.#entries.delete(key);
  }
}

/** Facts that hold for a while: hashes and their ends, the least recently used one forgotten when full. */
export class Memo {
  readonly #untilDs: LRUCache<number, number>;

  constructor(entriesMax: number) {
    this.#untilDs = new LRUCache({ max: entriesMax });
  }

  note(hash: number, untilDs: number): void {
    this.#untilDs.set(hash, untilDs);
  }

  holds(hash: number, nowDs: number): boolean {
    const untilDs = this.#untilDs.get(hash, DEFAULTS);
    return untilDs !== undefined && nowDs < untilDs;
  }
}
