/**
 * Reads what another process has kept: each record is examined as if it came from the network.
 *
 * Owns:    that nothing gets into a cache that the cache would not have kept itself: the response is
 *          read and brought into normal form, its class and lifetime are decided again.
 */
import { HEADER_OCTETS, OPCODE_QUERY, QR, opcodeOf, readU16 } from '../../dns/header.ts';
import { NAME_OCTETS_MAX } from '../../dns/limits.ts';
import { LOWER, expandName, lowerText, nameToText, skipName } from '../../dns/name.ts';
import { hashOctet } from '../../dns/question.ts';
import { normalize } from '../../dns/response.ts';
import { copyOctets } from '../../dns/octets.ts';
import { nowMs, toDs } from '../../sys/clock.ts';
import type { AnswerCache } from '../answer-cache.ts';
import type { NamedQuestion } from '../question.ts';
import { type CacheRecord, TAG_OCTETS, recordsOf, segmentsOf } from './record.ts';
import { classify, lifetimeSec, storeOf } from '../ttl-policy.ts';

/** Queries wait no longer than that behind a step. */
const STEP_MS = 2;
/** Records between two looks at the clock. */
const STEP_RECORDS = 32;

export interface RestoreOptions {
  /** By `tagKey` of their tag. */
  readonly caches: ReadonlyMap<string, AnswerCache>;
  /** Of this process (dns/question.ts). */
  readonly hashSeed: number;
  /** Turns this process's times into those of the shared clock. */
  readonly clockOffsetDs: number;
  /**
   * A snapshot is read before any client is served, the hottest entries last, so that they are the most
   * recently used again. A journal is read while we may serve already, the newest segments first. The
   * caches write to it too: entries read from it are not written again.
   */
  readonly from: 'snapshot' | 'journal';
}

export interface Restored {
  /** Records that were read. */
  readonly read: number;
  /** Of these, entries that are in a cache now. */
  readonly kept: number;
}

/** A tag as a key. */
export function tagKey(tag: Uint8Array, at: number = 0): string {
  return Buffer.from(tag.buffer, tag.byteOffset + at, TAG_OCTETS).toString('hex');
}

/**
 * Reads segments and keeps the entries that are good and young enough. `octets` must not change
 * meanwhile. Holds the event loop up for a few milliseconds at a time. Never rejects.
 */
export async function restore(octets: Uint8Array, options: RestoreOptions): Promise<Restored> {
  let read = 0;
  let kept = 0;
  let stepUntilMs = nowMs() + STEP_MS;
  const segments = segmentsOf(octets);
  if (options.from === 'journal') segments.reverse();
  for (const { at } of segments) {
    for (const record of recordsOf(octets, at)) {
      if (keepRecord(record, options)) kept++;
      if (++read % STEP_RECORDS !== 0 || nowMs() < stepUntilMs) continue;
      await new Promise((resolve) => setImmediate(resolve));
      stepUntilMs = nowMs() + STEP_MS;
    }
  }
  return { read, kept };
}

const expanded = new Uint8Array(NAME_OCTETS_MAX);

/** Whether there is an entry of the record now. */
function keepRecord(record: CacheRecord, options: RestoreOptions): boolean {
  const { octets, tagAt, wireAt, wireEnd } = record;
  const cache = options.caches.get(tagKey(octets, tagAt));
  if (cache === undefined) return false;
  const { config } = cache;
  const nowDs = toDs(nowMs());
  const storedDs = record.storedDs - options.clockOffsetDs;
  if (storedDs > nowDs) return false;
  // A record that ended longer ago than any is kept for need not be read.
  const staleSec = config.stale?.durationSec ?? 0;
  const ageSec = (nowDs - storedDs) / 10;
  const lifetimeMaxSec = Math.max(config.success.ttlMaxSec, config.denial.ttlMaxSec);
  if (ageSec >= lifetimeMaxSec + staleSec) return false;

  const question = questionOf(record, options.hashSeed);
  if (question === undefined) return false;
  if (cache.isNewerThan(question, storedDs)) return false;

  const message = normalize(octets, wireAt, wireEnd);
  if (message === undefined || message.nameOctets !== question.nameOctets) return false;
  if (message.qtype !== question.qtype || message.qclass !== question.qclass) return false;
  if ((octets[wireAt + 2]! & QR) === 0 || opcodeOf(octets, wireAt) !== OPCODE_QUERY) return false;
  const responseClass = classify(message, OPCODE_QUERY, Math.floor(Date.now() / 1000));
  const storeName = storeOf(responseClass);
  if (storeName === undefined || responseClass === 'server-error') return false;
  // The newest came first: an older entry must not drive it out.
  if (options.from === 'journal' && cache[storeName].isFull) return false;
  const lifetime = lifetimeSec(message, responseClass, config);
  if (ageSec >= lifetime + staleSec) return false;
  const entry = cache.restore(question, message, responseClass, lifetime, storedDs);
  if (entry === undefined) return false;
  entry.hits = record.hits;
  entry.lastHitDs = Math.min(record.lastHitDs - options.clockOffsetDs, nowDs);
  if (options.from === 'snapshot') cache.log?.append(entry);
  return true;
}

/** The question that the record's response answers; undefined if none can be read. */
function questionOf(
  { octets, wireAt, wireEnd, dnssecOk, checkingDisabled }: CacheRecord,
  hashSeed: number,
): NamedQuestion | undefined {
  const nameAt = wireAt + HEADER_OCTETS;
  const nameOctets = expandName(octets, nameAt, wireEnd, expanded, 0);
  const nameEnd = nameAt + nameOctets;
  // A question's name is never compressed: then it is as long as it stands there.
  if (nameOctets < 0 || skipName(octets, nameAt, wireEnd) !== nameEnd) return undefined;
  if (nameEnd + 4 > wireEnd) return undefined;
  const lowered = copyOctets(expanded, 0, nameOctets);
  let nameHash = hashSeed;
  for (let i = 0; i < lowered.length; i++) {
    lowered[i] = LOWER[lowered[i]!]!;
    nameHash = hashOctet(nameHash, lowered[i]!);
  }
  return {
    lowered,
    name: lowerText(nameToText(lowered)),
    nameOctets: lowered.length,
    nameHash,
    qtype: readU16(octets, nameEnd),
    qclass: readU16(octets, nameEnd + 2),
    dnssecOk,
    checkingDisabled,
  };
}
