/** The targets of our daemon, as data, and the verdict on a run. */
import { cpuUs, median, pairedRatio, type Results } from './results.ts';
import type { ServerName } from '../servers/servers.ts';
import { renderTable } from './table.ts';

type Quantity = 'CPU us' | 'p99 us';

/** One side of a ratio. */
interface Side {
  readonly caseName: string;
  readonly server: ServerName;
}

interface RatioTarget {
  readonly about: string;
  readonly quantity: Quantity;
  readonly left: Side;
  readonly right: Side;
  /** Left is at most so many times right. */
  readonly ratioMax: number;
}

interface LimitTarget {
  readonly about: string;
  readonly caseName: string;
  readonly what: string;
  readonly max: number;
}

export interface Verdict {
  readonly about: string;
  /** Both sides with their figures. */
  readonly measured: string;
  readonly value: string;
  readonly limit: string;
  readonly passed: boolean;
}

const ours = (caseName: string): Side => ({ caseName, server: 'nodelocald' });

const RATIO_TARGETS: readonly RatioTarget[] = [
  cpu('cached UDP answer, floor', ours('udp-hit'), { caseName: 'udp-hit', server: 'floor' }, 1.2),
  cpu('cached UDP answer, unbound', ours('udp-hit'), { caseName: 'udp-hit', server: 'unbound' }, 1),
  cpu(
    'cached UDP answer, dnsmasq',
    ours('udp-hit'),
    { caseName: 'udp-hit', server: 'dnsmasq' },
    0.85,
  ),
  cpu(
    'cached TCP answer, dnsdist',
    ours('tcp-hit'),
    { caseName: 'tcp-hit', server: 'dnsdist' },
    0.6,
  ),
  cpu('miss over TCP, our own cached UDP answer', ours('miss-tcp'), ours('udp-hit'), 2.2),
  cpu(
    'miss over TCP, dnsdist without a cache',
    ours('miss-tcp'),
    { caseName: 'miss-tcp', server: 'dnsdist-nocache' },
    1,
  ),
  {
    about: 'p99 of hits at half of saturation, unbound',
    quantity: 'p99 us',
    left: ours('udp-hit'),
    right: { caseName: 'udp-hit', server: 'unbound' },
    ratioMax: 1,
  },
];

const LIMIT_TARGETS: readonly LimitTarget[] = [
  {
    about: 'upstream TCP connections at 1,000 outstanding misses',
    caseName: 'connections',
    what: 'connections',
    max: 8,
  },
  {
    about: 'anonymous memory with 10,000 cached answers',
    caseName: 'memory',
    what: 'anonymous',
    max: 30,
  },
  {
    about: 'memory of all our processes, shared pages once',
    caseName: 'memory',
    what: 'PSS',
    max: 75,
  },
  { about: 'a cached answer in memory', caseName: 'entry-size', what: 'per entry', max: 700 },
  { about: 'start to first answer', caseName: 'start', what: 'first answer', max: 400 },
  {
    about: 'queries lost when the worker is killed under 20,000 a second',
    caseName: 'worker-killed',
    what: 'lost',
    max: 0,
  },
];

/** A verdict on each target of which both sides were measured. */
export function judge(results: Results): Verdict[] {
  const ratios = RATIO_TARGETS.map((target) => judgeRatio(results, target));
  const limits = LIMIT_TARGETS.map((target) => judgeLimit(results, target));
  return [...ratios, ...limits].filter((verdict) => verdict !== undefined);
}

export function verdictTable(verdicts: readonly Verdict[]): string {
  if (verdicts.length === 0) return '';
  const columns = ['verdict', 'target', 'measured', 'value', 'limit'];
  return renderTable(
    columns.map((title) => ({ title, right: title === 'value' })),
    verdicts.map(({ about, measured, value, limit, passed }) => [
      passed ? 'PASS' : 'MISSED',
      about,
      measured,
      value,
      limit,
    ]),
  );
}

function judgeRatio(results: Results, target: RatioTarget): Verdict | undefined {
  const left = valuesOf(results, target.left, target.quantity);
  const right = valuesOf(results, target.right, target.quantity);
  if (left.length === 0 || right.length === 0) return undefined;
  // Rounds of different cases were not taken side by side.
  const sideBySide = target.left.caseName === target.right.caseName;
  const ratio = sideBySide ? pairedRatio(left, right) : median(left) / median(right);
  const say = (side: Side, values: readonly number[]): string =>
    `${side.server} ${sideBySide ? '' : `${side.caseName} `}${median(values).toFixed(2)}`;
  return {
    about: target.about,
    measured: `${say(target.left, left)}, ${say(target.right, right)} ${target.quantity}`,
    value: `${ratio.toFixed(2)} x`,
    limit: `<= ${target.ratioMax.toFixed(2)} x`,
    passed: ratio <= target.ratioMax,
  };
}

function judgeLimit(results: Results, target: LimitTarget): Verdict | undefined {
  const figure = results.figure(target.caseName, 'nodelocald', target.what);
  if (figure === undefined) return undefined;
  const value = median(figure.values);
  const peers = results.figures
    .filter(({ caseName, what }) => caseName === target.caseName && what === target.what)
    .map((other) => `${other.server} ${median(other.values).toFixed(0)}`);
  return {
    about: target.about,
    measured: peers.join(', '),
    value: `${value.toFixed(0)} ${figure.unit}`.trim(),
    limit: `<= ${target.max} ${figure.unit}`.trim(),
    passed: value <= target.max,
  };
}

function valuesOf(results: Results, side: Side, quantity: Quantity): number[] {
  const row = results.row(side.caseName, side.server);
  if (row === undefined) return [];
  if (quantity === 'CPU us') return row.samples.map(cpuUs);
  return row.latencies.map(({ p99Us }) => p99Us);
}

function cpu(about: string, left: Side, right: Side, ratioMax: number): RatioTarget {
  return { about: `CPU per ${about}`, quantity: 'CPU us', left, right, ratioMax };
}
