/**
 * Runs one case of traffic: starts its servers, warms them, and measures them in turn, round after
 * round (A B C A B C), so that a drift of the machine meets all alike.
 *
 * Per server and round: throughput and CPU at saturation; then the time of answers at a rate that is
 * the same for all, half of what the slowest reached.
 */
import { join } from 'node:path';
import type { Bench } from '../bench.ts';
import { cpuBetween, cpuTime, memory } from './proc.ts';
import { median, type LatencySample, type Row, type Sample } from '../report/results.ts';
import { countedHits, type Server, type ServerName } from '../servers/servers.ts';
import type { LoadShape } from './load.ts';
import type { TrafficCase } from '../cases/traffic-cases.ts';
import { writeQueries, type QueryFile } from '../cases/traffic.ts';

/** Entries of every cache, in every case but entry-size. */
export const CACHE_ENTRIES = 10_000;
/** Above this share of queries that reach the upstream, hits were not hits. */
const UPSTREAM_SHARE_MAX = 0.001;
const LOST_SHARE_MAX = 0.001;

interface Contestant {
  readonly server: Server;
  readonly row: Row;
}

/** Measures and adds the rows to `bench.results`. Throws if a server does not start. */
export async function measureTraffic(bench: Bench, the: TrafficCase): Promise<void> {
  const names = bench.selected(the.servers);
  if (names.length === 0) return;
  const contestants: Contestant[] = [];
  try {
    for (const name of names) contestants.push(await enter(bench, the, name));
    await runRounds(bench, the, contestants);
    for (const { server, row } of contestants) {
      const used = memory(server.pid);
      row.rssMb = used.rssMb;
      row.pssMb = used.pssMb;
      row.anonymousMb = used.anonymousMb;
    }
  } finally {
    for (const { server } of contestants) await bench.children.stop(server.child);
  }
}

async function enter(bench: Bench, the: TrafficCase, name: ServerName): Promise<Contestant> {
  const server = await bench.startServer(name, {
    upstreamPort: bench.authority.port,
    upstreamTransport: the.upstreamTransport,
    cacheEntries: CACHE_ENTRIES,
  });
  const row: Row = {
    caseName: the.name,
    server: name,
    samples: [],
    latencies: [],
    rssMb: Number.NaN,
    pssMb: Number.NaN,
    anonymousMb: Number.NaN,
  };
  bench.results.rows.push(row);
  return { server, row };
}

async function runRounds(
  bench: Bench,
  the: TrafficCase,
  contestants: readonly Contestant[],
): Promise<void> {
  const { seconds, rounds } = bench.options;
  if (the.answers !== 'misses') {
    const warmUp = queryFile(bench, the, 'warm', 1);
    for (const { server } of contestants) await bench.load.once(shapeOf(the, server, warmUp));
  }
  const repeated = the.answers === 'hits' ? queryFile(bench, the, 'all', seconds) : undefined;
  const queriesOf = (tag: string): QueryFile => repeated ?? queryFile(bench, the, tag, seconds);

  for (let round = 0; round < rounds; round++) {
    const queries = queriesOf(`r${round}`);
    for (const { server, row } of contestants) {
      bench.say(`${the.name}: ${server.name}, round ${round + 1} of ${rounds}`);
      await measureOnce(bench, the, server, row, queries);
    }
  }
  if (the.outstanding === 1) return; // the load of that case has timed each answer already

  const slowest = Math.min(...contestants.map(({ row }) => medianQps(row)));
  for (let round = 0; round < rounds; round++) {
    const queries = queriesOf(`l${round}`);
    for (const { server, row } of contestants) {
      bench.say(`${the.name}: ${server.name}, latency, round ${round + 1} of ${rounds}`);
      const shape = shapeOf(the, server, queries);
      // On misses the upstream shares the load's core, and a spinning client would starve it.
      const report = await bench.load.latency(shape, slowest / 2, seconds, the.answers !== 'hits');
      row.latencies.push(latencySample(report));
    }
  }
}

/** One measurement at saturation, or one query at a time, with its CPU time. */
async function measureOnce(
  bench: Bench,
  the: TrafficCase,
  server: Server,
  row: Row,
  queries: QueryFile,
): Promise<void> {
  const shape = shapeOf(the, server, queries);
  const { seconds } = bench.options;
  const upstreamBefore = await bench.authority.queries();
  const hitsBefore = await countedHits(server);
  const startedMs = performance.now();
  const before = cpuTime(server.pid);
  let report: { sent: number; answered: number; qps: number };
  if (the.outstanding === 1) {
    const timed = await bench.load.latency(shape, 0, seconds, false);
    row.latencies.push(latencySample(timed));
    report = timed;
  } else {
    report = await bench.load.saturate(shape, seconds);
  }
  const used = cpuBetween(before, cpuTime(server.pid));
  const tookSec = (performance.now() - startedMs) / 1000;
  const upstreamQueries = (await bench.authority.queries()) - upstreamBefore;
  const hitsAfter = await countedHits(server);

  const { answered, sent, qps } = report;
  if (answered === 0) throw new Error(`${the.name}: ${server.name} answered none of ${sent}`);
  const sample: Sample = {
    qps,
    userUs: (used.userSec * 1e6) / answered,
    systemUs: (used.systemSec * 1e6) / answered,
    busy: (used.userSec + used.systemSec) / tookSec,
    upstreamShare: upstreamQueries / answered,
    lostShare: 1 - answered / sent,
  };
  row.samples.push(sample);
  warnAbout(bench, the, server, sample);
  if (server.metricsPort !== undefined && hitsAfter === undefined) {
    bench.warn(
      `${the.name}: ${server.name} serves no metrics, so its own count of hits is missing`,
    );
  }
  if (hitsBefore !== undefined && hitsAfter !== undefined && the.answers === 'hits') {
    const hitShare = (hitsAfter - hitsBefore) / answered;
    if (hitShare < 1 - UPSTREAM_SHARE_MAX) {
      bench.warn(`${the.name}: ${server.name} counted only ${percent(hitShare)} hits`);
    }
  }
}

function warnAbout(bench: Bench, the: TrafficCase, server: Server, sample: Sample): void {
  const where = `${the.name}: ${server.name}`;
  if (sample.lostShare > LOST_SHARE_MAX) {
    bench.warn(`${where} left ${percent(sample.lostShare)} of the queries unanswered`);
  }
  if (the.answers === 'hits' && sample.upstreamShare > UPSTREAM_SHARE_MAX) {
    bench.warn(`${where} sent ${percent(sample.upstreamShare)} upstream; these were to be hits`);
  }
  if (the.answers === 'misses' && sample.upstreamShare < 1 - UPSTREAM_SHARE_MAX) {
    bench.warn(`${where} sent only ${percent(sample.upstreamShare)} upstream; all were misses`);
  }
}

function queryFile(bench: Bench, the: TrafficCase, tag: string, seconds: number): QueryFile {
  const path = join(bench.children.directory, `queries-${the.name}`);
  return writeQueries(path, the.questions(tag, seconds));
}

function shapeOf(the: TrafficCase, server: Server, queries: QueryFile): LoadShape {
  const { transport, clients, outstanding } = the;
  return { port: server.port, queries, transport, clients, outstanding };
}

function latencySample({ qps, avgUs, p99Us }: LatencySample): LatencySample {
  return { qps, avgUs, p99Us };
}

function medianQps(row: Row): number {
  return median(row.samples.map((sample) => sample.qps));
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
