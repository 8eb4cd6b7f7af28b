/**
 * `nodelocald check`, `fmt` and `explain`: what works on Corefiles and serves nothing.
 *
 * Owns:    which commands there are, their arguments and exit codes.
 * Is not:  the daemon's command line, which begins with a flag: flags.ts.
 */
import { CorefileError } from '../corefile/error.ts';
import { nearest } from '../corefile/suggest.ts';
import { type CommandContext, check } from './check.ts';
import { explain } from './explain.ts';
import { FlagError, type Flags, parseFlags } from './flags.ts';
import { format } from './fmt.ts';
import { EXIT_FAULTS } from './terminal.ts';

const EXIT_USAGE = 2;

interface Command {
  readonly usage: string;
  /** How many arguments that are no flags. */
  readonly args: readonly [min: number, max: number];
  /** Its own switches; other flags are the daemon's. */
  readonly switches: readonly string[];
  run(given: Given, context: CommandContext): number;
}

/** The arguments of a command. */
export interface Given {
  readonly args: readonly string[];
  readonly switches: ReadonlySet<string>;
  /** The daemon's flags, as the Corefile would be served with: `-dns.port`, `-localip`... */
  readonly flags: Flags;
}

/** Every command; `-help` prints the usages. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  check: {
    usage: 'check FILE                  every error of a Corefile at once; 0 if there is none',
    args: [1, 1],
    switches: [],
    run: ({ args, flags }, context) => check(args[0]!, flags, context),
  },
  fmt: {
    usage: 'fmt [-w] FILE               a Corefile in canonical form; -w writes it to the file',
    args: [1, 1],
    switches: ['-w'],
    run: ({ args, switches }, { terminal }) => format(args[0]!, switches.has('-w'), terminal),
  },
  explain: {
    usage: 'explain FILE [NAME [TYPE]]  what happens to a query for NAME, or to all',
    args: [1, 3],
    switches: [],
    run: ({ args, flags }, { terminal }) => {
      const [file, name, type] = args;
      return explain(file!, { name, type }, flags, terminal);
    },
  },
};

/** What `-help` prints of them. */
export function commandUsage(): string {
  const lines = Object.values(COMMANDS).map(({ usage }) => `  nodelocald ${usage}`);
  return `Commands, for Corefiles that are not served:\n${lines.join('\n')}\n`;
}

/** Runs the command that `argv` begins with and returns the exit code. Never throws for what a person can do wrong. */
export function runCommand(argv: readonly string[], context: CommandContext): number {
  const [name = '', ...rest] = argv;
  const { terminal } = context;
  try {
    const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
    if (command === undefined) throw unknownCommand(name);
    return command.run(readGiven(name, command, rest), context);
  } catch (error) {
    if (error instanceof FlagError) {
      terminal.err(`${error.message}\n`);
      return EXIT_USAGE;
    }
    if (!(error instanceof CorefileError)) throw error;
    terminal.err(`${error.message}\n`);
    return EXIT_FAULTS;
  }
}

function unknownCommand(name: string): FlagError {
  const meant = nearest(name, Object.keys(COMMANDS));
  const guess = meant === undefined ? 'see -help' : `did you mean ${meant}?`;
  return new FlagError(`unknown command ${JSON.stringify(name)}: flags begin with -; ${guess}`);
}

/** Words before the first flag are arguments, and so are those behind the command's own switches. */
function readGiven(name: string, command: Command, rest: readonly string[]): Given {
  const args: string[] = [];
  const switches = new Set<string>();
  let at = 0;
  for (; at < rest.length; at++) {
    const word = rest[at]!;
    if (command.switches.includes(word)) switches.add(word);
    else if (!word.startsWith('-') || word === '-') args.push(word);
    else break;
  }
  const [min, max] = command.args;
  if (args.length < min || args.length > max) {
    throw new FlagError(`usage: nodelocald ${COMMANDS[name]!.usage}`);
  }
  return { args, switches, flags: parseFlags(rest.slice(at)) };
}
