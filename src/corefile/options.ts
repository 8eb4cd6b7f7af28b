/**
 * The reading of one use of a directive: a table of the options in its block, a count of its arguments.
 *
 *   const OPTIONS: OptionTable<ForwardConfig> = {
 *     force_tcp: flag((config) => { config.forceTcp = true; }),
 *     expire: one((config, value) => { config.expireMs = parseDuration(value, { min: 0 }); }),
 *     except: oneOrMore((config, names) => { config.except.push(...names); }),
 *   };
 *   const config = readUse(use, () => {
 *     const [from, ...to] = countArguments(use, 2);
 *     return readOptions(use, OPTIONS, { forceTcp: false, ... });
 *   });
 *
 * Owns:    the table of options, how many arguments each takes, and the errors about both.
 * Is not:  a reader of values: values.ts and the directive are.
 */
import type { DirectiveUse, OptionLine } from './blocks.ts';
import { CorefileError, type Place, quote, withSubject } from './error.ts';
import { nearest } from './suggest.ts';
import type { Token } from './tokens.ts';

/** One option: how many arguments it takes, and how it changes the configuration being read. */
export interface Option<Config> {
  readonly argsMin: number;
  readonly argsMax: number;
  /** Whether a second one is refused. Most options may repeat: the later one overrides, or adds. */
  readonly once: boolean;
  readonly read: (config: Config, args: readonly Token[], line: OptionLine) => void;
}

export type OptionTable<Config> = Readonly<Record<string, Option<Config>>>;

/** Rules beyond the table. */
export interface OptionRules<Config> {
  /** Reads lines whose first word is no option, which are otherwise refused (inline hosts). */
  readonly otherwise?: (config: Config, line: OptionLine) => void;
}

/** An option without arguments. */
export function flag<Config>(set: (config: Config, line: OptionLine) => void): Option<Config> {
  return option(0, 0, (config, _, line) => set(config, line));
}

/** An option with exactly one argument. */
export function one<Config>(
  set: (config: Config, value: Token, line: OptionLine) => void,
): Option<Config> {
  return option(1, 1, (config, args, line) => set(config, args[0]!, line));
}

/** An option with at least one argument; `rest` are the others. */
export function oneOrMore<Config>(
  set: (config: Config, first: Token, rest: readonly Token[], line: OptionLine) => void,
  argsMax: number = Infinity,
): Option<Config> {
  return option(1, argsMax, (config, args, line) => set(config, args[0]!, args.slice(1), line));
}

/** An option with any number of arguments, or at most `argsMax`. */
export function any<Config>(
  set: (config: Config, args: readonly Token[], line: OptionLine) => void,
  argsMax: number = Infinity,
): Option<Config> {
  return option(0, argsMax, set);
}

/** An option with `argsMin` to `argsMax` arguments. */
export function option<Config>(
  argsMin: number,
  argsMax: number,
  read: (config: Config, args: readonly Token[], line: OptionLine) => void,
): Option<Config> {
  return { argsMin, argsMax, once: false, read };
}

/** Like `of`, but refused the second time. */
export function once<Config>(of: Option<Config>): Option<Config> {
  return { ...of, once: true };
}

/** Runs the reading of a directive; every error is reported as `NAME: ...`. */
export function readUse<T>(use: DirectiveUse, read: () => T): T {
  return withSubject(use.name, read);
}

/**
 * Reads every line of the directive's block into `config`, in order, and returns it. Of errors in
 * several lines the first is thrown, with the rest in its `others`.
 */
export function readOptions<Config>(
  use: DirectiveUse,
  table: OptionTable<Config>,
  config: Config,
  rules: OptionRules<Config> = {},
): Config {
  const seen = new Set<string>();
  const errors: CorefileError[] = [];
  for (const line of use.options) {
    try {
      readLine(use, line, { table, config, rules, seen });
    } catch (error) {
      if (!(error instanceof CorefileError)) throw error;
      errors.push(error);
    }
  }
  const [first, ...others] = errors;
  if (first !== undefined) throw first.with(others);
  return config;
}

interface Reading<Config> {
  readonly table: OptionTable<Config>;
  readonly config: Config;
  readonly rules: OptionRules<Config>;
  /** Options of the lines above. */
  readonly seen: Set<string>;
}

function readLine<Config>(use: DirectiveUse, line: OptionLine, reading: Reading<Config>): void {
  const { table, config, rules, seen } = reading;
  const name = line.name.text;
  const known = Object.hasOwn(table, name) ? table[name] : undefined;
  if (known !== undefined) {
    withSubject(`${use.name}: ${name}`, () => {
      const given = { name, place: line.name, args: line.args };
      checkCount(given, known, Object.keys(table));
      if (known.once && seen.has(name)) {
        throw new CorefileError('COREFILE_REPEATED', line.name, 'given a second time', {
          hint: 'it can only be used once in a block',
        });
      }
      seen.add(name);
      known.read(config, line.args, line);
    });
  } else if (rules.otherwise === undefined) {
    throw unknownOption(use, line.name, Object.keys(table));
  } else {
    const { otherwise } = rules;
    withSubject(use.name, () => otherwise(config, line));
  }
}

/** The error for an option that the directive does not have. */
export function unknownOption(
  use: DirectiveUse,
  name: Token,
  options: readonly string[],
): CorefileError {
  const meant = nearest(name.text, options);
  const guess = meant === undefined ? '' : `did you mean ${quote(meant)}? `;
  const what = `${quote(name.text)} is not an option (unknown property '${name.text}')`;
  return new CorefileError('COREFILE_UNKNOWN_OPTION', name, what, {
    hint: `${guess}Options of ${use.name}: ${documentationOf(use)}`,
    subject: use.name,
  });
}

/** Returns the directive's arguments. Throws CorefileError unless there are `min` to `max`. */
export function countArguments(
  use: DirectiveUse,
  min: number,
  max: number = Infinity,
): readonly Token[] {
  withSubject(use.name, () => checkCount(use, { argsMin: min, argsMax: max }));
  return use.args;
}

export function noArguments(use: DirectiveUse): void {
  countArguments(use, 0, 0);
}

/** Refuses a block, even an empty one. */
export function noBlock(use: DirectiveUse): void {
  if (!use.hasBlock) return;
  throw new CorefileError(
    'COREFILE_ARGUMENTS',
    use.options[0]?.name ?? use.place,
    `Wrong argument count or unexpected line ending after '{': ${use.name} takes no block`,
    { hint: `see ${documentationOf(use)}`, subject: use.name },
  );
}

/** Refuses the second use of a directive in one block, at the second. */
export function onlyOnce(uses: readonly DirectiveUse[]): void {
  const again = uses[1];
  if (again === undefined) return;
  throw new CorefileError(
    'COREFILE_REPEATED',
    again.place,
    'this plugin can only be used once per Server Block',
    { hint: `it stands in line ${uses[0]!.place.line} already`, subject: again.name },
  );
}

function documentationOf(use: DirectiveUse): string {
  return `docs/directives/${use.name}.md`;
}

/** A directive or an option, with the arguments that follow its name. */
interface Given {
  readonly name: string;
  readonly place: Place;
  readonly args: readonly Token[];
}

/** `options` are names of which one may be on the same line by mistake. */
function checkCount(
  { name, place, args }: Given,
  { argsMin: min, argsMax: max }: { readonly argsMin: number; readonly argsMax: number },
  options: readonly string[] = [],
): void {
  if (args.length >= min && args.length <= max) return;
  const last = args.length > max ? args[max]! : args.at(-1);
  const after = last?.text ?? name;
  const neighbour = args.length > max && options.includes(args[max]!.text);
  throw new CorefileError(
    'COREFILE_ARGUMENTS',
    last ?? place,
    `Wrong argument count or unexpected line ending after '${after}': ` +
      `${name} takes ${describeCount(min, max)}, not ${args.length}`,
    { hint: neighbour ? 'each option stands on a line of its own' : undefined },
  );
}

function describeCount(min: number, max: number): string {
  if (max === 0) return 'no arguments';
  if (min === max) return min === 1 ? '1 argument' : `${min} arguments`;
  if (max === Infinity) return min === 0 ? 'any arguments' : `at least ${plural(min)}`;
  return min === 0 ? `at most ${plural(max)}` : `${min} to ${max} arguments`;
}

function plural(count: number): string {
  return count === 1 ? '1 argument' : `${count} arguments`;
}
