/**
 * One cached answer: the response as wire octets, with all that a hit needs besides.
 *
 * Owns:    the layout of a stored answer, how it is written to a client, and who still holds its
 *          octets.
 * Hot path, stop 5 of 6: writing the answer is one copy and a patch per TTL.
 */
import { AA, HEADER_OCTETS, readU16, writeU32 } from '../dns/header.ts';
import { NAME_OCTETS_MAX } from '../dns/limits.ts';
import { LOWER, POINTER_MASK } from '../dns/name.ts';
import type { NormalizedResponse } from '../dns/response.ts';
import { A, SOA } from '../dns/rrtype.ts';
import { Arena, type Slab } from './arena.ts';
import { EVERY_TYPE } from './key.ts';
import type { DeniedTypes } from './denial/denied-types.ts';
import type { CacheQuestion } from './question.ts';

export type EntryKind = typeof POSITIVE | typeof DENIED | typeof SERVER_ERROR;
export const POSITIVE = 0;
export const DENIED = 1;
/** A SERVFAIL or NOTIMP: kept in the denial store for seconds, never instead of anything usable. */
export const SERVER_ERROR = 2;

/** The highest offset that 14 bits can point to (RFC 1035 section 4.1.4). */
const POINTER_OFFSET_MAX = 0x3fff;
/** The types of RFC 1035, whose names may be compressed, end with MX (RFC 3597 section 4). */
const LAST_COMPRESSIBLE = 15;

/** In `CacheEntry.flags`. */
const DNSSEC_OK = 1;
const CHECKING_DISABLED = 2;

/** One for all caches of the process: another cache may use the octets that one gives back. */
const arena = new Arena();
const RELEASED = new Uint8Array(0);

/** The terms that an entry is kept on, besides its message. */
export interface EntryTerms {
  readonly kind: EntryKind;
  /** May be EVERY_TYPE. */
  readonly qtype: number;
  readonly dnssecOk: boolean;
  readonly checkingDisabled: boolean;
  /** On the monotonic clock, in tenths of a second. */
  readonly storedDs: number;
  readonly lifetimeSec: number;
  /** Of an NXDOMAIN that denies its name (EVERY_TYPE): the types that it answers. */
  readonly denied?: DeniedTypes | undefined;
}

function flagsOf(of: { readonly dnssecOk: boolean; readonly checkingDisabled: boolean }): number {
  return (of.dnssecOk ? DNSSEC_OK : 0) | (of.checkingDisabled ? CHECKING_DISABLED : 0);
}

export class CacheEntry {
  /**
   * The response in normal form with its question lower-cased, and behind it the offsets of its TTLs,
   * two octets each: one slot of the arena.
   */
  #octets: Uint8Array;
  #slab: Slab | undefined;
  /** How many need the octets: the store, a refresh, the queries that wait for it. */
  #holders = 1;
  readonly #wireOctets: number;
  readonly qtype: number;
  readonly qclass: number;
  readonly nameOctets: number;
  readonly #flags: number;
  readonly rcode: number;
  readonly kind: EntryKind;
  /** The response's uncompressed length, for the metrics of response sizes. */
  readonly plainOctets: number;
  /** On the monotonic clock, in tenths of a second. */
  storedDs: number;
  readonly lifetimeSec: number;
  /** Of an entry of EVERY_TYPE: the types that it answers. */
  readonly denied: DeniedTypes | undefined;
  /** Hits that followed each other within prefetch's window; carried over by a refresh. */
  hits = 0;
  lastHitDs = 0;
  /** Whether a refresh of this entry is under way (waiting/refresh.ts). */
  refreshing = false;
  /** No refresh before this time: the last one failed. */
  recheckDs = 0;

  /** Copies `message.wire`. */
  constructor(message: NormalizedResponse, terms: EntryTerms) {
    const { wire, ttlAt, nameOctets } = message;
    const { octets, slab } = arena.allocate(wire.length + 2 * ttlAt.length);
    this.#slab = slab;
    octets.set(wire);
    for (let i = 0; i < ttlAt.length; i++) {
      octets[wire.length + 2 * i] = ttlAt[i]! >> 8;
      octets[wire.length + 2 * i + 1] = ttlAt[i]!;
    }
    for (let at = HEADER_OCTETS; at < HEADER_OCTETS + nameOctets; at++) {
      octets[at] = LOWER[octets[at]!]!;
    }
    // CoreDNS's cache answers with AA set, always; some clients of node-cache have come to see it.
    octets[2] = octets[2]! | AA;
    this.#octets = octets;
    this.#wireOctets = wire.length;
    this.qtype = terms.qtype;
    this.qclass = message.qclass;
    this.nameOctets = nameOctets;
    this.#flags = flagsOf(terms);
    this.rcode = message.rcode;
    this.kind = terms.kind;
    this.plainOctets = message.plainOctets;
    this.storedDs = terms.storedDs;
    this.lifetimeSec = terms.lifetimeSec;
    this.denied = terms.denied;
  }

  /** Keeps the octets although the store may drop the entry; `release` must follow. */
  hold(): void {
    this.#holders++;
  }

  /** Gives the octets back once the last holder has released them. */
  release(): void {
    if (--this.#holders > 0) return;
    arena.release(this.#octets, this.#slab);
    this.#octets = RELEASED; // a late use throws off the hot path, and cannot leak another answer
    this.#slab = undefined;
  }

  /** Octets of the response, without OPT. */
  get wireOctets(): number {
    return this.#wireOctets;
  }

  get dnssecOk(): boolean {
    return (this.#flags & DNSSEC_OK) !== 0;
  }

  get checkingDisabled(): boolean {
    return (this.#flags & CHECKING_DISABLED) !== 0;
  }

  /** Copies the response as it is kept to `out` at `at`: `wireOctets` of it, and no more. */
  copyWire(out: Uint8Array, at: number): void {
    const octets = this.#octets;
    for (let i = 0; i < this.#wireOctets; i++) out[at + i] = octets[i]!;
  }

  /** Whole seconds left to live; 0 and less is expired. */
  remainingSec(nowDs: number): number {
    return this.lifetimeSec - (((nowDs - this.storedDs) / 10) | 0);
  }

  /**
   * Like `remainingSec`, for an answer to this question: an NXDOMAIN heard for another type counts no longer
   * than it covers the type of the question.
   */
  remainingSecFor(question: CacheQuestion, nowDs: number): number {
    const ownSec = this.remainingSec(nowDs);
    if (this.denied === undefined || this.nameOctets !== question.nameOctets) return ownSec;
    return Math.min(ownSec, Math.ceil(this.denied.coveredDs(question.qtype, nowDs) / 10));
  }

  /** Whether this answers the question, asked for `qtype`: its own type, or EVERY_TYPE. */
  answers(question: CacheQuestion, qtype: number): boolean {
    const { lowered, nameOctets } = question;
    if (this.qtype !== qtype || this.qclass !== question.qclass) return false;
    if (this.nameOctets !== nameOctets || this.#flags !== flagsOf(question)) return false;
    const octets = this.#octets;
    for (let i = 0; i < nameOctets; i++) {
      if (octets[HEADER_OCTETS + i] !== lowered[i]) return false;
    }
    return true;
  }

  /**
   * Writes the response to `out` at `at`, each TTL set to `ttlSec`, or as stored if that is negative.
   * `out` needs room for `neededOctets`, of which the response takes `wireOctets`; octets after the
   * response are undefined. The question is the entry's own, lower-cased, with `qtype` as its type.
   */
  write(out: Uint8Array, at: number, qtype: number, ttlSec: number): void {
    const octets = this.#octets;
    const wireOctets = this.#wireOctets;
    out.set(octets, at);
    // The question of an entry for every type still has the type that the entry was found by.
    const qtypeAt = at + HEADER_OCTETS + this.nameOctets;
    out[qtypeAt] = qtype >> 8;
    out[qtypeAt + 1] = qtype;
    if (ttlSec < 0) return;
    for (let next = wireOctets; next < octets.length; next += 2) {
      writeU32(out, at + readU16(octets, next), ttlSec);
    }
  }

  /**
   * Whether this denies the end of the QNAME from octet `from` on, and may answer for what is below it: an
   * NXDOMAIN to the question for A (servers deny AAAA alone by mistake, RFC 4074 section 4.2, and other types
   * too), whose records can be moved in their message.
   */
  denies(asked: CacheQuestion, from: number): boolean {
    const { nameOctets } = this;
    const { lowered } = asked;
    if (this.qtype !== EVERY_TYPE || this.kind !== DENIED) return false;
    if (this.qclass !== asked.qclass || nameOctets !== asked.nameOctets - from) return false;
    if (this.#flags !== flagsOf(asked)) return false;
    const octets = this.#octets;
    for (let i = 0; i < nameOctets; i++) {
      if (octets[HEADER_OCTETS + i] !== lowered[from + i]) return false;
    }
    return this.denied?.covers(A, this.storedDs) === true && this.#isMovable();
  }

  /** Whether `writeBelow` finds every pointer, and none of them can outgrow its 14 bits. */
  #isMovable(): boolean {
    const octets = this.#octets;
    for (let next = this.#wireOctets; next < octets.length; next += 2) {
      const type = readU16(octets, readU16(octets, next) - 4);
      if (type !== SOA && type <= LAST_COMPRESSIBLE && type !== A) return false;
    }
    return this.#wireOctets + NAME_OCTETS_MAX <= POINTER_OFFSET_MAX;
  }

  /**
   * Like `write`, for a question about a name below the one that this entry denies. The response is
   * longer by as many octets as the name. Callers have seen that this `denies` the name.
   *
   * The shorter name is the end of the longer one, so the target of every pointer, in the question
   * or behind it, has moved by the same number of octets.
   */
  writeBelow(out: Uint8Array, at: number, question: CacheQuestion, ttlSec: number): void {
    const { lowered, nameOctets, qtype } = question;
    const octets = this.#octets;
    const shift = nameOctets - this.nameOctets;
    out.set(octets, at + shift);
    for (let i = 0; i < HEADER_OCTETS; i++) out[at + i] = octets[i]!;
    let from = at + HEADER_OCTETS;
    for (let i = 0; i < nameOctets; i++) out[from++] = lowered[i]!;
    out[from] = qtype >> 8;
    out[from + 1] = qtype;
    from += 4;
    for (let next = this.#wireOctets; next < octets.length; next += 2) {
      const ttlAt = at + shift + readU16(octets, next);
      movePointer(out, from, shift);
      const rdataAt = ttlAt + 6;
      if (readU16(out, ttlAt - 4) === SOA)
        movePointer(out, movePointer(out, rdataAt, shift), shift);
      if (ttlSec >= 0) writeU32(out, ttlAt, ttlSec);
      from = rdataAt + readU16(out, ttlAt + 4);
    }
  }

  /**
   * Writes the answer to `question`, the entry's own or one for a name below it that it `denies`: see
   * `write` and `writeBelow`. Returns the octets of the response.
   */
  writeFor(out: Uint8Array, at: number, question: CacheQuestion, ttlSec: number): number {
    const shift = question.nameOctets - this.nameOctets;
    if (shift === 0) this.write(out, at, question.qtype, ttlSec);
    else this.writeBelow(out, at, question, ttlSec);
    return this.#wireOctets + shift;
  }

  /** Like `writeFor`, to a copy for a walk through the chain. */
  toWireFor(question: CacheQuestion, ttlSec: number): Uint8Array {
    const shift = question.nameOctets - this.nameOctets;
    const out = new Uint8Array(this.#octets.length + shift);
    return out.subarray(0, this.writeFor(out, 0, question, ttlSec));
  }

  get neededOctets(): number {
    return this.#octets.length;
  }

  /** A copy of the response, for a walk through the chain. */
  toWire(qtype: number, ttlSec: number): Uint8Array {
    const out = new Uint8Array(this.#octets.length);
    this.write(out, 0, qtype, ttlSec);
    return out.subarray(0, this.#wireOctets);
  }
}

/** Moves what the name at `at` points to, if it ends in a pointer. Returns the offset past the name. */
function movePointer(out: Uint8Array, at: number, shift: number): number {
  let length = out[at]!;
  while (length !== 0 && length < POINTER_MASK) {
    at += length + 1;
    length = out[at]!;
  }
  if (length === 0) return at + 1;
  const target = readU16(out, at) + shift;
  out[at] = target >> 8;
  out[at + 1] = target;
  return at + 2;
}
