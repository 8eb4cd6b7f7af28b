/**
 * All that the caches of a process hold, as segments (record.ts), for a newcomer: the entries used
 * last come first, as far as time and room allow.
 *
 * Owns:    the bounds, and that the event loop is held up for a few milliseconds at a time only.
 */
import { nowMs } from '../../sys/clock.ts';
import { type CacheEntry, SERVER_ERROR } from '../entry.ts';
import type { AnswerCache } from '../answer-cache.ts';
import { SEGMENT_OCTETS, SegmentWriter, recordOctets } from './record.ts';

export interface SnapshotLimits {
  /** The newcomer serves no client before it has read all. */
  readonly octetsMax: number;
  readonly ms: number;
}

/** 10,000 answers take 40 ms; a machine that is busy otherwise leaves us less than all of its time. */
export const SNAPSHOT_OCTETS_MAX: number = 16 << 20;
export const SNAPSHOT_LIMITS: SnapshotLimits = { octetsMax: SNAPSHOT_OCTETS_MAX, ms: 500 };
/** Queries wait no longer than that behind a step. */
const STEP_MS = 2;
/** Entries between two looks at the clock. */
const STEP_ENTRIES = 64;

interface Taken {
  readonly entry: CacheEntry;
  readonly tag: Uint8Array;
  readonly octets: number;
}

/**
 * Writes the entries of the caches, by tag, and hands each segment to `write`, which keeps a copy.
 * Resolves to the entries that were written.
 */
export async function takeSnapshot(
  caches: readonly (readonly [tag: Uint8Array, cache: AnswerCache])[],
  clockOffsetDs: number,
  write: (segment: Uint8Array) => void,
  limits: SnapshotLimits = SNAPSHOT_LIMITS,
): Promise<number> {
  const untilMs = nowMs() + limits.ms;
  const taken = take(caches, limits.octetsMax);
  const writer = new SegmentWriter(clockOffsetDs);
  const segment = new Uint8Array(SEGMENT_OCTETS);
  // The hottest are written first, and read last: then they are the most recently used ones again.
  let sequence = Math.ceil(limits.octetsMax / SEGMENT_OCTETS);
  writer.begin(segment, 0, sequence);
  let written = 0;
  try {
    let stepUntilMs = nowMs() + STEP_MS;
    for (const { entry, tag, octets } of taken) {
      if (!writer.fits(octets)) {
        write(segment);
        if (--sequence === 0) break;
        writer.begin(segment, 0, sequence);
      }
      writer.append(entry, tag, octets);
      if (++written % STEP_ENTRIES !== 0) continue;
      if (nowMs() > untilMs) break;
      if (nowMs() < stepUntilMs) continue;
      await new Promise((resolve) => setImmediate(resolve));
      stepUntilMs = nowMs() + STEP_MS;
    }
    if (sequence > 0) write(segment);
  } finally {
    for (const { entry } of taken) entry.release();
  }
  return written;
}

/** The entries to be written, held: the caches may drop them meanwhile. */
function take(
  caches: readonly (readonly [tag: Uint8Array, cache: AnswerCache])[],
  octetsMax: number,
): Taken[] {
  const taken: Taken[] = [];
  const sources = caches.flatMap(([tag, { success, denial }]) =>
    [success, denial].map((store) => ({ tag, entries: store.values()[Symbol.iterator]() })),
  );
  // In turn, so that no store's cold entries keep out the hot ones of another.
  let left = octetsMax;
  while (sources.length > 0) {
    const { tag, entries } = sources.shift()!;
    const { value: entry, done } = entries.next();
    if (done === true) continue;
    const octets = entry.kind === SERVER_ERROR ? 0 : recordOctets(entry);
    if (octets > left) break;
    sources.push({ tag, entries });
    if (octets === 0) continue;
    left -= octets;
    entry.hold();
    taken.push({ entry, tag, octets });
  }
  return taken;
}
