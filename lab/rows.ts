/**
 * The rows: what load, what goes wrong meanwhile, and what is asked of the result.
 *
 * Owns:    their list. Goals are those of the table in docs/lab.md.
 */
import { LOCAL, SERVICE } from './cluster.ts';
import {
  CALM_SEC,
  dropSecondPackets,
  fillTable,
  killDaemon,
  killWorker,
  mute,
  replaceDaemon,
  restartDaemon,
  silenceFlows,
  type Fault,
} from './faults.ts';
import type { LoadShape } from './load.ts';
import type { FigureName } from './measurement.ts';

export interface Row {
  readonly name: string;
  readonly about: string;
  readonly load: LoadShape;
  /** Nothing goes wrong without it. */
  readonly fault?: Fault;
  /** For the daemon: what goes wrong is the daemon, so there is no such row without it. */
  readonly daemonOnly?: boolean;
  /** The pods ask both addresses of the cache, two of them each, and are told apart. */
  readonly bothAddresses?: boolean;
  readonly serveStale?: boolean;
  readonly fillsTable?: boolean;
  /** The most that is allowed with the daemon. */
  readonly goals: Partial<Record<FigureName, number>>;
}

const WORKERS = 200;
/** 200 workers make some 1,300 lookups a second of it. */
const PACE_MS = 150;
const CLOSED_LOOP = { workers: WORKERS, paceMs: 0, coldPercent: 0, hotNames: 1 };
const HALF_COLD = { workers: WORKERS, paceMs: PACE_MS, coldPercent: 50, hotNames: 20 };
const NO_LOSS = { failed: 0, unfinished: 0, over5s: 0 };

/** Faults of the daemon itself; pods ask it under both addresses meanwhile. */
const DAEMON_FAULTS: readonly Omit<Row, 'load'>[] = [
  {
    name: 'killed',
    about: 'SIGKILL, started again 1 s later',
    fault: killDaemon,
    goals: { stalledWorkers: 0 },
  },
  {
    name: 'restart',
    about: 'stopped with SIGTERM, then started',
    fault: restartDaemon,
    goals: { stalledWorkers: 0 },
  },
  {
    name: 'worker-killed',
    about: 'the worker killed by SIGKILL',
    fault: killWorker,
    goals: { ...NO_LOSS, over1s: 0, stalledWorkers: 0 },
  },
  {
    name: 'replaced',
    about: 'another started beside it, which takes over',
    fault: replaceDaemon,
    goals: { ...NO_LOSS, over1s: 0, stalledWorkers: 0 },
  },
];

/** `seconds` is the length of the first rows; those with a fault take what that needs at most. */
export function rowsOf(seconds: number): Row[] {
  const faultSec = Math.min(10, seconds);
  const half: LoadShape = { ...HALF_COLD, seconds: CALM_SEC + faultSec + 2 };
  return [
    ...trafficRows(seconds, faultSec),
    ...fullTableRows(Math.min(18, seconds)),
    ...upstreamRows(half, faultSec),
    ...DAEMON_FAULTS.map((row) => ({ ...row, load: half, daemonOnly: true, bothAddresses: true })),
  ];
}

function trafficRows(seconds: number, faultSec: number): Row[] {
  return [
    {
      name: 'closed-loop',
      about: `${WORKERS} workers, one name through the search list, one lookup after another, ${seconds} s`,
      load: { ...CLOSED_LOOP, seconds },
      goals: { ...NO_LOSS, over1s: 0, entriesPeak: 8, clientEntries: 0, upstreamQueries: 20 },
    },
    {
      name: 'half-cold',
      about: `${WORKERS} workers, a lookup each ${PACE_MS} ms, half of them of new names, ${seconds} s`,
      load: { ...HALF_COLD, seconds },
      goals: { ...NO_LOSS, over1s: 0, entriesPeak: 8, clientEntries: 0, upstreamConnections: 8 },
    },
    {
      name: 'clashes',
      about: `the same for ${faultSec} s; 0.2 % of the second packets of tracked flows dropped, as older kernels do`,
      load: { ...HALF_COLD, seconds: faultSec },
      fault: dropSecondPackets(faultSec),
      goals: { ...NO_LOSS, over1s: 0 },
    },
  ];
}

function fullTableRows(fullSec: number): Row[] {
  return [
    {
      name: 'table-full',
      about: `the same; no room in the conntrack table for ${fullSec} s`,
      load: { ...HALF_COLD, seconds: CALM_SEC + fullSec + 8 },
      fault: fillTable(CALM_SEC, fullSec),
      fillsTable: true,
      goals: { ...NO_LOSS, over1s: 0, clientEntries: 0, stalledWorkers: 0, dials: 16 },
    },
    {
      name: 'table-full-restart',
      about: `the same, and the daemon is stopped and started while the table is full`,
      load: { ...HALF_COLD, seconds: CALM_SEC + fullSec + 12 },
      fault: fillTable(CALM_SEC, fullSec, restartDaemon),
      fillsTable: true,
      daemonOnly: true,
      goals: { dials: 16 },
    },
  ];
}

/** `half` is the load, half of it new names. */
function upstreamRows(half: LoadShape, faultSec: number): Row[] {
  return [
    {
      name: 'one-mute',
      about: `one of two backends mute for ${faultSec} s; half of the names are new`,
      load: half,
      fault: mute('one', CALM_SEC, faultSec),
      goals: { failed: 0, unfinished: 0, slowestMs: 1000 },
    },
    {
      name: 'both-mute',
      about: `both backends mute for ${faultSec} s; names that were seen before, serve_stale`,
      load: { ...half, coldPercent: 0, seconds: half.seconds + CALM_SEC },
      fault: mute('both', 2 * CALM_SEC, faultSec),
      serveStale: true,
      goals: { failed: 0, unfinished: 0, silentWorkerSeconds: 0 },
    },
    {
      name: 'dead-flows',
      about: 'the flows to one backend that there are go silently dead; half of the names are new',
      load: half,
      fault: silenceFlows(CALM_SEC, faultSec),
      goals: { failed: 0, unfinished: 0, slowestMs: 1000 },
    },
  ];
}

export function nameserversOf(row: Row): readonly string[] {
  return row.bothAddresses === true ? [SERVICE, LOCAL] : [SERVICE];
}
