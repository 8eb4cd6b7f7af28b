/**
 * Errors in a Corefile, addressed to the person who wrote it: where, what was found, what was
 * expected, the likely cure.
 *
 * Owns:    the stable codes, the one-line message and the code frame.
 * Is not:  for packets: nothing that a client or an upstream sends ever becomes a CorefileError.
 * Callers: pass the place of the token that is wrong; a Token is a Place.
 */

/** A stretch of one line. `line` and `column` count from 1; columns and `length` in UTF-16 units. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly length: number;
}

/** Every code with its meaning; docs/errors.md has a section for each. Codes are never reused. */
export const COREFILE_CODES = {
  COREFILE_SYNTAX: 'A brace, comma or line end is missing or stands where it may not.',
  COREFILE_COMMENT: 'A "#" stands inside an unquoted token.',
  COREFILE_QUOTE: 'A quoted token is never closed.',
  COREFILE_ENVIRONMENT: 'Substituting environment variables does not come to an end.',
  COREFILE_SNIPPET: 'A snippet is declared twice or has no braces.',
  COREFILE_IMPORT: 'An import has the wrong arguments, or names what cannot be read.',
  COREFILE_IMPORT_LIMIT: 'Imports include themselves, or are too many.',
  COREFILE_TOO_LARGE: 'The Corefile has too many tokens, imports included.',
  COREFILE_KEY: 'The key of a server block has no valid zone, port or CIDR.',
  COREFILE_UNKNOWN_DIRECTIVE: 'No directive has this name.',
  COREFILE_FOREIGN_DIRECTIVE: 'CoreDNS has this directive, a node-local cache does not.',
  COREFILE_UNKNOWN_OPTION: 'The directive has no option of this name.',
  COREFILE_ARGUMENTS: 'A directive or option has too few or too many arguments, or a block.',
  COREFILE_VALUE: 'An argument is not of the expected form or range.',
  COREFILE_REPEATED: 'A directive or option that may stand once stands again.',
  COREFILE_CONFLICT: 'Two parts of the Corefile exclude each other.',
  COREFILE_FILE: 'A file that a directive names cannot be used.',
} as const;

/** Quoted tokens may be long; the log line that shows one is not. */
const WHAT_LENGTH_MAX = 500;

export type CorefileCode = keyof typeof COREFILE_CODES;

export interface CorefileErrorDetails {
  /** The likely cure, without a final dot: `did you mean "max_fails"?` */
  readonly hint?: string | undefined;
  /** The directive or option at fault, put before the text: `forward` or `forward: expire`. */
  readonly subject?: string | undefined;
  readonly cause?: unknown;
  /** Further errors of the same directive: its other options are read too. */
  readonly others?: readonly CorefileError[];
}

export class CorefileError extends Error {
  readonly code: CorefileCode;
  readonly place: Place | undefined;
  /** The text alone (what was found, what was expected), without place, subject and hint. */
  readonly what: string;
  readonly subject?: string;
  readonly hint?: string;
  readonly others: readonly CorefileError[];

  /** `.message` is one line: `FILE:LINE:COL: SUBJECT: WHAT; HINT`. */
  constructor(
    code: CorefileCode,
    place: Place | undefined,
    what: string,
    details: CorefileErrorDetails = {},
  ) {
    const { hint, subject, cause, others = [] } = details;
    const headline = headlineOf(place, subject, what);
    super(
      oneLine(hint === undefined ? headline : `${headline}; ${hint}`),
      cause === undefined ? undefined : { cause },
    );
    this.name = 'CorefileError';
    this.code = code;
    this.place =
      place === undefined
        ? undefined
        : { file: place.file, line: place.line, column: place.column, length: place.length };
    this.what = what;
    this.others = others;
    if (subject !== undefined) this.subject = subject;
    if (hint !== undefined) this.hint = hint;
  }

  /** Returns a copy with `subject`. An error that has a subject keeps its own. */
  about(subject: string): CorefileError {
    if (this.subject !== undefined) return this;
    return new CorefileError(this.code, this.place, this.what, {
      hint: this.hint,
      subject,
      cause: this.cause,
      others: this.others,
    });
  }

  /** Returns a copy with further errors of the same directive. */
  with(others: readonly CorefileError[]): CorefileError {
    if (others.length === 0) return this;
    const { hint, subject, cause } = this;
    const all = [...this.others, ...others];
    return new CorefileError(this.code, this.place, this.what, {
      hint,
      subject,
      cause,
      others: all,
    });
  }

  /**
   * Several lines for a terminal: the message, then `sourceLine` (the text of line `place.line`)
   * with a caret below the place, and the hint beside the caret. Without a source line or a place,
   * `.message`.
   */
  render(sourceLine?: string): string {
    const { place } = this;
    if (place === undefined || sourceLine === undefined) return this.message;
    const number = String(place.line).padStart(7);
    const before = sourceLine.slice(0, place.column - 1);
    // Tabs stay tabs, so that the caret is below the token at any tab width.
    const indent = before.replaceAll(/[^\t]/g, ' ');
    const width = Math.max(1, Math.min(place.length, sourceLine.length - before.length));
    const hint = this.hint === undefined ? '' : ` ${oneLine(this.hint)}`;
    return [
      oneLine(headlineOf(place, this.subject, this.what)),
      `${number} | ${sourceLine.trimEnd()}`,
      `${' '.repeat(number.length)} | ${indent}${'^'.repeat(width)}${hint}`,
    ].join('\n');
  }
}

/**
 * Runs `read`, and adds `subject` to a CorefileError that it throws. The readers of values therefore
 * need not know which directive they read for.
 */
export function withSubject<T>(subject: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof CorefileError ? error.about(subject) : error;
  }
}

/**
 * Receives an error after which reading can continue. A caller that wants only the first error throws
 * it, which is the default everywhere; `nodelocald check` keeps it and returns.
 */
export type Report = (error: CorefileError) => void;

export const throwError: Report = (error) => {
  throw error;
};

/** `text` in double quotes, control characters escaped, as Go's %q and strconv.Quote print it. */
export function quote(text: string): string {
  return `"${text.replaceAll(/["\\\p{Cc}]/gu, escapeCharacter)}"`;
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '\\"'],
  ['\\', '\\\\'],
  ['\u0007', '\\a'],
  ['\b', '\\b'],
  ['\f', '\\f'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\v', '\\v'],
]);

function escapeCharacter(character: string): string {
  const known = ESCAPES.get(character);
  if (known !== undefined) return known;
  const code = character.charCodeAt(0);
  const hex = code.toString(16);
  return code < 0x80 ? `\\x${hex.padStart(2, '0')}` : `\\u${hex.padStart(4, '0')}`;
}

function headlineOf(place: Place | undefined, subject: string | undefined, what: string): string {
  const where = place === undefined ? '' : `${place.file}:${place.line}:${place.column}: `;
  const shown = what.length > WHAT_LENGTH_MAX ? `${what.slice(0, WHAT_LENGTH_MAX)}...` : what;
  return `${where}${subject === undefined ? '' : `${subject}: `}${shown}`;
}

/** Escapes line breaks, which a quoted token may hold and a message must not. */
function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]/gu, escapeCharacter);
}
