/**
 * A template's text as tokens: text outside of actions, and what stands between `{{` and `}}`
 * (https://pkg.go.dev/text/template).
 *
 * Owns:    delimiters, trim markers, comments, and the errors about characters.
 * Is not:  the grammar (parser.ts).
 */
import { TemplateError } from './error.ts';
import { quoteOctets, runeLength, textOf } from './octets.ts';

export type TokenKind =
  | 'text'
  | 'open'
  | 'close'
  | 'space'
  | 'keyword'
  | 'identifier'
  | 'field'
  | 'variable'
  | 'dot'
  | 'nil'
  | 'bool'
  | 'number'
  | 'character'
  | 'string'
  | 'rawString'
  | 'pipe'
  | 'declare'
  | 'assign'
  | 'mark'
  | 'leftParenthesis'
  | 'rightParenthesis'
  | 'end'
  /** The text ends here, as it cannot be read further: the token's text is the whole message. */
  | 'error';

/** `at` is the offset in octets, `line` counts from 1. */
export interface TemplateToken {
  readonly kind: TokenKind;
  readonly text: string;
  readonly at: number;
  readonly line: number;
}

const KEYWORDS: ReadonlySet<string> = new Set(
  'block break continue define else end if range template with'.split(' '),
);
const SPACES = ' \t\r\n';
const OPEN = '{{';
const CLOSE = '}}';

/** The tokens of `source`, which is octets. The last one is an `end` or an `error`. */
export function tokenize(name: string, source: string): readonly TemplateToken[] {
  return new Lexer(name, source).run();
}

/** How an error shows a token. */
export function shown(token: TemplateToken): string {
  if (token.kind === 'end') return 'EOF';
  if (token.kind === 'keyword') return `<${token.text}>`;
  if (token.text.length > 10) return `${quoteOctets(token.text.slice(0, 10))}...`;
  return quoteOctets(token.text);
}

class Lexer {
  readonly #name: string;
  readonly #source: string;
  readonly #tokens: TemplateToken[] = [];
  #at = 0;
  #line = 1;
  /** Where the action began, for errors that are found lines later. */
  #actionLine = 0;
  #parentheses = 0;

  constructor(name: string, source: string) {
    this.#name = name;
    this.#source = source;
  }

  run(): readonly TemplateToken[] {
    try {
      this.#all();
    } catch (error) {
      // A token before it may be wrong as well, and its error comes first.
      if (!(error instanceof TemplateError)) throw error;
      this.#tokens.push({ kind: 'error', text: error.message, at: this.#at, line: this.#line });
    }
    return this.#tokens;
  }

  #all(): void {
    let trimsNext = false;
    for (;;) {
      const open = this.#source.indexOf(OPEN, this.#at);
      const end = open === -1 ? this.#source.length : open;
      const trimsBefore = open !== -1 && this.#isTrimAfter(open + OPEN.length);
      this.#textUntil(end, trimsNext, trimsBefore);
      if (open === -1) break;
      this.#take('open', OPEN.length);
      if (trimsBefore) this.#skip(2);
      this.#actionLine = this.#line;
      trimsNext = this.#source.startsWith('/*', this.#at) ? this.#comment() : this.#action();
    }
    this.#take('end', 0);
  }

  /** A `-` that trims: with a space on its other side, or else it is the sign of a number. */
  #isTrimAfter(at: number): boolean {
    return this.#source[at] === '-' && isSpace(this.#source[at + 1]);
  }

  #isTrimBefore(at: number): boolean {
    return isSpace(this.#source[at]) && this.#source.startsWith(`-${CLOSE}`, at + 1);
  }

  #textUntil(end: number, trimsStart: boolean, trimsEnd: boolean): void {
    let from = this.#at;
    let to = end;
    if (trimsStart) while (from < to && isSpace(this.#source[from])) from++;
    if (trimsEnd) while (to > from && isSpace(this.#source[to - 1])) to--;
    this.#skip(from - this.#at);
    if (to > from) this.#take('text', to - from);
    this.#skip(end - this.#at);
  }

  /** Steps over a comment, which is all of its action. Returns whether it trims what follows. */
  #comment(): boolean {
    const end = this.#source.indexOf('*/', this.#at + 2);
    if (end === -1) throw this.#error('unclosed comment');
    this.#skip(end + 2 - this.#at);
    const trims = this.#isTrimBefore(this.#at);
    if (trims) this.#skip(2);
    if (!this.#source.startsWith(CLOSE, this.#at)) {
      throw this.#error('comment ends before closing delimiter');
    }
    this.#tokens.pop(); // its opening
    this.#skip(CLOSE.length);
    return trims;
  }

  /** Reads an action up to and with its closing. Returns whether it trims what follows. */
  #action(): boolean {
    this.#parentheses = 0;
    for (;;) {
      const trims = this.#isTrimBefore(this.#at);
      if (trims || this.#source.startsWith(CLOSE, this.#at)) {
        if (this.#parentheses > 0) throw this.#error('unclosed left paren');
        if (trims) this.#skip(2);
        this.#take('close', CLOSE.length);
        return trims;
      }
      this.#tokenInside();
    }
  }

  #tokenInside(): void {
    const source = this.#source;
    const character = source[this.#at];
    if (character === undefined) throw this.#error('unclosed action');
    if (isSpace(character)) return this.#spaces();
    if (character === '"') return this.#quoted('"', 'string', 'unterminated quoted string');
    if (character === "'") {
      return this.#quoted("'", 'character', 'unterminated character constant');
    }
    if (character === '`') return this.#rawString();
    if (source.startsWith(':=', this.#at)) return this.#take('declare', 2);
    if (character === ':') throw this.#error('expected :=');
    if (character === '=') return this.#take('assign', 1);
    if (character === '|') return this.#take('pipe', 1);
    if (character === '(') {
      this.#parentheses++;
      return this.#take('leftParenthesis', 1);
    }
    if (character === ')') {
      if (--this.#parentheses < 0) throw this.#error('unexpected right paren');
      return this.#take('rightParenthesis', 1);
    }
    if (character === '$') return this.#named('variable', 1);
    if (character === '.' && !isDigit(source[this.#at + 1])) {
      return this.#named('field', 1);
    }
    if (/[-+.\d]/.test(character)) return this.#number();
    if (isWord(source, this.#at) > 0) return this.#named('identifier', 0);
    if (character > ' ' && character <= '~') return this.#take('mark', 1);
    throw this.#error(`unrecognized character in action: ${this.#unicode(this.#at)}`);
  }

  #spaces(): void {
    let length = 1;
    // A space may belong to a trim marker at the end of the action.
    while (isSpace(this.#source[this.#at + length]) && !this.#isTrimBefore(this.#at + length)) {
      length++;
    }
    this.#take('space', length);
  }

  #quoted(quote: string, kind: TokenKind, unterminated: string): void {
    let end = this.#at + 1;
    for (; this.#source[end] !== quote; end++) {
      if (this.#source[end] === '\\') end++;
      const character = this.#source[end];
      if (character === undefined || character === '\n') throw this.#error(unterminated);
    }
    this.#take(kind, end + 1 - this.#at);
  }

  #rawString(): void {
    const end = this.#source.indexOf('`', this.#at + 1);
    if (end === -1) throw this.#error('unterminated raw quoted string');
    this.#take('rawString', end + 1 - this.#at);
  }

  /** A name, behind `$` or `.` where `prefix` is 1. */
  #named(kind: TokenKind, prefix: number): void {
    let end = this.#at + prefix;
    for (let length = isWord(this.#source, end); length > 0; length = isWord(this.#source, end)) {
      end += length;
    }
    if (!this.#isTerminator(end)) throw this.#error(`bad character ${this.#unicode(end)}`);
    this.#take(this.#kindOf(kind, this.#source.slice(this.#at, end)), end - this.#at);
  }

  #kindOf(kind: TokenKind, word: string): TokenKind {
    if (word === '.') return 'dot';
    if (kind !== 'identifier') return kind;
    if (KEYWORDS.has(word)) return 'keyword';
    if (word === 'true' || word === 'false') return 'bool';
    return word === 'nil' ? 'nil' : kind;
  }

  /** Characters that may follow a name. */
  #isTerminator(at: number): boolean {
    const character = this.#source[at];
    return (
      character === undefined ||
      isSpace(character) ||
      '.,|:=()'.includes(character) ||
      this.#source.startsWith(CLOSE, at)
    );
  }

  #number(): void {
    NUMBER.lastIndex = this.#at;
    const { length } = NUMBER.exec(this.#source)![0];
    const end = this.#at + length;
    const glued = isWord(this.#source, end);
    const literal = this.#source.slice(this.#at, end + glued);
    if (glued > 0 || length === 0) throw this.#error(`bad number syntax: ${quoteOctets(literal)}`);
    this.#take('number', length);
  }

  #take(kind: TokenKind, length: number): void {
    const text = this.#source.slice(this.#at, this.#at + length);
    this.#tokens.push({ kind, text, at: this.#at, line: this.#line });
    this.#skip(length);
  }

  #skip(length: number): void {
    const end = this.#at + length;
    for (; this.#at < end; this.#at++) if (this.#source[this.#at] === '\n') this.#line++;
  }

  #unicode(at: number): string {
    const length = runeLength(this.#source, at);
    const rune = length === 0 ? '\ufffd' : textOf(this.#source.slice(at, at + length));
    const code = rune.codePointAt(0)!;
    const hex = code.toString(16).toUpperCase().padStart(4, '0');
    return code < 0x20 || code === 0x7f ? `U+${hex}` : `U+${hex} '${rune}'`;
  }

  #error(what: string): TemplateError {
    const started = this.#actionLine !== 0 && this.#actionLine !== this.#line;
    const where = ` started at ${this.#name}:${this.#actionLine}`;
    const within = !started ? '' : what.endsWith(' action') ? where : ` in action${where}`;
    return new TemplateError(`template: ${this.#name}:${this.#line}: ${what}${within}`);
  }
}

/** As far as a number may reach; whether it is one, the parser sees. */
const NUMBER =
  /[-+]?(?:0[xX][\da-fA-F_]*(?:\.[\da-fA-F_]*)?|0[oO][0-7_]*|0[bB][01_]*|[\d_]*(?:\.[\d_]*)?(?:[eE][-+]?[\d_]*)?)(?:[pP][-+]?[\d_]*)?i?/y;

function isSpace(character: string | undefined): boolean {
  return character !== undefined && SPACES.includes(character);
}

function isDigit(character: string | undefined): boolean {
  return character !== undefined && character >= '0' && character <= '9';
}

/** Octets of the letter, digit or underscore at `at`; 0 if there is none. */
function isWord(source: string, at: number): number {
  const character = source[at];
  if (character === undefined) return 0;
  if (character < '\u0080') return /\w/.test(character) ? 1 : 0;
  const length = runeLength(source, at);
  return length > 0 && /^[\p{L}\p{Nd}]$/u.test(textOf(source.slice(at, at + length))) ? length : 0;
}
