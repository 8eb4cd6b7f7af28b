import { once } from 'node:events';
import { get } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import type { HttpServer } from './server.ts';
import { pprofRoutes, pprofServer } from './pprof.ts';

const open: HttpServer[] = [];
async function serve(): Promise<string> {
  const server = pprofServer({ host: '127.0.0.1', port: 0 });
  open.push(server);
  await server.listen();
  return `http://127.0.0.1:${server.port}/debug/pprof`;
}
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

interface CpuProfile {
  readonly nodes: readonly { readonly callFrame: { readonly functionName: string } }[];
  readonly startTime: number;
  readonly endTime: number;
}

/** Something to be found in a profile of the CPU. */
function burnForProfile(): number {
  let sum = 0;
  for (let i = 0; i < 3e6; i++) sum += Math.sqrt(i);
  return sum;
}

describe('profiles', () => {
  test('a CPU profile covers the requested time, and others are refused meanwhile', async () => {
    const at = await serve();
    const burning = setInterval(burnForProfile, 20);
    const first = fetch(`${at}/profile?seconds=1`);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const second = await fetch(`${at}/heap?seconds=1`);
    expect([second.status, await second.text()]).toEqual([503, 'another profile is being taken\n']);
    expect((await fetch(`${at}/heapsnapshot`)).status).toBe(503);
    const answer = await first;
    clearInterval(burning);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-disposition')).toBe(
      'attachment; filename="nodelocald.cpuprofile"',
    );
    const profile = (await answer.json()) as CpuProfile;
    const names = profile.nodes.map(({ callFrame }) => callFrame.functionName);
    expect(names).toContain('burnForProfile');
    expect((profile.endTime - profile.startTime) / 1e6).toBeGreaterThan(0.9);
  });

  test('a profile ends when its client has gone', async () => {
    const at = await serve();
    const request = get(`${at}/profile?seconds=300`);
    request.on('error', () => undefined);
    await once(request, 'socket');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect((await fetch(`${at}/allocs?seconds=1`)).status).toBe(503);
    request.destroy();
    await new Promise((resolve) => setTimeout(resolve, 200));
    const next = await fetch(`${at}/allocs?seconds=1`);
    expect(next.status).toBe(200);
    expect(await next.json()).toHaveProperty('head.children');
  });

  test('a heap snapshot arrives whole, as a stream', async () => {
    const at = await serve();
    const answer = await fetch(`${at}/heapsnapshot`);
    expect(answer.headers.get('content-length')).toBeNull();
    const snapshot = (await answer.json()) as {
      readonly snapshot: unknown;
      readonly strings: unknown[];
    };
    expect(snapshot.strings.length).toBeGreaterThan(1000);
    const head = await fetch(`${at}/heapsnapshot`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    expect((await fetch(`${at}/heap?seconds=1`)).status).toBe(200); // not busy for ever
  }, 60_000); // two snapshots: 5 s each where other tests have the machine as well
});

describe('other paths', () => {
  test.each([
    { path: '', status: 200, body: '/debug/pprof/profile?seconds=30' },
    { path: '/', status: 200, body: 'One at a time, 300 seconds at most.' },
    { path: '/cmdline', status: 200, body: process.argv[0]! },
    { path: '/profile?seconds=0', status: 400, body: 'expected a whole number from 1 to 300' },
    { path: '/profile?seconds=301', status: 400, body: 'from 1 to 300' },
    { path: '/heap?seconds=x', status: 400, body: 'from 1 to 300' },
    { path: '/block', status: 501, body: 'there is one thread' },
    { path: '/mutex', status: 501, body: 'there is one thread' },
    { path: '/goroutine', status: 501, body: 'no goroutines' },
    { path: '/threadcreate', status: 501, body: 'threads' },
    { path: '/trace', status: 501, body: '/debug/pprof/profile' },
    { path: '/symbol', status: 501, body: 'name their functions' },
    { path: '/other', status: 404, body: '404' },
  ])('"$path" below /debug/pprof is answered with $status', async ({ path, status, body }) => {
    const answer = await fetch(`${await serve()}${path}`);
    expect(answer.status).toBe(status);
    expect(await answer.text()).toContain(body);
  });

  test('the index lists all paths that V8 can serve', async () => {
    const index = await (await fetch(await serve())).text();
    const served = [...pprofRoutes().keys()].filter((path) => /pprof\/(?!$)/.test(path));
    const missing = served.filter((path) => !index.includes(path));
    expect(missing.map((path) => path.split('/').at(-1))).toEqual([
      'block',
      'mutex',
      'goroutine',
      'threadcreate',
      'trace',
      'symbol',
    ]);
  });
});
