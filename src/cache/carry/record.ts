/**
 * Entries of a cache as octets that another process of the same machine can read: the
 * snapshot that is handed to a newcomer, and the journal that the next worker inherits.
 *
 *   segment, 64 KB                            record, behind each other up to the first that is none
 *    0 magic              4 version            0 checksum of the rest, begun with the segment's
 *    8 sequence, from 1  12 clock, its hash    4 octets of the record      6 DO 1, CD 2      7 is 0
 *   16 checksum of octets 0 to 15              8 whose: the cache's tag
 *   20 records                               16 stored, 20 last hit, on the shared clock
 *                                            24 hits  26 is 0  28 the response, as the entry has it
 *
 * Integers are big-endian, times in tenths of a second. Segments are read in the order of their
 * sequence, so a later one overrides an earlier one.
 *
 * Owns:    the format. Each record is known by its checksum to belong to its segment as it is now: so a
 *          segment may be written over an older one, and a write may end anywhere.
 * Is not:  a judge of the responses (restore.ts).
 */
import { readU16, readU32, writeU16, writeU32 } from '../../dns/header.ts';
import { clockIdentity } from '../../sys/clock.ts';
import type { CacheEntry } from '../entry.ts';

export const SEGMENT_OCTETS = 64 * 1024;
/** Raised when a reader of the one before could take a record for something that it is not. */
const FORMAT_VERSION = 1;
const MAGIC = 0x6e6c6463; // nldc
const HEADER_OCTETS = 20;
const RECORD_HEADER_OCTETS = 28;
/** A longer response is not written: it is rare, and would fill a segment alone. */
const WIRE_OCTETS_MAX = 16 * 1024;
const DNSSEC_OK = 1;
const CHECKING_DISABLED = 2;
const HITS_MAX = 0xffff;

export const TAG_OCTETS = 8;

const clockText = Buffer.from(clockIdentity());
const clock = checksum(clockText, 0, clockText.length, 0);

/** Octets that the entry takes as a record; 0 if it is not to be written. */
export function recordOctets(entry: CacheEntry): number {
  return entry.wireOctets > WIRE_OCTETS_MAX ? 0 : RECORD_HEADER_OCTETS + entry.wireOctets;
}

/** Fills segments with records. */
export class SegmentWriter {
  /** The segment that is written to; SEGMENT_OCTETS of it from `at`. */
  #octets: Uint8Array;
  #at = 0;
  #next: number;
  #seed = 0;
  readonly #clockOffsetDs: number;

  /** `clockOffsetDs` turns this process's times into those of the shared clock. */
  constructor(clockOffsetDs: number) {
    this.#octets = new Uint8Array(0);
    this.#next = 0;
    this.#clockOffsetDs = clockOffsetDs;
  }

  /** Octets of the segment that are in use. */
  get used(): number {
    return this.#next - this.#at;
  }

  /** Begins a segment at `octets[at]`, whatever stands there. */
  begin(octets: Uint8Array, at: number, sequence: number): void {
    writeU32(octets, at, MAGIC);
    writeU32(octets, at + 4, FORMAT_VERSION);
    writeU32(octets, at + 8, sequence);
    writeU32(octets, at + 12, clock);
    this.#seed = checksum(octets, at, at + HEADER_OCTETS - 4, 0);
    writeU32(octets, at + 16, this.#seed);
    this.#octets = octets;
    this.#at = at;
    this.#next = at + HEADER_OCTETS;
    this.#end();
  }

  /** Whether so many octets still fit. */
  fits(octets: number): boolean {
    return this.#next + octets <= this.#at + SEGMENT_OCTETS;
  }

  /** Appends the entry's record of `octets` octets, which fits. */
  append(entry: CacheEntry, tag: Uint8Array, octets: number): void {
    const out = this.#octets;
    const at = this.#next;
    writeU16(out, at + 4, octets);
    out[at + 6] =
      (entry.dnssecOk ? DNSSEC_OK : 0) | (entry.checkingDisabled ? CHECKING_DISABLED : 0);
    out[at + 7] = 0;
    for (let i = 0; i < TAG_OCTETS; i++) out[at + 8 + i] = tag[i]!;
    writeU32(out, at + 16, entry.storedDs + this.#clockOffsetDs);
    writeU32(out, at + 20, entry.lastHitDs + this.#clockOffsetDs);
    writeU16(out, at + 24, Math.min(entry.hits, HITS_MAX));
    writeU16(out, at + 26, 0);
    entry.copyWire(out, at + RECORD_HEADER_OCTETS);
    writeU32(out, at, checksum(out, at + 4, at + octets, this.#seed));
    this.#next = at + octets;
    this.#end();
  }

  /** Ends the segment: a record that an older one had behind the last is none of this one. */
  #end(): void {
    if (this.fits(RECORD_HEADER_OCTETS)) writeU16(this.#octets, this.#next + 4, 0);
  }
}

/**
 * 32 bits over `octets` from `from` to `to`, continued from `seed`: tells a record that was written whole
 * from one that was not, and is no guard against forgery. zlib's crc32 costs 0.4 us a record, this 0.1.
 */
export function checksum(octets: Uint8Array, from: number, to: number, seed: number): number {
  let hash = seed;
  let at = from;
  for (; at + 4 <= to; at += 4) {
    const word =
      octets[at]! | (octets[at + 1]! << 8) | (octets[at + 2]! << 16) | (octets[at + 3]! << 24);
    hash = Math.imul(hash ^ word, 0x85ebca6b);
    hash ^= hash >>> 15;
  }
  for (; at < to; at++) hash = Math.imul(hash ^ octets[at]!, 0x01000193);
  return (hash ^ (hash >>> 13)) >>> 0;
}

/** One record, read in place. It was written as it stands; nothing else of it is to be believed. */
export interface CacheRecord {
  readonly octets: Uint8Array;
  /** Where the tag stands. */
  readonly tagAt: number;
  readonly wireAt: number;
  readonly wireEnd: number;
  readonly dnssecOk: boolean;
  readonly checkingDisabled: boolean;
  /** On the shared clock. */
  readonly storedDs: number;
  readonly lastHitDs: number;
  readonly hits: number;
}

/** Where whole segments of this clock and version begin in `octets`, the oldest first. */
export function segmentsOf(
  octets: Uint8Array,
): { readonly at: number; readonly sequence: number }[] {
  const found: { at: number; sequence: number }[] = [];
  for (let at = 0; at + SEGMENT_OCTETS <= octets.length; at += SEGMENT_OCTETS) {
    if (readU32(octets, at) !== MAGIC || readU32(octets, at + 4) !== FORMAT_VERSION) continue;
    if (readU32(octets, at + 12) !== clock) continue;
    if (checksum(octets, at, at + HEADER_OCTETS - 4, 0) !== readU32(octets, at + 16)) continue;
    found.push({ at, sequence: readU32(octets, at + 8) });
  }
  return found.sort((a, b) => a.sequence - b.sequence);
}

/** The records of the segment at `octets[at]`, up to the first that is none. */
export function* recordsOf(octets: Uint8Array, at: number): Generator<CacheRecord> {
  const end = at + SEGMENT_OCTETS;
  const seed = readU32(octets, at + 16);
  let next = at + HEADER_OCTETS;
  while (next + RECORD_HEADER_OCTETS <= end) {
    const length = readU16(octets, next + 4);
    if (length < RECORD_HEADER_OCTETS || next + length > end) return;
    if (checksum(octets, next + 4, next + length, seed) !== readU32(octets, next)) return;
    yield {
      octets,
      tagAt: next + 8,
      wireAt: next + RECORD_HEADER_OCTETS,
      wireEnd: next + length,
      dnssecOk: (octets[next + 6]! & DNSSEC_OK) !== 0,
      checkingDisabled: (octets[next + 6]! & CHECKING_DISABLED) !== 0,
      storedDs: readU32(octets, next + 16),
      lastHitDs: readU32(octets, next + 20),
      hits: readU16(octets, next + 24),
    };
    next += length;
  }
}
