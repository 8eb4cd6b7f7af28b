/**
 * The canonical form of a Corefile: what `nodelocald fmt` prints.
 *
 * Owns:    the layout: four spaces per brace, one between words, a line for each directive, option and
 *          `}`, one empty line between blocks, never two. Comments stay where they are.
 * Is not:  a change of meaning: words keep their order and their lines. Imports are not followed, nor
 *          variables replaced. A file may also hold directives or options alone, for others to import.
 */
import { parseCorefile } from './blocks.ts';
import type { CorefileCode, CorefileError } from './error.ts';
import type { Source } from './source.ts';
import { type Comment, type Token, tokenize } from './tokens.ts';

const INDENT = '    ';
const BYTE_ORDER_MARK = '\ufeff';

/** Errors that leave a text without a form; all others are for `check`. */
const FORM_CODES: ReadonlySet<CorefileCode> = new Set([
  'COREFILE_SYNTAX',
  'COREFILE_QUOTE',
  'COREFILE_COMMENT',
  'COREFILE_SNIPPET',
  'COREFILE_TOO_LARGE',
]);

/** A machine on which every import is an empty file and every variable is empty. */
const NOTHING: Source = {
  readFile: () => '',
  list: () => [],
  kindOf: () => 'file',
  env: () => undefined,
};

class Everything extends Set<string> {
  override has(): boolean {
    return true;
  }
}

/** A line of the output. */
interface Line {
  readonly depth: number;
  readonly words: string[];
  /** Whether an empty line stands above it. */
  readonly apart: boolean;
  comment: string | undefined;
}

/** The errors because of which `text` has no form; empty if it has one. */
export function formErrors(text: string, file: string): CorefileError[] {
  const errors: CorefileError[] = [];
  const report = (error: CorefileError): void => {
    if (FORM_CODES.has(error.code)) errors.push(error);
  };
  parseCorefile(text, { file, source: NOTHING, known: new Everything(), report });
  return errors;
}

/** Returns the Corefile in canonical form. Callers have checked that it has no {@link formErrors}. */
export function formatCorefile(text: string): string {
  const comments: Comment[] = [];
  const tokens = tokenize(text, '', undefined, comments);
  const printer = new Printer();
  let next = 0;
  for (const token of tokens) {
    while (next < comments.length && isBefore(comments[next]!, token)) {
      printer.comment(comments[next++]!);
    }
    printer.token(token);
  }
  for (const comment of comments.slice(next)) printer.comment(comment);
  return printer.text();
}

/** A comment ends its line, so it follows every token of that line. */
function isBefore(comment: Comment, token: Token): boolean {
  return comment.line < token.line;
}

class Printer {
  readonly #lines: Line[] = [];
  #depth = 0;
  #before: Token | undefined;
  /** The source line on which the token or comment printed last ends. */
  #endLine = 0;

  comment(comment: Comment): void {
    const last = this.#lines.at(-1);
    if (comment.startsLine || last === undefined) {
      this.#begin(comment.line).comment = comment.text;
    } else {
      last.comment = comment.text;
    }
    this.#endLine = comment.line;
  }

  token(token: Token): void {
    const { kind } = token;
    const before = this.#before;
    if (kind === 'close') this.#depth = Math.max(0, this.#depth - 1);
    const last = this.#lines.at(-1);
    const begins =
      token.startsLine || kind === 'close' || before?.kind === 'open' || before?.kind === 'close';
    // A block's brace on a line of its own moves up to the keys, unless a comment ends their line.
    const joins =
      kind === 'open' &&
      before?.kind === 'word' &&
      last!.words.length > 0 &&
      last!.comment === undefined;
    const line = last === undefined || (begins && !joins) ? this.#begin(token.line, kind) : last;
    line.words.push(written(token));
    if (kind === 'open') this.#depth++;
    this.#before = token;
    this.#endLine = token.endLine;
  }

  text(): string {
    const lines = this.#lines.map(({ depth, words, apart, comment }) => {
      const all = comment === undefined ? words : [...words, comment];
      return `${apart ? '\n' : ''}${INDENT.repeat(depth)}${all.join(' ')}\n`;
    });
    const text = lines.join('');
    // A byte order mark at the start of a file is dropped: a word that begins with one needs two.
    return text.startsWith(BYTE_ORDER_MARK) ? `${BYTE_ORDER_MARK}${text}` : text;
  }

  #begin(sourceLine: number, kind?: Token['kind']): Line {
    const last = this.#lines.at(-1);
    const endsBlock = last?.depth === 0 && last.words.at(-1) === '}';
    const isFirst = last === undefined || last.words.at(-1) === '{';
    const apart = !isFirst && kind !== 'close' && (endsBlock || sourceLine > this.#endLine + 1);
    const line = { depth: this.#depth, words: [], apart, comment: undefined };
    this.#lines.push(line);
    return line;
  }
}

/** The token as it must be written to read back the same. */
function written({ quoted, text }: Token): string {
  return quoted
    ? `"${text.replaceAll(/\\[^]|"/g, (found) => (found === '"' ? '\\"' : found))}"`
    : text;
}
