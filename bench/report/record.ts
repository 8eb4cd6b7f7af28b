/** A run as text: on the terminal, and for --save at the top of bench/RESULTS.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { program } from '../requirements.ts';
import { spawnSync } from 'node:child_process';
import type { Options } from '../options.ts';
import type { Results } from './results.ts';
import { ROOT, versionOf, type ServerName } from '../servers/servers.ts';
import { figureTable, trafficTable } from './table.ts';
import { judge, verdictTable } from './targets.ts';

const FILE = join(ROOT, 'bench/RESULTS.md');
/** New runs go just below this line of FILE. */
const MARK = '<!-- npm run bench -- --save puts runs here, newest first -->';

/** All that a run has to tell, as Markdown. */
export function report(results: Results, options: Options): string {
  const servers = new Set<ServerName>(
    [...results.rows, ...results.figures].map(({ server }) => server),
  );
  const parts = [
    `## ${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    machine(options),
    [...servers].map((name) => `- ${name}: ${versionOf(name)}`).join('\n'),
    trafficTable(results),
    figureTable(results),
    verdictTable(judge(results)),
    results.warnings.map((text) => `- Warning: ${text}`).join('\n'),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

/** Puts `text` above earlier runs. Throws if RESULTS.md has lost its mark. */
export function save(text: string): void {
  const before = readFileSync(FILE, 'utf8');
  const at = before.indexOf(MARK);
  if (at < 0) throw new Error(`${FILE} lacks the line ${MARK}`);
  const end = at + MARK.length;
  const after = before.slice(end).trim();
  writeFileSync(FILE, `${before.slice(0, end)}\n\n${text}${after === '' ? '' : `\n${after}\n`}`);
}

function machine(options: Options): string {
  const [core] = cpus();
  const kernel = /^\d+\.\d+/.exec(release())?.[0] ?? '';
  const memoryGb = Math.round(totalmem() / 1e9);
  const { stdout, stderr } = spawnSync(program('dnsperf'), ['-h'], { encoding: 'utf8' });
  const load = /Version (\S+)/.exec(stdout + stderr)?.[1] ?? 'of unknown version';
  return [
    `${cpus().length} cores ${core?.model.trim() ?? ''}, ${memoryGb} GB, ${type()} ${kernel};`,
    `server on core ${options.serverCore}, load on core ${options.loadCore};`,
    `dnsperf ${load}, ${options.rounds} rounds of ${options.seconds} s.`,
  ].join('\n');
}
