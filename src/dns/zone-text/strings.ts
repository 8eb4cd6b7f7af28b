/**
 * The meaning of one word of a record's text: a name, a string, a TTL (RFC 1035 section 5.1).
 *
 * Owns:    escapes, and the units of a TTL.
 */
import { nameFromText } from '../name.ts';
import type { Word } from './words.ts';

/** A TTL has 32 bits here; who keeps records reads more than 2^31 - 1 as 0 (RFC 2181 section 8). */
const TTL_SEC_MAX = 0xffff_ffff;
const SECONDS_IN: ReadonlyMap<string, number> = new Map([
  ['s', 1],
  ['m', 60],
  ['h', 3600],
  ['d', 86_400],
  ['w', 604_800],
]);

/** `3600`, `1h`, `1h30m`, any case, in seconds; a number without unit may stand last. */
export function ttlFromText(text: string): number | undefined {
  if (!/^(?:\d{1,10}[smhdw])*(?:\d{1,10})?$/i.test(text) || text === '') return undefined;
  let seconds = 0;
  for (const [, digits, unit] of text.matchAll(/(\d+)([smhdw]?)/gi)) {
    seconds += Number(digits) * (SECONDS_IN.get(unit!.toLowerCase()) ?? 1);
  }
  return seconds <= TTL_SEC_MAX ? seconds : undefined;
}

/** The wire form of a name; `@` is the root, which all names of a single record are relative to. */
export function nameFromWord({ text, quoted }: Word): Uint8Array | undefined {
  if (quoted) return undefined;
  if (text === '@') return Uint8Array.of(0);
  // Octets beyond ASCII would be taken for characters.
  const escaped = text.replaceAll(
    /[\u0080-\u00ff]/g,
    (octet) => `\\${String(octet.charCodeAt(0)).padStart(3, '0')}`,
  );
  return nameFromText(escaped);
}

/** A string's octets, its escapes replaced; undefined if one is wrong. */
export function octetsFromWord(text: string): Uint8Array | undefined {
  const octets: number[] = [];
  for (let at = 0; at < text.length; at++) {
    let octet = text.charCodeAt(at);
    if (octet === 0x5c) {
      const digits = /^\d{3}/.exec(text.slice(at + 1, at + 4))?.[0];
      octet = digits === undefined ? text.charCodeAt(at + 1) : Number(digits);
      if (octet > 0xff) return undefined;
      at += digits === undefined ? 1 : 3;
    }
    octets.push(octet);
  }
  return Uint8Array.from(octets);
}
