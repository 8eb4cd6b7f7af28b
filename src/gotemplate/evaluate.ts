/**
 * Executes a template's tree: text and printed values, in Go's order of things and with its errors.
 *
 * Owns:    the bounds of an execution: steps, output, depth. No question of a client can make a
 *          template take long.
 */
import { DEPTH_MAX, LEVELS_MAX, OUTPUT_OCTETS_MAX, STEPS_MAX, TemplateError } from './error.ts';
import { print } from './format.ts';
import { BUILTINS, type TemplateFunction } from './functions.ts';
import type {
  Branch,
  Call,
  FieldChain,
  Command,
  Constant,
  Field,
  FunctionName,
  Node,
  Operand,
  Pipe,
  Variable,
} from './nodes.ts';
import { printNodes, printOperand } from './nodes.ts';
import { quoteOctets } from './octets.ts';
import {
  Dictionary,
  Float,
  Integer,
  List,
  type Parameter,
  type Signature,
  Struct,
  type Value,
  int,
  isTrue,
  sortedKeys,
  typeOf,
} from './values.ts';

/** A parsed text, as much as its execution needs. */
export interface Program {
  readonly name: string;
  /** In octets: errors count columns in it. */
  readonly source: string;
  readonly templates: ReadonlyMap<string, readonly Node[]>;
  readonly functions: Readonly<Record<string, TemplateFunction>>;
}

/** Returns the octets that the program writes for `data`. Throws TemplateError, and nothing else. */
export function evaluate(program: Program, data: Value): string {
  return new Evaluation(program).run(data);
}

/** How a list of nodes ended. */
type Ending = typeof ENDED | typeof BROKEN | typeof CONTINUED;
const ENDED = 0;
const BROKEN = 1;
const CONTINUED = 2;

/** The value of the command before this one in a pipeline, if there is one. */
type Final = { readonly value: Value } | undefined;

/** The dot and the arguments that an operand is evaluated with. */
interface Given {
  readonly dot: Value;
  readonly args: readonly Operand[];
  readonly final: Final;
}

/** Octets of a string that count as a step. */
const OCTETS_PER_STEP = 16;

class Evaluation {
  readonly #program: Program;
  /** The template that is being executed, as errors name it. */
  #template: string;
  #node: Operand | Command | Node | undefined;
  #variables: { readonly name: string; value: Value }[] = [];
  #output = '';
  #stepsLeft = STEPS_MAX;
  #depth = 0;
  #levels = 0;

  constructor(program: Program) {
    this.#program = program;
    this.#template = program.name;
  }

  run(data: Value): string {
    this.#variables.push({ name: '$', value: data });
    this.#list(this.#program.templates.get(this.#program.name)!, data);
    return this.#output;
  }

  #list(nodes: readonly Node[], dot: Value): Ending {
    this.#enter();
    let ending: Ending = ENDED;
    for (let i = 0; i < nodes.length && ending === ENDED; i++) ending = this.#walk(nodes[i]!, dot);
    this.#levels--;
    return ending;
  }

  #enter(): void {
    if (++this.#levels > LEVELS_MAX) throw this.#error(`nested deeper than ${LEVELS_MAX}`);
  }

  #walk(node: Node, dot: Value): Ending {
    this.#step(1);
    this.#node = node;
    switch (node.kind) {
      case 'text':
        this.#write(node.text);
        return ENDED;
      case 'action': {
        const value = this.#pipe(node.pipe, dot);
        // An assignment prints nothing.
        if (node.pipe.variables.length === 0) this.#print(node.pipe, value);
        return ENDED;
      }
      case 'break':
        return BROKEN;
      case 'continue':
        return CONTINUED;
      case 'template':
        this.#call(node, dot);
        return ENDED;
      case 'range':
        return this.#inScope(() => this.#range(node, dot));
      case 'if':
      case 'with':
        return this.#inScope(() => {
          const value = this.#pipe(node.pipe, dot);
          const inside = node.kind === 'with' ? value : dot;
          if (isTrue(value)) return this.#list(node.list, inside);
          return node.otherwise === undefined ? ENDED : this.#list(node.otherwise, dot);
        });
      default:
        return node satisfies never;
    }
  }

  /** Variables that are declared within are gone afterwards. */
  #inScope<T>(action: () => T): T {
    const scope = this.#variables.length;
    const result = action();
    this.#variables.length = scope;
    return result;
  }

  #print(pipe: Pipe, value: Value): void {
    this.#node = pipe;
    this.#write(value === undefined ? '<no value>' : print(value));
  }

  #write(octets: string): void {
    this.#output += this.#sized(octets);
    if (this.#output.length > OUTPUT_OCTETS_MAX) {
      throw this.#error(`more than ${OUTPUT_OCTETS_MAX} octets are written`);
    }
  }

  /** Counts a string's length as steps, as somebody has to build it. */
  #sized(octets: string): string {
    this.#step(octets.length / OCTETS_PER_STEP);
    if (octets.length <= OUTPUT_OCTETS_MAX) return octets;
    throw this.#error(`a string is longer than ${OUTPUT_OCTETS_MAX} octets`);
  }

  #step(steps: number): void {
    this.#stepsLeft -= steps;
    if (this.#stepsLeft < 0) throw this.#error(`more than ${STEPS_MAX} steps are taken`);
  }

  #range(node: Branch, dot: Value): Ending {
    const value = this.#pipe(node.pipe, dot);
    this.#node = node.pipe;
    let isEmpty = true;
    for (const [key, element] of this.#elements(value)) {
      isEmpty = false;
      this.#step(1);
      this.#setRangeVariables(node.pipe, key, element);
      const ending = this.#inScope(() => this.#list(node.list, element));
      if (ending === BROKEN) break;
    }
    // A break or continue within is for a range around this one.
    if (isEmpty && node.otherwise !== undefined) return this.#list(node.otherwise, dot);
    return ENDED;
  }

  *#elements(value: Value): Generator<readonly [Value, Value]> {
    if (value === undefined) return;
    if (value instanceof List) {
      for (let i = 0; i < value.items.length; i++) yield [int(i), value.items[i]];
    } else if (value instanceof Dictionary) {
      for (const key of sortedKeys(value)) yield [key, value.entries.get(key)];
    } else if (value instanceof Integer) {
      for (let i = 0n; i < value.value; i++) yield [int(i), int(i)];
    } else {
      throw this.#error(`range can't iterate over ${print(value)}`);
    }
  }

  /** The pipeline has declared them and given them its value; with a single one, that is the element. */
  #setRangeVariables({ variables, assigns }: Pipe, key: Value, element: Value): void {
    const [first, second] = variables;
    if (first === undefined) return;
    const values = second === undefined ? [element] : [key, element];
    if (assigns) {
      values.forEach((value, i) => (this.#variable(variables[i]!).value = value));
    } else {
      const from = this.#variables.length - variables.length;
      values.forEach((value, i) => (this.#variables[from + i]!.value = value));
    }
  }

  #call(node: Call, dot: Value): void {
    const nodes = this.#program.templates.get(node.name);
    if (nodes === undefined) throw this.#error(`template ${quoteOctets(node.name)} not defined`);
    if (this.#depth === DEPTH_MAX) {
      throw this.#error(`exceeded maximum template depth (${DEPTH_MAX})`);
    }
    const value = node.pipe === undefined ? undefined : this.#pipe(node.pipe, dot);
    const [variables, template] = [this.#variables, this.#template];
    this.#variables = [{ name: '$', value }];
    this.#template = node.name;
    this.#depth++;
    this.#list(nodes, value);
    this.#depth--;
    this.#variables = variables;
    this.#template = template;
  }

  #pipe(pipe: Pipe, dot: Value): Value {
    this.#node = pipe;
    this.#enter();
    let final: Final;
    for (const command of pipe.commands) final = { value: this.#command(command, dot, final) };
    this.#levels--;
    const { value } = final!;
    for (const name of pipe.variables) {
      if (pipe.assigns) this.#variable(name).value = value;
      else this.#variables.push({ name, value });
    }
    return value;
  }

  #command(command: Command, dot: Value, final: Final): Value {
    this.#step(1);
    const [first, ...args] = command.operands as [Operand, ...Operand[]];
    const given: Given = { dot, args, final };
    switch (first.kind) {
      case 'field':
        this.#node = first;
        return this.#fields(first, dot, first.names, given);
      case 'variable':
        return this.#variableFields(first, given);
      case 'chain':
        return this.#chain(first, given);
      case 'function':
        return this.#function(first, command, given);
      case 'pipe':
        this.#mustBeAlone(first, given);
        return this.#pipe(first, dot);
      case 'nil':
        this.#node = first;
        throw this.#error('nil is not a command');
      case 'constant':
      case 'dot':
        this.#node = first;
        this.#mustBeAlone(first, given);
        return first.kind === 'dot' ? dot : constant(first);
      default:
        return first satisfies never;
    }
  }

  #mustBeAlone(operand: Operand, { args, final }: Given): void {
    if (args.length === 0 && final === undefined) return;
    throw this.#error(`can't give argument to non-function ${printOperand(operand)}`);
  }

  #variable(name: string): { readonly name: string; value: Value } {
    const found = this.#variables.findLast((variable) => variable.name === name);
    if (found === undefined) throw this.#error(`undefined variable: ${name}`);
    return found;
  }

  #variableFields(node: Variable, given: Given): Value {
    this.#node = node;
    const { value } = this.#variable(node.name);
    if (node.fields.length > 0) return this.#fields(node, value, node.fields, given);
    this.#mustBeAlone(node, given);
    return value;
  }

  #chain(node: FieldChain, given: Given): Value {
    this.#node = node;
    const value = this.#operand(node.of, given.dot);
    return this.#fields(node, value, node.fields, given);
  }

  /** A field of a field of `value`; the arguments are for the last of them. */
  #fields(
    node: Field | Variable | FieldChain,
    value: Value,
    names: readonly string[],
    given: Given,
  ): Value {
    let receiver = value;
    names.forEach((name, i) => {
      this.#step(1);
      const isLast = i === names.length - 1;
      receiver = isLast
        ? this.#field(node, receiver, name, given)
        : this.#field(node, receiver, name, alone(given.dot));
    });
    return receiver;
  }

  #field(node: Operand, receiver: Value, name: string, given: Given): Value {
    // A value that a map lacks has no fields either.
    if (receiver === undefined) return undefined;
    const hasArguments = given.args.length > 0 || given.final !== undefined;
    if (receiver instanceof Struct) {
      const { methods, fields } = receiver.type;
      if (Object.hasOwn(methods, name)) {
        const call = (values: readonly Value[]): Value => receiver.method(name, values);
        return this.#invoke(node, name, { ...methods[name]!, call }, given);
      }
      if (Object.hasOwn(fields, name)) {
        if (hasArguments) {
          throw this.#error(`${name} has arguments but cannot be invoked as function`);
        }
        return this.#checked(receiver.field(name));
      }
    } else if (receiver instanceof Dictionary) {
      if (hasArguments) throw this.#error(`${name} is not a method but has arguments`);
      return receiver.entries.get(name);
    }
    throw this.#error(`can't evaluate field ${name} in type ${typeOf(receiver)}`);
  }

  #function(node: FunctionName, command: Operand | Command, given: Given): Value {
    this.#node = node;
    const { name } = node;
    if (name === 'and' || name === 'or') return this.#shortCircuit(name, given);
    return this.#invoke(command, name, functionOf(this.#program, name), given);
  }

  /** `and` and `or` evaluate no more than they need. */
  #shortCircuit(name: 'and' | 'or', { dot, args, final }: Given): Value {
    this.#checkCount(name, BUILTINS[name]!, args.length + (final === undefined ? 0 : 1));
    let value: Value;
    for (const arg of args) {
      value = this.#operand(arg, dot);
      if (isTrue(value) === (name === 'or')) return value;
    }
    return final === undefined ? value : final.value;
  }

  #checkCount(name: string, { parameters, variadic }: Signature, given: number): void {
    const least = parameters.length - (variadic === true ? 1 : 0);
    if (given >= least && (variadic === true || given === least)) return;
    const want = variadic === true ? `at least ${least}` : `${least}`;
    throw this.#error(`wrong number of args for ${name}: want ${want} got ${given}`);
  }

  #invoke(
    node: Operand | Command,
    name: string,
    called: TemplateFunction,
    { dot, args, final }: Given,
  ): Value {
    this.#checkCount(name, called, args.length + (final === undefined ? 0 : 1));
    const parameter = (i: number): Parameter =>
      called.parameters[Math.min(i, called.parameters.length - 1)]!;
    const values = args.map((arg, i) => this.#argument(parameter(i), arg, dot));
    if (final !== undefined) values.push(this.#valid(parameter(args.length), final.value));
    // A function is taken to look at all that it is given.
    for (const value of values) this.#step(workOf(value));
    let result: Value;
    try {
      result = called.call(values);
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      this.#node = node;
      throw this.#error(`error calling ${name}: ${error.message}`);
    }
    return this.#checked(result);
  }

  /** A string that was made on the way counts as the work that it was. */
  #checked(value: Value): Value {
    return typeof value === 'string' ? this.#sized(value) : value;
  }

  #argument(parameter: Parameter, operand: Operand, dot: Value): Value {
    this.#node = operand;
    if (parameter !== 'any' && operand.kind === 'constant') {
      const value = constant(operand);
      const fits = parameter === 'string' ? typeof value === 'string' : value instanceof Integer;
      const expected = parameter === 'string' ? 'string' : 'integer';
      if (!fits) throw this.#error(`expected ${expected}; found ${operand.source}`);
      return value;
    }
    if (parameter !== 'any' && operand.kind === 'nil') {
      throw this.#error(`cannot assign nil to ${parameter}`);
    }
    return this.#valid(parameter, this.#operand(operand, dot));
  }

  #valid(parameter: Parameter, value: Value): Value {
    if (parameter === 'any' || typeOf(value) === parameter) return value;
    if (value === undefined) throw this.#error(`invalid value; expected ${parameter}`);
    throw this.#error(`wrong type for value; expected ${parameter}; got ${typeOf(value)}`);
  }

  /** An operand by itself, without arguments. */
  #operand(operand: Operand, dot: Value): Value {
    this.#step(1);
    this.#node = operand;
    switch (operand.kind) {
      case 'dot':
        return dot;
      case 'nil':
        return undefined;
      case 'constant':
        return constant(operand);
      case 'field':
        return this.#fields(operand, dot, operand.names, alone(dot));
      case 'variable':
        return this.#variableFields(operand, alone(dot));
      case 'chain':
        return this.#chain(operand, alone(dot));
      case 'function':
        return this.#function(operand, operand, alone(dot));
      case 'pipe':
        return this.#pipe(operand, dot);
      default:
        return operand satisfies never;
    }
  }

  /** At the node that is being evaluated. */
  #error(what: string): TemplateError {
    const node = this.#node;
    const { name, source } = this.#program;
    const before = source.slice(0, node?.at ?? 0);
    const line = before.split('\n').length;
    const lineAt = before.lastIndexOf('\n') + 1;
    const column = before.length - lineAt;
    const where = `${name}:${line}:${column}`;
    const executing = `executing ${quoteOctets(this.#template)}`;
    return new TemplateError(`template: ${where}: ${executing} at <${textOfNode(node)}>: ${what}`);
  }
}

/** As errors quote it: of an action or branch, the pipeline. */
function textOfNode(node: Operand | Command | Node | undefined): string {
  if (node === undefined) return '';
  switch (node.kind) {
    case 'text':
    case 'template':
    case 'break':
    case 'continue':
      return printNodes([node]);
    case 'action':
    case 'if':
    case 'range':
    case 'with':
      return printOperand(node.pipe);
    case 'chain':
    case 'command':
    case 'constant':
    case 'dot':
    case 'field':
    case 'function':
    case 'nil':
    case 'pipe':
    case 'variable':
      return printOperand(node);
    default:
      return node satisfies never;
  }
}

/** The steps that it costs to look at a value. */
function workOf(value: Value): number {
  if (typeof value === 'string') return value.length / OCTETS_PER_STEP;
  if (value instanceof List) return value.items.length;
  return value instanceof Dictionary ? value.entries.size : 0;
}

function constant({ value }: Constant): Value {
  if (typeof value === 'bigint') return int(value);
  return typeof value === 'number' ? new Float(value) : value;
}

/** The parser has seen that there is one. */
function functionOf(program: Program, name: string): TemplateFunction {
  return Object.hasOwn(program.functions, name) ? program.functions[name]! : BUILTINS[name]!;
}

/** For an operand without arguments. */
function alone(dot: Value): Given {
  return { dot, args: [], final: undefined };
}
