/**
 * The Corefile's grammar: tokens to server blocks, their directives, and the lines in those.
 *
 * Owns:    keys, braces, which line belongs to what; refusing directives that nobody knows.
 * Is not:  aware of what a directive means: the options of each are read by its own folder, with
 *          options.ts and values.ts. Nor does it judge two blocks together.
 * Callers: substitute the default Corefile where there are no blocks.
 *
 *   corefile  := { snippet | import | block }
 *   block     := key { [","] key } ( "{" directives "}" | NEWLINE directives, to the end )
 *   snippet   := "(" name ")" "{" tokens "}"
 *   directive := name args... [ "{" lines "}" ]     on one line, but for what the braces hold
 */
import { CorefileError, type Place, quote } from './error.ts';
import { directiveHint, FOREIGN_DIRECTIVES } from './foreign.ts';
import { missingBrace, TokenStream, type Warning } from './imports.ts';
import { isPreferredSyntax, parseKey, type Scheme } from './keys.ts';
import { machineSource, type Source } from './source.ts';
import type { Token } from './tokens.ts';

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

export interface ServerKey {
  /** As written, variables put in. */
  readonly text: string;
  /** Only `dns` is served; who serves refuses the others. */
  readonly scheme: Scheme;
  /** Normalized: `cluster.local.` or `.`. */
  readonly zone: string;
  /** 0 to 65535; 0 is a port of the kernel's choice. */
  readonly port: number;
  readonly place: Place;
}

/** A directive as it stands in a block. */
export interface DirectiveUse {
  readonly name: string;
  readonly place: Place;
  /** What follows the name on its line. */
  readonly args: readonly Token[];
  /** Whether it has braces, be they empty. */
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
  /** The names of the directives that there are. */
  readonly known: ReadonlySet<string>;
}

const DNS_PORT = 53;

export function parseCorefile(text: string, options: ParseOptions): Corefile {
  const stream = new TokenStream(text, options.file, options.source ?? machineSource);
  const raw = new Parser(stream, options.known).corefile();
  // As in CoreDNS, keys are looked at when the whole file has been read.
  const warnings = [...stream.warnings];
  const blocks = raw.map((block) => ({
    keys: serverKeys(block.keys, options.defaultPort ?? DNS_PORT, warnings),
    uses: block.uses,
    place: block.keys[0]!.token,
  }));
  return { blocks, warnings, files: [...stream.files], fingerprint: stream.fingerprint };
}

/**
 * Reads `text` as one directive of a block, so that a directive's tests need no block around it.
 * Its name is not checked.
 */
export function parseUse(text: string, file: string = 'Corefile'): DirectiveUse {
  const stream = new TokenStream(text, file, machineSource);
  const first = stream.peek();
  if (first === undefined) throw new Error('parseUse() without a directive');
  const use = new Parser(stream, new Set([first.text])).directive();
  const extra = stream.peek();
  if (extra !== undefined) throw new Error(`parseUse() with more than one: ${extra.text}`);
  return use;
}

/** A key that is not yet looked into; `text` lacks the comma that may have followed. */
interface KeyWord {
  readonly token: Token;
  readonly text: string;
}

interface RawBlock {
  readonly keys: readonly KeyWord[];
  readonly uses: readonly DirectiveUse[];
}

class Parser {
  readonly #stream: TokenStream;
  readonly #known: ReadonlySet<string>;

  constructor(stream: TokenStream, known: ReadonlySet<string>) {
    this.#stream = stream;
    this.#known = known;
  }

  corefile(): RawBlock[] {
    const blocks: RawBlock[] = [];
    for (let first = this.#stream.peek(); first !== undefined; first = this.#stream.peek()) {
      const keys = this.#keys();
      const snippet = snippetName(keys);
      if (snippet !== undefined) {
        this.#stream.defineSnippet(snippet, keys[0]!.token);
        continue;
      }
      if (keys.length === 0) {
        throw new CorefileError('COREFILE_KEY', first, 'a server block without a zone', {
          hint: 'for all names write ". {"',
        });
      }
      blocks.push({ keys, uses: this.#block(keys[0]!.token) });
    }
    return blocks;
  }

  /** Up to the block's brace, or to the end of the line on which no comma asks for more. */
  #keys(): KeyWord[] {
    const keys: KeyWord[] = [];
    let first = true;
    let comma: Token | undefined;
    for (;;) {
      const token = this.#stream.peek();
      if (token === undefined) {
        if (comma === undefined) return keys;
        throw new CorefileError('COREFILE_SYNTAX', comma, 'Unexpected EOF', {
          hint: 'another key must follow the comma',
        });
      }
      if (token.kind === 'open') {
        if (comma === undefined) return keys;
        throw new CorefileError(
          'COREFILE_SYNTAX',
          comma,
          `Expected another address but had '{' - check for extra comma`,
        );
      }
      if (!first && comma === undefined && token.startsLine) return keys;
      if (token.kind === 'close') throw strayBrace(token);
      first = false;
      this.#stream.take();
      comma = token.text.endsWith(',') ? token : undefined;
      const text = comma === undefined ? token.text : token.text.slice(0, -1);
      const isNothing = text === '' && (comma !== undefined || token.quoted);
      if (!isNothing) keys.push({ token, text });
      if (token.kind === 'word' && !token.quoted && /.\{$/s.test(text)) {
        const what = `zone is not a valid domain name: ${text}`;
        throw new CorefileError('COREFILE_KEY', token, what, {
          hint: 'put white space before "{"',
        });
      }
    }
  }

  /** What follows the keys. Without braces the block takes all the rest. */
  #block(key: Token): DirectiveUse[] {
    const uses: DirectiveUse[] = [];
    let open: Token | undefined;
    if (this.#stream.peek()?.kind === 'open') open = this.#stream.take();
    for (let next = this.#stream.peek(); next !== undefined; next = this.#stream.peek()) {
      if (next.kind === 'close') {
        if (open === undefined) throw strayBrace(next);
        this.#stream.take();
        return uses;
      }
      uses.push(this.directive(open === undefined ? undefined : key));
    }
    if (open !== undefined) {
      throw missingBrace(this.#stream.last ?? open, `the block of ${key.text}`, open);
    }
    return uses;
  }

  /** `key` is that of the enclosing braces, if any: it may be they that were not closed. */
  directive(key?: Token): DirectiveUse {
    const name = this.#stream.take();
    if (name.kind === 'open') {
      throw new CorefileError('COREFILE_SYNTAX', name, `Unexpected token '{', expecting argument`, {
        hint: `"{" must end the line of the directive that it belongs to`,
      });
    }
    this.#checkName(name, key);
    const args: Token[] = [];
    for (let next = this.#stream.peek(); next !== undefined; next = this.#stream.peek()) {
      // A brace that opens a line is the next directive's fault, and is told there.
      if (next.startsLine) break;
      if (next.kind === 'open') {
        const options = this.#optionLines(name);
        return { name: name.text, place: name, args, hasBlock: true, options };
      }
      if (next.kind === 'close') {
        throw strayBrace(next, 'the "}" of a block stands on a line of its own');
      }
      args.push(this.#stream.take());
    }
    return { name: name.text, place: name, args, hasBlock: false, options: [] };
  }

  #checkName(name: Token, key: Token | undefined): void {
    if (this.#known.has(name.text)) return;
    const cure = FOREIGN_DIRECTIVES.get(name.text);
    if (cure !== undefined) {
      throw new CorefileError(
        'COREFILE_FOREIGN_DIRECTIVE',
        name,
        `no action found for directive '${name.text}': it is a CoreDNS directive that a ` +
          'node-local cache does not have',
        { hint: cure },
      );
    }
    throw new CorefileError(
      'COREFILE_UNKNOWN_DIRECTIVE',
      name,
      `Unknown directive '${name.text}'`,
      { hint: this.#unknownHint(name.text, key) },
    );
  }

  #unknownHint(name: string, key: Token | undefined): string | undefined {
    const meant = directiveHint(name, this.#known);
    if (meant !== undefined) return meant;
    if (!/[.:]/.test(name)) return undefined;
    return key === undefined
      ? 'if it is another key, put a comma after the one before, or braces around each block'
      : `if it is the key of a new block, the "}" of the block of ${key.text} is missing above`;
  }

  /** From the `{` that peek() shows to the `}` that belongs to it. */
  #optionLines(directive: Token): OptionLine[] {
    const open = this.#stream.take();
    const lines: OptionLine[] = [];
    for (let next = this.#stream.peek(); next !== undefined; next = this.#stream.peek()) {
      if (next.kind === 'close') {
        this.#stream.take();
        this.#endOfLine();
        return lines;
      }
      lines.push(this.#optionLine(directive));
    }
    const hint = `the block of ${directive.text}, opened in line ${open.line}, is never closed`;
    const what = `Unexpected EOF, expecting '}'`;
    throw new CorefileError('COREFILE_SYNTAX', this.#stream.last, what, { hint });
  }

  #optionLine(directive: Token): OptionLine {
    const words: Token[] = [];
    for (let next = this.#stream.peek(); next !== undefined; next = this.#stream.peek()) {
      if (words.length > 0 && next.startsLine) break;
      if (next.kind === 'open') {
        throw new CorefileError(
          'COREFILE_SYNTAX',
          next,
          `Unexpected token '{' inside the block of ${directive.text} (unknown property '{')`,
          { hint: 'options have no blocks of their own; is a "}" missing above?' },
        );
      }
      if (next.kind === 'close') {
        throw new CorefileError(
          'COREFILE_SYNTAX',
          next,
          `Wrong argument count or unexpected line ending after '}'`,
          { hint: 'the "}" of a block stands on a line of its own' },
        );
      }
      words.push(this.#stream.take());
    }
    return { name: words[0]!, args: words.slice(1) };
  }

  /** Nothing may follow the `}` of a directive on its line. */
  #endOfLine(): void {
    const next = this.#stream.peek();
    if (next === undefined || next.startsLine) return;
    if (next.kind === 'close') {
      throw strayBrace(next, 'the "}" of a block stands on a line of its own');
    }
    throw new CorefileError('COREFILE_SYNTAX', next, `Unexpected token '${next.text}' after '}'`, {
      hint: 'the next directive begins on a new line',
    });
  }
}

/** A lone key in parentheses is no zone but the name of a snippet. */
function snippetName(keys: readonly KeyWord[]): string | undefined {
  return keys.length === 1 ? /^\((.*)\)$/s.exec(keys[0]!.text)?.[1] : undefined;
}

function strayBrace(token: Token, hint?: string): CorefileError {
  const what = `Unexpected '}' because no matching opening brace`;
  return new CorefileError('COREFILE_SYNTAX', token, what, {
    hint: hint ?? 'remove it, or look for a "{" missing above',
  });
}

function serverKeys(words: readonly KeyWord[], dnsPort: number, warnings: Warning[]): ServerKey[] {
  const keys: ServerKey[] = [];
  for (const { token, text } of words) {
    const { scheme, zones, port } = parseKey(token, text, dnsPort);
    for (const zone of zones) {
      keys.push({ text, scheme, zone, port, place: token });
      if (!isPreferredSyntax(zone)) {
        const message = `Domain ${quote(zone)} does not follow RFC1035 preferred syntax`;
        warnings.push({ message, place: token });
      }
    }
  }
  return keys;
}
