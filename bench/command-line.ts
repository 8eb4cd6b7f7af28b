/**
 * The command lines of the benchmark and the lab.
 *
 * Owns:   the errors for what a person has typed wrong; each names it and what is expected.
 * Is not: the daemon's command line, which is in src/cli/.
 */
import { type ParseArgsConfig, parseArgs } from 'node:util';

/** A mistake on the command line. The message is for the person who typed it. */
export class UsageError extends Error {}

/** `parseArgs` of `argv` with positionals. Throws UsageError. */
export function parseArguments<T extends NonNullable<ParseArgsConfig['options']>>(
  argv: readonly string[],
  options: T,
): ReturnType<typeof parseArgs<{ options: T; allowPositionals: true }>> {
  try {
    return parseArgs({ args: [...argv], allowPositionals: true, options });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** `name` if `names` have it. Throws UsageError; `what` says what it should be: "case", "row". */
export function requireKnown(what: string, name: string, names: readonly string[]): string {
  if (names.includes(name)) return name;
  throw new UsageError(`no ${what} is called "${name}"; there are ${names.join(', ')}`);
}

/** The whole number from `min` to `max` that `text` is. Throws UsageError. */
export function requireInteger(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new UsageError(`${option} wants a whole number from ${min} to ${max}, not "${text}"`);
}
