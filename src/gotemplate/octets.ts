/**
 * Go's strings as octets, since `len`, `index` and `slice` count these.
 *
 * Owns: the engine's convention that a string holds one octet in each character. Text is converted where
 *       it comes in and goes out, and nowhere else.
 */

/** The octets of `text` in UTF-8, one in each character. */
export function octetsOf(text: string): string {
  return isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1');
}

/** Octets that are not UTF-8 become U+FFFD. */
export function textOf(octets: string): string {
  return isAscii(octets) ? octets : Buffer.from(octets, 'latin1').toString('utf8');
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

/** A string as Go's strconv.Quote writes it, which is what %q does; `ascii` escapes all else. */
export function quoteOctets(octets: string, ascii: boolean = false): string {
  let quoted = '"';
  for (const character of runesOf(octets)) quoted += escapeRune(character, '"', ascii);
  return `${quoted}"`;
}

/** The characters of a string; an octet that is no part of UTF-8 stands for itself, as `\xNN`. */
function runesOf(octets: string): string[] {
  if (isAscii(octets)) return octets.split('');
  const runes: string[] = [];
  for (let at = 0; at < octets.length;) {
    const length = runeLength(octets, at);
    runes.push(
      length === 0 ? `\\x${octets.charCodeAt(at).toString(16)}` : octets.slice(at, at + length),
    );
    at += Math.max(1, length);
  }
  return runes.map((rune) => (rune.startsWith('\\x') ? rune : textOf(rune)));
}

/** Octets of the UTF-8 character at `at`; 0 if there is none. */
export function runeLength(octets: string, at: number): number {
  const first = octets.charCodeAt(at);
  const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  const rune = octets.slice(at, at + length);
  if (rune.length !== length || first > 0xf4) return 0;
  return textOf(rune).includes('\ufffd') && rune !== '\u00ef\u00bf\u00bd' ? 0 : length;
}

const NAMED_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['\u0007', '\\a'],
  ['\b', '\\b'],
  ['\f', '\\f'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\v', '\\v'],
  ['\\', '\\\\'],
]);

/** Characters that Go counts as printable: of the spaces, only U+0020. */
const PRINTED = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

/** One character of a text (not of octets) inside quotes of the kind `quote`. */
export function escapeRune(rune: string, quote: '"' | "'", ascii: boolean = false): string {
  if (rune.length > 1 && rune.startsWith('\\x')) return rune;
  if (rune === quote) return `\\${quote}`;
  const named = NAMED_ESCAPES.get(rune);
  if (named !== undefined) return named;
  const code = rune.codePointAt(0)!;
  if (code < 0x20 || code === 0x7f) return `\\x${code.toString(16).padStart(2, '0')}`;
  if (PRINTED.test(rune) && !(ascii && code > 0x7f)) return octetsOf(rune);
  return code > 0xffff
    ? `\\U${code.toString(16).padStart(8, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`;
}
