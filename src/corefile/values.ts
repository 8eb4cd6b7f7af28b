/**
 * Values in a Corefile, read as Go reads them, and durations written as Go writes them.
 *
 * Owns:    durations, integers, booleans, percentages, addresses, networks; their errors: Go's own
 *          text first, then what was expected.
 * Is not:  aware of the directive or option, which options.ts puts before the text.
 */
import { type HostPort, PORT_MAX, splitHostPort } from '../net/host-port.ts';
import { CorefileError, quote } from './error.ts';
import { type IpAddress, ipFromText, type IpNetwork, networkFromText } from '../net/ip.ts';
import type { Token } from './tokens.ts';

/** Inclusive at both ends. */
export interface Range {
  readonly min?: number;
  readonly max?: number;
}

/** An error about the value at `token`; exported for checks that directives make themselves. */
export function badValue(token: Token, what: string, hint?: string): CorefileError {
  return new CorefileError('COREFILE_VALUE', token, what, { hint });
}

const NS_PER_MS = 1_000_000;

const NS_PER_UNIT: ReadonlyMap<string, bigint> = new Map([
  ['ns', 1n],
  ['us', 1_000n],
  ['\u00b5s', 1_000n], // the micro sign
  ['\u03bcs', 1_000n], // the Greek letter mu
  ['ms', 1_000_000n],
  ['s', 1_000_000_000n],
  ['m', 60_000_000_000n],
  ['h', 3_600_000_000_000n],
]);

/** Go counts in 64-bit nanoseconds: 292 years. */
const DURATION_NS_MAX = 2n ** 63n - 1n;

/**
 * Reads a Go duration (`300ms`, `1.5h`, `2h45m`, `-1s`, or a bare `0`) as milliseconds, fractions
 * included. The range is in milliseconds too.
 */
export function parseDuration(token: Token, range: Range = {}): number {
  const read = durationNs(token.text);
  if (typeof read === 'string') {
    const plain = /^\d+$/.test(token.text) ? token.text : undefined;
    const example = plain === undefined ? 'such as 500ms, 30s or 1h30m' : `such as ${plain}s`;
    throw badValue(token, read, `expected a duration ${example}`);
  }
  const ms = Number(read) / NS_PER_MS;
  checkRange(token, ms, range, 'a duration', formatDuration);
  return ms;
}

/** Like parseDuration, for text from elsewhere than a Corefile; undefined if it is no duration. */
export function durationOf(text: string): number | undefined {
  const read = durationNs(text);
  return typeof read === 'string' ? undefined : Number(read) / NS_PER_MS;
}

/** The signed nanoseconds, or the text of Go's error. */
function durationNs(text: string): bigint | string {
  const invalid = `time: invalid duration ${quote(text)}`;
  const sign = /^[+-]/.exec(text)?.[0] ?? '';
  let rest = text.slice(sign.length);
  if (rest === '0') return 0n;
  if (rest === '') return invalid;
  let total = 0n;
  while (rest !== '') {
    const number = /^(\d*)(?:\.(\d*))?/.exec(rest)!;
    const whole = number[1]!;
    const fraction = number[2] ?? '';
    if (whole === '' && fraction === '') return invalid;
    rest = rest.slice(number[0].length);
    const unit = /^[^.\d]*/.exec(rest)![0];
    if (unit === '') return `time: missing unit in duration ${quote(text)}`;
    const ns = NS_PER_UNIT.get(unit);
    if (ns === undefined) return `time: unknown unit ${quote(unit)} in duration ${quote(text)}`;
    rest = rest.slice(unit.length);
    // More than 20 digits exceed both limits, and BigInt of a long text is not linear.
    if (whole.replace(/^0+/, '').length > 20) return invalid;
    total += BigInt(whole || '0') * ns;
    const decimals = fraction.slice(0, 18);
    if (decimals !== '') total += (BigInt(decimals) * ns) / 10n ** BigInt(decimals.length);
    if (total > DURATION_NS_MAX) return invalid;
  }
  return sign === '-' ? -total : total;
}

/** Prints a duration as Go does: `500ms`, `1.5s`, `1m0s`, `25h0m0s`, `0s`. Rounded to nanoseconds. */
export function formatDuration(ms: number): string {
  const ns = BigInt(Math.round(ms * NS_PER_MS));
  if (ns < 0n) return `-${formatNs(-ns)}`;
  return formatNs(ns);
}

function formatNs(ns: bigint): string {
  if (ns === 0n) return '0s';
  if (ns < 1_000n) return `${ns}ns`;
  if (ns < 1_000_000n) return `${decimal(ns, 1_000n)}\u00b5s`;
  if (ns < 1_000_000_000n) return `${decimal(ns, 1_000_000n)}ms`;
  const minutes = ns / 60_000_000_000n;
  const seconds = `${decimal(ns % 60_000_000_000n, 1_000_000_000n)}s`;
  if (minutes === 0n) return seconds;
  const hours = minutes / 60n;
  return hours === 0n ? `${minutes}m${seconds}` : `${hours}h${minutes % 60n}m${seconds}`;
}

/** `value / unit` with all its decimals. */
function decimal(value: bigint, unit: bigint): string {
  const digits = String(value % unit).padStart(String(unit).length - 1, '0');
  const fraction = digits.replace(/0+$/, '');
  return fraction === '' ? String(value / unit) : `${value / unit}.${fraction}`;
}

/** Reads a decimal integer with an optional sign, as Go's strconv.Atoi does. */
export function parseInteger(token: Token, range: Range = {}): number {
  return decimalInteger(token, range, /^[+-]?\d+$/, 'Atoi', 2n ** 63n - 1n);
}

/** Whether Go's strconv.Atoi accepts the text: an optional number does so, and a zone does not. */
export function isInteger(text: string): boolean {
  return /^[+-]?\d+$/.test(text);
}

/** Reads decimal digits without a sign, as Go's strconv.ParseUint does; at most 32 bits. */
export function parseUnsigned(token: Token, range: Range = {}): number {
  return decimalInteger(token, range, /^\d+$/, 'ParseUint', 2n ** 32n - 1n);
}

function decimalInteger(
  token: Token,
  range: Range,
  form: RegExp,
  reader: string,
  limit: bigint,
): number {
  const { text } = token;
  const expected = `expected ${describeRange('an integer', range, String)}`;
  if (!form.test(text)) {
    throw badValue(token, `strconv.${reader}: parsing ${quote(text)}: invalid syntax`, expected);
  }
  const digits = text.replace(/^[+-]?0*/, '');
  if (digits.length > 20 || BigInt(digits || '0') > limit) {
    const what = `strconv.${reader}: parsing ${quote(text)}: value out of range`;
    throw badValue(token, what, expected);
  }
  const value = Number(digits || '0') * (text.startsWith('-') && digits !== '' ? -1 : 1);
  checkRange(token, value, range, 'an integer', String);
  return value;
}

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ...['1', 't', 'T', 'TRUE', 'true', 'True'].map((text) => [text, true] as const),
  ...['0', 'f', 'F', 'FALSE', 'false', 'False'].map((text) => [text, false] as const),
]);

export function parseBool(token: Token): boolean {
  const value = BOOLEANS.get(token.text);
  if (value === undefined) {
    const what = `strconv.ParseBool: parsing ${quote(token.text)}: invalid syntax`;
    throw badValue(token, what, 'expected true or false');
  }
  return value;
}

/** Reads `25%` as 25. The sign is required. */
export function parsePercentage(token: Token, range: Range = {}): number {
  const { text } = token;
  const last = text.at(-1) ?? '';
  if (last !== '%') {
    const what = `last character of percentage should be \`%\`, but is: '${last}'`;
    throw badValue(token, what, `expected ${describeRange('a percentage', range, percent)}`);
  }
  const digits = { ...token, text: text.slice(0, -1) };
  const value = parseInteger(digits);
  const { min = -Infinity, max = Infinity } = range;
  if (value < min || value > max) {
    throw badValue(token, `percentage should fall in range [${min}, ${max}]: ${value}`);
  }
  return value;
}

/** Reads one of `words`, and returns it as `words` spells it. Case counts unless `anyCase`. */
export function parseWord<Word extends string>(
  token: Token,
  words: readonly Word[],
  what: (found: string) => string = (found) => `unknown value ${quote(found)}`,
  options: { readonly anyCase?: boolean } = {},
): Word {
  const wanted = options.anyCase === true ? token.text.toLowerCase() : token.text;
  const word = words.find(
    (candidate) => wanted === (options.anyCase === true ? candidate.toLowerCase() : candidate),
  );
  if (word === undefined) {
    throw badValue(token, what(token.text), `expected ${words.join(', ')}`);
  }
  return word;
}

/** Reads an IP address without port or brackets; with `%eth0` only if `zone` allows it. */
export function parseIp(token: Token, options: { readonly zone?: boolean } = {}): IpAddress {
  const address = ipFromText(token.text);
  if (address === undefined || (address.zone !== undefined && options.zone !== true)) {
    const what = `not a valid IP address: ${quote(token.text)}`;
    throw badValue(token, what, 'expected an IPv4 or IPv6 address without port or brackets');
  }
  return address;
}

export function parseCidr(token: Token): IpNetwork {
  const network = networkFromText(token.text);
  if (network === undefined) {
    const what = `invalid CIDR address: ${token.text}`;
    throw badValue(token, what, 'expected ADDRESS/LENGTH, such as 10.0.0.0/8 or fd00::/8');
  }
  return network;
}

/**
 * Reads `HOST:PORT`, `[IPV6]:PORT` or `:PORT`, as Go's net.SplitHostPort does. The host is not checked;
 * a missing one becomes `defaultHost`, or else empty, which stands for all addresses.
 */
export function parseHostPort(
  token: Token,
  options: { readonly defaultHost?: string } = {},
): HostPort {
  const { text } = token;
  const split = splitHostPort(text);
  if (typeof split === 'string') {
    const what = `address ${text}: ${split}`;
    throw badValue(token, what, 'expected HOST:PORT, [IPV6]:PORT or :PORT');
  }
  if (!/^\d{1,5}$/.test(split.port) || Number(split.port) > PORT_MAX) {
    const what = `address ${text}: invalid port ${quote(split.port)}`;
    throw badValue(token, what, `expected a port from 0 to ${PORT_MAX}`);
  }
  const host = split.host === '' ? (options.defaultHost ?? '') : split.host;
  return { host, port: Number(split.port) };
}

function checkRange(
  token: Token,
  value: number,
  range: Range,
  noun: string,
  format: (value: number) => string,
): void {
  const { min = -Infinity, max = Infinity } = range;
  if (value >= min && value <= max) return;
  const what = `${format(value)} is out of range`;
  throw badValue(token, what, `expected ${describeRange(noun, range, format)}`);
}

function describeRange(noun: string, range: Range, format: (value: number) => string): string {
  const { min, max } = range;
  if (min !== undefined && max !== undefined)
    return `${noun} from ${format(min)} to ${format(max)}`;
  if (min !== undefined) return `${noun} of at least ${format(min)}`;
  return max === undefined ? noun : `${noun} of at most ${format(max)}`;
}

function percent(value: number): string {
  return `${value}%`;
}
