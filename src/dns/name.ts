/**
 * Domain names in wire form and in presentation form (RFC 1035 sections 3.1, 4.1.4 and 5.1;
 * RFC 4343 for the escapes and for comparing without regard to case).
 *
 * Owns:    label lengths, compression pointers, `\.` and `\DDD` escapes, ASCII lower-casing.
 * Is not:  internationalized names (RFC 5891): octets above 127 pass as they are.
 * Callers: pass whole messages, so that a compression pointer can be followed.
 */
import { LABEL_OCTETS_MAX, NAME_OCTETS_MAX } from './limits.ts';

/** A name of 255 octets has at most 127 labels, the root's not counted. */
export const LABELS_MAX = 127;
/** Pointers followed within one name: a sane one has no more of them than labels. */
const POINTERS_MAX = LABELS_MAX;
/** Set in both high bits of a length octet: the rest is an offset (RFC 1035 section 4.1.4). */
export const POINTER_MASK = 0xc0;

/** Octet to octet, A to Z lower-cased. A length octet is at most 63, below 'A', and so unchanged. */
export const LOWER: Uint8Array = Uint8Array.from({ length: 256 }, (_, octet) =>
  octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet,
);

/**
 * The offset just past the name at `at`, or -1 if the name does not end before `end`, is longer
 * than 255 octets, or has a reserved label type. A pointer ends the name and is not followed.
 */
export function skipName(msg: Uint8Array, at: number, end: number): number {
  const limit = at + NAME_OCTETS_MAX;
  while (at < end) {
    const length = msg[at]!;
    if (length === 0) return at + 1 - limit > 0 ? -1 : at + 1;
    if (length >= POINTER_MASK) return at + 2 <= end ? at + 2 : -1;
    if (length > LABEL_OCTETS_MAX) return -1;
    at += length + 1;
    if (at >= limit) return -1;
  }
  return -1;
}

/**
 * Expands the name at `at` into `out` at `outAt`, following compression pointers, case kept.
 * Returns the octets written (1 to 255), or -1 if the name is malformed: it runs past `end`, is
 * longer than 255 octets, has more than 127 pointers, or one that does not point backwards (which
 * also excludes loops).
 */
export function expandName(
  msg: Uint8Array,
  at: number,
  end: number,
  out: Uint8Array,
  outAt: number,
): number {
  let written = 0;
  let lowest = at;
  let pointers = 0;
  while (at < end) {
    const length = msg[at]!;
    if (length === 0) {
      out[outAt + written] = 0;
      return written + 1;
    }
    if (length >= POINTER_MASK) {
      if (at + 1 >= end) return -1;
      const target = ((length & 0x3f) << 8) | msg[at + 1]!;
      if (target >= lowest || ++pointers > POINTERS_MAX) return -1;
      lowest = target;
      at = target;
      continue;
    }
    if (length > LABEL_OCTETS_MAX || at + 1 + length > end) return -1;
    if (written + length + 2 > NAME_OCTETS_MAX) return -1;
    for (let i = 0; i <= length; i++) out[outAt + written + i] = msg[at + i]!;
    written += length + 1;
    at += length + 1;
  }
  return -1;
}

/** Whether two uncompressed names of `length` octets are equal but for case (RFC 4343). */
export function namesEqual(
  a: Uint8Array,
  aAt: number,
  b: Uint8Array,
  bAt: number,
  length: number,
): boolean {
  for (let i = 0; i < length; i++) {
    if (LOWER[a[aAt + i]!] !== LOWER[b[bAt + i]!]) return false;
  }
  return true;
}

/**
 * The presentation form of the uncompressed name at `at`, with its final dot, case kept: dots and
 * other specials inside a label are escaped by a backslash, octets outside 33 to 126 as `\DDD`.
 */
export function nameToText(msg: Uint8Array, at: number = 0): string {
  if (msg[at] === 0) return '.';
  const out = textScratch;
  let octets = 0;
  for (let length = msg[at]!; length !== 0; length = msg[at]!) {
    const end = at + length;
    while (++at <= end) {
      const octet = msg[at]!;
      const escape = ESCAPE[octet]!;
      if (escape !== PLAIN) out[octets++] = BACKSLASH;
      if (escape === DIGITS) {
        out[octets++] = ZERO + Math.floor(octet / 100);
        out[octets++] = ZERO + (Math.floor(octet / 10) % 10);
        out[octets++] = ZERO + (octet % 10);
      } else {
        out[octets++] = octet;
      }
    }
    out[octets++] = DOT;
  }
  return out.toString('latin1', 0, octets);
}

const DOT = 0x2e;
const BACKSLASH = 0x5c;
const ZERO = 0x30;

/** How presentation form writes an octet: as it is, behind a backslash, or as three digits. */
const PLAIN = 0;
const QUOTED = 1;
const DIGITS = 2;
/** Octet to that; quoted are " ( ) . ; @ \ (RFC 1035 section 5.1). */
const ESCAPE: Uint8Array = Uint8Array.from({ length: 256 }, (_, octet) =>
  octet < 0x21 || octet > 0x7e
    ? DIGITS
    : '"().;@\\'.includes(String.fromCharCode(octet))
      ? QUOTED
      : PLAIN,
);

/**
 * Text is gathered as octets: half the time of a string that grows by characters. Each octet of a name
 * is four characters at most.
 */
const textScratch = Buffer.alloc(4 * NAME_OCTETS_MAX);

/**
 * The wire form of a name in presentation form, case kept; the final dot is optional and `.` is the
 * root. Non-ASCII characters become their UTF-8 octets. Returns undefined if the text is not a
 * domain name: empty, an empty label, a label over 63 or a name over 255 octets, a bad escape.
 */
export function nameFromText(text: string): Uint8Array | undefined {
  if (text === '.') return Uint8Array.of(0);
  if (text === '') return undefined;
  const source = Buffer.from(text, 'utf8');
  const wire = new Uint8Array(NAME_OCTETS_MAX);
  let labelAt = 0; // where the length octet of the label being read will stand
  let next = 1;
  for (let i = 0; i < source.length; i++) {
    let octet = source[i]!;
    if (octet === DOT) {
      const length = next - labelAt - 1;
      if (length === 0 || length > LABEL_OCTETS_MAX) return undefined;
      wire[labelAt] = length;
      labelAt = next++;
      if (labelAt >= NAME_OCTETS_MAX) return undefined;
      continue;
    }
    if (octet === BACKSLASH) {
      const digits = /^\d{3}/.exec(source.toString('latin1', i + 1, i + 4))?.[0];
      if (digits !== undefined) {
        octet = Number(digits);
        if (octet > 255) return undefined;
        i += 3;
      } else {
        if (++i >= source.length) return undefined;
        octet = source[i]!;
      }
    }
    if (next >= NAME_OCTETS_MAX) return undefined;
    wire[next++] = octet;
  }
  const length = next - labelAt - 1;
  if (length > LABEL_OCTETS_MAX) return undefined;
  if (length === 0) return wire.slice(0, labelAt + 1); // the text ended in a dot
  wire[labelAt] = length;
  if (next >= NAME_OCTETS_MAX) return undefined;
  return wire.slice(0, next + 1); // the root's zero octet
}

/** ASCII letters lower-cased, all else as it is: how names are compared (RFC 4343 section 3). */
export function lowerText(text: string): string {
  return text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
