/**
 * Constants of a template: Go's numbers, characters and strings (https://go.dev/ref/spec).
 *
 * Owns: their syntax and escapes.
 */
import { octetsOf, textOf } from './octets.ts';

const SIMPLE_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['a', '\u0007'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
  ['\\', '\\'],
]);

/** The octets between the quotes of `literal`, escapes replaced; undefined if one is wrong. */
export function unquote(literal: string): string | undefined {
  const quote = literal[0]!;
  const body = literal.slice(1, -1);
  if (quote === '`') return body.replaceAll('\r', '');
  let octets = '';
  for (let at = 0; at < body.length;) {
    if (body[at] !== '\\') {
      octets += body[at++]!;
      continue;
    }
    const escape = readEscape(body, at, quote);
    if (escape === undefined) return undefined;
    octets += escape.octets;
    at += escape.length;
  }
  return octets;
}

const NUMBERED = /^\\(?:([0-7]{3})|x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8}))/;

function readEscape(
  body: string,
  at: number,
  quote: string,
): { readonly octets: string; readonly length: number } | undefined {
  const character = body[at + 1]!;
  const simple = character === quote ? quote : SIMPLE_ESCAPES.get(character);
  if (simple !== undefined) return { octets: simple, length: 2 };
  const found = NUMBERED.exec(body.slice(at, at + 10));
  if (found === null) return undefined;
  const [{ length }, octal, hex, short, long] = found;
  if (octal !== undefined || hex !== undefined) {
    const octet = octal === undefined ? Number.parseInt(hex!, 16) : Number.parseInt(octal, 8);
    return octet > 0xff ? undefined : { octets: String.fromCharCode(octet), length };
  }
  const code = Number.parseInt(short ?? long!, 16);
  if (code > 0x10_ffff || (code >= 0xd800 && code < 0xe000)) return undefined;
  return { octets: octetsOf(String.fromCodePoint(code)), length };
}

/** The number of a character constant such as `'a'`; undefined if it is not exactly one character. */
export function runeOf(literal: string): bigint | undefined {
  const octets = unquote(literal);
  if (octets === undefined || octets === '') return undefined;
  // '\xff' is one octet, and no UTF-8.
  if (octets.length === 1) return BigInt(octets.charCodeAt(0));
  const [character, ...rest] = textOf(octets);
  return rest.length > 0 ? undefined : BigInt(character!.codePointAt(0)!);
}

/** Digits that fit a 64-bit integer in base 2, and some leading zeros. */
const NUMBER_LENGTH_MAX = 100;

/**
 * An integer as a bigint, a float as a number, as the text is written: `1.0` is a float. Undefined if it
 * is neither; hexadecimal floats and imaginary numbers are none here.
 */
export function numberOf(literal: string): bigint | number | undefined {
  if (literal.length > NUMBER_LENGTH_MAX) return undefined;
  // A digit or a prefix stands before each underscore, a digit behind it.
  const text = literal.replaceAll(/(?<=[\da-fxXoObB])_(?=[\da-f])/gi, '').toLowerCase();
  const sign = /^[-+]/.exec(text)?.[0] ?? '';
  const digits = text.slice(sign.length);
  if (/^(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/.test(digits) && /[.e]/.test(digits)) {
    return Number(text);
  }
  if (!/^(?:0x[\da-f]+|0o?[0-7]+|0b[01]+|0|[1-9]\d*)$/.test(digits)) return undefined;
  const value = BigInt(digits.replace(/^0(?=\d)/, '0o'));
  return sign === '-' ? -value : value;
}
