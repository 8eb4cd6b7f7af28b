/**
 * Making a stored or relayed response the answer to one query: its ID, the flags that are copied
 * from the query, the client's spelling of the name, the OPT record, and the size that the client can
 * take (RFC 1035 section 4.1.1, RFC 6891 section 6.1.1, RFC 4035 section 3.2).
 *
 * Owns:    the last step before an answer is sent, on the hit path and on the miss path alike.
 * Callers: give a response without OPT whose question has the query's length, and room for
 *          OPT_OCTETS behind it.
 * Hot path, stop 5 of 6: no allocation.
 */
import type { Asked } from './question.ts';
import {
  AA,
  AD,
  ANCOUNT_AT,
  ARCOUNT_AT,
  CD,
  HEADER_OCTETS,
  NSCOUNT_AT,
  OPCODE_MASK,
  QDCOUNT_AT,
  QR,
  RCODE_MASK,
  RD,
  TC,
  readU16,
  writeU16,
} from './header.ts';
import { OPT_OCTETS } from './limits.ts';
import { skipName } from './name.ts';
import { OPT } from './rrtype.ts';

/**
 * Makes the response of `octets` octets at `out[at]` the answer to `asked`, in `limit` octets at
 * most: what does not fit is cut record by record from the end, and TC set. Returns its length.
 */
export function frameAnswer(
  asked: Asked,
  out: Uint8Array,
  at: number,
  octets: number,
  limit: number,
): number {
  const { msg } = asked;
  const query = asked.at;
  const flagsHigh = msg[query + 2]!;
  const flagsLow = msg[query + 3]!;
  out[at] = msg[query]!;
  out[at + 1] = msg[query + 1]!;
  out[at + 2] = (out[at + 2]! & ~(RD | OPCODE_MASK)) | QR | (flagsHigh & (RD | OPCODE_MASK));
  let low = (out[at + 3]! & ~CD) | (flagsLow & CD);
  // AD is for those who ask by DO or by AD itself (RFC 6840 section 5.7).
  if (!asked.dnssecOk && (flagsLow & AD) === 0) low &= ~AD;
  out[at + 3] = low;

  const nameEnd = HEADER_OCTETS + asked.nameOctets;
  for (let i = HEADER_OCTETS; i < nameEnd; i++) out[at + i] = msg[query + i]!;

  const optOctets = asked.hasEdns ? OPT_OCTETS : 0;
  if (octets + optOctets > limit) octets = truncate(out, at, octets, limit - optOctets);
  if (asked.hasEdns) {
    writeOpt(out, at + octets, asked.payloadOctets, asked.dnssecOk);
    octets += OPT_OCTETS;
    writeU16(out, at + ARCOUNT_AT, readU16(out, at + ARCOUNT_AT) + 1);
  }
  return octets;
}

/** An OPT record of version 0 without options; mirrors the client's size, as CoreDNS does. */
function writeOpt(out: Uint8Array, at: number, payloadOctets: number, dnssecOk: boolean): void {
  out[at] = 0;
  writeU16(out, at + 1, OPT);
  writeU16(out, at + 3, payloadOctets);
  out[at + 5] = 0; // extended RCODE
  out[at + 6] = 0; // version
  out[at + 7] = dnssecOk ? 0x80 : 0;
  out[at + 8] = 0;
  writeU16(out, at + 9, 0);
}

/**
 * Drops whole records from the end until the message fits in `limit`, and sets TC if any was
 * dropped, additional ones included (as CoreDNS does; RFC 2181 section 9 would spare those).
 * Compression pointers only point backwards, so what is left stays readable.
 */
function truncate(out: Uint8Array, at: number, octets: number, limit: number): number {
  const end = at + octets;
  let next = skipName(out, at + HEADER_OCTETS, end) + 4;
  let full = false;
  for (let count = ANCOUNT_AT; count <= ARCOUNT_AT; count += 2) {
    const records = readU16(out, at + count);
    let kept = 0;
    while (!full && kept < records) {
      const ownerEnd = skipName(out, next, end);
      const recordEnd = ownerEnd + 10 + readU16(out, ownerEnd + 8);
      if (recordEnd - at > limit) {
        full = true;
        break;
      }
      next = recordEnd;
      kept++;
    }
    writeU16(out, at + count, kept);
  }
  if (full) out[at + 2] = out[at + 2]! | TC;
  return next - at;
}

/**
 * Writes an answer that is a header alone, all counts 0: to messages whose question cannot be
 * trusted. Copies ID, opcode, RD, RA, TC, AD and CD from the query. Returns 12.
 */
export function writeHeaderOnly(
  msg: Uint8Array,
  query: number,
  out: Uint8Array,
  at: number,
  rcode: number,
): number {
  out[at] = msg[query]!;
  out[at + 1] = msg[query + 1]!;
  out[at + 2] = (msg[query + 2]! & ~AA) | QR;
  out[at + 3] = (msg[query + 3]! & ~(RCODE_MASK | 0x40)) | rcode;
  for (let i = QDCOUNT_AT; i < HEADER_OCTETS; i++) out[at + i] = 0;
  return HEADER_OCTETS;
}

/**
 * Writes an answer with the question and no records: QR, opcode, RD and CD as in the query, AA and
 * RA unset, no OPT. An RCODE above 15 needs the OPT of {@link writeExtendedRcode} as well.
 * Returns its length.
 */
export function writeEmpty(asked: Asked, out: Uint8Array, at: number, rcode: number): number {
  const { msg } = asked;
  const query = asked.at;
  const octets = HEADER_OCTETS + asked.nameOctets + 4;
  for (let i = HEADER_OCTETS; i < octets; i++) out[at + i] = msg[query + i]!;
  out[at] = msg[query]!;
  out[at + 1] = msg[query + 1]!;
  out[at + 2] = QR | (msg[query + 2]! & (OPCODE_MASK | RD));
  out[at + 3] = (msg[query + 3]! & CD) | (rcode & RCODE_MASK);
  writeU16(out, at + QDCOUNT_AT, 1);
  writeU16(out, at + ANCOUNT_AT, 0);
  writeU16(out, at + NSCOUNT_AT, 0);
  writeU16(out, at + ARCOUNT_AT, 0);
  return octets;
}

/**
 * Adds to the answer of `octets` at `out[at]` an OPT that carries the upper bits of `rcode`, with
 * version 0, size 0 and no flags, which BADVERS needs (RFC 6891 section 6.1.3). Returns the length.
 */
export function writeExtendedRcode(
  out: Uint8Array,
  at: number,
  octets: number,
  rcode: number,
): number {
  writeOpt(out, at + octets, 0, false);
  out[at + octets + 5] = rcode >> 4;
  writeU16(out, at + ARCOUNT_AT, readU16(out, at + ARCOUNT_AT) + 1);
  return octets + OPT_OCTETS;
}

/** Code and length of an EDNS option (RFC 6891 section 6.1.2). */
const OPTION_HEAD_OCTETS = 4;

/**
 * Adds an option to the OPT that ends the answer of `octets` at `out[at]`, and has none yet. Returns the
 * length; it is unchanged if the option does not fit in `limit`.
 */
export function appendOption(
  out: Uint8Array,
  at: number,
  octets: number,
  code: number,
  data: Uint8Array,
  limit: number,
): number {
  const length = octets + OPTION_HEAD_OCTETS + data.length;
  if (length > limit) return octets;
  const from = at + octets;
  writeU16(out, from, code);
  writeU16(out, from + 2, data.length);
  out.set(data, from + OPTION_HEAD_OCTETS);
  writeU16(out, from - 2, OPTION_HEAD_OCTETS + data.length);
  return length;
}
