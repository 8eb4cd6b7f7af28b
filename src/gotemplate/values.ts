/**
 * The values that templates compute with: Go's, as far as the data of a query and the literals of a
 * template can be such.
 *
 * Owns: the types and their names in Go, and which values count as true.
 *
 * A string holds octets (octets.ts). `undefined` is both nil and the value that is not there: an entry
 * that a map lacks.
 */
export type Value = undefined | string | boolean | Integer | Float | List | Dictionary | Struct;

export type IntegerType = 'int' | 'uint8' | 'uint16' | 'uint64';

/** An integer with Go's type of it, which is what `printf "%T"` and errors tell. */
export class Integer {
  readonly type: IntegerType;
  readonly value: bigint;
  constructor(type: IntegerType, value: bigint) {
    this.type = type;
    this.value = value;
  }
}

export class Float {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/** A slice. `elementType` is Go's name for it, such as `string`. */
export class List {
  readonly elementType: string;
  readonly items: readonly Value[];
  constructor(elementType: string, items: readonly Value[]) {
    this.elementType = elementType;
    this.items = items;
  }
}

/** A map whose keys are strings, and whose values are. */
export class Dictionary {
  readonly entries: ReadonlyMap<string, string>;
  constructor(entries: ReadonlyMap<string, string>) {
    this.entries = entries;
  }
}

/** A pointer to a struct: its type knows how to read `self`. */
export class Struct {
  readonly type: StructType;
  readonly #self: unknown;
  private constructor(type: StructType, self: unknown) {
    this.type = type;
    this.#self = self;
  }

  static of<Self>(type: StructType<Self>, self: Self): Struct {
    return new Struct(type, self);
  }

  field(name: string): Value {
    return this.type.fields[name]!(this.#self as never);
  }

  method(name: string, args: readonly Value[]): Value {
    return this.type.methods[name]!.call(this.#self as never, args);
  }

  print(): string {
    return this.type.print(this.#self as never);
  }

  isSame(other: Struct): boolean {
    return this.#self === other.#self && this.type === other.type;
  }
}

export interface StructType<Self = never> {
  /** As Go prints it: `*dns.Msg`. */
  readonly name: string;
  /** Computed only when a template reads them. */
  readonly fields: Readonly<Record<string, (self: Self) => Value>>;
  readonly methods: Readonly<Record<string, Method<Self>>>;
  readonly print: (self: Self) => string;
}

export interface Signature {
  readonly parameters: readonly Parameter[];
  /** The last parameter may be given any number of times. */
  readonly variadic?: boolean;
}

export type Parameter = 'any' | 'string' | 'int';

export interface Method<Self> extends Signature {
  readonly call: (self: Self, args: readonly Value[]) => Value;
}

export function int(value: bigint | number): Integer {
  return new Integer('int', BigInt(value));
}

/** Go's name of a value's type. */
export function typeOf(value: Value): string {
  if (value === undefined) return '<nil>';
  if (typeof value === 'string') return 'string';
  if (typeof value === 'boolean') return 'bool';
  if (value instanceof Integer) return value.type;
  if (value instanceof Float) return 'float64';
  if (value instanceof List) return `[]${value.elementType}`;
  return value instanceof Dictionary ? 'map[string]string' : value.type.name;
}

/** The truth of a value, for `if`, `and`, `or`, `not` and `with`. */
export function isTrue(value: Value): boolean {
  if (value === undefined) return false;
  if (typeof value === 'string') return value !== '';
  if (typeof value === 'boolean') return value;
  if (value instanceof Integer) return value.value !== 0n;
  if (value instanceof Float) return value.value !== 0;
  if (value instanceof List) return value.items.length > 0;
  return value instanceof Dictionary ? value.entries.size > 0 : true;
}

/** The keys of a map in the order in which Go ranges over and prints it: that of their octets. */
export function sortedKeys(dictionary: Dictionary): readonly string[] {
  return [...dictionary.entries.keys()].toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}
