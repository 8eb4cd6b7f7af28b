import { createServer } from 'node:http';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { TestLog } from '../directives/testing.ts';
import { Metrics } from '../observe/metrics.ts';
import { HealthServer } from './health.ts';
import type { HttpListenError } from './server.ts';

let log: TestLog;
let metrics: Metrics;
let isServing: boolean;
let troubles: string[];
let unready: string[];
let health: HealthServer;

beforeEach(() => {
  log = new TestLog();
  metrics = new Metrics();
  [isServing, troubles, unready] = [true, [], ['the rules are not in']];
  const at = { host: '127.0.0.1', port: 0 };
  health = new HealthServer(at, {
    log,
    metrics,
    isServing: () => isServing,
    troubles: () => troubles,
    unready: () => unready,
  });
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
});
afterEach(async () => {
  vi.useRealTimers();
  await health.close();
});

const fail = (error: HttpListenError): never => {
  throw error;
};

const requests = (): number =>
  metrics
    .histogram('coredns_health_request_duration_seconds', {})
    .counts.reduce((sum, count) => sum + count, 0);
const failures = (): number => metrics.counter('coredns_health_request_failures_total', {}).value;

describe('health', () => {
  test('/health is 200 OK while we serve, and 503 while we do not', async () => {
    await health.keepTrying(fail);
    const url = `http://127.0.0.1:${health.port}/health`;
    const healthy = await fetch(url);
    expect([healthy.status, await healthy.text()]).toEqual([200, 'OK']);
    isServing = false;
    expect((await fetch(url)).status).toBe(503);
    expect((await fetch(`${url}/x`)).status).toBe(404);
  });

  test('/health lists troubles with status 200, since a restart would not cure them', async () => {
    await health.keepTrying(fail);
    troubles = ['no upstream', 'a refused Corefile'];
    const degraded = await fetch(`http://127.0.0.1:${health.port}/health`);
    expect(degraded.status).toBe(200);
    expect(await degraded.text()).toBe('OK, degraded\nno upstream\na refused Corefile\n');
  });

  test('/ready beside /health is 200 OK, or 503 with a list of what is missing', async () => {
    await health.keepTrying(fail);
    const url = `http://127.0.0.1:${health.port}/ready`;
    const first = await fetch(url);
    expect([first.status, await first.text()]).toEqual([503, 'the rules are not in\n']);
    unready = [];
    const second = await fetch(url);
    expect([second.status, await second.text()]).toEqual([200, 'OK']);
  });

  test('the server requests its own /health once a second, and counts', async () => {
    await health.keepTrying(fail);
    for (let second = 1; second <= 3; second++) {
      vi.advanceTimersByTime(1000);
      await vi.waitFor(() => expect(requests()).toBe(second));
    }
    expect(failures()).toBe(0);
    expect(log.lines).toEqual([]);
  });

  test('a failed request to itself is logged and counted', async () => {
    await health.keepTrying(fail);
    isServing = false;
    vi.advanceTimersByTime(1000);
    await vi.waitFor(() => expect(failures()).toBe(1));
    expect(log.lines).toEqual([
      '[WARNING] plugin/health: Local health request to "http://127.0.0.1:0/health" failed: ' +
        'status 503',
    ]);
    expect(requests()).toBe(1);
  });

  test('a taken port is reported, and tried again', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => void other.listen(0, '127.0.0.1', resolve));
    const address = other.address();
    const port = typeof address === 'object' ? address!.port : 0;
    const taken = new HealthServer({ host: '127.0.0.1', port }, { log, metrics });
    const reported: string[] = [];
    await taken.keepTrying((error) => void reported.push(error.message));
    expect(reported).toEqual([`listen tcp 127.0.0.1:${port}: bind: address already in use`]);
    await taken.close();
    other.close();
  });

  test('a server that closes in the middle of its own request logs nothing', async () => {
    await health.keepTrying(fail);
    vi.advanceTimersByTime(1000);
    await health.close();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(log.lines).toEqual([]);
    expect(failures()).toBe(0);
  });
});
