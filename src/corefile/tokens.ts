/**
 * The Corefile's lexer: text to tokens.
 *
 * Owns:    white space, comments, quotes and their escapes, line and column of each token.
 * Is not:  concerned with what tokens mean; a brace is told from text, nothing more.
 * Callers: may pass any text; only CorefileError is reported, and the time is linear. Where `report`
 *          returns, the fault ends with its line.
 *
 * Two rules are stricter than CoreDNS's, which silently drops text there: a "#" inside a token is
 * refused (CoreDNS reads `1.1.1.1#5353 8.8.8.8` as `1.1.1.1 8.8.8.8`), and so is a quote that is
 * never closed (CoreDNS makes the rest of the file one token). A "#" after a lone brace starts a
 * comment, since nothing else can be meant.
 */
import { CorefileError, type Place, quote, type Report, throwError } from './error.ts';

/** A Token is a Place: pass it where an error wants to know where it is. */
export interface Token extends Place {
  /** Quotes and their escapes removed; environment variables substituted, if it comes from imports.ts. */
  readonly text: string;
  /** `open` and `close` are unquoted braces that stand alone. */
  readonly kind: 'word' | 'open' | 'close';
  readonly quoted: boolean;
  /** Where it ends: a quoted token may hold line breaks. */
  readonly endLine: number;
  /** Whether no other token of its file, or of the snippet it came from, stands before it on its line. */
  readonly startsLine: boolean;
}

const BYTE_ORDER_MARK = 0xfeff;
const LF = 0x0a;
const CR = 0x0d;
const QUOTE = 0x22;
const HASH = 0x23;
const BACKSLASH = 0x5c;

/** A comment with its `#`, without the white space that ends it. */
export interface Comment {
  readonly text: string;
  readonly line: number;
  /** Whether it has its line for itself. */
  readonly startsLine: boolean;
}

/** The tokens of `text`, in order. Comments are dropped, or put into `comments`. */
export function tokenize(
  text: string,
  file: string,
  report: Report = throwError,
  comments: Comment[] = [],
): Token[] {
  const tokens: Token[] = [];
  let at = text.charCodeAt(0) === BYTE_ORDER_MARK ? 1 : 0;
  let line = 1;
  let lineAt = at; // where the current line begins
  let lastEndLine = 0;

  const push = (from: number, length: number, word: string, fromLine: number, column: number) => {
    const quoted = text.charCodeAt(from) === QUOTE;
    tokens.push({
      text: word,
      kind: quoted ? 'word' : kindOf(word),
      quoted,
      file,
      line: fromLine,
      column,
      length,
      endLine: line,
      startsLine: fromLine > lastEndLine,
    });
    lastEndLine = line;
  };

  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === LF) {
      line++;
      lineAt = ++at;
    } else if (isSpace(code)) {
      at++;
    } else if (code === HASH) {
      const from = at;
      at = endOfLine(text, at);
      const comment = text.slice(from, at).trimEnd();
      comments.push({ text: comment, line, startsLine: line > lastEndLine });
    } else if (code === QUOTE) {
      const from = at;
      const fromLine = line;
      const column = from - lineAt + 1;
      const word = readQuoted();
      const firstLineEnd = line === fromLine ? at : endOfLine(text, from);
      push(from, firstLineEnd - from, word, fromLine, column);
    } else {
      const from = at;
      const word = readWord();
      push(from, at - from, word, line, from - lineAt + 1);
    }
  }
  return tokens;

  /** Reads on from the quote at `at` to just past the closing one. */
  function readQuoted(): string {
    const from = at;
    const fromLineAt = lineAt;
    const open: Place = { file, line, column: at - lineAt + 1, length: 1 };
    let word = '';
    for (let next = at + 1; next < text.length; next++) {
      const code = text.charCodeAt(next);
      if (code === QUOTE) {
        at = next + 1;
        return word;
      }
      if (code === LF) {
        line++;
        lineAt = next + 1;
      }
      if (code === BACKSLASH && next + 1 < text.length) {
        // Only a quote is escaped; a backslash before anything else stays, and takes it along.
        const escaped = text.charCodeAt(next + 1);
        if (escaped === LF) {
          line++;
          lineAt = next + 2;
        }
        word += escaped === QUOTE ? '"' : text.slice(next, next + 2);
        next++;
      } else {
        word += text[next]!;
      }
    }
    report(
      new CorefileError('COREFILE_QUOTE', open, 'this quote is never closed', {
        hint: 'close it with another ", or write \\" for a quote inside quotes',
      }),
    );
    line = open.line;
    lineAt = fromLineAt;
    at = endOfLine(text, from);
    return text.slice(from + 1, at);
  }

  /** Reads on from `at` to white space, dropping carriage returns as CoreDNS does. */
  function readWord(): string {
    const from = at;
    let word = '';
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === CR) continue;
      if (isSpace(code)) break;
      if (code === HASH) {
        if (kindOf(word) !== 'word') break;
        const place: Place = { file, line, column: at - lineAt + 1, length: 1 };
        const hint = `put white space before a comment, or quote the token${portHint(text, from, at)}`;
        const what = `"#" inside the token ${quote(word)}`;
        report(new CorefileError('COREFILE_COMMENT', place, what, { hint }));
        break;
      }
      word += text[at]!;
    }
    return word;
  }
}

function kindOf(word: string): Token['kind'] {
  if (word === '{') return 'open';
  return word === '}' ? 'close' : 'word';
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end === -1 ? text.length : end;
}

/** What Go's unicode.IsSpace takes for white space; JavaScript's \s differs in U+0085 and U+FEFF. */
function isSpace(code: number): boolean {
  if (code <= 0x20) return code === 0x20 || (code >= 0x09 && code <= 0x0d);
  if (code < 0x1680) return code === 0x85 || code === 0xa0;
  return (
    (code >= 0x2000 && code <= 0x200a) ||
    code === 0x1680 ||
    code === 0x2028 ||
    code === 0x2029 ||
    code === 0x202f ||
    code === 0x205f ||
    code === 0x3000
  );
}

/** dnsmasq and unbound write ADDRESS#PORT and ADDRESS@PORT; a Corefile writes ADDRESS:PORT. */
function portHint(text: string, from: number, hash: number): string {
  const port = /^#(\d{1,5})(?!\S)/.exec(text.slice(hash, hash + 8))?.[1];
  const address = text.slice(from, hash);
  if (port === undefined || !/^[\d.]+$/.test(address)) return '';
  return `; a port is written ${address}:${port}`;
}
