/** One run of load, with a fault or without, and everything that was counted around it. */
import { SERVICE, LOCAL } from './cluster.ts';
import { Peak, counters, entriesTo } from './conntrack.ts';
import type { Lab } from './lab.ts';
import { sum, type LoadShape, type Lookups } from './load.ts';

export type Figures = Readonly<Record<FigureName, number>>;
export type FigureName = keyof Lookups | keyof NodeFigures;

interface NodeFigures {
  /** The most at once on the node. */
  readonly entriesPeak: number;
  /** At the end, of queries to the addresses that clients ask. */
  readonly clientEntries: number;
  readonly insertFailed: number;
  readonly drop: number;
  readonly clashResolve: number;
  /** Datagrams for which a socket on the node, or one of the backends, had no room. */
  readonly bufferFull: number;
  readonly backendBufferFull: number;
  /** To the backends, at once. */
  readonly upstreamConnections: number;
  /** Begun by the node; nobody but the daemon does. */
  readonly dials: number;
  /** That reached a backend. */
  readonly upstreamQueries: number;
}

/** In the order in which they are printed. */
export const FIGURES: Readonly<Record<FigureName, string>> = {
  lookups: 'lookups',
  failed: 'lookups that failed',
  unfinished: 'lookups without an end',
  slowestMs: 'slowest lookup, ms',
  over1s: 'lookups of more than 1 s',
  over5s: 'lookups of 5 s and more',
  stalledWorkers: 'workers stalled (a lookup of more than 1 s)',
  silentWorkerSeconds: 'worker-seconds without an answer',
  gapMs: 'longest time without an answer in a pod, ms',
  entriesPeak: 'conntrack entries at peak',
  clientEntries: "conntrack entries of clients' queries, at the end",
  insertFailed: 'conntrack insert_failed',
  drop: 'conntrack drop',
  clashResolve: 'conntrack clash_resolve',
  bufferFull: "datagrams lost at the node's full receive buffers",
  backendBufferFull: "datagrams lost at the backends' full receive buffers",
  upstreamConnections: 'upstream connections at peak',
  dials: 'upstream connections dialled',
  upstreamQueries: 'queries that reached the backends',
};

export interface Measured {
  readonly all: Figures;
  /** By the address that the pods asked, if they asked different ones. */
  readonly byAddress: ReadonlyMap<string, Lookups>;
}

/** Runs `shape` while `fault` does its work; conntrack is empty at the start. */
export async function measure(
  lab: Lab,
  shape: LoadShape,
  nameservers: readonly string[],
  fault: () => Promise<void>,
): Promise<Measured> {
  const { cluster } = lab;
  await lab.settle();
  const before = await look(lab);
  const peak = new Peak(cluster.node);
  const [byAddress] = await Promise.all([lab.load.run(shape, nameservers), fault()]);
  const entriesPeak = await peak.end();
  const after = await look(lab);
  const since = (name: keyof typeof after): number => after[name] - before[name];
  const node: NodeFigures = {
    entriesPeak,
    clientEntries: await entriesTo(cluster.node, [SERVICE, LOCAL]),
    insertFailed: since('insertFailed'),
    drop: since('drop'),
    clashResolve: since('clashResolve'),
    bufferFull: since('bufferFull'),
    backendBufferFull: since('backendBufferFull'),
    upstreamConnections: after.openPeak,
    dials: since('dials'),
    upstreamQueries: since('queries'),
  };
  return { all: { ...[...byAddress.values()].reduce(sum), ...node }, byAddress };
}

// oxlint-disable-next-line typescript/explicit-function-return-type -- a flat record of numbers
async function look({ cluster }: Lab) {
  const counts = await Promise.all(cluster.backends.map((backend) => backend.counts()));
  const total = (name: 'queries' | 'openPeak'): number =>
    counts.reduce((all, one) => all + one[name], 0);
  return {
    ...counters(cluster.node),
    bufferFull: cluster.kernelCounter(cluster.node, 'Udp RcvbufErrors'),
    backendBufferFull: cluster.kernelCounter(cluster.host, 'Udp RcvbufErrors'),
    dials: cluster.kernelCounter(cluster.node, 'Tcp ActiveOpens'),
    queries: total('queries'),
    openPeak: total('openPeak'),
  };
}
