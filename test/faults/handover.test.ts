/**
 * Handovers from a daemon to its replacement, under load. By hand, longer and harder:
 * HANDOVERS=10 HANDOVER_QPS=20000 HANDOVER_MISS_QPS=1000 npx vitest run --project system test/faults/handover
 */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { boundPorts } from '../../src/sys/bound-sockets.ts';
import { Daemon, launchMain } from '../harness/daemon.ts';
import { Knotd } from '../harness/knotd.ts';
import { useLab } from '../harness/lab.ts';
import { scrape } from '../harness/metrics.ts';
import { Child } from '../harness/process.ts';
import { sleep, until } from '../harness/timing.ts';

const HANDOVERS = Number(process.env['HANDOVERS'] ?? 3);
const HIT_QPS = Number(process.env['HANDOVER_QPS'] ?? 3000);
const MISS_QPS = Number(process.env['HANDOVER_MISS_QPS'] ?? 200);
/** Between one handover and the next. */
const PAUSE_MS = Number(process.env['HANDOVER_PAUSE_MS'] ?? 700);
const NAMES = 2000;
const HOT = { zones: 'hot.test.' };

const lab = useLab();
const host = lab.address(10);
const directory = join(lab.directory, 'handover');
const metricsAt = { host, port: 9253 };
const upstream = await Knotd.start(
  lab,
  { host: lab.address(20), port: 53 },
  {
    test: '@ 300 SOA ns h 1 7200 1800 86400 300\n@ 300 NS ns\nns 300 A 192.0.2.1\n* 300 A 192.0.2.2',
  },
);
const blockFor = (zone: string): string => `${zone}:53 {
  bind ${host}
  errors
  cache 300
  prometheus ${host}:9253
  health ${host}:8080
  forward . ${upstream.endpoint.host}
}
`;
/** Names that are asked for repeatedly have a cache of their own, whose hits are counted apart. */
const COREFILE = blockFor('hot.test') + blockFor('.');

function start(): Promise<Daemon> {
  return Daemon.start(lab, COREFILE, ['-handover', directory, '-drain', '0']);
}

/** Starts a newcomer; resolves when the incumbent has ended. */
async function replaced(old: Daemon): Promise<Daemon> {
  const next = await start();
  expect(await old.child.ended).toMatchObject({ code: 0 });
  return next;
}

/** Asks on and on, `qps` times a second. */
class Load {
  readonly #child: Child;

  constructor(names: readonly string[], qps: number) {
    const file = lab.write(
      `queries-${names[0]}`,
      `${names.map((name) => `${name} A`).join('\n')}\n`,
    );
    const options = `-s ${host} -d ${file} -l 1000 -t 2 -c 8 -q 2000 -Q ${qps}`;
    this.#child = new Child(lab, 'dnsperf', ['dnsperf', ...options.split(' ')]);
  }

  /** Ends it. Queries under way then do not count as lost. */
  async result(): Promise<{ sent: number; lost: number; output: string }> {
    this.#child.kill('SIGINT');
    await this.#child.ended;
    const output = this.#child.stdout + this.#child.stderr;
    const figure = (label: string): number =>
      Number(new RegExp(`${label}:\\s+([\\d.]+)`).exec(output)?.[1] ?? Number.NaN);
    return { sent: figure('Queries sent'), lost: figure('Queries lost'), output };
  }
}

/** Hits and requests of the hot names' cache, as the daemon that answers the scrape has counted them. */
async function cacheCounts(): Promise<{ hits: number; requests: number }> {
  const metrics = await scrape(metricsAt);
  return {
    hits: metrics.sum('coredns_cache_hits_total', HOT),
    requests: metrics.sum('coredns_cache_requests_total', HOT),
  };
}

function ratio(
  from: { hits: number; requests: number },
  to: { hits: number; requests: number },
): number {
  return (to.hits - from.hits) / (to.requests - from.requests);
}

/** Descriptors of supervisor and worker. */
function descriptors(daemon: Daemon): number[] {
  const worker = readFileSync(`/proc/${daemon.pid}/task/${daemon.pid}/children`, 'utf8').trim();
  return [daemon.pid, Number(worker)].map((pid) => readdirSync(`/proc/${pid}/fd`).length);
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ''; // closed meanwhile
  }
}

describe(`${HANDOVERS} replacements under load`, () => {
  test('replacements under load lose no query, keep the cache warm, and leave no descriptor open', async () => {
    let daemon = await start();
    const idle = descriptors(daemon);
    const names = Array.from({ length: NAMES }, (_, i) => `hit-${i}.hot.test`);
    const unseen = Array.from({ length: MISS_QPS * 200 }, (_, i) => `miss-${i}.test`);
    const loads = [new Load(names, HIT_QPS), new Load(unseen, MISS_QPS)];
    await sleep((NAMES / HIT_QPS) * 1000 + 1000); // all names once
    for (let i = 0; i < HANDOVERS; i++) {
      const beforeFrom = await cacheCounts();
      await sleep(PAUSE_MS / 2);
      const before = ratio(beforeFrom, await cacheCounts());
      daemon = await replaced(daemon);
      const afterFrom = await cacheCounts(); // of the newcomer: it began at 0
      await sleep(PAUSE_MS / 2);
      expect(ratio(afterFrom, await cacheCounts())).toBeGreaterThan(before - 0.05);
      const told = `${JSON.stringify(afterFrom)}\n${daemon.child.stdout}`;
      expect(afterFrom.hits / afterFrom.requests, told).toBeGreaterThan(before - 0.05);
    }
    for (const load of loads) {
      const { sent, lost, output } = await load.result();
      expect(sent, output).toBeGreaterThan(MISS_QPS);
      expect(lost, output).toBe(0);
    }
    expect(daemon.complaints).toEqual([]);
    // Upstream connections come and go; the sockets that were handed over are as many as before.
    await until('connections have been closed', () => {
      const now = descriptors(daemon);
      return now[0] === idle[0] && now[1]! <= idle[1]! + 8;
    });
    await daemon.child.stop();
  }, 600_000);
});

describe('a newcomer that is killed', () => {
  test.each([
    { ms: 60, because: 'its supervisor is starting' },
    { ms: 250, because: 'it has, or is about to have, the sockets' },
    { ms: 400, because: 'its worker is starting' },
  ])(
    'a newcomer killed after $ms ms changes nothing for the incumbent: $because',
    async ({ ms }) => {
      const daemon = await start();
      const load = new Load(['hit-1.hot.test'], 500);
      await sleep(300);
      const path = lab.write('Corefile-killed', COREFILE);
      const newcomer = launchMain(lab, ['-conf', path, '-handover', directory]);
      await sleep(ms);
      newcomer.kill('SIGKILL');
      await sleep(300);
      const { lost, output } = await load.result();
      expect(lost, output).toBe(0);
      if (!daemon.child.hasEnded) {
        // The next newcomer finds the incumbent as if nothing had happened.
        const next = await replaced(daemon);
        await next.child.stop();
      } else {
        // The machine was so fast that the newcomer served already, and the incumbent has ended.
        expect(newcomer.stdout).toContain('nodelocald-');
      }
    },
    30_000,
  );
});

describe('an incumbent that does not take part', () => {
  test('a newcomer waits 3 s for an incumbent that hangs, and then serves beside it', async () => {
    const old = await start();
    old.child.kill('SIGSTOP');
    const next = await start();
    expect(next.child.stdout).toContain('hands nothing over: no answer within 3 s');
    old.child.kill('SIGCONT');
    expect(await old.child.stop()).toMatchObject({ code: 0 });
    // Later newcomers find it all the same.
    const last = await replaced(next);
    await last.child.stop();
  }, 30_000);

  test('an incumbent killed together with its worker does not disturb a newcomer', async () => {
    const old = await start();
    const worker = readFileSync(`/proc/${old.pid}/task/${old.pid}/children`, 'utf8').trim();
    process.kill(Number(worker), 'SIGKILL');
    old.child.kill('SIGKILL');
    await old.child.ended;
    const next = await start();
    expect(next.complaints).toEqual([]);
    await next.child.stop();
  });
});

test('the next worker inherits the cache of a worker that crashes', async () => {
  const daemon = await start();
  const load = new Load(
    Array.from({ length: 300 }, (_, i) => `hit-${i}.hot.test`),
    1000,
  );
  await until('all are in the cache', async () => {
    return (await scrape(metricsAt)).sum('coredns_cache_entries', HOT) >= 300;
  });
  const worker = readFileSync(`/proc/${daemon.pid}/task/${daemon.pid}/children`, 'utf8').trim();
  process.kill(Number(worker), 'SIGKILL');
  await daemon.child.ready(() => /\d+ answers inherited/.test(daemon.child.stdout));
  const inherited = /(\d+) answers inherited/.exec(daemon.child.stdout)?.[1];
  expect(Number(inherited)).toBeGreaterThan(280); // some are asked for again before they are read
  const from = await cacheCounts();
  await sleep(300);
  expect(ratio(from, await cacheCounts())).toBeGreaterThan(0.95);
  expect(await load.result()).toMatchObject({ lost: 0 });
  await daemon.child.stop();
}, 30_000);

test('in Kubernetes the old container stays, without sockets, until SIGTERM', async () => {
  process.env['KUBERNETES_SERVICE_HOST'] = '10.96.0.1';
  const old = await start();
  const next = await start();
  await until('the old one is idle', () => old.child.stdout.includes('to wait for SIGTERM'));
  expect(old.child.hasEnded).toBe(false);
  expect(readFileSync(`/proc/${old.pid}/task/${old.pid}/children`, 'utf8')).toBe('');
  const open = readdirSync(`/proc/${old.pid}/fd`).map((fd) => linkOf(`/proc/${old.pid}/fd/${fd}`));
  const bound = boundPorts(53).map(({ inode }) => `socket:[${inode}]`);
  expect(open.filter((link) => bound.includes(link))).toEqual([]);
  expect(await old.child.stop()).toEqual({ code: 0, signal: null });
  await next.child.stop();
  delete process.env['KUBERNETES_SERVICE_HOST'];
}, 30_000);

test('an incumbent that gets SIGTERM in the middle of a handover ends after it', async () => {
  const old = await start();
  const path = lab.write('Corefile-next', COREFILE);
  const next = launchMain(lab, ['-conf', path, '-handover', directory]);
  await next.ready(() => next.stdout.includes('serves until we do'));
  old.child.kill('SIGTERM');
  await next.ready(() => /^nodelocald-\d/m.test(next.stdout));
  expect(await old.child.ended).toEqual({ code: 0, signal: null });
  const load = new Load(['hit-1.hot.test'], 500);
  await sleep(500);
  expect(await load.result()).toMatchObject({ lost: 0 });
  await next.stop();
}, 30_000);
