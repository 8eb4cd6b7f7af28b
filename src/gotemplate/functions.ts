/**
 * The functions that every template has (https://pkg.go.dev/text/template#hdr-Functions).
 *
 * Owns: their signatures, results and errors, in Go's words.
 */
import { TemplateError } from './error.ts';
import { sprint, sprintf, sprintln } from './format.ts';
import { octetsOf, textOf } from './octets.ts';
import {
  Dictionary,
  Float,
  Integer,
  List,
  type Signature,
  Struct,
  type Value,
  int,
  isTrue,
  typeOf,
} from './values.ts';

/** `call` throws a TemplateError with the reason alone: the evaluation says where. */
export interface TemplateFunction extends Signature {
  readonly call: (args: readonly Value[]) => Value;
}

const ONE = ['any'] as const;
const TWO = ['any', 'any'] as const;

export const BUILTINS: Readonly<Record<string, TemplateFunction>> = {
  // These two look at no more arguments than they need: the evaluation sees to it.
  and: {
    parameters: TWO,
    variadic: true,
    call: (args) => args.find((arg) => !isTrue(arg)) ?? args.at(-1),
  },
  or: { parameters: TWO, variadic: true, call: (args) => args.find(isTrue) ?? args.at(-1) },
  not: { parameters: ONE, call: ([value]) => !isTrue(value) },
  len: { parameters: ONE, call: ([value]) => int(lengthOf(value)) },
  index: {
    parameters: TWO,
    variadic: true,
    call: ([value, ...keys]) => keys.reduce(indexed, value),
  },
  slice: { parameters: TWO, variadic: true, call: ([value, ...bounds]) => sliced(value, bounds) },
  call: {
    parameters: TWO,
    variadic: true,
    call: ([value]) => {
      if (value === undefined) throw new TemplateError('call of nil');
      throw new TemplateError(`non-function of type ${typeOf(value)}`);
    },
  },
  print: { parameters: ONE, variadic: true, call: sprint },
  println: { parameters: ONE, variadic: true, call: sprintln },
  printf: {
    parameters: ['string', 'any'],
    variadic: true,
    call: ([format, ...values]) => sprintf(format as string, values),
  },
  html: { parameters: ONE, variadic: true, call: (args) => escapeHtml(textFor(args)) },
  js: { parameters: ONE, variadic: true, call: (args) => escapeJs(textFor(args)) },
  urlquery: { parameters: ONE, variadic: true, call: (args) => escapeUrl(textFor(args)) },
  eq: {
    parameters: TWO,
    variadic: true,
    call: ([first, ...others]) => isEqualToAny(first, others),
  },
  ne: { parameters: TWO, call: ([a, b]) => !isEqual(a, b) },
  lt: { parameters: TWO, call: ([a, b]) => compare(a, b) < 0 },
  le: { parameters: TWO, call: ([a, b]) => compare(a, b) <= 0 },
  gt: { parameters: TWO, call: ([a, b]) => compare(a, b) > 0 },
  ge: { parameters: TWO, call: ([a, b]) => compare(a, b) >= 0 },
};

function lengthOf(value: Value): number {
  if (typeof value === 'string') return value.length;
  if (value instanceof List) return value.items.length;
  if (value instanceof Dictionary) return value.entries.size;
  if (value === undefined) {
    throw new TemplateError('reflect: call of reflect.Value.Type on zero Value');
  }
  throw new TemplateError(`len of type ${typeOf(value)}`);
}

function indexed(value: Value, key: Value): Value {
  if (value === undefined) throw new TemplateError('index of untyped nil');
  if (value instanceof Dictionary) {
    if (typeof key !== 'string') {
      const given = key === undefined ? 'value is nil' : `value has type ${typeOf(key)}`;
      throw new TemplateError(`${given}; should be string`);
    }
    // Unlike `.Group.name`, which has no value then: Go's index gives the type's zero value.
    return value.entries.get(key) ?? '';
  }
  if (typeof value === 'string') {
    const at = position(key, value.length);
    if (at === value.length) throw new TemplateError('reflect: string index out of range');
    return new Integer('uint8', BigInt(value.charCodeAt(at)));
  }
  if (value instanceof List) {
    const at = position(key, value.items.length);
    if (at < value.items.length) return value.items[at];
    throw new TemplateError('reflect: slice index out of range');
  }
  throw new TemplateError(`can't index item of type ${typeOf(value)}`);
}

function sliced(value: Value, bounds: readonly Value[]): Value {
  if (value === undefined) throw new TemplateError('slice of untyped nil');
  if (bounds.length > 3) throw new TemplateError(`too many slice indexes: ${bounds.length}`);
  if (typeof value !== 'string' && !(value instanceof List)) {
    throw new TemplateError(`can't slice item of type ${typeOf(value)}`);
  }
  if (typeof value === 'string' && bounds.length === 3) {
    throw new TemplateError('cannot 3-index slice a string');
  }
  const length = lengthOf(value);
  const [from = 0, to = length, capacity = length] = bounds.map((bound) => position(bound, length));
  if (from > to) throw new TemplateError(`invalid slice index: ${from} > ${to}`);
  if (to > capacity) throw new TemplateError(`invalid slice index: ${to} > ${capacity}`);
  return typeof value === 'string'
    ? value.slice(from, to)
    : new List(value.elementType, value.items.slice(from, to));
}

/** An index from 0 to `last`. */
function position(value: Value, last: number): number {
  if (value === undefined) throw new TemplateError('cannot index slice/array with nil');
  if (!(value instanceof Integer)) {
    throw new TemplateError(`cannot index slice/array with type ${typeOf(value)}`);
  }
  if (value.value < 0n || value.value > BigInt(last)) {
    throw new TemplateError(`index out of range: ${value.value}`);
  }
  return Number(value.value);
}

/** The kinds that `eq` tells apart: integers of any size are one, others differ by their type. */
type Comparable = 'bool' | 'string' | 'int' | 'float' | 'other';

function kindOf(value: Value): Comparable {
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'string') return 'string';
  if (value instanceof Integer) return 'int';
  return value instanceof Float ? 'float' : 'other';
}

function isEqualToAny(first: Value, others: readonly Value[]): boolean {
  if (others.length === 0) throw new TemplateError('missing argument for comparison');
  return others.some((other) => isEqual(first, other));
}

function isEqual(a: Value, b: Value): boolean {
  if (a === undefined || b === undefined) return a === b;
  if (a instanceof Integer && b instanceof Integer) return a.value === b.value;
  if (a instanceof Float && b instanceof Float) return a.value === b.value;
  if (kindOf(a) !== kindOf(b)) throw new TemplateError('incompatible types for comparison');
  if (a instanceof Struct && b instanceof Struct) return a.isSame(b);
  if (kindOf(a) === 'other') {
    throw new TemplateError(`non-comparable type ${typeOf(a)}: ${sprint([a])}`);
  }
  return a === b;
}

/** Below 0 if `a` comes first. */
function compare(a: Value, b: Value): number {
  for (const value of [a, b]) {
    if (kindOf(value) === 'other' || typeof value === 'boolean') {
      throw new TemplateError('invalid type for comparison');
    }
  }
  if (kindOf(a) !== kindOf(b)) throw new TemplateError('incompatible types for comparison');
  const [left, right] = [a, b].map((value) =>
    value instanceof Integer || value instanceof Float ? value.value : (value as string),
  );
  return left! < right! ? -1 : left! > right! ? 1 : 0;
}

/** A single string is itself; all else is printed. */
function textFor(args: readonly Value[]): string {
  return args.length === 1 && typeof args[0] === 'string' ? args[0] : sprint(args);
}

const HTML: ReadonlyMap<string, string> = new Map([
  ['"', '&#34;'],
  ["'", '&#39;'],
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['\0', octetsOf('\ufffd')],
]);

function escapeHtml(octets: string): string {
  return octets.replaceAll(/["'&<>\0]/g, (character) => HTML.get(character)!);
}

function escapeJs(octets: string): string {
  const escaped = textOf(octets).replaceAll(
    /[\\'"<>&=]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu,
    (character) => {
      if (/[\\'"]/.test(character)) return `\\${character}`;
      return `\\u${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`;
    },
  );
  return octetsOf(escaped);
}

function escapeUrl(octets: string): string {
  return octets.replaceAll(/[^\w.~-]/g, (character) => {
    if (character === ' ') return '+';
    return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
  });
}
