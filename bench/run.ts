/**
 * `npm run bench`: our daemon and its peers, configured alike, in one run on one machine.
 *
 * Owns:    the order of things, and that nothing is left behind, whichever way it ends.
 * Status:  0 if all was measured, 1 if something failed, 2 for a wrong command line. A missed target
 *          is a result and no failure.
 */
import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { Authority } from './servers/authority.ts';
import { Bench } from './bench.ts';
import { Children } from './servers/children.ts';
import { FIGURE_CASES } from './cases/figure-cases.ts';
import { C_PROGRAMS, Load } from './measure/load.ts';
import { measureTraffic } from './measure/measure.ts';
import { UsageError } from './command-line.ts';
import { USAGE, parseOptions, type Options } from './options.ts';
import { report, save } from './report/record.ts';
import { program, requirePrograms } from './requirements.ts';
import { Results } from './report/results.ts';
import { PROGRAMS, ROOT, SERVER_NAMES, requireDaemon, type ServerName } from './servers/servers.ts';
import { TRAFFIC_CASES } from './cases/traffic-cases.ts';

const CASES = [...TRAFFIC_CASES, ...FIGURE_CASES];
const CASE_NAMES = CASES.map(({ name }) => name);

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2), CASE_NAMES, SERVER_NAMES);
  if (options.help) {
    const cases = CASES.map(({ name, about }) => `  ${name.padEnd(16)}${about}\n`).join('');
    process.stdout.write(`${USAGE}\nCases:\n${cases}\nServers: ${SERVER_NAMES.join(', ')}\n`);
    return;
  }
  const servers = serversOf(options);
  prepare(options, servers);

  const children = new Children();
  const end = (signal: NodeJS.Signals): void => {
    process.stderr.write(`\n${signal}: stopping the servers\n`);
    void children.stopAll().finally(() => process.exit(1));
  };
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
  try {
    compileC(children);
    pinTo(options.loadCore);
    const authority = await Authority.start(children, options.loadCore);
    const load = new Load(children, options.loadCore);
    const bench = new Bench(options, children, authority, load, new Results());
    await measureAll(bench);
    const text = report(bench.results, options);
    process.stdout.write(`\n${text}`);
    if (options.save) save(text);
  } finally {
    await children.stopAll();
  }
}

async function measureAll(bench: Bench): Promise<void> {
  for (const the of TRAFFIC_CASES) {
    if (bench.options.cases.includes(the.name)) await measureTraffic(bench, the);
  }
  for (const the of FIGURE_CASES) {
    if (!bench.options.cases.includes(the.name)) continue;
    for (const name of bench.selected(the.servers)) {
      bench.say(`${the.name}: ${name}`);
      await the.measure(bench, name);
    }
  }
}

/** The servers that the chosen cases will start. */
function serversOf(options: Options): ServerName[] {
  const named = CASES.filter(({ name }) => options.cases.includes(name)).flatMap(
    ({ servers }) => servers,
  );
  return SERVER_NAMES.filter(
    (name) => named.includes(name) && (options.only.length === 0 || options.only.includes(name)),
  );
}

/** Fails before anything runs where something is missing. */
function prepare(options: Options, servers: readonly ServerName[]): void {
  if (servers.length === 0) throw new UsageError('none of these servers is in one of these cases');
  const lastCore = Math.max(options.serverCore, options.loadCore);
  if (lastCore >= cpus().length || options.serverCore === options.loadCore) {
    throw new UsageError(`server and load need a core each; there are ${cpus().length}`);
  }
  const always = ['taskset', 'getconf', 'cc', 'dnsperf', 'knotd', 'knotc'];
  requirePrograms([...always, ...servers.flatMap((name) => PROGRAMS[name])]);
  if (!servers.includes('nodelocald')) return;
  if (options.build) {
    execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: 'inherit' });
  }
  requireDaemon();
}

function compileC(children: Children): void {
  for (const name of C_PROGRAMS) {
    const source = join(ROOT, `bench/${name}.c`);
    const output = join(children.directory, name);
    execFileSync(program('cc'), ['-O2', '-o', output, source], { stdio: 'inherit' });
  }
}

/** Keeps the benchmark's own threads off the server's core. */
function pinTo(core: number): void {
  const args = ['--all-tasks', '--pid', '--cpu-list', String(core), String(process.pid)];
  execFileSync(program('taskset'), args, { stdio: 'ignore' });
}

try {
  await main();
} catch (error) {
  const text = error instanceof Error ? error.message : String(error);
  process.stderr.write(`bench: ${text}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
