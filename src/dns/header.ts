/**
 * The 12-octet header of a DNS message, read and written in place (RFC 1035 section 4.1.1).
 *
 *      0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15
 *    +--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
 *    |                      ID                       |  0
 *    |QR|   OPCODE  |AA|TC|RD|RA| Z|AD|CD|   RCODE   |  2, 3
 *    |                    QDCOUNT                    |  4
 *    |                    ANCOUNT                    |  6
 *    |                    NSCOUNT                    |  8
 *    |                    ARCOUNT                    | 10
 *    +--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
 *
 * Owns:    the offsets and bit masks of octets 0 to 11, and big-endian integers.
 * Is not:  a parser; nothing here allocates, throws, or looks past the place that it is given.
 * Callers: have checked that HEADER_OCTETS octets are there.
 * Hot path, stop 2 of 6.
 */
export const HEADER_OCTETS = 12;

/** In octet 2. */
export const QR = 0x80;
export const OPCODE_MASK = 0x78;
export const AA = 0x04;
export const TC = 0x02;
export const RD = 0x01;
/** In octet 3; AD and CD are RFC 4035 section 3. */
export const RA = 0x80;
export const Z = 0x40;
export const AD = 0x20;
export const CD = 0x10;
export const RCODE_MASK = 0x0f;

export const QDCOUNT_AT = 4;
export const ANCOUNT_AT = 6;
export const NSCOUNT_AT = 8;
export const ARCOUNT_AT = 10;

export const OPCODE_QUERY = 0;
/** RFC 1035 section 4.1.1. */
export const OPCODE_STATUS = 2;
/** RFC 1996 section 3. */
export const OPCODE_NOTIFY = 4;

export function readU16(msg: Uint8Array, at: number): number {
  return (msg[at]! << 8) | msg[at + 1]!;
}

export function writeU16(msg: Uint8Array, at: number, value: number): void {
  msg[at] = value >> 8;
  msg[at + 1] = value;
}

/** Unsigned: 0 to 2^32 - 1. */
export function readU32(msg: Uint8Array, at: number): number {
  return ((msg[at]! << 24) | (msg[at + 1]! << 16) | (msg[at + 2]! << 8) | msg[at + 3]!) >>> 0;
}

export function writeU32(msg: Uint8Array, at: number, value: number): void {
  msg[at] = value >>> 24;
  msg[at + 1] = value >>> 16;
  msg[at + 2] = value >>> 8;
  msg[at + 3] = value;
}

export function opcodeOf(msg: Uint8Array, at: number): number {
  return (msg[at + 2]! & OPCODE_MASK) >> 3;
}

export function isResponse(msg: Uint8Array, at: number): boolean {
  return (msg[at + 2]! & QR) !== 0;
}
