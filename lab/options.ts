/** The command line of the lab. */
import { UsageError, parseArguments, requireInteger, requireKnown } from '../bench/command-line.ts';

export interface Options {
  /** Names of rows, or all. */
  readonly rows: readonly string[];
  /** Length of the first rows, 3 to 300. */
  readonly seconds: number;
  readonly direct: boolean;
  readonly daemon: boolean;
  readonly build: boolean;
  /** A missed goal is a failure. */
  readonly strict: boolean;
  readonly help: boolean;
}

export const USAGE = `npm run lab -- [ROW...] [OPTION...]     as root

  ROW               which rows; without one, all
  --seconds N       length of the first rows, and the most of a fault's (default 30)
  --only WHICH      direct or daemon
  --no-build        take dist/ as it is
  --strict          status 1 if a goal is missed
  --help            this text
`;

const OPTIONS = {
  seconds: { type: 'string', default: '30' },
  only: { type: 'string' },
  'no-build': { type: 'boolean', default: false },
  strict: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

/** Reads `argv` (without node and script). Throws UsageError. */
export function parseOptions(argv: readonly string[], known: readonly string[]): Options {
  const { values, positionals } = parseArguments(argv, OPTIONS);
  for (const row of positionals) requireKnown('row', row, known);
  const { only } = values;
  if (only !== undefined && only !== 'direct' && only !== 'daemon') {
    throw new UsageError(`--only wants direct or daemon, not "${only}"`);
  }
  return {
    rows: positionals.length === 0 ? known : known.filter((row) => positionals.includes(row)),
    seconds: requireInteger('--seconds', values.seconds, 3, 300),
    direct: only !== 'daemon',
    daemon: only !== 'direct',
    build: !values['no-build'],
    strict: values.strict,
    help: values.help,
  };
}
