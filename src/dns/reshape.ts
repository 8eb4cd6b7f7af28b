/**
 * Responses made of responses: with another question, their records renamed, other TTLs (`reshape`);
 * or one's CNAME pointed elsewhere, and the records found there behind it (`redirect`); or its addresses
 * made longer (`translate`), or some of them left out (`withoutMappedAddresses`).
 *
 * Owns:    where a record of each type holds the names that may be renamed.
 * Callers: give responses in normal form (dns/response.ts), and get new ones: what comes in is shared
 *          with others, perhaps, and is not changed.
 *
 * A signature over what was changed no longer holds; that is in the nature of the thing.
 */
import { NameCompressor } from './compress.ts';
import {
  AA,
  AD,
  ANCOUNT_AT,
  ARCOUNT_AT,
  HEADER_OCTETS,
  NSCOUNT_AT,
  QDCOUNT_AT,
  RCODE_MASK,
  TC,
  readU16,
  readU32,
  writeU16,
  writeU32,
} from './header.ts';
import { MESSAGE_OCTETS_MAX, NAME_OCTETS_MAX } from './limits.ts';
import { expandName, nameFromText, nameToText, skipName } from './name.ts';
import type { Asked } from './question.ts';
import { type NormalizedResponse, naptrNameAt, normalize } from './response.ts';
import { A, AAAA, CNAME, DNAME, IN, MX, NAPTR, NS, PTR, SOA, SRV } from './rrtype.ts';

/** A name in presentation form to another, or to itself. A result that is no name is not taken. */
export type Rename = (name: string) => string;

/** The changes to each record. */
export interface RecordChange {
  readonly owner: Rename;
  /** The name that RDATA leads to: of CNAME, DNAME, NS, PTR, MX, SRV, NAPTR, and SOA's MNAME. */
  readonly target: Rename;
  /** Seconds to seconds. */
  readonly ttl: (ttlSec: number) => number;
}

/** A CNAME of an answer section. */
export interface CnameFound {
  /** Its position among the records of the section, from 0. */
  readonly index: number;
  /** In presentation form, spelled as it stands. */
  readonly target: string;
}

/**
 * `message` as the answer to `asked`, whose question it gets, spelling and all. Records beyond 65,535
 * octets are left out, and TC is set. `rcode` may have extended bits.
 */
export function reshape(
  message: NormalizedResponse,
  asked: Asked,
  rcode: number,
  change: RecordChange,
): NormalizedResponse {
  const draft = new Draft(message, rcode);
  const question = asked.at + HEADER_OCTETS;
  draft.question(asked.msg, question, asked.qtype, asked.qclass);
  forEachRecord(message, (section, at) => draft.record(message.wire, at, section, change));
  const reshaped = draft.finish();
  reshaped.ofTypeOnly = message.ofTypeOnly;
  return reshaped;
}

/** The CNAMEs of the answer section, in their order. */
export function cnamesOf(message: NormalizedResponse): CnameFound[] {
  const { wire } = message;
  const found: CnameFound[] = [];
  let index = 0;
  forEachRecord(message, (section, at) => {
    if (section !== ANCOUNT_AT) return;
    const ownerEnd = skipName(wire, at, wire.length);
    if (readU16(wire, ownerEnd) === CNAME) {
      expandName(wire, ownerEnd + 10, wire.length, name, 0);
      found.push({ index, target: nameToText(name) });
    }
    index++;
  });
  return found;
}

/**
 * `message` whose CNAME at `index` leads to `target` (presentation form), and from there on says what
 * `found` says: its answer, authority, RCODE and TC. Of the old answer the CNAMEs before it stay.
 */
export function redirect(
  message: NormalizedResponse,
  index: number,
  target: string,
  found: NormalizedResponse,
): NormalizedResponse {
  const { wire } = message;
  const draft = new Draft(message, found.rcode);
  draft.setFlags((wire[2]! & ~TC) | (found.wire[2]! & TC), wire[3]! & ~AD);
  if (message.nameOctets !== 0) {
    draft.question(wire, HEADER_OCTETS, message.qtype, message.qclass);
  }
  let at = 0;
  forEachRecord(message, (section, recordAt) => {
    if (section !== ANCOUNT_AT || at > index) return;
    const type = readU16(wire, skipName(wire, recordAt, wire.length));
    const change = at === index ? { ...UNCHANGED, target: () => target } : UNCHANGED;
    if (type === CNAME) draft.record(wire, recordAt, section, change);
    at++;
  });
  forEachRecord(found, (section, recordAt) => {
    if (section !== ARCOUNT_AT) draft.record(found.wire, recordAt, section, UNCHANGED);
  });
  return draft.finish();
}

/** Writes to `out` at `at` the 16 octets of the IPv6 address for the IPv4 one at `from` in `wire`. */
export type Embed = (wire: Uint8Array, from: number, out: Uint8Array, at: number) => void;

/**
 * `message`, which answers a question for A, as the answer to `asked` for AAAA (RFC 6147 section 5.4): each
 * A record of the answer section becomes an AAAA record, its TTL `ttlMaxSec` at most; all else stays, but
 * that the answer is of our own making: AA, RA and AD are unset.
 */
export function translate(
  message: NormalizedResponse,
  asked: Asked,
  embed: Embed,
  ttlMaxSec: number,
): NormalizedResponse {
  const { wire } = message;
  const draft = new Draft(message, message.rcode);
  draft.setFlags(wire[2]! & ~AA, 0);
  draft.question(asked.msg, asked.at + HEADER_OCTETS, asked.qtype, asked.qclass);
  forEachRecord(message, (section, at) => {
    const typeAt = skipName(wire, at, wire.length);
    const isAddress = readU16(wire, typeAt) === A && readU16(wire, typeAt + 2) === IN;
    if (section === ANCOUNT_AT && isAddress) draft.embedded(wire, at, section, embed, ttlMaxSec);
    else draft.record(wire, at, section, UNCHANGED);
  });
  return draft.finish();
}

/**
 * `message` without the AAAA records of its answer section that hold IPv4-mapped addresses
 * (::ffff:0:0/96, RFC 4291 section 2.5.5.2), and without AD; `message` itself if it has none of them.
 */
export function withoutMappedAddresses(message: NormalizedResponse): NormalizedResponse {
  const { wire } = message;
  const mapped = new Set<number>();
  forEachRecord(message, (section, at) => {
    if (section === ANCOUNT_AT && holdsMappedAddress(wire, at)) mapped.add(at);
  });
  if (mapped.size === 0) return message;
  const draft = new Draft(message, message.rcode);
  draft.setFlags(wire[2]!, wire[3]! & ~AD);
  if (message.nameOctets !== 0) {
    draft.question(wire, HEADER_OCTETS, message.qtype, message.qclass);
  }
  forEachRecord(message, (section, at) => {
    if (!mapped.has(at)) draft.record(wire, at, section, UNCHANGED);
  });
  return draft.finish();
}

/** Whether the record at `at` is an AAAA record with an address in ::ffff:0:0/96. */
function holdsMappedAddress(wire: Uint8Array, at: number): boolean {
  const typeAt = skipName(wire, at, wire.length);
  if (readU16(wire, typeAt) !== AAAA || readU16(wire, typeAt + 2) !== IN) return false;
  return MAPPED_PREFIX.every((octet, i) => wire[typeAt + 10 + i] === octet);
}

const same: Rename = (text) => text;
const UNCHANGED: RecordChange = { owner: same, target: same, ttl: (ttlSec) => ttlSec };

const AAAA_OCTETS = 16;
/** The first 96 bits of an IPv4-mapped address. */
const MAPPED_PREFIX: readonly number[] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
/** A record is written before it is known whether it fits: an owner, three names, and RDATA. */
const ROOM_OCTETS = 4 * NAME_OCTETS_MAX + MESSAGE_OCTETS_MAX;

// One message is written at a time, so its scratch memory is shared.
const scratch = new Uint8Array(MESSAGE_OCTETS_MAX + ROOM_OCTETS);
const compressor = new NameCompressor();
const name = new Uint8Array(NAME_OCTETS_MAX);

/** Where the names stand in RDATA that holds some; in normal form, those of other types are in full. */
interface NamesInside {
  /** Octets before the first; undefined where they must be looked for. */
  readonly before: number | undefined;
  /** Of each name, whether it is one that RecordChange.target is for. */
  readonly targets: readonly boolean[];
  /** Whether they may be compressed (RFC 3597 section 4). */
  readonly compressed: boolean;
}

const OTHER_NAME: NamesInside = { before: 0, targets: [false], compressed: true };
const TARGET: NamesInside = { before: 0, targets: [true], compressed: true };

const NAMES_INSIDE: ReadonlyMap<number, NamesInside> = new Map([
  [NS, TARGET],
  [3, OTHER_NAME], // MD
  [4, OTHER_NAME], // MF
  [CNAME, TARGET],
  [SOA, { before: 0, targets: [true, false], compressed: true }],
  [7, OTHER_NAME], // MB
  [8, OTHER_NAME], // MG
  [9, OTHER_NAME], // MR
  [PTR, TARGET],
  [14, { before: 0, targets: [false, false], compressed: true }], // MINFO
  [MX, { before: 2, targets: [true], compressed: true }],
  [SRV, { before: 6, targets: [true], compressed: false }],
  [NAPTR, { before: undefined, targets: [true], compressed: false }],
  [DNAME, { before: 0, targets: [true], compressed: false }],
]);

/** Calls `visit` with the section's count field and the offset of each record. */
function forEachRecord(
  { wire, nameOctets }: NormalizedResponse,
  visit: (section: number, at: number) => void,
): void {
  let at = HEADER_OCTETS + (nameOctets === 0 ? 0 : nameOctets + 4);
  for (const section of [ANCOUNT_AT, NSCOUNT_AT, ARCOUNT_AT]) {
    for (let left = readU16(wire, section); left > 0; left--) {
      visit(section, at);
      const ownerEnd = skipName(wire, at, wire.length);
      at = ownerEnd + 10 + readU16(wire, ownerEnd + 8);
    }
  }
}

/** A response being written. */
class Draft {
  readonly #base: NormalizedResponse;
  readonly #rcode: number;
  #at = HEADER_OCTETS;
  #full = false;

  constructor(base: NormalizedResponse, rcode: number) {
    this.#base = base;
    this.#rcode = rcode;
    scratch.fill(0, 0, HEADER_OCTETS);
    this.setFlags(base.wire[2]!, base.wire[3]!);
    compressor.reset(scratch, 0);
  }

  /** Octets 2 and 3 of the header; the RCODE in them does not count. */
  setFlags(high: number, low: number): void {
    scratch[2] = high;
    scratch[3] = (low & ~RCODE_MASK) | (this.#rcode & RCODE_MASK);
  }

  question(msg: Uint8Array, nameAt: number, qtype: number, qclass: number): void {
    writeU16(scratch, QDCOUNT_AT, 1);
    this.#name(msg, nameAt, same, true);
    writeU16(scratch, this.#at, qtype);
    writeU16(scratch, this.#at + 2, qclass);
    this.#at += 4;
  }

  /** Copies the record at `at`; nothing, once one has not fitted. */
  record(wire: Uint8Array, at: number, section: number, change: RecordChange): void {
    if (this.#full) return;
    const begin = this.#at;
    const fixedAt = this.#name(wire, at, change.owner, true);
    const ttlSec = readU32(wire, fixedAt + 4);
    const rdataAt = fixedAt + 10;
    this.#octets(wire, fixedAt, rdataAt);
    const rdataTo = this.#at;
    writeU32(scratch, rdataTo - 6, change.ttl(ttlSec));
    this.#rdata(
      wire,
      rdataAt,
      rdataAt + readU16(wire, fixedAt + 8),
      readU16(wire, fixedAt),
      change,
    );
    if (this.#at > MESSAGE_OCTETS_MAX) {
      this.#full = true;
      this.#at = begin;
      return;
    }
    writeU16(scratch, rdataTo - 2, this.#at - rdataTo);
    writeU16(scratch, section, readU16(scratch, section) + 1);
  }

  /** The A record at `at` as an AAAA record. */
  embedded(wire: Uint8Array, at: number, section: number, embed: Embed, ttlMaxSec: number): void {
    if (this.#full) return;
    const begin = this.#at;
    const fixedAt = this.#name(wire, at, same, true);
    const to = this.#at;
    writeU16(scratch, to, AAAA);
    writeU16(scratch, to + 2, IN);
    writeU32(scratch, to + 4, Math.min(readU32(wire, fixedAt + 4), ttlMaxSec));
    writeU16(scratch, to + 8, AAAA_OCTETS);
    embed(wire, fixedAt + 10, scratch, to + 10);
    this.#at = to + 10 + AAAA_OCTETS;
    if (this.#at > MESSAGE_OCTETS_MAX) {
      this.#full = true;
      this.#at = begin;
      return;
    }
    writeU16(scratch, section, readU16(scratch, section) + 1);
  }

  finish(): NormalizedResponse {
    if (this.#full) scratch[2] = scratch[2]! | TC;
    const { dnssecOk, options } = this.#base;
    // Made of well-formed records, so normalize cannot refuse it.
    const message = normalize(scratch, 0, this.#at)!;
    return { ...message, rcode: this.#rcode, dnssecOk, options };
  }

  #rdata(wire: Uint8Array, at: number, end: number, type: number, change: RecordChange): void {
    const inside = NAMES_INSIDE.get(type);
    let next = at;
    if (inside !== undefined) {
      next += inside.before ?? naptrNameAt(wire, at, end);
      this.#octets(wire, at, next);
      for (const isTarget of inside.targets) {
        next = this.#name(wire, next, isTarget ? change.target : same, inside.compressed);
      }
    }
    this.#octets(wire, next, end);
  }

  /** Writes the name at `at`, or what it is renamed to. Returns the offset past it in `wire`. */
  #name(wire: Uint8Array, at: number, rename: Rename, compressed: boolean): number {
    let octets = expandName(wire, at, wire.length, name, 0);
    if (rename !== same) {
      const text = nameToText(name);
      const renamed = rename(text);
      const other = renamed === text ? undefined : nameFromText(renamed);
      if (other !== undefined) {
        name.set(other);
        octets = other.length;
      }
    }
    this.#at = compressor.write(name, octets, this.#at, compressed);
    return skipName(wire, at, wire.length);
  }

  #octets(wire: Uint8Array, from: number, to: number): void {
    scratch.set(wire.subarray(from, to), this.#at);
    this.#at += to - from;
  }
}
