/** The cases whose result is one number: start, memory, upstream connections, lost queries. */
import { setTimeout as sleep } from 'node:timers/promises';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench } from '../bench.ts';
import type { Child } from '../servers/children.ts';
import { numberIn } from '../measure/json-line.ts';
import type { LoadShape } from '../measure/load.ts';
import { CACHE_ENTRIES } from '../measure/measure.ts';
import { freePort } from '../../test/harness/ports.ts';
import { childrenOf, memory } from '../measure/proc.ts';
import type { Server, ServerName, Setup } from '../servers/servers.ts';
import type { UpstreamReport } from '../servers/slow-upstream.ts';
import { freshHosts, hosts, writeQueries, type QueryFile } from './traffic.ts';
import { HOSTS } from './zone.ts';

export interface FigureCase {
  readonly name: string;
  readonly about: string;
  readonly servers: readonly ServerName[];
  /** Measures one server and adds its figures to `bench.results`. */
  readonly measure: (bench: Bench, name: ServerName) => Promise<void>;
}

const CACHES: readonly ServerName[] = ['nodelocald', 'unbound', 'dnsdist', 'dnsmasq'];
/** Enough entries that what a server uses besides its cache does not matter per entry. */
const MANY_ENTRIES = 100_000;
/** How long a slow upstream takes for each answer, in ms. */
const PAUSE_MS = 100;
const OUTSTANDING = 1000;
/** Queries a second while the worker is killed, from DESIGN's target. */
const KILL_QPS = 20_000;

export const FIGURE_CASES: readonly FigureCase[] = [
  {
    name: 'start',
    about: 'from the start of the process to its first answer, forwarded',
    servers: CACHES,
    measure: measureStart,
  },
  {
    name: 'memory',
    about: `all processes of the server with ${CACHE_ENTRIES} cached answers`,
    servers: CACHES,
    measure: measureMemory,
  },
  {
    name: 'entry-size',
    about: `growth of anonymous memory per cached answer, over ${MANY_ENTRIES} with one A each`,
    // Not dnsmasq: it allocates its whole table at the start.
    servers: ['nodelocald', 'unbound', 'dnsdist'],
    measure: measureEntrySize,
  },
  {
    name: 'connections',
    about: `most TCP connections that an upstream of ${PAUSE_MS} ms saw at ${OUTSTANDING} outstanding misses`,
    servers: ['nodelocald', 'unbound', 'dnsdist'],
    measure: measureConnections,
  },
  {
    name: 'worker-killed',
    about: `queries lost of ${KILL_QPS} a second while the worker is killed with SIGKILL, twice`,
    servers: ['nodelocald'],
    measure: measureWorkerKilled,
  },
];

async function measureStart(bench: Bench, name: ServerName): Promise<void> {
  const values: number[] = [];
  for (let round = 0; round < bench.options.rounds; round++) {
    const server = await bench.startServer(name, setup(bench, CACHE_ENTRIES));
    values.push(server.startMs);
    await bench.children.stop(server.child);
  }
  add(bench, 'start', name, ['first answer', 'ms', values]);
}

async function measureMemory(bench: Bench, name: ServerName): Promise<void> {
  const server = await bench.startServer(name, setup(bench, CACHE_ENTRIES));
  const before = memory(server.pid);
  const shape = shapeOf(server, queryFile(bench, 'memory', hosts(HOSTS)));
  await bench.load.once(shape);
  await bench.load.once(shape);
  await checkCached(bench, 'memory', shape, name);
  const after = memory(server.pid);
  await bench.children.stop(server.child);
  add(
    bench,
    'memory',
    name,
    ['anonymous, at start', 'MB', [before.anonymousMb]],
    ['anonymous', 'MB', [after.anonymousMb]],
    ['PSS', 'MB', [after.pssMb]],
    ['RSS', 'MB', [after.rssMb]],
  );
}

/** One name is asked as often before: so memory that a busy process uses anyway is not counted as cache. */
async function measureEntrySize(bench: Bench, name: ServerName): Promise<void> {
  const server = await bench.startServer(name, setup(bench, MANY_ENTRIES));
  const one = Array.from({ length: MANY_ENTRIES }, () => hosts(1)[0]!);
  await bench.load.once(shapeOf(server, queryFile(bench, 'entry-size-one', one)));
  const before = memory(server.pid);
  const many = queryFile(bench, 'entry-size-many', freshHosts('entry', MANY_ENTRIES));
  const shape = shapeOf(server, many);
  await bench.load.once(shape);
  await checkCached(bench, 'entry-size', shape, name);
  const after = memory(server.pid);
  await bench.children.stop(server.child);
  const octets = ((after.anonymousMb - before.anonymousMb) * 1e6) / MANY_ENTRIES;
  add(bench, 'entry-size', name, ['per entry', 'octets', [octets]]);
}

async function measureConnections(bench: Bench, name: ServerName): Promise<void> {
  const port = await freePort();
  const upstream = bench.children.start('slow-upstream', bench.options.loadCore, [
    process.execPath,
    join(import.meta.dirname, '../servers/slow-upstream.js'),
    String(port),
    String(PAUSE_MS),
  ]);
  const server = await bench.startServer(name, {
    upstreamPort: port,
    upstreamTransport: 'tcp',
    cacheEntries: CACHE_ENTRIES,
  });
  const { seconds } = bench.options;
  // Twice what the upstream lets through, so that no name is asked again.
  const perSecMax = (OUTSTANDING * 1000) / PAUSE_MS;
  const questions = freshHosts('connections', seconds * perSecMax * 2);
  const shape = shapeOf(server, queryFile(bench, 'connections', questions));
  const report = await bench.load.saturate({ ...shape, outstanding: OUTSTANDING }, seconds);
  await bench.children.stop(server.child);
  await bench.children.stop(upstream);
  const lost = 1 - report.answered / report.sent;
  if (lost > 0.001) bench.warn(`connections: ${name} lost ${(lost * 100).toFixed(1)} %`);
  const seen = reportsOf(upstream);
  const peak = (of: (report: UpstreamReport) => number): number => Math.max(0, ...seen.map(of));
  const outstanding = peak((report) => report.outstanding);
  if (outstanding < OUTSTANDING * 0.9) {
    bench.warn(`connections: ${name} had ${outstanding} outstanding at most; no figure from that`);
    return;
  }
  const connections = peak((report) => report.connections);
  add(
    bench,
    'connections',
    name,
    ['connections', '', [connections]],
    ['outstanding', '', [outstanding]],
  );
}

async function measureWorkerKilled(bench: Bench, name: ServerName): Promise<void> {
  const server = await bench.startServer(name, setup(bench, CACHE_ENTRIES));
  const shape = shapeOf(server, queryFile(bench, 'worker-killed', hosts(HOSTS / 2)));
  await bench.load.once(shape);
  const seconds = Math.max(4, bench.options.seconds);
  const reported = bench.load.latency(shape, KILL_QPS, seconds, false);
  let killed = 0;
  for (let i = 1; i <= 2; i++) {
    await sleep((seconds * 1000) / 3);
    for (const worker of childrenOf(server.pid)) {
      process.kill(worker, 'SIGKILL');
      killed++;
    }
  }
  const report = await reported;
  await bench.children.stop(server.child);
  if (killed === 0) {
    bench.warn(`worker-killed: ${name} has no process besides its first; nothing was killed`);
    return;
  }
  add(
    bench,
    'worker-killed',
    name,
    ['lost', 'queries', [report.sent - report.answered]],
    ['slowest', 'ms', [report.maxUs / 1000]],
  );
}

/** Warns unless the server answers all of `shape`'s queries without its upstream. */
async function checkCached(
  bench: Bench,
  caseName: string,
  shape: LoadShape,
  name: ServerName,
): Promise<void> {
  const before = await bench.authority.queries();
  const { answered } = await bench.load.once(shape);
  const missed = (await bench.authority.queries()) - before;
  if (missed <= answered / 100) return;
  const share = ((missed / answered) * 100).toFixed(0);
  bench.warn(`${caseName}: ${name} had not cached ${share} % of the names`);
}

function reportsOf(upstream: Child): UpstreamReport[] {
  return readFileSync(upstream.outputFile, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => ({
      connections: numberIn(line, 'connections'),
      outstanding: numberIn(line, 'outstanding'),
    }));
}

function setup(bench: Bench, cacheEntries: number): Setup {
  return { upstreamPort: bench.authority.port, upstreamTransport: 'udp', cacheEntries };
}

function queryFile(bench: Bench, name: string, questions: ReturnType<typeof hosts>): QueryFile {
  return writeQueries(join(bench.children.directory, `queries-${name}`), questions);
}

function shapeOf(server: Server, queries: QueryFile): LoadShape {
  return { port: server.port, queries, transport: 'udp', clients: 10, outstanding: 100 };
}

/** Adds figures of one server; each is what is measured, its unit and its values. */
function add(
  bench: Bench,
  caseName: string,
  server: ServerName,
  ...figures: readonly [what: string, unit: string, values: readonly number[]][]
): void {
  for (const [what, unit, values] of figures) {
    bench.results.figures.push({ caseName, server, what, unit, values });
  }
}
