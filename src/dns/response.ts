/**
 * A response as it is kept and relayed: checked, without OPT, its names compressed, its TTLs found
 * (RFC 1035 section 4.1, RFC 6891 section 6.1.1, RFC 3597 section 4).
 *
 * Owns:    what makes octets from an upstream a message that we are willing to pass on.
 * Is not:  the decision whether it answers our query (upstream/accept.ts), nor how long it is kept
 *          (cache/ttl-policy.ts).
 */
import { NameCompressor } from './compress.ts';
import {
  ANCOUNT_AT,
  ARCOUNT_AT,
  HEADER_OCTETS,
  NSCOUNT_AT,
  QDCOUNT_AT,
  RCODE_MASK,
  readU16,
  readU32,
  writeU16,
  writeU32,
} from './header.ts';
import { MESSAGE_OCTETS_MAX, NAME_OCTETS_MAX } from './limits.ts';
import { expandName, skipName } from './name.ts';
import { copyBriefly, copyOctets } from './octets.ts';
import { A, AAAA, CNAME, DNAME, IN, MX, NAPTR, NS, OPT, RRSIG, SOA } from './rrtype.ts';

/** A response in normal form, and the findings of `normalize`. All offsets are into `wire`. */
export interface NormalizedResponse {
  /** Header, question, records; no OPT. A copy of its own. */
  readonly wire: Uint8Array;
  /** Where each record's TTL stands. */
  readonly ttlAt: Uint16Array;
  /** The RCODE with its extended bits (RFC 6891 section 6.1.3). */
  readonly rcode: number;
  readonly qtype: number;
  readonly qclass: number;
  /** Octets of the QNAME; 0 if the message has no question. */
  readonly nameOctets: number;
  readonly answers: number;
  /** Whether the answer section holds the type asked for, and not just the CNAMEs towards it. */
  readonly hasQtype: boolean;
  /** Whether the authority section holds an SOA, an NS record. */
  readonly hasSoa: boolean;
  readonly hasNs: boolean;
  /** The lowest TTL of all records in seconds; undefined if there are none. */
  readonly ttlMinSec: number | undefined;
  /** The TTL and the MINIMUM of the authority section's SOA, both in seconds (RFC 2308 section 5). */
  readonly soaTtlSec: number;
  readonly soaMinimumSec: number;
  /** Octets of the message with no name compressed: what CoreDNS calls its size. */
  readonly plainOctets: number;
  /** Whether the message had an OPT with DO, and its options. */
  readonly dnssecOk: boolean;
  readonly options: Uint8Array;
  /** The latest inception and earliest expiration of its signatures, as in RFC 4034 section 3.1.5. */
  readonly signedFrom: number | undefined;
  readonly signedUntil: number | undefined;
  /**
   * An NXDOMAIN that was made for the type asked and may not hold for another one, as `template` makes
   * them: against RFC 1034, and so false for a server's response. Set by the maker of the response.
   */
  ofTypeOnly: boolean;
}

/** Types whose names may be compressed: those of RFC 1035 (RFC 3597 section 4). */
const COMPRESSIBLE_NAME = new Set([2, 3, 4, 5, 7, 8, 9, 12]);
const TYPE_MINFO = 14;
/** Octets before the name in types whose name a careless sender may have compressed (RFC 3597). */
const NAME_BEHIND: ReadonlyMap<number, number> = new Map([
  [18, 2], // AFSDB
  [21, 2], // RT
  [33, 6], // SRV
  [36, 2], // KX
  [39, 0], // DNAME
]);
/** Likewise, two names. */
const TWO_NAMES_BEHIND: ReadonlyMap<number, number> = new Map([
  [17, 0], // RP
  [26, 2], // PX
]);

const TTL_FIELDS_MAX = 8192; // a record takes at least 8 octets more than its TTL's 4

// One message is normalized at a time, so its scratch memory is shared.
const scratch = new Uint8Array(MESSAGE_OCTETS_MAX + 1);
const name = new Uint8Array(NAME_OCTETS_MAX);
const ttlScratch = new Uint16Array(TTL_FIELDS_MAX);
const compressor = new NameCompressor();
const NO_OCTETS = new Uint8Array(0);
const NO_TTLS = new Uint16Array(0);

/**
 * Reads the message in `msg` from `at` to `end` and returns it in normal form, or undefined if it is
 * malformed: cut, a name that loops or is too long, RDATA that does not hold what its type says.
 * Octets behind the last record are dropped.
 */
export function normalize(
  msg: Uint8Array,
  at: number,
  end: number,
): NormalizedResponse | undefined {
  if (end - at < HEADER_OCTETS || end - at > MESSAGE_OCTETS_MAX) return undefined;
  const message = at === 0 && end === msg.length ? msg : msg.subarray(at, end);
  return normalizer.run(message);
}

/**
 * A response in normal form with its records in another order: `startAt` says where each begins in
 * `wire`, section after section, in the order in which they shall stand. Names are compressed again,
 * since pointers only point backwards. Undefined if the records do not fit in that order.
 */
export function normalizeInOrder(
  wire: Uint8Array,
  startAt: Uint16Array,
): NormalizedResponse | undefined {
  return normalizer.run(wire, startAt);
}

/**
 * The normal form of a message that we have written ourselves, with a question and no records:
 * `wire`, which is kept and not looked at.
 */
export function withoutRecords(
  wire: Uint8Array,
  { qtype, qclass, nameOctets }: Pick<NormalizedResponse, 'qtype' | 'qclass' | 'nameOctets'>,
  rcode: number,
): NormalizedResponse {
  return {
    wire,
    ttlAt: NO_TTLS,
    rcode,
    qtype,
    qclass,
    nameOctets,
    answers: 0,
    hasQtype: false,
    hasSoa: false,
    hasNs: false,
    ttlMinSec: undefined,
    soaTtlSec: 0,
    soaMinimumSec: 0,
    plainOctets: wire.length,
    dnssecOk: false,
    options: NO_OCTETS,
    signedFrom: undefined,
    signedUntil: undefined,
    ofTypeOnly: false,
  };
}

/** Sets every record's TTL, in place. */
export function setTtl({ wire, ttlAt }: NormalizedResponse, ttlSec: number): void {
  for (let i = 0; i < ttlAt.length; i++) writeU32(wire, ttlAt[i]!, ttlSec);
}

/** Lowers all TTLs of the response by `sec` seconds, to 0 at least, in place. */
export function lowerTtls(message: NormalizedResponse, sec: number): NormalizedResponse {
  const { wire, ttlAt, ttlMinSec, soaTtlSec } = message;
  const lower = (ttlSec: number): number => Math.max(0, ttlSec - sec);
  for (let i = 0; i < ttlAt.length; i++) writeU32(wire, ttlAt[i]!, lower(readU32(wire, ttlAt[i]!)));
  return {
    ...message,
    ttlMinSec: ttlMinSec === undefined ? undefined : lower(ttlMinSec),
    soaTtlSec: lower(soaTtlSec),
  };
}

/** One message at a time. */
class Normalizer {
  #msg: Uint8Array = NO_OCTETS;
  /** Read offset in the message, write offset in the scratch. */
  #from = HEADER_OCTETS;
  #to = HEADER_OCTETS;
  #plainOctets = HEADER_OCTETS;
  #ttls = 0;
  #ttlMinSec: number | undefined;
  #hasQtype = false;
  #hasSoa = false;
  #hasNs = false;
  #soaTtlSec = 0;
  #soaMinimumSec = 0;
  #extendedRcode = 0;
  #dnssecOk = false;
  #options: Uint8Array = NO_OCTETS;
  #signedFrom: number | undefined;
  #signedUntil: number | undefined;
  #qtype = 0;

  #reset(msg: Uint8Array): void {
    this.#msg = msg;
    this.#from = HEADER_OCTETS;
    this.#to = HEADER_OCTETS;
    this.#plainOctets = HEADER_OCTETS;
    this.#ttls = 0;
    this.#ttlMinSec = undefined;
    this.#hasQtype = false;
    this.#hasSoa = false;
    this.#hasNs = false;
    this.#soaTtlSec = 0;
    this.#soaMinimumSec = 0;
    this.#extendedRcode = 0;
    this.#dnssecOk = false;
    this.#options = NO_OCTETS;
    this.#signedFrom = undefined;
    this.#signedUntil = undefined;
    this.#qtype = 0;
  }

  /** `startAt` says where each record begins, if not one behind the other. */
  run(msg: Uint8Array, startAt?: Uint16Array): NormalizedResponse | undefined {
    this.#reset(msg);
    const questions = readU16(msg, QDCOUNT_AT);
    if (questions > 1) return undefined;
    for (let i = 0; i < HEADER_OCTETS; i++) scratch[i] = msg[i]!;
    compressor.reset(scratch, 0);

    let nameOctets = 0;
    let qclass = 0;
    if (questions === 1) {
      nameOctets = this.#copyName(true);
      if (nameOctets < 0 || this.#from + 4 > msg.length) return undefined;
      this.#qtype = readU16(msg, this.#from);
      qclass = readU16(msg, this.#from + 2);
      this.#copyOctets(4);
    }
    const answers = readU16(msg, ANCOUNT_AT);
    let place = 0;
    for (let section = ANCOUNT_AT; section <= ARCOUNT_AT; section += 2) {
      const records = readU16(msg, section);
      let kept = 0;
      for (let i = 0; i < records; i++) {
        if (startAt !== undefined) this.#from = startAt[place++]!;
        const result = this.#copyRecord(section);
        if (result === MALFORMED) return undefined;
        if (result === KEPT) kept++;
      }
      writeU16(scratch, section, kept);
    }
    return {
      wire: copyBriefly(scratch, this.#to),
      ttlAt: ttlScratch.slice(0, this.#ttls),
      rcode: (this.#extendedRcode << 4) | (msg[3]! & RCODE_MASK),
      qtype: this.#qtype,
      qclass,
      nameOctets,
      answers,
      hasQtype: this.#hasQtype,
      hasSoa: this.#hasSoa,
      hasNs: this.#hasNs,
      ttlMinSec: this.#ttlMinSec,
      soaTtlSec: this.#soaTtlSec,
      soaMinimumSec: this.#soaMinimumSec,
      plainOctets: this.#plainOctets,
      dnssecOk: this.#dnssecOk,
      options: this.#options,
      signedFrom: this.#signedFrom,
      signedUntil: this.#signedUntil,
      ofTypeOnly: false,
    };
  }

  /** Copies one record, or takes in the OPT. */
  #copyRecord(section: number): typeof KEPT | typeof DROPPED | typeof MALFORMED {
    const msg = this.#msg;
    const ownerEnd = skipName(msg, this.#from, msg.length);
    if (ownerEnd < 0 || ownerEnd + 10 > msg.length) return MALFORMED;
    const type = readU16(msg, ownerEnd);
    if (type === OPT && section === ARCOUNT_AT) return this.#takeOpt(ownerEnd);
    if (this.#copyName(true) < 0) return MALFORMED;
    const ttlSec = readU32(msg, this.#from + 4);
    const rdataEnd = this.#from + 10 + readU16(msg, this.#from + 8);
    if (rdataEnd > msg.length) return MALFORMED;
    const addressOctets = type === A ? 4 : type === AAAA ? 16 : 0;
    if (addressOctets !== 0 && readU16(msg, this.#from + 2) === IN) {
      if (rdataEnd - this.#from - 10 !== addressOctets) return MALFORMED;
    }
    if (this.#ttls === TTL_FIELDS_MAX || this.#to + 10 > MESSAGE_OCTETS_MAX) return MALFORMED;
    // A TTL with its highest bit set counts as 0 (RFC 2181 section 8).
    const ttl = ttlSec > 0x7fffffff ? 0 : ttlSec;
    ttlScratch[this.#ttls++] = this.#to + 4;
    if (this.#ttlMinSec === undefined || ttl < this.#ttlMinSec) this.#ttlMinSec = ttl;
    this.#copyOctets(10);
    const rdataTo = this.#to;
    if (!this.#copyRdata(type, rdataEnd) || this.#from !== rdataEnd) return MALFORMED;
    writeU16(scratch, rdataTo - 2, this.#to - rdataTo);
    this.#note(section, type, ttl, rdataTo);
    return KEPT;
  }

  /**
   * The OPT belongs to one hop, and so it is read and not copied; nor is its owner, which is the root
   * (RFC 6891 section 6.1.2) or of no interest: what is taken back must not be pointed to.
   */
  #takeOpt(at: number): typeof DROPPED | typeof MALFORMED {
    const msg = this.#msg;
    const rdataEnd = at + 10 + readU16(msg, at + 8);
    if (rdataEnd > msg.length) return MALFORMED;
    this.#extendedRcode = msg[at + 4]!;
    this.#dnssecOk = (msg[at + 6]! & 0x80) !== 0;
    this.#options = copyOctets(msg, at + 10, rdataEnd);
    this.#from = rdataEnd;
    return DROPPED;
  }

  /** RDATA, its names expanded and where allowed compressed again; false if it is malformed. */
  #copyRdata(type: number, end: number): boolean {
    if (COMPRESSIBLE_NAME.has(type)) return this.#copyName(true, end) >= 0;
    if (type === SOA) {
      if (this.#copyName(true, end) < 0 || this.#copyName(true, end) < 0) return false;
      return this.#from + 20 === end && this.#copyOctets(20);
    }
    if (type === MX) {
      return this.#from + 2 < end && this.#copyOctets(2) && this.#copyName(true, end) >= 0;
    }
    if (type === TYPE_MINFO)
      return this.#copyName(true, end) >= 0 && this.#copyName(true, end) >= 0;
    const before =
      type === NAPTR
        ? naptrNameAt(this.#msg, this.#from, end)
        : (NAME_BEHIND.get(type) ?? TWO_NAMES_BEHIND.get(type));
    if (before !== undefined) {
      if (this.#from + before >= end || !this.#copyOctets(before)) return false;
      if (this.#copyName(false, end) < 0) return false;
      return !TWO_NAMES_BEHIND.has(type) || this.#copyName(false, end) >= 0;
    }
    return this.#copyOctets(end - this.#from);
  }

  /** Notes the facts that the cache needs of the record that was just copied. */
  #note(section: number, type: number, ttlSec: number, rdataTo: number): void {
    if (section === ANCOUNT_AT) {
      // A CNAME or DNAME leads to the answer; it is one only if it was asked for.
      if (type === this.#qtype || (this.#qtype === 255 && type !== CNAME && type !== DNAME)) {
        this.#hasQtype = true;
      }
    } else if (section === NSCOUNT_AT) {
      if (type === NS) this.#hasNs = true;
      if (type === SOA) {
        this.#hasSoa = true;
        this.#soaTtlSec = ttlSec;
        this.#soaMinimumSec = readU32(scratch, this.#to - 4);
      }
    }
    if (type === RRSIG && this.#to - rdataTo >= 18) {
      const expiration = readU32(scratch, rdataTo + 8);
      const inception = readU32(scratch, rdataTo + 12);
      // Serial arithmetic (RFC 1982): which of two comes later on a circle of 2^32 seconds.
      if (this.#signedFrom === undefined || ((inception - this.#signedFrom) | 0) > 0) {
        this.#signedFrom = inception;
      }
      if (this.#signedUntil === undefined || ((expiration - this.#signedUntil) | 0) < 0) {
        this.#signedUntil = expiration;
      }
    }
  }

  /** Copies the name at the read offset; returns its uncompressed length, or -1 if malformed. */
  #copyName(compress: boolean, end: number = this.#msg.length): number {
    const msg = this.#msg;
    const octets = expandName(msg, this.#from, msg.length, name, 0);
    if (octets < 0 || this.#to + octets > MESSAGE_OCTETS_MAX) return -1;
    // Where the name ends in the message: past its first pointer, or its root label.
    let next = this.#from;
    while (msg[next]! !== 0 && msg[next]! < 0xc0) next += msg[next]! + 1;
    next += msg[next] === 0 ? 1 : 2;
    if (next > end) return -1;
    this.#from = next;
    this.#to = compressor.write(name, octets, this.#to, compress);
    this.#plainOctets += octets;
    return octets;
  }

  #copyOctets(octets: number): boolean {
    if (this.#to + octets > MESSAGE_OCTETS_MAX) return false;
    const msg = this.#msg;
    for (let i = 0; i < octets; i++) scratch[this.#to + i] = msg[this.#from + i]!;
    this.#from += octets;
    this.#to += octets;
    this.#plainOctets += octets;
    return true;
  }
}

/** Octets before NAPTR's replacement: two integers, three strings (RFC 3403 section 4.1). */
export function naptrNameAt(msg: Uint8Array, at: number, end: number): number {
  let next = at + 4;
  for (let strings = 0; strings < 3 && next < end; strings++) next += msg[next]! + 1;
  return next - at;
}

const normalizer = new Normalizer();

const KEPT = 0;
const DROPPED = 1;
const MALFORMED = 2;
