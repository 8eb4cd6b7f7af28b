/**
 * Regular expressions of the Corefile, which are Go's RE2, as JavaScript's.
 *
 * Owns:    what is translated, and what is refused: RE2 lacks it (look-around, back-references), or
 *          its meaning here would be another.
 * Is not:  a guarantee of linear time; the texts that are matched are short and our own.
 */
import { CorefileError } from '../../corefile/error.ts';
import type { Token } from '../../corefile/tokens.ts';

/** CoreDNS's limit from 1.14 on, in octets. */
const PATTERN_OCTETS_MAX = 10_000;

/** An expression that matches anywhere in a text. Throws CorefileError. */
export function parsePattern(token: Token): RegExp {
  const octets = Buffer.byteLength(token.text);
  if (octets > PATTERN_OCTETS_MAX) {
    throw refused(token, `pattern of ${octets} bytes is too long`, `at most ${PATTERN_OCTETS_MAX}`);
  }
  const { source, flags } = translate(token);
  try {
    return new RegExp(source, flags);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.replace(/^.*\/[a-z]*: /s, '') : '';
    const what = `error parsing regexp: ${reason}: \`${token.text}\``;
    throw new CorefileError('COREFILE_VALUE', token, what, { cause });
  }
}

/** What begins with a backslash and means the same in RE2 and in JavaScript. */
const SAME_ESCAPES = /^[wWsSdDbBtnrfv0]$/;

function translate(token: Token): { readonly source: string; readonly flags: string } {
  const { text } = token;
  // Flags for the whole expression; (?U) and flags further inside have no counterpart.
  const leading = /^\(\?([ims]+)\)/.exec(text);
  const flags = [...new Set(leading?.[1] ?? '')].join('');
  let source = '';
  let inClass = false;
  let at = leading?.[0].length ?? 0;
  while (at < text.length) {
    const rest = text.slice(at, at + 4);
    let piece = rest[0]!;
    let taken = 1;
    if (piece === '\\') {
      const escaped = rest[1];
      if (escaped === undefined) {
        throw refused(token, `error parsing regexp: trailing backslash at end of expression: \`\``);
      }
      piece = translateEscape(token, escaped);
      taken = 2;
    } else if (inClass) {
      if (rest.startsWith('[:')) throw unsupported(token, 'POSIX classes like [:alpha:]');
      inClass = piece !== ']';
    } else if (piece === '[') {
      inClass = true;
    } else if (rest.startsWith('(?')) {
      [piece, taken] = translateGroup(token, rest);
    }
    source += piece;
    at += taken;
  }
  return { source, flags };
}

function translateEscape(token: Token, escaped: string): string {
  if (/[1-9k]/.test(escaped)) {
    const what = `error parsing regexp: invalid escape sequence: \`\\${escaped}\``;
    throw refused(token, what, 'back-references are not supported');
  }
  if (escaped === 'A') return '(?<![\\s\\S])';
  if (escaped === 'z') return '(?![\\s\\S])';
  if (SAME_ESCAPES.test(escaped) || !/[a-zA-Z0-9]/.test(escaped)) return `\\${escaped}`;
  if (escaped === 'x') return '\\x';
  throw unsupported(token, `\\${escaped}`);
}

/** A group's opening, and how many characters of `rest` it is. */
function translateGroup(token: Token, rest: string): [string, number] {
  if (rest.startsWith('(?:')) return ['(?:', 3];
  if (rest === '(?P<') return ['(?<', 4];
  if (/^\(\?<?[=!]/.test(rest)) {
    const what = `error parsing regexp: invalid or unsupported Perl syntax: \`${rest.slice(0, 3)}\``;
    throw refused(token, what, 'look-around is not supported');
  }
  if (rest.startsWith('(?<')) return ['(?<', 3];
  throw unsupported(token, 'flags inside an expression');
}

function unsupported(token: Token, what: string): CorefileError {
  return refused(
    token,
    `error parsing regexp: ${what} cannot be used here`,
    'write it differently',
  );
}

function refused(token: Token, what: string, hint?: string): CorefileError {
  return new CorefileError('COREFILE_VALUE', token, what, { hint });
}
