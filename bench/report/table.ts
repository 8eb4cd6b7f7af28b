/** Tables that read well both on a terminal and as Markdown, and rows of results as such tables. */
import { cpuUs, median, pairedRatio, type Results, type Row, type Sample } from './results.ts';

export interface Column {
  readonly title: string;
  /** Numbers stand to the right. */
  readonly right: boolean;
}

/** A Markdown table, its columns padded to equal width as Prettier does it. */
export function renderTable(columns: readonly Column[], rows: readonly string[][]): string {
  const widths = columns.map(({ title }, i) =>
    Math.max(3, title.length, ...rows.map((row) => row[i]!.length)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => pad(cell, widths[i]!, columns[i]!.right)).join(' | ')} |`;
  const rule = columns.map(({ right }, i) =>
    right ? `${'-'.repeat(widths[i]! - 1)}:` : '-'.repeat(widths[i]!),
  );
  return [line(columns.map(({ title }) => title)), line(rule), ...rows.map(line)].join('\n');
}

function pad(cell: string, width: number, right: boolean): string {
  return right ? cell.padStart(width) : cell.padEnd(width);
}

const left = (title: string): Column => ({ title, right: false });
const right = (title: string): Column => ({ title, right: true });

const TRAFFIC_COLUMNS: readonly Column[] = [
  left('case'),
  left('server'),
  right('qps'),
  right('CPU us'),
  right('user'),
  right('system'),
  right('busy %'),
  right('avg us'),
  right('p99 us'),
  right('RSS MB'),
  right('PSS MB'),
  right('anon MB'),
  right('upstream %'),
  right('x floor'),
  right('ours/it'),
];

/** The table of traffic; empty if no such case ran. */
export function trafficTable(results: Results): string {
  if (results.rows.length === 0) return '';
  return renderTable(
    TRAFFIC_COLUMNS,
    results.rows.filter((row) => row.samples.length > 0).map((row) => trafficCells(results, row)),
  );
}

function trafficCells(results: Results, row: Row): string[] {
  const of = (value: (sample: Sample) => number): number => median(row.samples.map(value));
  const cpu = row.samples.map(cpuUs);
  const against = (other: Row | undefined, turned: boolean): string => {
    if (other === undefined || other === row) return '';
    const others = other.samples.map(cpuUs);
    return (turned ? pairedRatio(others, cpu) : pairedRatio(cpu, others)).toFixed(2);
  };
  return [
    row.caseName,
    row.server,
    of((sample) => sample.qps).toFixed(0),
    median(cpu).toFixed(2),
    of((sample) => sample.userUs).toFixed(2),
    of((sample) => sample.systemUs).toFixed(2),
    (of((sample) => sample.busy) * 100).toFixed(0),
    micros(row.latencies.map(({ avgUs }) => avgUs)),
    micros(row.latencies.map(({ p99Us }) => p99Us)),
    row.rssMb.toFixed(1),
    row.pssMb.toFixed(1),
    row.anonymousMb.toFixed(1),
    (of((sample) => sample.upstreamShare) * 100).toFixed(1),
    against(results.row(row.caseName, 'floor'), false),
    against(results.row(row.caseName, 'nodelocald'), true),
  ];
}

function micros(values: readonly number[]): string {
  return values.length === 0 ? '' : median(values).toFixed(1);
}

/** The table of single numbers; empty if no such case ran. */
export function figureTable(results: Results): string {
  if (results.figures.length === 0) return '';
  return renderTable(
    [left('case'), left('server'), left('what'), right('median'), left('unit'), left('measured')],
    results.figures.map(({ caseName, server, what, unit, values }) => [
      caseName,
      server,
      what,
      round(median(values)),
      unit,
      values.map(round).join(' '),
    ]),
  );
}

function round(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(1);
}
