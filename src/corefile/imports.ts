/**
 * The token stream that the parser reads: environment variables substituted, `import` statements
 * replaced by the snippets and files that they name.
 *
 * Owns:    {$X} and {%X%}, snippets, files and patterns of files, and the limits on them.
 * Is not:  the grammar: blocks.ts recognizes the `(name) {` that begins a snippet.
 * Callers: call peek() before take(); a snippet must be defined before it is used. If `report` returns,
 *          the faulty import counts as empty; the limits are thrown in any case.
 */
import { posix } from 'node:path';
import { reasonOf } from '../observe/reason.ts';
import { missingBrace } from './braces.ts';
import { CorefileError, type Place, type Report, throwError } from './error.ts';
import { glob, hasWildcard } from './glob.ts';
import type { Source } from './source.ts';
import { type Token, tokenize } from './tokens.ts';

/** CoreDNS's own limits, so that every Corefile it accepts is accepted here. */
export const SNIPPET_IMPORTS_MAX = 10_000;
const FILE_IMPORTS_MAX = 100_000;
/** A ConfigMap holds 1 MiB, so 500,000 tokens at most; imports may double that. */
const TOKENS_MAX = 1_000_000;
/** A variable may name others; in CoreDNS one that names itself never ends. */
const SUBSTITUTIONS_MAX = 1_000;
/** Variables that name others twice double with each step. */
const SUBSTITUTED_LENGTH_MAX = 65_536;

/** A part of the Corefile that works, but is probably a mistake. */
export interface Warning {
  readonly message: string;
  readonly place: Place;
}

/** Tokens being read: those of the given text, of a snippet, or of an imported file. */
interface Frame {
  readonly tokens: readonly Token[];
  next: number;
  /** Where the tokens are from: `snippet NAME` or `file PATH`. */
  readonly origin: string;
  /** The frame with the import statement. */
  readonly parent: Frame | undefined;
}

export class TokenStream {
  readonly warnings: Warning[] = [];
  /** Every file read, including the first, each once. */
  readonly files: Set<string>;
  readonly #source: Source;
  readonly #report: Report;
  readonly #frames: Frame[];
  readonly #snippets: Map<string, readonly Token[]> = new Map();
  readonly #tokensOfFile: Map<string, readonly Token[]> = new Map();
  readonly #fingerprint: string[] = [];
  #peeked: Token | undefined;
  #last: Token | undefined;
  #tokensRead = 0;
  #snippetImports = 0;
  #fileImports = 0;

  constructor(text: string, file: string, source: Source, report: Report = throwError) {
    this.#source = source;
    this.#report = report;
    this.files = new Set([file]);
    const origin = `file ${posix.resolve(file)}`;
    this.#frames = [{ tokens: tokenize(text, file, report), next: 0, origin, parent: undefined }];
  }

  /** The token read last. */
  get last(): Token | undefined {
    return this.#last;
  }

  /** All tokens taken, with file and line but without column; a snippet's where it is imported. */
  get fingerprint(): string {
    return this.#fingerprint.join('\n');
  }

  /** The next token, or undefined at the end of everything. */
  peek(): Token | undefined {
    while (this.#peeked === undefined) {
      const token = this.#raw();
      if (token === undefined) return undefined;
      if (token.text === 'import' && this.#mayImport(token)) this.#import(token);
      else this.#peeked = this.#substituted(token);
    }
    return this.#peeked;
  }

  /** Reads the token that peek() has shown. */
  take(): Token {
    const token = this.peek();
    if (token === undefined) throw new Error('take() past the end of the Corefile');
    this.#peeked = undefined;
    this.#last = token;
    const mark = token.kind === 'word' ? '' : token.kind;
    this.#fingerprint.push(`${token.file}:${token.line} ${mark}${JSON.stringify(token.text)}`);
    return token;
  }

  /**
   * Reads the body of the snippet whose `(name)` token was taken last, braces included. Imports
   * and variables in the body are left for when it is used.
   */
  defineSnippet(name: string, key: Token): void {
    const open = this.peek();
    if (open?.kind !== 'open') {
      const found = (open ?? key).text;
      const what = `Syntax error: Unexpected token '${found}', expecting '{'`;
      const hint = `the body of snippet (${name}) stands in braces`;
      return this.#report(new CorefileError('COREFILE_SNIPPET', open ?? key, what, { hint }));
    }
    if (this.#snippets.has(name)) {
      const what = `redeclaration of previously declared snippet ${name}`;
      this.#report(new CorefileError('COREFILE_SNIPPET', key, what));
    }
    this.#peeked = undefined;
    const body: Token[] = [];
    for (let depth = 1; ;) {
      const token = this.#raw();
      if (token === undefined) {
        this.#report(missingBrace(this.#last ?? open, `snippet (${name})`, open));
        break;
      }
      this.#last = token;
      if (token.kind === 'open') depth++;
      if (token.kind === 'close' && --depth === 0) break;
      // A body that begins beside its brace still begins a line where it is imported.
      body.push(body.length === 0 ? { ...token, startsLine: true } : token);
    }
    this.#snippets.set(name, body);
  }

  /** The next token as written. A frame stays on the stack while what it imports is read. */
  #raw(): Token | undefined {
    for (;;) {
      const frame = this.#frames.at(-1);
      if (frame === undefined) return undefined;
      const token = frame.tokens[frame.next];
      if (token !== undefined) {
        frame.next++;
        if (++this.#tokensRead > TOKENS_MAX) {
          const what = `the Corefile has more than ${TOKENS_MAX} tokens, imports included`;
          throw new CorefileError('COREFILE_TOO_LARGE', token, what);
        }
        return token;
      }
      this.#frames.pop();
    }
  }

  /** True at the start of a line, and directly after the brace that opens a block. */
  #mayImport(token: Token): boolean {
    return token.startsLine || this.#last?.kind === 'open';
  }

  #import(statement: Token): void {
    const frame = this.#frames.at(-1)!;
    const argument = frame.tokens[frame.next];
    if (argument === undefined || argument.startsLine) {
      const what = `Wrong argument count or unexpected line ending after 'import'`;
      const hint = 'import takes the name of a snippet, a file or a pattern of files';
      return this.#report(new CorefileError('COREFILE_ARGUMENTS', statement, what, { hint }));
    }
    frame.next++;
    const wanted = this.#substituted(argument).text;
    const extra = frame.tokens[frame.next];
    if (wanted === '') {
      const what = 'Import requires a non-empty filepath';
      this.#report(new CorefileError('COREFILE_IMPORT', argument, what));
    } else if (extra !== undefined && !extra.startsLine) {
      const what = `Import takes only one argument (glob pattern or file), found '${extra.text}' as well`;
      this.#report(new CorefileError('COREFILE_IMPORT', extra, what));
      while (frame.tokens[frame.next]?.startsLine === false) frame.next++;
    } else {
      this.#importNamed(wanted, argument, frame);
    }
  }

  #importNamed(wanted: string, argument: Token, frame: Frame): void {
    const snippet = this.#snippets.get(wanted);
    if (snippet !== undefined) this.#importSnippet(wanted, snippet, argument, frame);
    else this.#importFiles(wanted, argument, frame);
  }

  #importSnippet(name: string, tokens: readonly Token[], argument: Token, parent: Frame): void {
    const origin = `snippet ${name}`;
    const what = `maximum snippet import depth (${SNIPPET_IMPORTS_MAX}) exceeded`;
    if (++this.#snippetImports > SNIPPET_IMPORTS_MAX) {
      throw new CorefileError('COREFILE_IMPORT_LIMIT', argument, what);
    }
    if (isWithin(origin, parent)) {
      const hint = `snippet ${name} imports itself`;
      return this.#report(new CorefileError('COREFILE_IMPORT_LIMIT', argument, what, { hint }));
    }
    this.#frames.push({ tokens, next: 0, origin, parent });
  }

  #importFiles(wanted: string, argument: Token, parent: Frame): void {
    const pattern = posix.resolve(posix.dirname(posix.resolve(argument.file)), wanted);
    if (/\*.*\*|\?.*\?/s.test(pattern) || (pattern.includes('[') && pattern.includes(']'))) {
      const what = `Glob pattern may only contain one wildcard (*), but has others: ${pattern}`;
      return this.#report(new CorefileError('COREFILE_IMPORT', argument, what));
    }
    const paths = glob(pattern, this.#source);
    if (paths === undefined) {
      const what = `Failed to use import pattern ${wanted}: syntax error in pattern`;
      return this.#report(new CorefileError('COREFILE_IMPORT', argument, what));
    }
    if (paths.length === 0) {
      if (!hasWildcard(pattern)) {
        const hint = `looked for ${pattern}; a snippet must be defined above its first use`;
        const what = `File to import not found: ${wanted}`;
        return this.#report(new CorefileError('COREFILE_IMPORT', argument, what, { hint }));
      }
      const message = `No files matching import glob pattern: ${wanted}`;
      this.warnings.push({ message, place: argument });
    }
    const frames = paths.map((path) => this.#frameOfFile(path, argument, parent));
    this.#frames.push(...frames.toReversed());
  }

  #frameOfFile(path: string, argument: Token, parent: Frame): Frame {
    const origin = `file ${path}`;
    const what = `maximum file import depth (${FILE_IMPORTS_MAX}) exceeded`;
    if (++this.#fileImports > FILE_IMPORTS_MAX) {
      throw new CorefileError('COREFILE_IMPORT_LIMIT', argument, what);
    }
    if (isWithin(origin, parent)) {
      const hint = `${path} imports itself`;
      this.#report(new CorefileError('COREFILE_IMPORT_LIMIT', argument, what, { hint }));
      return { tokens: [], next: 0, origin, parent };
    }
    return { tokens: this.#fileTokens(path, argument), next: 0, origin, parent };
  }

  #fileTokens(path: string, argument: Token): readonly Token[] {
    const known = this.#tokensOfFile.get(path);
    if (known !== undefined) return known;
    const text = this.#fileText(path, argument);
    if (text !== undefined) this.files.add(path);
    const tokens = tokenize(text ?? '', path, this.#report);
    this.#tokensOfFile.set(path, tokens);
    return tokens;
  }

  #fileText(path: string, argument: Token): string | undefined {
    const what = `Could not import ${path}`;
    try {
      if (this.#source.kindOf(path) !== 'directory') return this.#source.readFile(path);
    } catch (error) {
      const reason = reasonOf(error);
      const details = { cause: error };
      this.#report(new CorefileError('COREFILE_IMPORT', argument, `${what}: ${reason}`, details));
      return undefined;
    }
    const hint = 'import files by name or by a pattern such as DIRECTORY/*.server';
    const isDirectory = `${what}: is a directory`;
    this.#report(new CorefileError('COREFILE_IMPORT', argument, isDirectory, { hint }));
    return undefined;
  }

  /** The value of a variable is text: never a brace, never several tokens. */
  #substituted(token: Token): Token {
    if (!token.text.includes('{')) return token;
    const text = substitute(token.text, (name) => this.#source.env(name));
    if (text === undefined) {
      const what = `the environment variables in '${token.text}' name each other without end`;
      this.#report(new CorefileError('COREFILE_ENVIRONMENT', token, what));
      return token;
    }
    return text === token.text ? token : { ...token, text };
  }
}

/**
 * Replaces first all {%NAME%}, then all {$NAME} in `text` by `env(NAME)`, an unset one by nothing; the
 * result is scanned again. `{$}` and an unterminated `{$X` stay, and end the scan. There is no syntax for
 * a default: {$X:1} asks for the variable named `X:1`. Undefined if there is no end to it.
 */
export function substitute(
  text: string,
  env: (name: string) => string | undefined,
): string | undefined {
  const first = substituteForm(text, '{%', '%}', env);
  return first === undefined ? undefined : substituteForm(first, '{$', '}', env);
}

function substituteForm(
  text: string,
  open: string,
  close: string,
  env: (name: string) => string | undefined,
): string | undefined {
  for (let round = 0; round <= SUBSTITUTIONS_MAX; round++) {
    const from = text.indexOf(open);
    const to = from === -1 ? -1 : text.indexOf(close, from);
    if (to === -1 || to <= from + open.length) return text;
    const reference = text.slice(from, to + close.length);
    const value = env(text.slice(from + open.length, to)) ?? '';
    const parts = text.split(reference);
    const growth = (parts.length - 1) * value.length;
    if (growth > 0 && text.length + growth > SUBSTITUTED_LENGTH_MAX) return undefined;
    text = parts.join(value);
  }
  return undefined;
}

function isWithin(origin: string, frame: Frame): boolean {
  for (let at: Frame | undefined = frame; at !== undefined; at = at.parent) {
    if (at.origin === origin) return true;
  }
  return false;
}
