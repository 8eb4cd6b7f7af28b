/** What becomes of a query at `forward`, with upstreams on loopback. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { REFUSED, SERVFAIL } from '../../dns/rcode.ts';
import { Metadata } from '../../query/metadata.ts';
import type { Response } from '../../query/response.ts';
import { askQuery } from '../../query/testing.ts';
import { ANSWERED, LATER, PASS } from '../../query/verdict.ts';
import { LoopbackUpstream, framed, responseFor } from '../../upstream/testing.ts';
import { type TestBuilding, parseAs, testBuilding } from '../testing.ts';
import { ForwardHandler } from './handler.ts';
import { forward } from './index.ts';

let directory: string;
let servers: LoopbackUpstream[];
let context: TestBuilding;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'nodelocald-test-'));
  servers = [await LoopbackUpstream.start(), await LoopbackUpstream.start()];
  context = testBuilding();
});

afterEach(async () => {
  context.stop();
  context.upstreams.close();
  for (const server of servers) await server.close();
  rmSync(directory, { recursive: true });
});

/** Where a server is, in a Corefile. */
function to(i: number): string {
  const { host, port } = servers[i]!.target;
  return `${host}:${port}`;
}

function build(...lines: readonly string[]): ForwardHandler {
  return new ForwardHandler(
    lines.map((line) => parseAs(forward, line)),
    context,
  );
}

/** The response to a query for `name`; undefined if the handler passes. */
async function ask(handler: ForwardHandler, name: string): Promise<Response | undefined> {
  const { query, responses } = askQuery(name, 'A');
  const verdict = handler.onQuery(query);
  if (verdict === PASS) return undefined;
  await vi.waitUntil(() => responses.length > 0, { timeout: 5000, interval: 2 });
  expect(responses).toHaveLength(1);
  return responses[0];
}

describe('which names are forwarded', () => {
  test('those in FROM and not in except; FROM itself always', async () => {
    const handler = build(
      `forward example.org ${to(0)} {\n force_tcp\n except a.example.org example.org\n}`,
    );
    expect(await ask(handler, 'example.com.')).toBeUndefined();
    expect(await ask(handler, 'x.a.example.org.')).toBeUndefined();
    expect(await ask(handler, 'example.org.')).toBeDefined();
  });

  test('several lines: the first that holds the name, not the longest', async () => {
    const handler = build(
      `forward example.org ${to(0)} {\n force_tcp\n}`,
      `forward a.example.org ${to(1)} {\n force_tcp\n}`,
      `forward . ${to(1)} {\n force_tcp\n}`,
    );
    await ask(handler, 'x.a.example.org.');
    await ask(handler, 'example.com.');
    expect(servers.map((server) => server.names())).toEqual([
      ['x.a.example.org.'],
      ['example.com.'],
    ]);
  });
});

describe('answers that lead on', () => {
  test('next: with these RCODEs the next line is asked', async () => {
    const handler = build(
      `forward . ${to(0)} {\n force_tcp\n next NXDOMAIN\n}`,
      `forward . ${to(1)} {\n force_tcp\n}`,
    );
    servers[0]!.behaviour = (seen) => seen.answer(3);
    expect(await ask(handler, 'a.test.')).toMatchObject({ rcode: 0 });
    servers[0]!.behaviour = (seen) => seen.answer(5);
    expect(await ask(handler, 'b.test.')).toMatchObject({ rcode: REFUSED });
  });

  test('next, and the name is not in the next FROM: SERVFAIL (CoreDNS)', async () => {
    const handler = build(
      `forward . ${to(0)} {\n force_tcp\n next NXDOMAIN\n}`,
      `forward example.org ${to(1)} {\n force_tcp\n}`,
    );
    servers[0]!.behaviour = (seen) => seen.answer(3);
    expect(await ask(handler, 'a.test.')).toMatchObject({ rcode: SERVFAIL });
  });

  test.each([
    { options: 'next_on_nodata', records: 0, rcode: 0, leads: true },
    { options: 'next_on_nodata', records: 1, rcode: 0, leads: false },
    { options: 'next_on_nodata', records: 0, rcode: 3, leads: false },
    { options: '', records: 0, rcode: 0, leads: false },
  ])(
    '"$options", RCODE $rcode, $records records: the next line is asked: $leads',
    async ({ options, records, rcode, leads }) => {
      const handler = build(
        `forward . ${to(0)} {\n force_tcp\n ${options}\n}`,
        `forward . ${to(1)} {\n force_tcp\n}`,
      );
      servers[0]!.behaviour = (seen) => {
        if (records === 0) {
          seen.answer(rcode);
          return;
        }
        const response = responseFor(seen.query, rcode);
        response[7] = 1;
        const record = Buffer.from('c00c000100010000001e0004c0000201', 'hex');
        seen.socket.write(framed(Buffer.concat([response, record])));
      };
      expect(await ask(handler, 'a.test.')).toBeDefined();
      expect(servers[1]!.names()).toEqual(leads ? ['a.test.'] : []);
    },
  );

  test('next_on_nodata with no other line: the empty answer counts', async () => {
    const handler = build(`forward . ${to(0)} {\n force_tcp\n next_on_nodata\n}`);
    expect(await ask(handler, 'a.test.')).toMatchObject({ rcode: 0 });
  });

  test.each([
    { options: '', rcodes: [2, 0], rcode: 0, because: 'SERVFAIL is failover’s by default' },
    { options: '', rcodes: [3, 0], rcode: 3, because: 'NXDOMAIN is not' },
    { options: 'failover NXDOMAIN', rcodes: [3, 0], rcode: 0, because: 'it is listed' },
    { options: 'failover none', rcodes: [2, 0], rcode: 2, because: 'it is switched off' },
    { options: '', rcodes: [2, 5], rcode: 5, because: 'the last answer counts' },
  ])('failover "$options", $rcodes: $rcode, since $because', async ({ options, rcodes, rcode }) => {
    const handler = build(
      `forward . ${to(0)} ${to(1)} {\n force_tcp\n policy sequential\n ${options}\n}`,
    );
    servers.forEach((server, i) => {
      server.behaviour = (seen) => seen.answer(rcodes[i]);
    });
    expect(await ask(handler, 'a.test.')).toMatchObject({ rcode });
  });
});

describe('metadata', () => {
  test('tells which upstream answered', async () => {
    servers[0]!.behaviour = (seen) => seen.answer(2);
    const handler = build(`forward . ${to(0)} ${to(1)} {\n force_tcp\n policy sequential\n}`);
    const { query, responses } = askQuery('a.test.', 'A');
    query.metadata = new Metadata();
    handler.onQuery(query);
    await vi.waitUntil(() => responses.length > 0, { timeout: 5000, interval: 2 });
    expect(query.metadata.get('forward/upstream')).toBe(to(1));
  });
});

describe('limits', () => {
  test('max_concurrent: beyond it REFUSED at once, and counted', async () => {
    const handler = build(`forward . ${to(0)} {\n force_tcp\n max_concurrent 2\n}`);
    const held: (() => void)[] = [];
    servers[0]!.behaviour = (seen) => void held.push(() => seen.answer());
    const asked = ['a.test.', 'b.test.', 'c.test.'].map((name) => askQuery(name, 'A'));
    expect(asked.map(({ query }) => handler.onQuery(query))).toEqual([LATER, LATER, ANSWERED]);
    expect(asked[2]!.responses).toMatchObject([
      { rcode: REFUSED, failure: { message: 'concurrent queries exceeded maximum 2' } },
    ]);
    const rejects = context.metrics.counter('coredns_forward_max_concurrent_rejects_total', {});
    expect(rejects.value).toBe(1);
    await vi.waitUntil(() => held.length === 2);
    for (const answer of held) answer();
    await vi.waitUntil(() => asked[1]!.responses.length === 1);
    servers[0]!.behaviour = (seen) => seen.answer();
    expect(await ask(handler, 'd.test.')).toMatchObject({ rcode: 0 });
  });

  test('source_address is where queries come from', async () => {
    const handler = build(`forward . ${to(0)} {\n force_tcp\n source_address 127.0.0.9\n}`);
    await ask(handler, 'a.test.');
    expect(servers[0]!.sockets.map(({ remoteAddress }) => remoteAddress)).toEqual(['127.0.0.9']);
  });

  test('read_timeout: an attempt that takes longer is followed by another, and still counts', async () => {
    const handler = build(
      `forward . ${to(0)} ${to(1)} {\n force_tcp\n policy sequential\n read_timeout 100ms\n}`,
    );
    servers[0]!.behaviour = () => undefined;
    const before = performance.now();
    expect(await ask(handler, 'a.test.')).toMatchObject({ rcode: 0 });
    expect(performance.now() - before).toBeLessThan(230); // the least that silence takes otherwise
    expect(servers.map((server) => server.names())).toEqual([['a.test.'], ['a.test.']]);
  });

  test('nobody listens: SERVFAIL in the words of the last failure, to be kept for 1 s', async () => {
    const handler = build(`forward . ${to(0)} {\n force_tcp\n}`);
    await servers[0]!.close();
    const response = await ask(handler, 'a.test.');
    expect(response).toMatchObject({ rcode: SERVFAIL, failure: { restSec: 1 } });
    expect(response!.failure!.message).toBe(`dial tcp ${to(0)}: connect: connection refused`);
    expect(handler.isReachable()).toBe(false);
  });
});

describe('a file in the form of resolv.conf', () => {
  test('is read again when it changes, and the upstreams before are left', async () => {
    const path = join(directory, 'resolv.conf');
    writeFileSync(path, 'nameserver 192.0.2.1\nnameserver 192.0.2.2\n');
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      build(`forward . ${path}`);
      writeFileSync(path, 'nameserver 192.0.2.33\n');
      vi.advanceTimersByTime(2000);
      expect(context.log.lines.at(-1)).toBe(
        `[INFO] plugin/forward: ${path} changed: upstreams are 192.0.2.33:53`,
      );
      writeFileSync(path, '');
      vi.advanceTimersByTime(2000);
      expect(context.log.lines).toHaveLength(1); // the ones before may do
    } finally {
      vi.useRealTimers();
    }
  });
});
