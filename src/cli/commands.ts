/**
 * The commands of `nodelocald`: `check`, `fmt`, `explain`, `completion`, `help`.
 *
 * Owns:    which commands there are, their arguments and exit codes; yargs reads and explains them.
 * Is not:  the daemon's command line, which begins with a flag: parse-flags.ts.
 */
import yargs, { type Argv } from 'yargs';
import { CorefileError } from '../corefile/error.ts';
import { nearest } from '../corefile/suggest.ts';
import { type CommandContext, check } from './check.ts';
import { SHELLS, completionScript } from './completion.ts';
import { explain } from './explain.ts';
import { FLAGS, FlagError, type Flags, flagsFrom, usage } from './flags.ts';
import { format } from './fmt.ts';
import { GO_STYLE, refuseUnknown, withSwitchesTyped } from './parse-flags.ts';
import { EXIT_FAULTS, EXIT_FINE } from './terminal.ts';

const EXIT_USAGE = 2;
const HELP = /^--?h(elp)?$/;

interface Command {
  /** Its arguments as a person reads them. */
  readonly usage: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Its arguments as yargs reads them: `<file>` must be there, `[name]` may be. */
  readonly positionals: string;
  /** Its own switches, with what they do; other flags are the daemon's. */
  readonly switches: Readonly<Record<string, string>>;
  run(given: Given, context: CommandContext): number;
}

/** What the command line gives a command. */
interface Given {
  /** By the names in `positionals`; undefined for one that was left out. */
  readonly args: Readonly<Record<string, string | undefined>>;
  readonly switches: ReadonlySet<string>;
  /** The daemon's flags, as the Corefile would be served with: `-dns.port`, `-localip`... */
  readonly flags: Flags;
}

/** Every command, by name, in the order in which help lists them. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  check: {
    usage: 'FILE',
    summary: 'every error of a Corefile at once; 0 if there is none',
    positionals: '<file>',
    switches: {},
    run: ({ args, flags }, context) => check(args['file']!, flags, context),
  },
  fmt: {
    usage: '[-w] FILE',
    summary: 'a Corefile in canonical form',
    positionals: '<file>',
    switches: { w: 'write it to the file' },
    run: ({ args, switches }, { terminal }) => format(args['file']!, switches.has('w'), terminal),
  },
  explain: {
    usage: 'FILE [NAME [TYPE]]',
    summary: 'what happens to a query for NAME, or to all',
    positionals: '<file> [name] [type]',
    switches: {},
    run: ({ args, flags }, { terminal }) =>
      explain(args['file']!, { name: args['name'], type: args['type'] }, flags, terminal),
  },
  completion: {
    usage: SHELLS.join('|'),
    summary: 'a script that completes commands and flags in that shell',
    positionals: '<shell>',
    switches: {},
    run: ({ args }, { terminal }) => {
      terminal.out(completionScript(args['shell']!, COMMANDS));
      return EXIT_FINE;
    },
  },
  help: {
    usage: '[COMMAND]',
    summary: 'the flags and commands, or one command',
    positionals: '[command]',
    switches: {},
    run: ({ args: { command } }, context) => {
      if (command === undefined) context.terminal.out(fullUsage());
      return command === undefined ? EXIT_FINE : run([command, '-help'], context);
    },
  },
};

/** What `-help` and `help` print: the daemon's flags, then the commands. */
export function fullUsage(): string {
  const names = Object.entries(COMMANDS).map(([name, command]) => `${name} ${command.usage}`);
  const width = Math.max(...names.map((name) => name.length));
  const lines = Object.values(COMMANDS).map(
    ({ summary }, i) => `  nodelocald ${names[i]!.padEnd(width)}  ${summary}`,
  );
  return `${usage()}\nCommands:\n${lines.join('\n')}\n`;
}

/**
 * Runs the command that `argv` begins with and returns the exit code: 2 for a command line that cannot be
 * understood. Never throws for what a person can do wrong.
 */
export function runCommand(argv: readonly string[], context: CommandContext): number {
  try {
    return run(argv, context);
  } catch (error) {
    if (!(error instanceof FlagError || error instanceof CorefileError)) throw error;
    context.terminal.err(`${error.message}\n`);
    return error instanceof FlagError ? EXIT_USAGE : EXIT_FAULTS;
  }
}

/** Throws FlagError, and what the command throws. */
function run([name = '', ...rest]: readonly string[], context: CommandContext): number {
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) throw unknownCommand(name);
  let code = EXIT_FINE;
  const parser = parserOf(name, command, (given) => {
    code = command.run(given, context);
  });
  // With yargs' own help on, a last argument `help` would ask for it too: `explain FILE help`.
  if (rest.some((word) => HELP.test(word))) {
    void parser.help('help').parse([name, '--help'], {}, (_error, _argv, output) => {
      context.terminal.out(`${output}\n`);
    });
  } else {
    void parser.parse([name, ...withSwitchesTyped(rest)]);
  }
  return code;
}

function parserOf(name: string, command: Command, act: (given: Given) => void): Argv {
  const wrong = new FlagError(`usage: nodelocald ${name} ${command.usage}`);
  const ownSwitches = Object.entries(command.switches);
  return yargs()
    .scriptName('nodelocald')
    .locale('en')
    .parserConfiguration(GO_STYLE)
    .exitProcess(false)
    .help(false)
    .version(false)
    .showHidden(false)
    .fail((_message, error) => {
      throw error ?? wrong;
    })
    .command(
      `${name} ${command.positionals}`,
      command.summary,
      (builder) => {
        builder.usage(`nodelocald ${name} ${command.usage}\n\n${command.summary}`);
        builder.epilogue('Flags of the daemon that change what a Corefile means may follow: -help');
        for (const positional of positionalsOf(command)) {
          builder.positional(positional, TEXT).nargs(positional, 1); // `-` is a word like others
        }
        for (const [key, describe] of ownSwitches)
          builder.option(key, { type: 'boolean', describe });
        for (const [key, { kind }] of Object.entries(FLAGS)) {
          builder.option(key, { hidden: true, ...(kind === 'switch' ? SWITCH : VALUE) });
        }
        return builder;
      },
      (argv) => act(givenOf(argv, command, wrong)),
    );
}

const TEXT = { type: 'string', hidden: true } as const;
const SWITCH = { type: 'boolean' } as const;
const VALUE = { type: 'string', nargs: 1 } as const;

function positionalsOf({ positionals }: Command): string[] {
  return positionals.split(' ').map((word) => word.slice(1, -1));
}

/** The words of a command line as yargs reads it: texts and switches are all that it is asked for. */
interface WordsRead {
  readonly [key: string]: unknown;
  /** The command's name, and words beyond its arguments. */
  readonly _: readonly (string | number)[];
}

/** Sorts what yargs has read; throws FlagError for what the command does not take. */
function givenOf(
  { _: words, $0: _program, ...read }: WordsRead,
  command: Command,
  wrong: FlagError,
): Given {
  const args: Record<string, string | undefined> = {};
  const switches = new Set<string>();
  const flags = new Map<string, string>();
  const positionals = positionalsOf(command);
  if (words.length > 1) throw wrong;
  for (const [key, value] of Object.entries(read as Record<string, string | boolean | undefined>)) {
    if (value === undefined) continue;
    if (positionals.includes(key)) {
      args[key] = String(value);
    } else if (Object.hasOwn(command.switches, key)) {
      if (value === true) switches.add(key);
    } else {
      refuseUnknown(key);
      flags.set(key, String(value));
    }
  }
  return { args, switches, flags: flagsFrom(flags) };
}

function unknownCommand(name: string): FlagError {
  const meant = nearest(name, Object.keys(COMMANDS));
  const guess = meant === undefined ? 'see -help' : `did you mean ${meant}?`;
  return new FlagError(`unknown command ${JSON.stringify(name)}: flags begin with -; ${guess}`);
}
