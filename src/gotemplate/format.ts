/**
 * Values as text: what an action prints, and the verbs of `printf` (https://pkg.go.dev/fmt).
 *
 * Owns:    the flags `+ - # 0` and space, width and precision as digits or `*`, and the text that
 *          stands for a verb that does not fit: `%!d(string=a)`.
 */
import { OUTPUT_OCTETS_MAX, TemplateError } from './error.ts';
import { escapeRune, octetsOf, quoteOctets, runeLength, textOf } from './octets.ts';
import {
  Dictionary,
  Float,
  Integer,
  List,
  Struct,
  type Value,
  sortedKeys,
  typeOf,
} from './values.ts';

/** As `%v` prints it. */
export function print(value: Value): string {
  if (value === undefined) return '<nil>';
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return String(value);
  if (value instanceof Integer) return String(value.value);
  if (value instanceof Float) return shortest(value.value, 21);
  if (value instanceof List) return `[${value.items.map(print).join(' ')}]`;
  if (value instanceof Struct) return value.print();
  return `map[${sortedKeys(value)
    .map((key) => `${key}:${value.entries.get(key)!}`)
    .join(' ')}]`;
}

/** Go's fmt.Sprint: a space between two operands neither of which is a string. */
export function sprint(values: readonly Value[]): string {
  let text = '';
  values.forEach((value, i) => {
    const spaced = i > 0 && typeof value !== 'string' && typeof values[i - 1] !== 'string';
    text += (spaced ? ' ' : '') + print(value);
  });
  return text;
}

/** Go's fmt.Sprintln: a space between all, and a line end. */
export function sprintln(values: readonly Value[]): string {
  return `${values.map(print).join(' ')}\n`;
}

interface Verb {
  readonly flags: string;
  readonly width: number | undefined;
  readonly precision: number | undefined;
  readonly letter: string;
}

/** Flags, width, precision and the number of an argument, which stands before the verb. */
const DIRECTIVE = /%([-+# 0]*)(\*|\d*)(?:(\.)(\*|\d*))?(\[[^\]]*\])?/y;

/** Go's fmt.Sprintf. */
export function sprintf(format: string, values: readonly Value[]): string {
  return new Formatter(format, values).run();
}

class Formatter {
  readonly #format: string;
  readonly #values: readonly Value[];
  #at = 0;
  /** The value that the next verb takes. */
  #next = 0;
  /** Whether values were taken by their number: then it is no fault to leave some out. */
  #numbered = false;

  constructor(format: string, values: readonly Value[]) {
    this.#format = format;
    this.#values = values;
  }

  run(): string {
    const format = this.#format;
    let text = '';
    for (;;) {
      const percent = format.indexOf('%', this.#at);
      if (percent === -1) return text + format.slice(this.#at) + this.#extra();
      text += format.slice(this.#at, percent);
      this.#at = percent;
      text += this.#directive();
      bounded(text.length);
    }
  }

  #directive(): string {
    const format = this.#format;
    DIRECTIVE.lastIndex = this.#at;
    const [whole, flags = '', width = '', dot, places = '', number] = DIRECTIVE.exec(format)!;
    this.#at += whole.length;
    const given = this.#number(width);
    const precision = this.#number(places) ?? (dot === undefined ? undefined : 0);
    const letterOctets = Math.max(1, runeLength(format, this.#at));
    const letter = format.slice(this.#at, this.#at + letterOctets);
    this.#at += letterOctets;
    if (letter === '') return '%!(NOVERB)';
    if (letter === '%') return '%';
    if (number !== undefined) {
      this.#numbered = true;
      const wanted = /^\[\d{1,9}\]$/.test(number) ? Number(number.slice(1, -1)) : 0;
      if (wanted < 1 || wanted > this.#values.length) return `%!${letter}(BADINDEX)`;
      this.#next = wanted - 1;
    }
    if (this.#next >= this.#values.length) return `%!${letter}(MISSING)`;
    const verb: Verb = {
      flags: given !== undefined && given < 0 ? `${flags}-` : flags,
      width: given === undefined ? undefined : bounded(Math.abs(given)),
      precision: precision === undefined || precision < 0 ? undefined : bounded(precision),
      letter,
    };
    return formatted(verb, this.#values[this.#next++]);
  }

  /** A width or precision: digits, or `*` for the next value. */
  #number(text: string): number | undefined {
    if (text !== '*') return text === '' ? undefined : Number(text);
    const value = this.#values[this.#next++];
    return value instanceof Integer ? Number(value.value) : undefined;
  }

  #extra(): string {
    const values = this.#values.slice(this.#next);
    if (this.#numbered || values.length === 0) return '';
    const list = values.map((value) =>
      value === undefined ? '<nil>' : `${typeOf(value)}=${print(value)}`,
    );
    return `%!(EXTRA ${list.join(', ')})`;
  }
}

/** A client may have chosen a width; no text is longer than what may be written. */
function bounded(count: number): number {
  if (count <= OUTPUT_OCTETS_MAX) return count;
  throw new TemplateError(`more than ${OUTPUT_OCTETS_MAX} octets are written`);
}

function formatted(verb: Verb, value: Value): string {
  if (verb.letter === 'T') return padded(verb, typeOf(value));
  if (verb.letter === 'v' && !verb.flags.includes('#')) {
    if (value instanceof Integer || value instanceof Float || typeof value === 'string') {
      return scalar({ ...verb, letter: plainVerb(value) }, value) ?? '';
    }
    return padded(verb, print(value));
  }
  if (value instanceof List) {
    return `[${value.items.map((item) => formatted(verb, item)).join(' ')}]`;
  }
  if (value instanceof Dictionary) {
    const entries = sortedKeys(value).map(
      (key) => `${formatted(verb, key)}:${formatted(verb, value.entries.get(key))}`,
    );
    return `map[${entries.join(' ')}]`;
  }
  if (value instanceof Struct) return formatted(verb, value.print());
  if (value === undefined) return `%!${verb.letter}(<nil>)`;
  return scalar(verb, value) ?? `%!${verb.letter}(${typeOf(value)}=${print(value)})`;
}

function plainVerb(value: string | Integer | Float): string {
  if (typeof value === 'string') return 's';
  return value instanceof Integer ? 'd' : 'g';
}

/** Undefined where the verb is not for such a value. */
function scalar(verb: Verb, value: string | boolean | Integer | Float): string | undefined {
  if (typeof value === 'string') return formatString(verb, value);
  if (typeof value === 'boolean') {
    return verb.letter === 't' || verb.letter === 'v' ? padded(verb, String(value)) : undefined;
  }
  return value instanceof Integer
    ? formatInteger(verb, value.value)
    : formatFloat(verb, value.value);
}

function formatString(verb: Verb, value: string): string | undefined {
  const cut = verb.precision === undefined ? value : firstRunes(value, verb.precision);
  switch (verb.letter) {
    case 's':
      return padded(verb, cut);
    case 'v':
      return padded(verb, quoteOctets(cut));
    case 'q': {
      const isRaw = verb.flags.includes('#') && !/[`\p{Cc}]/u.test(cut.replaceAll('\t', ''));
      if (isRaw) return padded(verb, `\`${cut}\``);
      return padded(verb, quoteOctets(cut, verb.flags.includes('+')));
    }
    case 'x':
    case 'X': {
      const octets = verb.precision === undefined ? value : value.slice(0, verb.precision);
      const prefix = verb.flags.includes('#') && octets !== '' ? '0x' : '';
      const separator = verb.flags.includes(' ') ? ' ' : '';
      const hex = octets
        .split('')
        .map((octet) => octet.charCodeAt(0).toString(16).padStart(2, '0'))
        .join(separator);
      return padded(verb, letterCase(verb, prefix + hex));
    }
    default:
      return undefined;
  }
}

const RADIX: ReadonlyMap<string, readonly [number, string]> = new Map([
  ['d', [10, '']],
  ['v', [10, '']],
  ['b', [2, '0b']],
  ['o', [8, '0']],
  ['O', [8, '']],
  ['x', [16, '0x']],
  ['X', [16, '0x']],
]);

function formatInteger(verb: Verb, value: bigint): string | undefined {
  const { letter, flags, precision } = verb;
  if (letter === 'c' || letter === 'q' || letter === 'U') {
    const valid = value >= 0n && value <= 0x10_ffffn && !(value >= 0xd800n && value < 0xe000n);
    const rune = valid ? String.fromCodePoint(Number(value)) : '\ufffd';
    if (letter === 'c') return padded(verb, octetsOf(rune));
    if (letter === 'q') return padded(verb, `'${escapeRune(rune, "'")}'`);
    return padded(verb, `U+${value.toString(16).toUpperCase().padStart(4, '0')}`);
  }
  const radix = RADIX.get(letter);
  if (radix === undefined) return undefined;
  let digits = letterCase(verb, (value < 0n ? -value : value).toString(radix[0]));
  const sign = value < 0n ? '-' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';
  const prefix = letter === 'O' ? '0o' : flags.includes('#') ? letterCase(verb, radix[1]) : '';
  if (precision !== undefined) {
    digits = precision === 0 && value === 0n ? '' : digits.padStart(precision, '0');
  } else if (flags.includes('0') && !flags.includes('-')) {
    digits = digits.padStart((verb.width ?? 0) - sign.length - prefix.length, '0');
  }
  return padded({ ...verb, flags: flags.replaceAll('0', '') }, sign + prefix + digits);
}

function formatFloat(verb: Verb, value: number): string | undefined {
  const { letter, flags, precision } = verb;
  if (!'eEfFgG'.includes(letter)) return undefined;
  const magnitude = Math.abs(value);
  const kind = letter.toLowerCase();
  const places = Math.min(precision ?? 6, 100);
  let digits: string;
  if (kind === 'f') digits = magnitude.toFixed(places);
  else if (kind === 'e') digits = exponent(magnitude.toExponential(places));
  else digits = shortest(magnitude, precision ?? 21, precision);
  const sign = value < 0 ? '-' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';
  if (flags.includes('0') && !flags.includes('-')) {
    digits = digits.padStart((verb.width ?? 0) - sign.length, '0');
  }
  return padded(verb, letterCase(verb, sign + digits));
}

/** Go's %g: exponents below -4 and from `limit` on. */
function shortest(value: number, limit: number, precision?: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  const scientific =
    precision === undefined
      ? value.toExponential()
      : value.toExponential(Math.min(100, Math.max(0, precision - 1)));
  const [mantissa, power] = scientific.split('e');
  const x = Number(power);
  const short = precision === undefined ? mantissa! : mantissa!.replace(/\.?0*$/, '');
  if (x < -4 || x >= Math.max(1, limit)) return exponent(`${short}e${power}`);
  const digits = short.replace(/[-.]/g, '');
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  if (x < 0) return `${sign}0.${'0'.repeat(-x - 1)}${digits}`;
  const whole = digits.slice(0, x + 1).padEnd(x + 1, '0');
  const fraction = digits.slice(x + 1);
  return fraction === '' ? sign + whole : `${sign}${whole}.${fraction}`;
}

/** Exponents have two digits at least. */
function exponent(text: string): string {
  return text.replace(/e([+-])(\d)$/, 'e$10$2');
}

function firstRunes(octets: string, count: number): string {
  // A character has four octets at most.
  const enough = textOf(octets.slice(0, 4 * count));
  return octetsOf(Array.from(enough).slice(0, count).join(''));
}

function letterCase(verb: Verb, text: string): string {
  return 'XEFG'.includes(verb.letter) ? text.toUpperCase() : text;
}

/** Width counts characters. */
function padded(verb: Verb, octets: string): string {
  const missing =
    (verb.width ?? 0) - (verb.width === undefined ? 0 : Array.from(textOf(octets)).length);
  if (missing <= 0) return octets;
  if (verb.flags.includes('-')) return octets + ' '.repeat(missing);
  return (verb.flags.includes('0') ? '0' : ' ').repeat(missing) + octets;
}
