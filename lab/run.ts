/**
 * `npm run lab`: a node in network namespaces, clients that behave like glibc because they are glibc's,
 * and what happens to their lookups, directly and through the daemon.
 *
 * Owns:    the order of things, and that nothing is left behind, whichever way it ends.
 * Status:  0 if all was measured, 1 if something failed (with --strict: or a goal was missed), 2 for
 *          a wrong command line.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { FILL_MAX, entriesMax } from './conntrack.ts';
import { Ending } from './ending.ts';
import { Lab } from './lab.ts';
import { measure, type Measured } from './measurement.ts';
import { UsageError } from '../bench/command-line.ts';
import { USAGE, parseOptions, type Options } from './options.ts';
import { type DaemonTimes, missed, tableOf, type Outcome } from './report.ts';
import { nameserversOf, rowsOf, type Row } from './rows.ts';

/** From build/lab. */
const ROOT = join(import.meta.dirname, '../..');
const PROGRAMS = ['cc', 'conntrack', 'ip', 'iptables', 'iptables-restore', 'mount', 'nft'];

async function main(): Promise<void> {
  const known = rowsOf(1);
  const options = parseOptions(
    process.argv.slice(2),
    known.map(({ name }) => name),
  );
  if (options.help) {
    const rows = rowsOf(options.seconds).map(({ name, about }) => `  ${name.padEnd(20)}${about}\n`);
    process.stdout.write(`${USAGE}\nRows:\n${rows.join('')}`);
    return;
  }
  requireMachine();
  if (options.build) {
    execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: 'inherit' });
  }
  const ending = new Ending();
  const end = (signal: NodeJS.Signals): void => {
    process.stderr.write(`\n${signal}: taking the lab down\n`);
    void ending.close().finally(() => process.exit(1));
  };
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
  try {
    const outcomes = await runRows(await Lab.make(ending, ROOT), options);
    if (options.daemon) conclude(outcomes.flatMap(missed), options.strict);
  } finally {
    await ending.close();
  }
}

async function runRows(lab: Lab, options: Options): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const row of rowsOf(options.seconds)) {
    if (!options.rows.includes(row.name)) continue;
    if (row.fillsTable === true) {
      if (entriesMax() > FILL_MAX) {
        process.stdout.write(
          `\n${row.name}: left out: nf_conntrack_max is ${entriesMax()}, and a namespace cannot lower it; ` +
            `the lab fills ${FILL_MAX} entries at most\n`,
        );
        continue;
      }
      lab.prepareFill();
    }
    const outcome: Outcome = {
      row,
      direct: options.direct && row.daemonOnly !== true ? await runDirect(lab, row) : undefined,
      daemon: options.daemon ? await runDaemon(lab, row) : undefined,
    };
    outcomes.push(outcome);
    process.stdout.write(tableOf(outcome));
  }
  return outcomes;
}

async function runDirect(lab: Lab, row: Row): Promise<Measured> {
  say(`${row.name}: direct`);
  lab.forgetConnections();
  return measureRow(lab, row);
}

/** A daemon of its own for each row. */
async function runDaemon(lab: Lab, row: Row): Promise<Measured & DaemonTimes> {
  say(`${row.name}: with the daemon`);
  lab.daemon.setServeStale(row.serveStale === true);
  const rules = (): string =>
    lab.cluster.node.run('iptables-save').replaceAll(/^#.*\n|\[\d+:\d+\]/gm, '');
  const before = rules();
  lab.forgetConnections();
  const startMs = await lab.daemon.start();
  const measured = await measureRow(lab, row);
  const stopMs = await lab.daemon.stop();
  if (withoutEmptyTables(rules()) !== withoutEmptyTables(before)) {
    throw new Error(`rules that are left:\n${rules()}`);
  }
  return { ...measured, startMs, stopMs };
}

/** iptables makes a table when it is first looked into. */
function withoutEmptyTables(saved: string): string {
  return saved
    .split(/(?<=^COMMIT\n)/m)
    .filter((table) => /^(-A|:KUBE)/m.test(table))
    .join('');
}

function measureRow(lab: Lab, row: Row): Promise<Measured> {
  const fault = async (): Promise<void> => row.fault?.(lab);
  return measure(lab, row.load, nameserversOf(row), fault);
}

function conclude(misses: readonly string[], strict: boolean): void {
  const text = misses.map((miss) => `  ${miss}\n`).join('');
  process.stdout.write(misses.length === 0 ? '\nAll goals met.\n' : `\nGoals missed:\n${text}`);
  if (strict && misses.length > 0) process.exitCode = 1;
}

/** Fails before anything is made where something is missing. */
function requireMachine(): void {
  if (process.getuid?.() !== 0) throw new UsageError('namespaces need root');
  const missing = PROGRAMS.filter((program) => {
    try {
      execFileSync('sh', ['-c', 'command -v "$0"', program], { stdio: 'ignore' });
      return false;
    } catch {
      return true;
    }
  });
  if (missing.length > 0) throw new UsageError(`not installed: ${missing.join(', ')}`);
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

try {
  await main();
} catch (error) {
  const text = error instanceof Error ? error.message : String(error);
  process.stderr.write(`lab: ${text}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
