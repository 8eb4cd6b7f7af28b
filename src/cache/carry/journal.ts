/**
 * A ring of segments in memory that outlives the worker: each entry is written to it when it is kept,
 * so that the next worker can begin where this one has died.
 *
 * Owns:    which segment is written to. The oldest one is overwritten when all are full.
 * Callers: give it memory that nobody else writes to (sys/shared-memory.ts), and read what is in it
 *          (restore.ts) before the first entry is kept.
 *
 * Costs a copy and a checksum for each miss, nothing for a hit: docs/decisions/0012-cache-journal.md.
 */
import { type CacheEntry, SERVER_ERROR } from '../entry.ts';
import type { EntryLog } from '../answer-cache.ts';
import { SEGMENT_OCTETS, SegmentWriter, recordOctets, segmentsOf } from './record.ts';

/** 26,000 answers of one record, some more than a cache of default size holds. */
export const JOURNAL_OCTETS: number = 64 * SEGMENT_OCTETS;

export class Journal {
  readonly #octets: Uint8Array;
  readonly #writer: SegmentWriter;
  #sequence: number;
  #at: number;

  /** `octets` is a multiple of SEGMENT_OCTETS long. Nothing is overwritten before it is needed. */
  constructor(octets: Uint8Array, clockOffsetDs: number) {
    this.#octets = octets;
    this.#writer = new SegmentWriter(clockOffsetDs);
    const segments = segmentsOf(octets);
    const last = segments.at(-1);
    this.#sequence = last?.sequence ?? 0;
    this.#at = last?.at ?? octets.length - SEGMENT_OCTETS;
    this.#begin();
  }

  /** Where a cache writes its entries. */
  logFor(tag: Uint8Array): EntryLog {
    return { append: (entry) => this.#append(entry, tag) };
  }

  #append(entry: CacheEntry, tag: Uint8Array): void {
    if (entry.kind === SERVER_ERROR) return; // gone in a moment, and of no use to the next worker
    const octets = recordOctets(entry);
    if (octets === 0) return;
    if (!this.#writer.fits(octets)) this.#begin();
    this.#writer.append(entry, tag, octets);
  }

  #begin(): void {
    this.#at = (this.#at + SEGMENT_OCTETS) % this.#octets.length;
    this.#writer.begin(this.#octets, this.#at, ++this.#sequence);
  }
}
