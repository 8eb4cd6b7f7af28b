import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AUTHORITY, FIRST } from '../../../test/harness/certificates.ts';
import { TestLog } from '../../directives/testing.ts';
import { Metrics } from '../../observe/metrics.ts';
import { Troubles } from '../../observe/troubles.ts';
import { Admin, type AdminSettings } from './admin.ts';

const NOWHERE: AdminSettings = {
  metricsAt: undefined,
  healthAt: undefined,
  ready: undefined,
  pprofAt: undefined,
};

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
  admin = new Admin(metrics, log, {
    isServing: () => true,
    unready: () => ['not yet'],
    troubles,
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

function settings(kind: string, at: number): AdminSettings {
  const address = { host: '127.0.0.1', port: at };
  if (kind === 'metrics') return { ...NOWHERE, metricsAt: address };
  if (kind === 'health') return { ...NOWHERE, healthAt: address };
  return { ...NOWHERE, ready: { address, continuously: false } };
}

describe.each([
  { kind: 'metrics', directive: 'prometheus', path: '/metrics', status: 200 },
  { kind: 'health', directive: 'health', path: '/health', status: 200 },
  { kind: 'ready', directive: 'ready', path: '/ready', status: 503 },
])('a taken port of $kind', ({ kind, directive, path, status }) => {
  test('is told and counted, and served once it is free', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    await admin.apply([settings(kind, port)]);
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

  test('is no trouble any more when nobody wants it', async () => {
    await admin.apply([settings(kind, port)]);
    expect(troubles.lines()).toHaveLength(1);
    await admin.apply([]);
    expect(troubles.lines()).toEqual([]);
  });
});

test('what is served where is one line; /ready beside /health needs no server of its own', async () => {
  expect(admin.describe()).toBe('');
  await admin.apply([settings('health', 0), settings('ready', 0), settings('metrics', 0)]);
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
  await admin.apply([{ ...NOWHERE, metricsAt: at }]);
  expect((await fetch(`http://127.0.0.1:${port}/metrics`)).status).toBe(200);
  await admin.apply([{ ...NOWHERE, metricsAt: { ...at, tlsConfigFile } }]);
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
