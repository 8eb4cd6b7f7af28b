/**
 * The words of a record in the text of a zone file: white space, quotes, parentheses and comments
 * (RFC 1035 section 5.1).
 *
 * Owns:    where a word ends and where a record ends.
 * Is not:  what a word means. Escapes stay in it, for names and strings differ in what they make of
 *          them.
 */

/** Why a text is no record, in the words of miekg/dns: `dns: not a TTL: "foo" at line: 1:4`. */
export class ZoneTextError extends Error {
  constructor(what: string, at: { readonly text: string; readonly place: string }) {
    super(`dns: ${what}: ${JSON.stringify(at.text)} at line: ${at.place}`);
    this.name = 'ZoneTextError';
  }
}

export interface Word {
  /** In octets, without its quotes. */
  readonly text: string;
  readonly quoted: boolean;
  /** `LINE:COLUMN` of its last octet, or of the blank behind it: where miekg/dns has come to. */
  readonly place: string;
}

/**
 * The words of the first line that has any; a line goes on inside parentheses. `text` is octets. Throws
 * ZoneTextError.
 */
export function wordsOfRecord(text: string): readonly Word[] {
  return new WordReader(text).run();
}

class WordReader {
  readonly #text: string;
  readonly #words: Word[] = [];
  #at = 0;
  #line = 1;
  #lineAt = 0;
  #parentheses = 0;

  constructor(text: string) {
    this.#text = text;
  }

  run(): readonly Word[] {
    const text = this.#text;
    for (; this.#at < text.length; this.#at++) {
      const character = text[this.#at]!;
      if (character === '\n') {
        if (this.#words.length > 0 && this.#parentheses === 0) break;
        this.#line++;
        this.#lineAt = this.#at + 1;
      } else if (character === ' ' || character === '\t') {
        if (this.#isFirst()) throw this.#fault('no owner name before the blank');
      } else if (character === ';') {
        while (this.#at + 1 < text.length && text[this.#at + 1] !== '\n') this.#at++;
      } else if (character === '(') {
        this.#parentheses++;
      } else if (character === ')') {
        if (--this.#parentheses < 0) throw this.#fault('extra closing brace');
      } else if (character !== '\r') {
        this.#word();
      }
    }
    if (this.#parentheses > 0) throw this.#fault('unbalanced brace');
    return this.#words;
  }

  /** Whether nothing but the blank at hand stands in the first line that is not empty. */
  #isFirst(): boolean {
    if (this.#words.length > 0 || this.#parentheses > 0 || this.#at !== this.#lineAt) return false;
    return /^[ \t]*[^\s;]/.test(this.#text.slice(this.#at));
  }

  /** Reads a word; quotes may open inside it, as in `alpn="h2"`. Leaves `#at` on its last octet. */
  #word(): void {
    const text = this.#text;
    let word = '';
    let quoted = false;
    let inQuotes = false;
    let at = this.#at;
    for (; at < text.length; at++) {
      const character = text[at]!;
      if (character === '\\') {
        if (at + 1 === text.length) break;
        word += character + text[++at]!;
      } else if (character === '"') {
        // A string that begins where another one ended is another word.
        if (!inQuotes && quoted) break;
        inQuotes = !inQuotes;
        quoted = true;
      } else if (!inQuotes && ' \t\r\n;()'.includes(character)) {
        break;
      } else if (inQuotes && character === '\n') {
        break;
      } else {
        word += character;
      }
    }
    const blank = at < text.length && text[at] !== '\n' ? 1 : 0;
    const place = `${this.#line}:${at - this.#lineAt + blank}`;
    if (inQuotes) throw new ZoneTextError('unbalanced quote', { text: word, place });
    if (text[at] === '\\') throw new ZoneTextError('bad escape', { text: word, place });
    this.#words.push({ text: word, quoted, place });
    this.#at = at - 1;
  }

  #fault(what: string): ZoneTextError {
    const place = `${this.#line}:${this.#at - this.#lineAt + 1}`;
    return new ZoneTextError(what, { text: this.#text.slice(this.#at, this.#at + 1), place });
  }
}
