/**
 * A worker that crashes, hangs or cannot start, and a supervisor that is killed, under load.
 *
 * Short and patient by default. FAULT_SECONDS, FAULT_EVERY, FAULT_PATIENCE, FAULT_HITS and FAULT_MISSES
 * (queries a second) make it as long and as hard as the machine allows: 60, 5, 2, 20000, 1000.
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { DatagramClient, ask } from '../harness/client.ts';
import { Daemon } from '../harness/daemon.ts';
import { dnsperf } from '../harness/dnsperf.ts';
import { FakeUpstream } from '../harness/fake-upstream.ts';
import { Knotd } from '../harness/knotd.ts';
import { useLab } from '../harness/lab.ts';
import { Reply, aRecord, query } from '../harness/message.ts';
import { scrape } from '../harness/metrics.ts';
import { DNS_PORT, METRICS_PORT } from '../harness/pair.ts';
import { sleep, timed, until } from '../harness/timing.ts';

function setting(name: string, otherwise: number): number {
  return Number(process.env[name] ?? otherwise);
}

const SECONDS = setting('FAULT_SECONDS', 8);
const EVERY_SEC = setting('FAULT_EVERY', 2);
/** glibc's own. */
const PATIENCE_SEC = setting('FAULT_PATIENCE', 5);
const HITS_PER_SEC = setting('FAULT_HITS', 2000);
const MISSES_PER_SEC = setting('FAULT_MISSES', 200);
const HOT_NAMES = 1000;

const lab = useLab();
const upstream = await Knotd.start(
  lab,
  { host: lab.address(1), port: DNS_PORT },
  { 'load.test': '@ 300 SOA ns h 1 3600 600 86400 30\n@ NS ns\nns A 192.0.2.1\n* 300 A 192.0.2.7' },
);
const at = { host: lab.address(2), port: DNS_PORT };
const metricsAt = { host: at.host, port: METRICS_PORT };
const COREFILE = `
.:${DNS_PORT} {
    errors
    bind ${at.host}
    cache
    forward . ${upstream.endpoint.host}:${DNS_PORT} {
        force_tcp
    }
    health ${at.host}:8080
    prometheus ${at.host}:${METRICS_PORT}
    reload 2s 1s
}
`;
const hot = Array.from({ length: HOT_NAMES }, (_, i) => `h${i}.load.test`);
let fresh = 0;

/** Names that no query has asked for. */
function freshNames(count: number): string[] {
  return Array.from({ length: count }, () => `m${fresh++}.load.test`);
}

/** The crowd: hits and misses at the same time. Resolves to the outcome of both together. */
async function crowd(seconds: number, patienceSec: number) {
  const load = { at, seconds, patienceSec };
  const reports = await Promise.all([
    dnsperf(lab, { ...load, names: hot, perSec: HITS_PER_SEC }),
    dnsperf(lab, {
      ...load,
      names: freshNames(seconds * MISSES_PER_SEC * 2),
      perSec: MISSES_PER_SEC,
    }),
  ]);
  return {
    sent: reports.reduce((sum, { sent }) => sum + sent, 0),
    lost: reports.reduce((sum, { lost }) => sum + lost, 0),
    slowestMs: Math.max(...reports.map(({ slowestMs }) => slowestMs)),
    rcodes: reports.map(({ rcodes }) => rcodes),
  };
}

const running: Daemon[] = [];

afterEach(async () => {
  for (const daemon of running.splice(0)) await daemon.child.stop();
});

/** One at a time has the addresses. */
async function start(corefile: string = COREFILE, flags: readonly string[] = []): Promise<Daemon> {
  const daemon = await Daemon.start(lab, corefile, flags);
  running.push(daemon);
  return daemon;
}

async function workerOf(daemon: Daemon): Promise<number> {
  await until('there is a worker', () => daemon.workerPid !== undefined);
  return daemon.workerPid!;
}

/** Sends `signal` to the worker, and waits until the next one is there. */
async function strike(daemon: Daemon, signal: 'SIGKILL' | 'SIGSTOP'): Promise<void> {
  const worker = await workerOf(daemon);
  process.kill(worker, signal);
  await until('it is replaced', () => ![undefined, worker].includes(daemon.workerPid));
}

async function restarts(): Promise<number> {
  return (await scrape(metricsAt)).sum('nodelocald_worker_restarts_total');
}

function descriptorsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`);
}

test(`SIGKILL every ${EVERY_SEC} s for ${SECONDS} s loses no query, and no descriptor`, async () => {
  const daemon = await start();
  await ask(lab, at, query('h0.load.test', 'A'));
  const held = descriptorsOf(daemon.pid).length;
  const crowded = crowd(SECONDS, PATIENCE_SEC);
  let strikes = 0;
  for (let second = EVERY_SEC; second < SECONDS; second += EVERY_SEC) {
    await sleep(EVERY_SEC * 1000);
    await strike(daemon, 'SIGKILL');
    strikes++;
  }
  const report = await crowded;
  console.info(`${strikes} workers killed: ${JSON.stringify(report)}`);
  expect(report).toMatchObject({ lost: 0, rcodes: ['NOERROR', 'NOERROR'] });
  expect(report.sent).toBeGreaterThan(SECONDS * HITS_PER_SEC * 0.9);
  expect(await restarts()).toBe(strikes);
  expect(descriptorsOf(daemon.pid)).toHaveLength(held);
  expect(daemon.complaints.every((line) => line.includes('has ended by SIGKILL'))).toBe(true);
}, 120_000);

test('a worker that hangs is replaced within 3.5 s, and no client with 5 s patience loses a query', async () => {
  const daemon = await start();
  const crowded = crowd(6, 5);
  await sleep(1000);
  const { tookMs } = await timed(() => strike(daemon, 'SIGSTOP'));
  const report = await crowded;
  console.info(`hung for ${tookMs.toFixed()} ms: ${JSON.stringify(report)}`);
  expect(tookMs).toBeLessThan(3500);
  expect(report).toMatchObject({ lost: 0, rcodes: ['NOERROR', 'NOERROR'] });
  const metrics = await scrape(metricsAt);
  expect(metrics.sum('nodelocald_worker_restarts_total', { reason: 'silent' })).toBe(1);
}, 60_000);

describe('a worker that crashes', () => {
  test('the next worker answers the queries that waited for an upstream when a worker crashed', async () => {
    const slow = await FakeUpstream.start(
      lab,
      { host: lab.address(3), port: DNS_PORT },
      (asked) => {
        setTimeout(() => asked.answer({ answers: [aRecord(asked.name, 60)] }), 500);
      },
    );
    const daemon = await start(COREFILE.replace(`${upstream.endpoint.host}:${DNS_PORT}`, slow.to));
    const client = await DatagramClient.open(lab, at);
    const ids = [1, 2, 3, 4];
    for (const id of ids) client.send(query(`slow${id}.test`, 'A', { id }));
    await sleep(200);
    process.kill(await workerOf(daemon), 'SIGKILL');
    const answered: number[] = [];
    for (const _ of ids) {
      const reply = new Reply((await client.nextOctets())!);
      expect(reply.answers).toHaveLength(1);
      answered.push(reply.id);
    }
    expect(new Set(answered)).toEqual(new Set(ids));
  });

  test('if the Corefile is broken when a worker crashes, the previous one serves on until it is repaired', async () => {
    const daemon = await start(COREFILE.replace('reload 2s 1s', ''));
    writeFileSync(daemon.corefile, COREFILE.replace('force_tcp', 'force_tpc'));
    await strike(daemon, 'SIGKILL');
    const name = freshNames(1)[0]!;
    expect((await ask(lab, at, query(name, 'A'))).answers[0]?.data).toBe('192.0.2.7');
    await until('it is said', () => daemon.complaints.some((line) => line.includes('force_tpc')));
    expect(daemon.complaints.join('\n')).toContain('is refused, the previous one serves on');
    expect((await scrape(metricsAt)).sum('coredns_reload_failed_total')).toBe(1);
    writeFileSync(daemon.corefile, COREFILE);
    daemon.child.kill('SIGUSR1');
    await until('it is loaded', () => daemon.child.stdout.includes('Reloading complete'));
  });

  test('the next worker answers a probe of kubelet that comes after a crash', async () => {
    const daemon = await start();
    process.kill(await workerOf(daemon), 'SIGKILL');
    const response = await fetch(`http://${at.host}:8080/health`);
    expect(response.status).toBe(200);
  });
});

describe('a supervisor that is killed', () => {
  test('a killed supervisor takes its worker along, and the next daemon finds the addresses free', async () => {
    const before = await start();
    const worker = await workerOf(before);
    const crowded = crowd(4, 2);
    await sleep(1000);
    const { tookMs: gapMs } = await timed(async () => {
      before.child.kill('SIGKILL');
      await until('the worker is gone', () => !isAlive(worker), 2000);
      await start(); // as kubelet does
    });
    const report = await crowded;
    console.info(`started again after ${gapMs.toFixed()} ms: ${JSON.stringify(report)}`);
    // Only queries sent while no process holds the sockets are lost; the crowd's own pace is allowed for.
    const askedMeanwhile = (gapMs / 1000) * (HITS_PER_SEC + MISSES_PER_SEC);
    expect(report.lost).toBeGreaterThan(0);
    expect(report.lost).toBeLessThan(askedMeanwhile * 1.2);
    expect(report.rcodes).toEqual(['NOERROR', 'NOERROR']);
  });
});

describe('a daemon that is asked to end', () => {
  test.each([
    { signals: ['SIGTERM'], code: 0 },
    { signals: ['SIGINT'], code: 0 },
  ] as const)(
    'a daemon that gets $signals ends with $code, and its worker with it',
    async ({ signals, code }) => {
      const daemon = await start();
      const worker = await workerOf(daemon);
      // The worker ignores signals: they are for its supervisor.
      for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1'] as const) {
        process.kill(worker, signal);
      }
      await sleep(300);
      expect(isAlive(worker)).toBe(true);
      for (const signal of signals) daemon.child.kill(signal);
      expect(await daemon.child.ended).toEqual({ code, signal: null });
      expect(isAlive(worker)).toBe(false);
    },
  );

  test('a second SIGINT ends the daemon at once with 2', async () => {
    const lameduck = COREFILE.replace('8080', '8080 {\n lameduck 20s\n }');
    const daemon = await start(lameduck);
    const worker = await workerOf(daemon);
    daemon.child.kill('SIGINT');
    await until('it stops', () => daemon.child.stdout.includes('lameduck'));
    daemon.child.kill('SIGINT');
    expect((await daemon.child.ended).code).toBe(2);
    await until('the worker is gone', () => !isAlive(worker));
  });
});

test('-supervise=false has one process, which does it all', async () => {
  const pidFile = `${lab.directory}/pid`;
  const flags = ['-supervise=false', '-pidfile', pidFile];
  const daemon = await start(COREFILE, flags);
  await until('it has written its process ID', () => daemon.child.stdout !== '' && exists(pidFile));
  expect(Number(readFileSync(pidFile, 'utf8'))).toBe(daemon.pid);
  expect(daemon.workerPid).toBeUndefined();
  expect((await ask(lab, at, query('h0.load.test', 'A'))).answers).toHaveLength(1);
  expect(await daemon.child.stop()).toEqual({ code: 0, signal: null });
});

function exists(path: string): boolean {
  return readdirSync(lab.directory).some((name) => path.endsWith(`/${name}`));
}

/** Whether the process runs; a zombie does not. */
function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
