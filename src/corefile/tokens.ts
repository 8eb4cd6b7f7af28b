/**
 * The Corefile's lexer: text to tokens.
 *
 * Owns:    white space, comments, quotes and their escapes, line and column of each token.
 * Is not:  concerned with what tokens mean, except that a brace is not a word.
 * Callers: may pass any text; only CorefileError is reported, and the time is linear. If `report`
 *          returns, reading goes on: after the rest of the line behind an open quote, and with a
 *          comment at a "#" inside a token.
 *
 * Two rules are stricter than CoreDNS's, which silently drops text there: a "#" inside a token is
 * refused (CoreDNS reads `1.1.1.1#5353 8.8.8.8` as `1.1.1.1 8.8.8.8`), and so is a quote that is
 * never closed (CoreDNS makes the rest of the file one token). A "#" after a lone brace starts a
 * comment, since nothing else can be meant.
 */
import { CorefileError, type Place, quote, type Report, throwError } from './error.ts';

/** A Token is a Place: pass it where an error wants to know where it is. */
export interface Token extends Place {
  /** Without quotes and their escapes; imports.ts also substitutes environment variables. */
  readonly text: string;
  /** `open` and `close` are lone, unquoted braces. */
  readonly kind: 'word' | 'open' | 'close';
  readonly quoted: boolean;
  /** The line on which it ends: a quoted token may hold line breaks. */
  readonly endLine: number;
  /** Whether it is the first token on its line of the file, or of the snippet that it came from. */
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
  /** Whether no token precedes it on its line. */
  readonly startsLine: boolean;
}

/** The tokens of `text`, in order. Comments are dropped, or put into `comments`. */
export function tokenize(
  text: string,
  file: string,
  report: Report = throwError,
  comments: Comment[] = [],
): Token[] {
  return new Lexer(text, file, report, comments).read();
}

/** One pass over a text. */
class Lexer {
  readonly #text: string;
  readonly #file: string;
  readonly #report: Report;
  readonly #comments: Comment[];
  readonly #tokens: Token[] = [];
  #at: number;
  #line = 1;
  /** Where the current line begins. */
  #lineAt: number;
  /** The line on which the last token ended; 0 before the first. */
  #lastEndLine = 0;

  constructor(text: string, file: string, report: Report, comments: Comment[]) {
    this.#text = text;
    this.#file = file;
    this.#report = report;
    this.#comments = comments;
    this.#at = text.charCodeAt(0) === BYTE_ORDER_MARK ? 1 : 0;
    this.#lineAt = this.#at;
  }

  read(): Token[] {
    while (this.#at < this.#text.length) {
      const code = this.#text.charCodeAt(this.#at);
      if (code === LF) this.#beginLine(++this.#at);
      else if (isSpace(code)) this.#at++;
      else if (code === HASH) this.#readComment();
      else if (code === QUOTE) this.#readQuotedToken();
      else this.#readUnquotedToken();
    }
    return this.#tokens;
  }

  #beginLine(at: number): void {
    this.#line++;
    this.#lineAt = at;
  }

  #readComment(): void {
    const from = this.#at;
    this.#at = endOfLine(this.#text, from);
    this.#comments.push({
      text: this.#text.slice(from, this.#at).trimEnd(),
      line: this.#line,
      startsLine: this.#line > this.#lastEndLine,
    });
  }

  #readQuotedToken(): void {
    const from = this.#at;
    const start = this.#placeOf(from, 1);
    const text = this.#readQuoted(start);
    // A place is a stretch of one line: that of the quote which opens the token.
    const end = this.#line === start.line ? this.#at : endOfLine(this.#text, from);
    this.#push(text, true, start, end - from);
  }

  #readUnquotedToken(): void {
    const from = this.#at;
    const text = this.#readWord();
    const length = this.#at - from;
    this.#push(text, false, this.#placeOf(from, length), length);
  }

  #push(text: string, quoted: boolean, { file, line, column }: Place, length: number): void {
    this.#tokens.push({
      text,
      kind: quoted ? 'word' : kindOf(text),
      quoted,
      file,
      line,
      column,
      length,
      endLine: this.#line,
      startsLine: line > this.#lastEndLine,
    });
    this.#lastEndLine = this.#line;
  }

  /** On the current line. */
  #placeOf(from: number, length: number): Place {
    return { file: this.#file, line: this.#line, column: from - this.#lineAt + 1, length };
  }

  /** Reads on from the quote at `open` to just past the closing one. */
  #readQuoted(open: Place): string {
    const text = this.#text;
    const from = this.#at;
    const lineAt = this.#lineAt;
    let word = '';
    for (let next = from + 1; next < text.length; next++) {
      const code = text.charCodeAt(next);
      if (code === QUOTE) {
        this.#at = next + 1;
        return word;
      }
      if (code === LF) this.#beginLine(next + 1);
      if (code === BACKSLASH && next + 1 < text.length) {
        // Only a quote is escaped; a backslash before anything else stays, and takes it along.
        const escaped = text.charCodeAt(next + 1);
        if (escaped === LF) this.#beginLine(next + 2);
        word += escaped === QUOTE ? '"' : text.slice(next, next + 2);
        next++;
      } else {
        word += text[next]!;
      }
    }
    this.#report(
      new CorefileError('COREFILE_QUOTE', open, 'this quote is never closed', {
        hint: 'close it with another ", or write \\" for a quote inside quotes',
      }),
    );
    // The token ends with the line of its quote, and reading goes on after that line.
    this.#line = open.line;
    this.#lineAt = lineAt;
    this.#at = endOfLine(text, from);
    return text.slice(from + 1, this.#at);
  }

  /** Reads on to white space, dropping carriage returns as CoreDNS does. */
  #readWord(): string {
    const text = this.#text;
    const from = this.#at;
    let word = '';
    for (; this.#at < text.length; this.#at++) {
      const code = text.charCodeAt(this.#at);
      if (code === CR) continue;
      if (isSpace(code)) break;
      if (code === HASH) {
        if (kindOf(word) === 'word') this.#reportHash(word, from);
        break;
      }
      word += text[this.#at]!;
    }
    return word;
  }

  /** A "#" at the current place, inside the word that begins at `from`. */
  #reportHash(word: string, from: number): void {
    const cure = 'put white space before a comment, or quote the token';
    const hint = `${cure}${portHint(this.#text, from, this.#at)}`;
    const place = this.#placeOf(this.#at, 1);
    const what = `"#" inside the token ${quote(word)}`;
    this.#report(new CorefileError('COREFILE_COMMENT', place, what, { hint }));
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

/** White space as Go's unicode.IsSpace has it; JavaScript's \s differs in U+0085 and U+FEFF. */
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
