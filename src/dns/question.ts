/**
 * A query's header, question and OPT record, read in place into a reused view (RFC 1035 section 4.1,
 * RFC 6891 section 6.1).
 *
 * Owns:    what we accept as a query at all, and the answer that each kind of other message deserves.
 * Is not:  a codec: records other than OPT are stepped over, not read.
 * Callers: keep the message unchanged for as long as they use the view.
 * Hot path, stop 2 of 6: no allocation, no throw.
 */
import { OPTION_CLIENT_SUBNET } from './edns.ts';
import {
  ANCOUNT_AT,
  ARCOUNT_AT,
  CD,
  HEADER_OCTETS,
  NSCOUNT_AT,
  OPCODE_NOTIFY,
  OPCODE_QUERY,
  QDCOUNT_AT,
  QR,
  opcodeOf,
  readU16,
} from './header.ts';
import { LABEL_OCTETS_MAX, NAME_OCTETS_MAX, PAYLOAD_OCTETS_MIN } from './limits.ts';
import { LABELS_MAX, LOWER, skipName } from './name.ts';
import { OPT } from './rrtype.ts';

/** The finding of {@link readQuery}, and so what the sender deserves. */
export type Reading =
  | typeof READ_QUERY
  | typeof READ_SILENCE
  | typeof READ_NOTIMP
  | typeof READ_FORMERR
  | typeof READ_FORMERR_QUESTION;
/** A query (or NOTIFY): every field of the view is set. */
export const READ_QUERY = 0;
/** Too short to have an ID, or a response: answering it could start a loop of answers. */
export const READ_SILENCE = 1;
/** An opcode that we do not serve: only the header can be trusted. */
export const READ_NOTIMP = 2;
/** Wrong counts or an unreadable question: only the header can be trusted. */
export const READ_FORMERR = 3;
/** A readable question, and nonsense behind it. */
export const READ_FORMERR_QUESTION = 4;

/** The facts of a question for {@link frameAnswer} and the cache; a view or an owned query. */
export interface Asked {
  readonly msg: Uint8Array;
  readonly at: number;
  /** Octets of the QNAME, the root's zero included. */
  readonly nameOctets: number;
  readonly qtype: number;
  readonly qclass: number;
  readonly hasEdns: boolean;
  readonly payloadOctets: number;
  readonly dnssecOk: boolean;
}

/** All that is known of a query once it is read: what an owned copy is made from. */
export interface QueryFacts extends Asked {
  /** The offset just past the message. */
  readonly end: number;
  readonly nameHash: number;
  /** The start value of `nameHash`. */
  readonly hashSeed: number;
  /** CD: the sender validates by itself (RFC 4035 section 3.2.2). */
  readonly checkingDisabled: boolean;
  /** Where the OPT record begins in `msg`, 0 if there is none. */
  readonly optAt: number;
}

/** One query, as numbers. A listener owns one and reads every message into it. */
export class QueryView implements QueryFacts {
  msg: Uint8Array = new Uint8Array(0);
  /** Where the message begins in `msg`, and the offset just past it. */
  at: number = 0;
  end: number = 0;
  nameOctets: number = 0;
  qtype: number = 0;
  qclass: number = 0;
  /** The QNAME, lower-cased, `nameOctets` of it. */
  readonly lowered: Uint8Array = new Uint8Array(NAME_OCTETS_MAX + 1);
  /** Where each label's length octet stands in `lowered`, from the left; `labels` of them. */
  readonly labelAt: Uint8Array = new Uint8Array(LABELS_MAX + 1);
  labels: number = 0;
  /** Of the lower-cased QNAME, seeded; the cache mixes in the rest of its key. */
  nameHash: number = 0;
  hasEdns: boolean = false;
  ednsVersion: number = 0;
  /** The size that the client offers, at least 512; 512 without EDNS. */
  payloadOctets: number = PAYLOAD_OCTETS_MIN;
  dnssecOk: boolean = false;
  checkingDisabled: boolean = false;
  /** Where the OPT record begins in `msg`, 0 if there is none. */
  optAt: number = 0;
  /** Drawn once per process, so that outsiders cannot choose names that collide. */
  readonly hashSeed: number;

  constructor(hashSeed: number) {
    this.hashSeed = hashSeed;
  }
}

/** Continues a hash over lower-cased name octets. */
export function hashOctet(hash: number, octet: number): number {
  return Math.imul(hash ^ octet, 0x01000193);
}

/**
 * Reads the message in `msg` from `at` to `end`. The checks and their order are those of CoreDNS:
 * at most one answer and one authority record and two additional records; octets behind the last
 * record are ignored.
 */
export function readQuery(view: QueryView, msg: Uint8Array, at: number, end: number): Reading {
  view.msg = msg;
  view.at = at;
  view.end = end;
  view.hasEdns = false;
  view.payloadOctets = PAYLOAD_OCTETS_MIN;
  view.dnssecOk = false;
  view.optAt = 0;
  if (end - at < HEADER_OCTETS || (msg[at + 2]! & QR) !== 0) return READ_SILENCE;
  const opcode = opcodeOf(msg, at);
  if (opcode !== OPCODE_QUERY && opcode !== OPCODE_NOTIFY) return READ_NOTIMP;
  view.checkingDisabled = (msg[at + 3]! & CD) !== 0;
  const answers = readU16(msg, at + ANCOUNT_AT);
  const authorities = readU16(msg, at + NSCOUNT_AT);
  const additionals = readU16(msg, at + ARCOUNT_AT);
  if (readU16(msg, at + QDCOUNT_AT) !== 1) return READ_FORMERR;
  if (answers > 1 || authorities > 1 || additionals > 2) return READ_FORMERR;

  const nameEnd = readName(view, msg, at + HEADER_OCTETS, end);
  if (nameEnd < 0 || nameEnd + 4 > end) return READ_FORMERR;
  view.qtype = readU16(msg, nameEnd);
  view.qclass = readU16(msg, nameEnd + 2);
  const records = answers + authorities + additionals;
  if (records === 0) return READ_QUERY;
  return readRecords(view, nameEnd + 4, records, additionals);
}

/** Reads the QNAME: lower-cased copy, label offsets, hash. Returns its end, or -1. */
function readName(view: QueryView, msg: Uint8Array, at: number, end: number): number {
  const { lowered, labelAt } = view;
  let hash = view.hashSeed;
  let labels = 0;
  let next = 0; // in lowered
  while (at < end) {
    const length = msg[at]!;
    // A pointer here could only point into the header: no sane sender compresses the first name.
    if (length > LABEL_OCTETS_MAX) return -1;
    const labelEnd = at + length;
    if (next + length + 1 > NAME_OCTETS_MAX || labelEnd >= end) return -1;
    if (length !== 0) labelAt[labels++] = next;
    for (; at <= labelEnd; at++) {
      const octet = LOWER[msg[at]!]!;
      lowered[next++] = octet;
      hash = Math.imul(hash ^ octet, 0x01000193);
    }
    if (length === 0) {
      view.nameOctets = next;
      view.labels = labels;
      view.nameHash = hash;
      return at;
    }
  }
  return -1;
}

/** Steps over the records behind the question; the OPT among the last `additionals` is read. */
function readRecords(
  view: QueryView,
  at: number,
  records: number,
  additionals: number,
): typeof READ_QUERY | typeof READ_FORMERR_QUESTION {
  const { msg, end } = view;
  for (let left = records; left > 0; left--) {
    const ownerEnd = skipName(msg, at, end);
    if (ownerEnd < 0 || ownerEnd + 10 > end) return READ_FORMERR_QUESTION;
    const rdataAt = ownerEnd + 10;
    const rdataEnd = rdataAt + readU16(msg, ownerEnd + 8);
    if (rdataEnd > end) return READ_FORMERR_QUESTION;
    if (left <= additionals && readU16(msg, ownerEnd) === OPT) {
      if (rdataEnd > rdataAt && !optionsFit(msg, rdataAt, rdataEnd)) return READ_FORMERR_QUESTION;
      const payload = readU16(msg, ownerEnd + 2);
      view.hasEdns = true;
      view.optAt = at;
      view.payloadOctets = payload > PAYLOAD_OCTETS_MIN ? payload : PAYLOAD_OCTETS_MIN;
      view.ednsVersion = msg[ownerEnd + 5]!;
      view.dnssecOk = (msg[ownerEnd + 6]! & 0x80) !== 0;
    }
    at = rdataEnd;
  }
  return READ_QUERY;
}

/** Whether the options end where the OPT's data ends, and a client subnet (RFC 7871) is readable. */
function optionsFit(msg: Uint8Array, at: number, end: number): boolean {
  while (at < end) {
    if (at + 4 > end) return false;
    const code = readU16(msg, at);
    const length = readU16(msg, at + 2);
    if (at + 4 + length > end) return false;
    if (code === OPTION_CLIENT_SUBNET) {
      if (length < 4) return false;
      const family = readU16(msg, at + 4);
      if (family > 2 || (family === 0 && msg[at + 6]! !== 0)) return false;
    }
    at += 4 + length;
  }
  return true;
}
