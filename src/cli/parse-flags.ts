/**
 * The daemon's command line, in Go's form: `-flag value`, `-flag=value`, with one dash or two.
 *
 * Owns:    the splitting into flags and values by yargs-parser, and Go's words for what it refuses.
 * Is not:  the table of flags or the meaning of a value: flags.ts.
 */
import parse from 'yargs-parser';
import { nearest } from '../corefile/suggest.ts';
import { FLAGS, FlagError, type Flags, flagsFrom, readSwitch } from './flags.ts';

/**
 * How yargs and yargs-parser read flags of Go's kind: `-conf` is one flag and not four, `dns.port` is a
 * name and not an object, values stay as they are written, and the last of several counts.
 */
export const GO_STYLE = {
  'boolean-negation': false,
  'camel-case-expansion': false,
  'dot-notation': false,
  'duplicate-arguments-array': false,
  'nargs-eats-options': true,
  'parse-numbers': false,
  'parse-positional-numbers': false,
  'short-option-groups': false,
} as const;

const NAMES: readonly string[] = Object.keys(FLAGS);
const SWITCHES: readonly string[] = NAMES.filter((name) => FLAGS[name]!.kind === 'switch');
const TEXTS: readonly string[] = NAMES.filter((name) => FLAGS[name]!.kind === 'text');
/** A flag's name, and the value behind its first `=` if it has one. */
const FLAG = /^--?([^=]+)(?:=(.*))?$/s;

/** Reads the arguments after the program's name. Throws FlagError. */
export function parseFlags(argv: readonly string[]): Flags {
  return flagsFrom(givenFlags(argv));
}

/** The text of each flag that was given. Throws FlagError for anything that is no flag. */
function givenFlags(argv: readonly string[]): Map<string, string> {
  const { argv: read, error } = parse.detailed(withSwitchesTyped(argv), {
    boolean: [...SWITCHES],
    string: [...TEXTS],
    narg: Object.fromEntries(TEXTS.map((name) => [name, 1])),
    configuration: GO_STYLE,
  });
  const given = new Map<string, string>();
  for (const [name, value] of Object.entries(read)) {
    if (name === '_') continue;
    refuseUnknown(name);
    if (value !== undefined) given.set(name, String(value));
  }
  if (error !== null) throw new FlagError(inGoWords(error.message));
  const [word] = read._;
  if (word !== undefined) {
    throw new FlagError(`unexpected argument ${JSON.stringify(word)}: flags begin with -`);
  }
  return given;
}

/**
 * Each switch with its value behind `=`. Go takes `-switch=T`, refuses `-switch=maybe`, and never takes the
 * next word for the value; yargs-parser does none of this. The value of another flag is left as it is,
 * whatever it looks like.
 */
export function withSwitchesTyped(argv: readonly string[]): string[] {
  const words: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at]!;
    const [, name = '', value] = FLAG.exec(word) ?? [];
    words.push(SWITCHES.includes(name) ? `--${name}=${readSwitch(name, value ?? 'true')}` : word);
    if (TEXTS.includes(name) && value === undefined && at + 1 < argv.length)
      words.push(argv[++at]!);
  }
  return words;
}

/** Throws FlagError, in Go's words and with the nearest flag that exists, if there is none of that name. */
export function refuseUnknown(name: string): void {
  if (Object.hasOwn(FLAGS, name)) return;
  const meant = nearest(name, NAMES);
  const guess = meant === undefined ? 'see -help' : `did you mean -${meant}?`;
  throw new FlagError(`flag provided but not defined: -${name}; ${guess}`);
}

/** yargs-parser's only error here is that a flag at the end lacks its value. */
function inGoWords(message: string): string {
  const [, name] = /^Not enough arguments following: (.+)$/.exec(message) ?? [];
  return name === undefined ? message : `flag needs an argument: -${name}`;
}
