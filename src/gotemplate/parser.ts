/**
 * A template's tokens as a tree, by the grammar of Go's text/template.
 *
 * Owns:    which functions and variables there are where they are used, and that what cannot be
 *          executed is refused now rather than by each query.
 */
import { NESTING_MAX, SOURCE_OCTETS_MAX, TemplateError } from './error.ts';
import { numberOf, runeOf, unquote } from './literals.ts';
import type {
  FieldChain,
  Command,
  Constant,
  Field,
  Node,
  Operand,
  Pipe,
  Variable,
} from './nodes.ts';
import { printOperand } from './nodes.ts';
import { quoteOctets } from './octets.ts';
import { type TemplateToken, type TokenKind, shown, tokenize } from './tokens.ts';

export interface Parsed {
  /** The text's own, and what it defines, by name. */
  readonly templates: ReadonlyMap<string, readonly Node[]>;
}

/** Parses the octets `source`. Throws TemplateError. */
export function parse(name: string, source: string, functions: ReadonlySet<string>): Parsed {
  return new Parser(name, source, functions).run();
}

type Ending = 'end' | 'else';
interface Block {
  readonly list: readonly Node[];
  readonly ending: Ending;
}

/** The kinds of token that a command can begin with. */
const OPERANDS: ReadonlySet<TokenKind> = new Set<TokenKind>([
  'bool',
  'character',
  'dot',
  'field',
  'identifier',
  'leftParenthesis',
  'nil',
  'number',
  'rawString',
  'string',
  'variable',
]);
const VALUES: ReadonlySet<Operand['kind']> = new Set<Operand['kind']>(['constant', 'dot', 'nil']);

class Parser {
  readonly #name: string;
  readonly #functions: ReadonlySet<string>;
  readonly #tokens: readonly TemplateToken[];
  readonly #templates = new Map<string, readonly Node[]>();
  #next = 0;
  #variables: string[] = ['$'];
  #ranges = 0;
  #nesting = 0;

  constructor(name: string, source: string, functions: ReadonlySet<string>) {
    this.#name = name;
    this.#functions = functions;
    if (source.length > SOURCE_OCTETS_MAX) {
      throw new TemplateError(
        `template: ${name}:1: text of ${source.length} octets is longer than ${SOURCE_OCTETS_MAX}`,
      );
    }
    this.#tokens = tokenize(name, source);
  }

  run(): Parsed {
    const list: Node[] = [];
    for (let token = this.#take(); token.kind !== 'end'; token = this.#take()) {
      if (token.kind === 'open' && this.#peekWord() === 'define') {
        this.#define();
        continue;
      }
      const node = this.#textOrAction(token);
      if (node === 'end' || node === 'else') throw this.#error(`unexpected {{${node}}}`);
      if (node !== undefined) list.push(node);
    }
    this.#add(this.#name, list);
    return { templates: this.#templates };
  }

  /** The error of an error token is thrown as soon as something asks for the token. */
  #peek(): TemplateToken {
    const token = this.#tokens[Math.min(this.#next, this.#tokens.length - 1)]!;
    if (token.kind === 'error') throw new TemplateError(token.text);
    return token;
  }

  #take(): TemplateToken {
    const token = this.#peek();
    this.#next++;
    return token;
  }

  #skipSpace(): void {
    while (this.#peek().kind === 'space') this.#next++;
  }

  #peekWord(): string {
    this.#skipSpace();
    const { kind, text } = this.#peek();
    return kind === 'keyword' ? text : '';
  }

  /** The next token that is no space, which must be a `kind`. */
  #expect(kind: TokenKind, context: string): TemplateToken {
    this.#skipSpace();
    const token = this.#take();
    if (token.kind !== kind) throw this.#unexpected(token, context);
    return token;
  }

  /** Undefined for what leaves nothing: a definition. */
  #textOrAction(token: TemplateToken): Node | Ending | undefined {
    if (token.kind === 'text') return { kind: 'text', at: token.at, text: token.text };
    if (token.kind !== 'open') throw this.#unexpected(token, 'input');
    this.#skipSpace();
    const first = this.#peek();
    if (first.kind !== 'keyword') {
      return { kind: 'action', at: first.at, pipe: this.#pipeline('command', 'close') };
    }
    this.#next++;
    const { at } = first;
    switch (first.text) {
      case 'if':
      case 'with':
      case 'range':
        return this.#branch(first.text, at);
      case 'template':
        return this.#call();
      case 'block':
        return this.#block();
      case 'break':
      case 'continue':
        this.#expect('close', `{{${first.text}}}`);
        if (this.#ranges === 0) throw this.#error(`{{${first.text}}} outside {{range}}`);
        return { kind: first.text, at };
      case 'end':
        this.#expect('close', 'end');
        return 'end';
      case 'else': {
        // An `else if` or `else with` goes on in whoever called.
        const word = this.#peekWord();
        if (word !== 'if' && word !== 'with') this.#expect('close', 'else');
        return 'else';
      }
      default:
        throw this.#unexpected(first, 'command');
    }
  }

  #list(): Block {
    const list: Node[] = [];
    for (let token = this.#take(); token.kind !== 'end'; token = this.#take()) {
      const node = this.#textOrAction(token);
      if (node === 'end' || node === 'else') return { list, ending: node };
      if (node !== undefined) list.push(node);
    }
    throw this.#error('unexpected EOF');
  }

  #branch(kind: 'if' | 'range' | 'with', at: number): Node {
    this.#enter();
    const scope = this.#variables.length;
    const pipe = this.#pipeline(kind, 'close');
    const scopeInside = this.#variables.length;
    if (kind === 'range') this.#ranges++;
    const { list, ending } = this.#list();
    if (kind === 'range') this.#ranges--;
    this.#variables.length = scopeInside;
    const otherwise = ending === 'else' ? this.#otherwise(kind) : undefined;
    this.#variables.length = scope;
    this.#nesting--;
    return { kind, at, pipe, list, otherwise };
  }

  /** The rest after `{{else`: another branch of the same kind in its place, or a list up to its end. */
  #otherwise(kind: 'if' | 'range' | 'with'): readonly Node[] {
    const word = this.#peekWord();
    if (this.#tokens[this.#next - 1]!.kind !== 'close' && (word === 'if' || word === 'with')) {
      const token = this.#take();
      if (word !== kind) throw this.#unexpected(token, 'else');
      return [this.#branch(kind, token.at)];
    }
    const { list, ending } = this.#list();
    if (ending !== 'end') throw this.#error(`expected end; found {{else}}`);
    return list;
  }

  #define(): void {
    this.#expect('keyword', 'define clause');
    const name = this.#string('define clause');
    this.#expect('close', 'define clause');
    const { list, ending } = this.#inside(() => this.#list());
    if (ending !== 'end') throw this.#error('unexpected {{else}} in define clause');
    this.#add(name, list);
  }

  #call(): Node {
    const context = 'template clause';
    this.#skipSpace();
    const { at } = this.#peek();
    const name = this.#string(context);
    this.#skipSpace();
    if (this.#peek().kind === 'close') {
      this.#next++;
      return { kind: 'template', at, name, pipe: undefined };
    }
    return { kind: 'template', at, name, pipe: this.#pipeline(context, 'close') };
  }

  /** A definition that is called where it stands. */
  #block(): Node {
    const context = 'block clause';
    this.#skipSpace();
    const { at } = this.#peek();
    const name = this.#string(context);
    const pipe = this.#pipeline(context, 'close');
    const { list, ending } = this.#inside(() => this.#list());
    if (ending !== 'end') throw this.#error('unexpected {{else}} in block clause');
    this.#add(name, list);
    return { kind: 'template', at, name, pipe };
  }

  /** Reads a definition: the variables and ranges around it are not its own. */
  #inside<T>(read: () => T): T {
    const [variables, ranges] = [this.#variables, this.#ranges];
    this.#variables = ['$'];
    this.#ranges = 0;
    this.#enter();
    const result = read();
    this.#nesting--;
    this.#variables = variables;
    this.#ranges = ranges;
    return result;
  }

  #add(name: string, list: readonly Node[]): void {
    const known = this.#templates.get(name);
    if (known !== undefined && !isEmpty(known)) {
      if (isEmpty(list)) return;
      throw this.#error(`template: multiple definition of template ${quoteOctets(name)}`);
    }
    this.#templates.set(name, list);
  }

  #string(context: string): string {
    this.#skipSpace();
    const token = this.#take();
    if (token.kind !== 'string' && token.kind !== 'rawString') {
      throw this.#unexpected(token, context);
    }
    return this.#unquoted(token);
  }

  #unquoted(token: TemplateToken): string {
    const octets = unquote(token.text);
    if (octets === undefined) throw this.#error('invalid syntax');
    return octets;
  }

  #pipeline(context: string, end: 'close' | 'rightParenthesis'): Pipe {
    this.#skipSpace();
    const { at } = this.#peek();
    const { variables, assigns } = this.#declarations(context);
    const commands: Command[] = [];
    for (;;) {
      this.#skipSpace();
      const token = this.#peek();
      if (token.kind === end) break;
      if (!OPERANDS.has(token.kind)) {
        this.#next++;
        throw this.#unexpected(token, context);
      }
      commands.push(this.#command());
    }
    this.#next++;
    if (commands.length === 0) throw this.#error(`missing value for ${context}`);
    commands.slice(1).forEach(({ operands: [first] }, i) => {
      if (VALUES.has(first!.kind)) {
        throw this.#error(`non executable command in pipeline stage ${i + 2}`);
      }
    });
    return { kind: 'pipe', at, variables, assigns, commands };
  }

  /** `$x :=`, `$x =`, or `$i, $x :=` of a range. */
  #declarations(context: string): { variables: string[]; assigns: boolean } {
    const variables: string[] = [];
    for (;;) {
      this.#skipSpace();
      const variable = this.#peek();
      if (variable.kind !== 'variable') {
        // `range $i, ` is followed by its second variable, or by nothing.
        if (variables.length > 0) throw this.#error('range can only initialize variables');
        return { variables, assigns: false };
      }
      const from = this.#next;
      this.#next++;
      // A token that cannot be read is an error where it is needed: the variable may be the first fault.
      const [space, second] = this.#tokens.slice(this.#next, this.#next + 2);
      const after = space!.kind === 'space' ? second! : space!;
      const isComma = after.kind === 'mark' && after.text === ',';
      if (after.kind !== 'declare' && after.kind !== 'assign' && !isComma) {
        this.#next = from;
        return { variables, assigns: false };
      }
      this.#skipSpace();
      this.#next++;
      variables.push(variable.text);
      if (!isComma) {
        if (after.kind === 'declare') this.#variables.push(...variables);
        else variables.forEach((name) => this.#known(name));
        return { variables, assigns: after.kind === 'assign' };
      }
      if (context !== 'range' || variables.length > 1) {
        throw this.#error(`too many declarations in ${context}`);
      }
    }
  }

  #command(): Command {
    const { at } = this.#peek();
    const operands: Operand[] = [];
    for (;;) {
      this.#skipSpace();
      const operand = this.#operand();
      if (operand !== undefined) operands.push(operand);
      const token = this.#peek();
      if (token.kind === 'space') continue;
      if (token.kind === 'close' || token.kind === 'rightParenthesis') break;
      this.#next++;
      if (token.kind === 'pipe') break;
      throw this.#unexpected(token, 'operand');
    }
    if (operands.length === 0) throw this.#error('empty command');
    return { kind: 'command', at, operands };
  }

  /** A term, and fields of it. Undefined where no term begins. */
  #operand(): Operand | undefined {
    const term = this.#term();
    if (term === undefined || this.#peek().kind !== 'field') return term;
    const { at } = this.#peek();
    const fields: string[] = [];
    while (this.#peek().kind === 'field') fields.push(this.#take().text.slice(1));
    switch (term.kind) {
      case 'field':
        return { ...term, at, names: [...term.names, ...fields] } satisfies Field;
      case 'variable':
        return { ...term, at, fields } satisfies Variable;
      case 'constant':
      case 'dot':
      case 'nil':
        throw this.#error(`unexpected . after term ${quoteOctets(printOperand(term))}`);
      case 'chain':
      case 'function':
      case 'pipe':
        return { kind: 'chain', at, of: term, fields } satisfies FieldChain;
      default:
        return term satisfies never;
    }
  }

  #term(): Operand | undefined {
    const token = this.#peek();
    const { at, text } = token;
    if (!OPERANDS.has(token.kind)) return undefined;
    this.#next++;
    if (token.kind === 'identifier') {
      if (!this.#functions.has(text)) {
        throw this.#error(`function ${quoteOctets(text)} not defined`);
      }
      return { kind: 'function', at, name: text };
    }
    if (token.kind === 'dot' || token.kind === 'nil') return { kind: token.kind, at };
    if (token.kind === 'variable') {
      this.#known(text);
      return { kind: 'variable', at, name: text, fields: [] };
    }
    if (token.kind === 'field') return { kind: 'field', at, names: [text.slice(1)] };
    if (token.kind !== 'leftParenthesis') return this.#constant(token);
    this.#enter();
    const pipe = this.#pipeline('parenthesized pipeline', 'rightParenthesis');
    this.#nesting--;
    return pipe;
  }

  #constant(token: TemplateToken): Constant {
    const { kind, at, text: source } = token;
    if (kind === 'bool') return { kind: 'constant', at, source, value: source === 'true' };
    if (kind === 'number') {
      const value = numberOf(source);
      if (value === undefined) throw this.#error(`illegal number syntax: ${quoteOctets(source)}`);
      if (typeof value === 'bigint' && BigInt.asIntN(64, value) !== value) {
        throw this.#error(`integer overflow: ${quoteOctets(source)}`);
      }
      return { kind: 'constant', at, source, value };
    }
    if (kind === 'character') {
      const rune = runeOf(source);
      if (rune === undefined) throw this.#error(`malformed character constant: ${source}`);
      return { kind: 'constant', at, source, value: rune };
    }
    return { kind: 'constant', at, source, value: this.#unquoted(token) };
  }

  #known(variable: string): void {
    if (!this.#variables.includes(variable)) {
      throw this.#error(`undefined variable ${quoteOctets(variable)}`);
    }
  }

  #enter(): void {
    if (++this.#nesting > NESTING_MAX) {
      throw this.#error(`nested deeper than ${NESTING_MAX}`);
    }
  }

  #unexpected(token: TemplateToken, context: string): TemplateError {
    return this.#error(`unexpected ${shown(token)} in ${context}`);
  }

  /** At the token that was taken last. */
  #error(what: string): TemplateError {
    const token = this.#tokens[Math.max(0, Math.min(this.#next, this.#tokens.length) - 1)];
    return new TemplateError(`template: ${this.#name}:${token?.line ?? 1}: ${what}`);
  }
}

/** Whether a definition says nothing, so that another one may replace it. */
function isEmpty(list: readonly Node[]): boolean {
  return list.every((node) => node.kind === 'text' && node.text.trim() === '');
}
