/**
 * The parameters of SVCB and HTTPS records in the text of a zone file (RFC 9460 section 2.1 and
 * appendix A).
 *
 * Owns:    the order, the names and the value formats of the parameters.
 */
import { A, AAAA } from '../rrtype.ts';
import { encodeRdata } from '../codec.ts';
import { octetsFromWord } from './strings.ts';
import { type Word, ZoneTextError } from './words.ts';

const KEYS: readonly string[] = [
  'mandatory',
  'alpn',
  'no-default-alpn',
  'port',
  'ipv4hint',
  'ech',
  'ipv6hint',
  'dohpath',
  'ohttp',
];
const [MANDATORY, ALPN, NO_DEFAULT_ALPN, PORT, IPV4HINT, ECH, IPV6HINT, , OHTTP] = KEYS.keys();
const KEY_MAX = 65_534;

/** In wire form, in the order of their keys. Throws ZoneTextError. */
export function serviceParameters(words: readonly Word[]): Uint8Array {
  const values = new Map<number, Uint8Array>();
  for (const word of words) {
    const equals = word.text.indexOf('=');
    const key = keyOf(equals === -1 ? word.text : word.text.slice(0, equals));
    const text = equals === -1 ? '' : word.text.slice(equals + 1);
    const value = key === undefined ? undefined : valueOf(key, text);
    if (key === undefined || value === undefined || value.length > 0xffff) {
      throw new ZoneTextError('bad SVCB parameter', word);
    }
    if (values.has(key)) throw new ZoneTextError('repeated SVCB parameter', word);
    values.set(key, value);
  }
  const parts = [...values.keys()]
    .toSorted((a, b) => a - b)
    .flatMap((key) => [u16(key), u16(values.get(key)!.length), values.get(key)!]);
  return Uint8Array.from(Buffer.concat(parts));
}

function keyOf(text: string): number | undefined {
  const known = KEYS.indexOf(text);
  if (known !== -1) return known;
  const number = /^key(\d{1,5})$/.exec(text)?.[1];
  return number !== undefined && Number(number) <= KEY_MAX ? Number(number) : undefined;
}

function valueOf(key: number, text: string): Uint8Array | undefined {
  const octets = octetsFromWord(text);
  if (octets === undefined) return undefined;
  switch (key) {
    case NO_DEFAULT_ALPN:
    case OHTTP:
      return octets.length === 0 ? octets : undefined;
    case PORT:
      return /^\d{1,5}$/.test(text) && Number(text) <= 0xffff ? u16(Number(text)) : undefined;
    case ECH:
      return /^[\w+/]+={0,2}$/.test(text)
        ? Uint8Array.from(Buffer.from(text, 'base64'))
        : undefined;
    case MANDATORY: {
      const keys = text.split(',').map(keyOf);
      if (keys.some((other) => other === undefined || other === MANDATORY)) return undefined;
      const sorted = (keys as number[]).toSorted((a, b) => a - b);
      return joined(new Set(sorted).size === sorted.length ? sorted.map(u16) : [undefined]);
    }
    case ALPN: {
      const ids = listOf(octets);
      if (ids.some(({ length }) => length === 0 || length > 0xff)) return undefined;
      return joined(ids.flatMap((id) => [Uint8Array.of(id.length), id]));
    }
    case IPV4HINT:
    case IPV6HINT: {
      const type = key === IPV4HINT ? A : AAAA;
      return joined(
        text.split(',').map((address) => encodeRdata(type, { kind: 'address', address })),
      );
    }
    default:
      return octets;
  }
}

/** Splits at commas that no backslash stands before (RFC 9460 appendix A.1). */
function listOf(octets: Uint8Array): readonly Uint8Array[] {
  const items: number[][] = [[]];
  for (let i = 0; i < octets.length; i++) {
    if (octets[i] === 0x2c) {
      items.push([]);
      continue;
    }
    if (octets[i] === 0x5c && i + 1 < octets.length) i++;
    items.at(-1)!.push(octets[i]!);
  }
  return items.map((item) => Uint8Array.from(item));
}

function joined(parts: readonly (Uint8Array | undefined)[]): Uint8Array | undefined {
  const present = parts.filter((part) => part !== undefined);
  return present.length === parts.length ? Uint8Array.from(Buffer.concat(present)) : undefined;
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}
