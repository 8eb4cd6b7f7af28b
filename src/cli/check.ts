/**
 * `nodelocald check FILE`: every error of a Corefile, each with its place and cure.
 *
 * Owns:    the order in which errors and warnings are printed, and the exit code.
 */
import { type Corefile, parseCorefile } from '../corefile/blocks.ts';
import { CorefileError, type Place } from '../corefile/error.ts';
import { DIRECTIVE_NAMES, configure } from '../directives/configure.ts';
import { readCorefileText } from './corefile-text.ts';
import type { Flags } from './flags.ts';
import { EXIT_FAULTS, EXIT_FINE, type Terminal } from './terminal.ts';

/** Builds all that the daemon would of that text. Throws CorefileError, and serves nothing. */
export type DryRun = (text: string, file: string, flags: Flags) => void;

/** What it is given besides its arguments. */
export interface CommandContext {
  readonly terminal: Terminal;
  /** Builds all that the daemon would, and throws CorefileError if it cannot. */
  readonly dryRun: DryRun;
}

/** Prints what is wrong, or that nothing is, and returns the exit code. */
export function check(file: string, flags: Flags, context: CommandContext): number {
  const { terminal, dryRun } = context;
  const { text, notes } = readCorefileText(file, flags, terminal);
  for (const note of notes) terminal.err(`note: ${note}\n`);
  const { errors, warnings, corefile } = findFaults(text, file, flags, terminal);
  if (errors.length === 0) errors.push(...faultsOf(() => dryRun(text, file, flags)));
  for (const warning of new Set(warnings)) terminal.err(`${warning}\n`);
  for (const error of inOrder(errors, file)) {
    terminal.err(`${rendered(error, text, file, terminal)}\n`);
  }
  if (errors.length > 0) {
    terminal.err(`${file}: ${counted(errors.length, 'error')}\n`);
    return EXIT_FAULTS;
  }
  terminal.out(`${file}: ${counted(corefile!.blocks.length, 'server block')}, no error\n`);
  return EXIT_FINE;
}

interface Findings {
  readonly errors: CorefileError[];
  readonly warnings: readonly string[];
  /** Undefined if it could not be read to its end. */
  readonly corefile: Corefile | undefined;
}

function findFaults(text: string, file: string, flags: Flags, terminal: Terminal): Findings {
  const errors: CorefileError[] = [];
  const warnings: string[] = [];
  const report = (error: CorefileError): void => void errors.push(error);
  const { dnsPort: defaultPort } = flags;
  let corefile: Corefile | undefined;
  const { source } = terminal;
  const stopped = faultsOf(() => {
    const options = { file, source, known: DIRECTIVE_NAMES, defaultPort, report };
    corefile = parseCorefile(text, options);
    for (const { message, place } of corefile.warnings) {
      warnings.push(`${placeText(place)}: warning: ${message}`);
    }
    // Where a block was not understood, that there is none is no further news.
    if (corefile.blocks.length === 0 && errors.length > 0) return;
    const warn = (message: string): void => void warnings.push(`${file}: warning: ${message}`);
    configure(corefile, { defaultPort, warn, report });
  });
  return { errors: [...errors, ...stopped], warnings, corefile };
}

function faultsOf(run: () => void): CorefileError[] {
  try {
    run();
    return [];
  } catch (error) {
    if (error instanceof CorefileError) return [error, ...error.others];
    throw error;
  }
}

/** By place: those of the file itself, then of what it imports. What is told twice stands once. */
function inOrder(errors: readonly CorefileError[], file: string): CorefileError[] {
  const once = new Map(errors.map((error) => [error.message, error]));
  const rank = ({ place }: CorefileError): string =>
    place === undefined || place.file === file ? '' : place.file;
  return [...once.values()].sort(
    (a, b) =>
      compare(rank(a), rank(b)) ||
      (a.place?.line ?? 0) - (b.place?.line ?? 0) ||
      (a.place?.column ?? 0) - (b.place?.column ?? 0),
  );
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** One line for programs; for a person the line that it is about as well. */
function rendered(error: CorefileError, text: string, file: string, terminal: Terminal): string {
  const { place } = error;
  if (!terminal.isPerson || place === undefined) return error.message;
  try {
    const whole = place.file === file ? text : terminal.source.readFile(place.file);
    return error.render(whole.split('\n')[place.line - 1]);
  } catch {
    return error.message; // the imported file has gone since
  }
}

function placeText({ file, line, column }: Place): string {
  return `${file}:${line}:${column}`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
