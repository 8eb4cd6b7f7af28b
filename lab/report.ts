/** The report for a person: a table for each row, and in the end the goals that were missed. */
import type { Lookups } from './load.ts';
import { FIGURES, type FigureName, type Measured } from './measurement.ts';
import type { Row } from './rows.ts';

/** Figures that have no meaning without the daemon. */
const DAEMON_FIGURES: readonly string[] = ['upstreamConnections', 'dials', 'bufferFull'];

export interface Outcome {
  readonly row: Row;
  readonly direct: Measured | undefined;
  readonly daemon: (Measured & DaemonTimes) | undefined;
}

/** Until it served and diverted; until it diverted nothing after SIGTERM. */
export interface DaemonTimes {
  readonly startMs: number;
  readonly stopMs: number;
}

/** A goal that was missed, in words; empty if all were met. */
export function missed({ row, daemon }: Outcome): string[] {
  if (daemon === undefined) return [];
  return (Object.entries(row.goals) as [FigureName, number][])
    .filter(([name, most]) => daemon.all[name] > most)
    .map(([name, most]) => `${row.name}: ${FIGURES[name]}: ${daemon.all[name]}, goal ${most}`);
}

/** One row's figures, direct and with the daemon, as a Markdown table under a heading. */
export function tableOf(outcome: Outcome): string {
  const { row, direct, daemon } = outcome;
  const lines: string[][] = [];
  for (const [name, title] of Object.entries(FIGURES) as [FigureName, string][]) {
    const goal = row.goals[name];
    const show = (measured: Measured | undefined): string =>
      measured === undefined ? '-' : String(measured.all[name]);
    const without = DAEMON_FIGURES.includes(name) ? '-' : show(direct);
    lines.push([title, without, show(daemon), goal === undefined ? '' : `<= ${goal}`]);
  }
  if (row.bothAddresses === true) {
    for (const [address, lookups] of daemon?.byAddress ?? [])
      lines.push(...ofAddress(address, lookups));
  }
  if (daemon !== undefined) {
    const { startMs, stopMs } = daemon;
    lines.push(
      ['ms from start until it served and diverted', '-', startMs.toFixed(0), '<= 1000'],
      ['ms from SIGTERM until it diverted nothing', '-', stopMs.toFixed(0), '<= 1000'],
    );
  }
  const table = markdown(['', 'direct', 'daemon', 'goal'], lines);
  return `\n${row.name}: ${row.about}\n\n${table}\n`;
}

function ofAddress(address: string, lookups: Lookups): string[][] {
  const names = ['slowestMs', 'failed', 'stalledWorkers', 'gapMs'] as const;
  return names.map((name) => [
    `pods of ${address}: ${FIGURES[name]}`,
    '-',
    String(lookups[name]),
    '',
  ]);
}

function markdown(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) =>
    Math.max(3, title.length, ...lines.map((cells) => cells[i]!.length)),
  );
  const draw = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(' | ')} |`;
  const rule = widths.map((width, i) =>
    i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );
  return [draw(head), `| ${rule.join(' | ')} |`, ...lines.map(draw)].join('\n');
}
