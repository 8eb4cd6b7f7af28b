/**
 * The Corefile's grammar: tokens to server blocks, their directives, and the lines in those.
 *
 * Owns:    braces, which line belongs to what; refusing unknown directives.
 * Is not:  aware of what a directive means: the options of each are read by its own folder, with
 *          options.ts and values.ts. The keys of a block are read by block-keys.ts. Two blocks are
 *          compared in directives/configure.ts.
 * Callers: substitute the default Corefile if there are no blocks.
 *
 *   corefile  := { snippet | import | block }
 *   block     := key { [","] key } ( "{" directives "}" | NEWLINE directives, to the end )
 *   snippet   := "(" name ")" "{" tokens "}"
 *   directive := name args... [ "{" lines "}" ]     on one line, but for what the braces hold
 */
import {
  type KeyWord,
  looksLikeKey,
  readKeyList,
  type ServerKey,
  serverKeys,
  snippetName,
} from './block-keys.ts';
import { missingBrace, strayBrace } from './braces.ts';
import {
  type CorefileCode,
  CorefileError,
  type CorefileErrorDetails,
  type Place,
  type Report,
  throwError,
} from './error.ts';
import { directiveHint, FOREIGN_DIRECTIVES } from './foreign.ts';
import { TokenStream, type Warning } from './imports.ts';
import { machineSource, type Source } from './source.ts';
import type { Token } from './tokens.ts';

export type { ServerKey } from './block-keys.ts';
export type { Warning } from './imports.ts';

export interface Corefile {
  readonly blocks: readonly ServerBlock[];
  readonly warnings: readonly Warning[];
  /** Every file read, `file` itself first. */
  readonly files: readonly string[];
  /**
   * All tokens with file and line, variables and imports put in: what a reload compares. A change
   * in comments or spacing that moves no line does not show.
   */
  readonly fingerprint: string;
}

export interface ServerBlock {
  /** At least one; a CIDR stands for several. */
  readonly keys: readonly ServerKey[];
  /** In the order of the file. */
  readonly uses: readonly DirectiveUse[];
  /** Its first key. */
  readonly place: Place;
}

/** A directive as it stands in a block. */
export interface DirectiveUse {
  readonly name: string;
  readonly place: Place;
  /** The words after the name on its line. */
  readonly args: readonly Token[];
  /** Whether it has braces, even empty ones. */
  readonly hasBlock: boolean;
  /** The lines between its braces. */
  readonly options: readonly OptionLine[];
}

export interface OptionLine {
  readonly name: Token;
  readonly args: readonly Token[];
}

export interface ParseOptions {
  /** As given on the command line; places name it, and relative imports start at its directory. */
  readonly file: string;
  /** Files and environment; the machine's by default. */
  readonly source?: Source;
  /** The port of dns:// keys that name none. */
  readonly defaultPort?: number;
  /** The names of all directives. */
  readonly known: ReadonlySet<string>;
  /**
   * Receives each error. The default throws the first. If it returns, the faulty part is left out of
   * the blocks; the first error after {@link ERRORS_MAX} is thrown in any case.
   */
  readonly report?: Report;
}

const DNS_PORT = 53;

/** An author with a hundred mistakes in one file begins with the first of them. */
const ERRORS_MAX = 100;

export function parseCorefile(text: string, options: ParseOptions): Corefile {
  const report = atMost(ERRORS_MAX, options.report ?? throwError);
  const stream = new TokenStream(text, options.file, options.source ?? machineSource, report);
  const raw = new Parser(stream, options.known, report).corefile();
  // As in CoreDNS, keys are parsed once the whole file has been read.
  const warnings = [...stream.warnings];
  const blocks = raw
    .map((block) => ({
      keys: serverKeys(block.keys, options.defaultPort ?? DNS_PORT, warnings, report),
      uses: block.uses,
      place: block.keys[0]!.token,
    }))
    .filter(({ keys }) => keys.length > 0);
  return { blocks, warnings, files: [...stream.files], fingerprint: stream.fingerprint };
}

/** Passes `count` errors to `report`, and throws any further one. */
function atMost(count: number, report: Report): Report {
  let reported = 0;
  return (error) => (++reported > count ? throwError(error) : report(error));
}

/**
 * Reads `text` as one directive of a block, so that a directive's tests need no block around it.
 * The name is not checked.
 */
export function parseUse(text: string, file: string = 'Corefile'): DirectiveUse {
  const stream = new TokenStream(text, file, machineSource);
  const first = stream.peek();
  if (first === undefined) throw new Error('parseUse() without a directive');
  const use = new Parser(stream, new Set(), throwError).directive()!;
  const extra = stream.peek();
  if (extra !== undefined) throw new Error(`parseUse() with more than one: ${extra.text}`);
  return use;
}

interface RawBlock {
  readonly keys: readonly KeyWord[];
  readonly uses: readonly DirectiveUse[];
}

class Parser {
  readonly #stream: TokenStream;
  readonly #known: ReadonlySet<string>;
  readonly #report: Report;
  readonly #blocks: RawBlock[] = [];
  /** Whether a block was met inside another one: the missing brace has been reported. */
  #hasNested = false;

  constructor(stream: TokenStream, known: ReadonlySet<string>, report: Report) {
    this.#stream = stream;
    this.#known = known;
    this.#report = report;
  }

  corefile(): RawBlock[] {
    for (let first = this.#stream.peek(); first !== undefined; first = this.#stream.peek()) {
      const { words: keys, isOpen } = readKeyList(this.#stream, this.#report);
      const snippet = snippetName(keys);
      if (snippet !== undefined) {
        this.#stream.defineSnippet(snippet, keys[0]!.token);
        continue;
      }
      if (keys.length === 0 && first.kind === 'close' && this.#stream.peek()?.kind !== 'open') {
        continue; // stray braces, which were reported
      }
      if (keys.length === 0) {
        this.#wrong('COREFILE_KEY', first, 'a server block without a zone', {
          hint: 'for all names write ". {"',
        });
      }
      const uses = this.#block(keys[0]?.token ?? first, isOpen);
      if (keys.length > 0) this.#blocks.push({ keys, uses });
    }
    return this.#blocks;
  }

  #wrong(
    code: CorefileCode,
    place: Place | undefined,
    what: string,
    details?: CorefileErrorDetails,
  ): void {
    this.#report(new CorefileError(code, place, what, details));
  }

  /** Reads a block after its keys. A block without braces extends to the end of the file. */
  #block(key: Token, isOpen: boolean): DirectiveUse[] {
    const uses: DirectiveUse[] = [];
    let open = isOpen ? key : undefined;
    if (!isOpen && this.#stream.peek()?.kind === 'open') open = this.#stream.take();
    for (let next = this.#stream.peek(); next !== undefined; next = this.#stream.peek()) {
      if (next.kind !== 'close') {
        uses.push(...this.#uses(open === undefined ? undefined : key));
        continue;
      }
      this.#stream.take();
      if (open !== undefined) return uses;
      this.#report(strayBrace(next));
    }
    if (open !== undefined && !this.#hasNested) {
      this.#report(missingBrace(this.#stream.last ?? open, `the block of ${key.text}`, open));
    }
    return uses;
  }

  /** Reads one directive. Empty if the tokens were none, which is reported. */
  #uses(key: Token | undefined): DirectiveUse[] {
    if (this.#stream.peek()!.kind === 'open') {
      const open = this.#stream.peek()!;
      const what = `Unexpected token '{', expecting argument`;
      const hint = `"{" must end the line of the directive that it belongs to`;
      this.#wrong('COREFILE_SYNTAX', open, what, { hint });
      this.#optionLines(open);
      return [];
    }
    const isKnown = this.#checkName(this.#stream.peek()!, key);
    const use = this.directive(key !== undefined && !isKnown);
    return use === undefined || !isKnown ? [] : [use];
  }

  /** `isKey`: the name may be the key of a nested block. Undefined if it was one. */
  directive(isKey: boolean = false): DirectiveUse | undefined {
    const name = this.#stream.take();
    const args: Token[] = [];
    for (let next = this.#stream.peek(); next !== undefined; next = this.#stream.peek()) {
      // A brace at the start of a line is reported with the next directive.
      if (next.startsLine) break;
      if (next.kind === 'open') {
        if (isKey && looksLikeKey(name.text)) {
          this.#nestedBlock([name, ...args]);
          return undefined;
        }
        const options = this.#optionLines(name);
        return { name: name.text, place: name, args, hasBlock: true, options };
      }
      if (next.kind === 'close') {
        // It stays in the stream, to close the block.
        this.#report(strayBrace(next, 'the "}" of a block stands on a line of its own'));
        break;
      }
      args.push(this.#stream.take());
    }
    return { name: name.text, place: name, args, hasBlock: false, options: [] };
  }

  /** Reads a block that a missing `}` has put inside another one, as a block of its own. */
  #nestedBlock(keys: readonly Token[]): void {
    this.#hasNested = true;
    const words = keys.map((token) => ({ token, text: token.text.replace(/,$/, '') }));
    this.#blocks.push({ keys: words, uses: this.#block(keys[0]!, false) });
  }

  #checkName(name: Token, key: Token | undefined): boolean {
    if (this.#known.has(name.text)) return true;
    // The missing brace above was reported with the first such block.
    if (this.#hasNested && key !== undefined && looksLikeKey(name.text)) return false;
    const cure = FOREIGN_DIRECTIVES.get(name.text);
    if (cure !== undefined) {
      this.#wrong(
        'COREFILE_FOREIGN_DIRECTIVE',
        name,
        `no action found for directive '${name.text}': it is a CoreDNS directive that a ` +
          'node-local cache does not have',
        { hint: cure },
      );
      return false;
    }
    const hint = this.#unknownHint(name.text, key);
    const what = `Unknown directive '${name.text}'`;
    this.#wrong('COREFILE_UNKNOWN_DIRECTIVE', name, what, { hint });
    return false;
  }

  #unknownHint(name: string, key: Token | undefined): string | undefined {
    const meant = directiveHint(name, this.#known);
    if (meant !== undefined) return meant;
    if (!looksLikeKey(name)) return undefined;
    return key === undefined
      ? 'if it is another key, put a comma after the one before, or braces around each block'
      : `if it is the key of a new block, the "}" of the block of ${key.text} is missing above`;
  }

  /** Reads from the `{` that peek() shows to its `}`. */
  #optionLines(directive: Token): OptionLine[] {
    const open = this.#stream.take();
    const lines: OptionLine[] = [];
    for (let next = this.#stream.peek(); next !== undefined; next = this.#stream.peek()) {
      if (next.kind === 'close') {
        this.#stream.take();
        this.#endOfLine();
        return lines;
      }
      lines.push(...this.#optionLine(directive));
    }
    const hint = `the block of ${directive.text}, opened in line ${open.line}, is never closed`;
    const what = `Unexpected EOF, expecting '}'`;
    this.#wrong('COREFILE_SYNTAX', this.#stream.last, what, { hint });
    return lines;
  }

  /** Reads one line. Empty if it had no words. */
  #optionLine(directive: Token): OptionLine[] {
    const words: Token[] = [];
    for (let next = this.#stream.peek(); next !== undefined; next = this.#stream.peek()) {
      if (words.length > 0 && next.startsLine) break;
      if (next.kind === 'open') {
        const what = `Unexpected token '{' inside the block of ${directive.text} (unknown property '{')`;
        const hint = 'options have no blocks of their own; is a "}" missing above?';
        this.#wrong('COREFILE_SYNTAX', next, what, { hint });
        this.#skipBraces();
        break;
      }
      if (next.kind === 'close') {
        const what = `Wrong argument count or unexpected line ending after '}'`;
        const hint = 'the "}" of a block stands on a line of its own';
        this.#wrong('COREFILE_SYNTAX', next, what, { hint });
        break;
      }
      words.push(this.#stream.take());
    }
    const [name, ...args] = words;
    return name === undefined ? [] : [{ name, args }];
  }

  /** Skips from the `{` that peek() shows to just past its `}`. */
  #skipBraces(): void {
    let depth = 0;
    do {
      const { kind } = this.#stream.take();
      if (kind === 'open') depth++;
      if (kind === 'close') depth--;
    } while (depth > 0 && this.#stream.peek() !== undefined);
  }

  /** Reports a token that follows the `}` of a directive on its line. */
  #endOfLine(): void {
    const next = this.#stream.peek();
    if (next === undefined || next.startsLine) return;
    if (next.kind === 'close') {
      this.#report(strayBrace(next, 'the "}" of a block stands on a line of its own'));
      return; // it stays in the stream, to close the block
    }
    const hint = 'the next directive begins on a new line';
    this.#wrong('COREFILE_SYNTAX', next, `Unexpected token '${next.text}' after '}'`, { hint });
  }
}
