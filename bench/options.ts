/**
 * The command line of the benchmark.
 *
 * Owns:    names of options, their defaults and ranges.
 * Is not:  the list of cases or servers; it is handed both, to check names against them.
 */
import { parseArguments, requireInteger, requireKnown } from './command-line.ts';

export interface Options {
  /** Names of the cases to run, in the benchmark's own order. */
  readonly cases: readonly string[];
  /** Names of the servers to run, or all of each case. */
  readonly only: readonly string[];
  /** Length of one measurement in seconds, 1 to 600. */
  readonly seconds: number;
  /** How often each server is measured per case, 1 to 99; figures are medians. */
  readonly rounds: number;
  /** Core of the server under test. */
  readonly serverCore: number;
  /** Core of the load, of the authoritative server and of the benchmark itself. */
  readonly loadCore: number;
  readonly save: boolean;
  readonly build: boolean;
  readonly help: boolean;
}

export const USAGE = `npm run bench -- [CASE...] [OPTION...]

  CASE                which cases to run; without one, all
  --only A,B          run these servers alone
  --seconds N         length of one measurement (default 5)
  --rounds N          measurements of each server in each case, interleaved (default 3)
  --server-core N     core of the server under test (default 0)
  --load-core N       core of everything else (default 1)
  --save              put the results at the top of bench/RESULTS.md
  --no-build          take dist/ as it is
  --help              this text
`;

const OPTIONS = {
  only: { type: 'string' },
  seconds: { type: 'string', default: '5' },
  rounds: { type: 'string', default: '3' },
  'server-core': { type: 'string', default: '0' },
  'load-core': { type: 'string', default: '1' },
  save: { type: 'boolean', default: false },
  'no-build': { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

/** Reads `argv` (without node and script). Throws UsageError. */
export function parseOptions(
  argv: readonly string[],
  knownCases: readonly string[],
  knownServers: readonly string[],
): Options {
  const { values, positionals } = parseArguments(argv, OPTIONS);
  const named = positionals.map((name) => requireKnown('case', name, knownCases));
  return {
    cases: named.length === 0 ? knownCases : knownCases.filter((name) => named.includes(name)),
    only: (values.only ?? '')
      .split(',')
      .filter((name) => name !== '')
      .map((name) => requireKnown('server', name, knownServers)),
    seconds: requireInteger('--seconds', values.seconds, 1, 600),
    rounds: requireInteger('--rounds', values.rounds, 1, 99),
    serverCore: requireInteger('--server-core', values['server-core'], 0, 4095),
    loadCore: requireInteger('--load-core', values['load-core'], 0, 4095),
    save: values.save,
    build: !values['no-build'],
    help: values.help,
  };
}
