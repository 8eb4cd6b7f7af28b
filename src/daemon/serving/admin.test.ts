import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AUTHORITY, FIRST } from '../../../test/harness/certificates.ts';
import { TestLog } from '../../directives/testing.ts';
import { healthEndpoint } from '../../http/health.ts';
import { metricsEndpoint } from '../../http/metrics.ts';
import { readyEndpoint } from '../../http/ready.ts';
import type { HostPort } from '../../net/host-port.ts';
import { Metrics } from '../../observe/metrics.ts';
import { Troubles } from '../../observe/troubles.ts';
import { Admin } from './admin.ts';

let log: TestLog;
let metrics: Metrics;
let troubles: Troubles;
let admin: Admin;
let holder: Server;
/** Held by somebody else. */
let port: number;

beforeEach(async () => {
  [log, metrics] = [new TestLog(), new Metrics()];
  troubles = new Troubles(metrics);
  admin = new Admin({
    log,
    metrics,
    isServing: () => true,
    unready: () => ['not yet'],
    troubles,
    sockets: undefined,
  });
  holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const address = holder.address();
  port = typeof address === 'object' ? address!.port : 0;
});
afterEach(async () => {
  vi.useRealTimers();
  await admin.close();
  holder.close();
});

const on = (port: number): HostPort => ({ host: '127.0.0.1', port });

describe.each([
  {
    kind: 'metrics',
    directive: 'prometheus',
    path: '/metrics',
    status: 200,
    endpoint: metricsEndpoint,
  },
  { kind: 'health', directive: 'health', path: '/health', status: 200, endpoint: healthEndpoint },
  { kind: 'ready', directive: 'ready', path: '/ready', status: 503, endpoint: readyEndpoint },
])('a taken port of $kind', ({ kind, directive, path, status, endpoint }) => {
  test('a taken port is logged and counted, and served once it is free', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    await admin.apply([endpoint(on(port))]);
    const taken = `listen tcp 127.0.0.1:${port}: bind: address already in use`;
    expect(log.lines).toEqual([
      `[ERROR] plugin/${directive}: Failed to start ${kind} handler: ${taken}`,
    ]);
    const address = `127.0.0.1:${port}`;
    expect(metrics.counter('nodelocald_listener_errors_total', { address }).value).toBe(1);
    expect(troubles.lines()).toEqual([`no ${kind} there yet: ${taken}`]);
    holder.close();
    await once(holder, 'close');
    await vi.advanceTimersByTimeAsync(5000);
    vi.useRealTimers();
    await vi.waitFor(() => expect(troubles.lines()).toEqual([]));
    expect((await fetch(`http://${address}${path}`)).status).toBe(status);
  });

  test('a taken port is no trouble any longer when no block asks for it', async () => {
    await admin.apply([endpoint(on(port))]);
    expect(troubles.lines()).toHaveLength(1);
    await admin.apply([]);
    expect(troubles.lines()).toEqual([]);
  });
});

test('one line says where everything is served; /ready beside /health needs no server of its own', async () => {
  expect(admin.describe()).toBe('');
  await admin.apply([readyEndpoint(on(0)), healthEndpoint(on(0)), metricsEndpoint(on(0))]);
  expect(admin.describe()).toBe('HTTP: metrics on 127.0.0.1:0; health on 127.0.0.1:0');
});

test('an address may stay, and speak TLS from a reload on', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'admin-'));
  const tlsConfigFile = join(folder, 'web.yml');
  writeFileSync(join(folder, 'crt'), FIRST.cert);
  writeFileSync(join(folder, 'key'), FIRST.key);
  writeFileSync(tlsConfigFile, 'tls_server_config: {cert_file: crt, key_file: key}');
  holder.close();
  await once(holder, 'close');
  const at = { host: '127.0.0.1', port };
  await admin.apply([metricsEndpoint(at)]);
  expect((await fetch(`http://127.0.0.1:${port}/metrics`)).status).toBe(200);
  await admin.apply([metricsEndpoint({ ...at, tlsConfigFile })]);
  expect(admin.describe()).toBe(`HTTP: metrics on 127.0.0.1:${port} (TLS by ${tlsConfigFile})`);
  await expect(fetch(`http://127.0.0.1:${port}/metrics`)).rejects.toThrow('fetch failed');
  const status = await new Promise((resolve) => {
    get({ ...at, path: '/metrics', ca: AUTHORITY, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
  });
  expect(status).toBe(200);
  expect(log.lines).toEqual([]);
  rmSync(folder, { recursive: true });
});
