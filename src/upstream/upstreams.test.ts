/** Upstreams are shared by address, and outlive a reload. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Metrics } from '../observe/metrics.ts';
import { askQuery } from '../query/testing.ts';
import { Exchange, type Outcome } from './exchange.ts';
import type { Upstream } from './upstream.ts';
import { Upstreams } from './upstreams.ts';
import { LoopbackUpstream, TERMS } from './testing.ts';

let server: LoopbackUpstream;
let upstreams: Upstreams;

beforeEach(async () => {
  server = await LoopbackUpstream.start();
  upstreams = new Upstreams(new Metrics());
});

afterEach(async () => {
  upstreams.close();
  await server.close();
});

function begin(upstream: Upstream, patienceMs: number = 3900): Outcome[] {
  const outcomes: Outcome[] = [];
  const exchange = new Exchange(
    {
      tcpOptional: false,
      failover: [],
      attemptsMax: 0,
      ended: (_, outcome) => void outcomes.push(outcome),
    },
    askQuery('a.test.', 'A').query,
    { upstreams: [upstream], overStream: true, deadlineMs: performance.now() + patienceMs },
    upstreams,
  );
  exchange.start();
  return outcomes;
}

describe('upstreams of the process', () => {
  test('one for each target, however often it is used', () => {
    const first = upstreams.acquire(server.target, TERMS);
    expect(upstreams.acquire({ ...server.target }, TERMS)).toBe(first);
    expect(upstreams.acquire({ ...server.target, port: 1 }, TERMS)).not.toBe(first);
  });

  test('a reload that keeps an upstream keeps its connection', async () => {
    const upstream = upstreams.acquire(server.target, TERMS);
    await vi.waitUntil(() => begin(upstream).length >= 0 && server.seen.length > 0);
    const after = { ...TERMS };
    expect(upstreams.acquire(server.target, after)).toBe(upstream);
    upstreams.release(upstream, TERMS);
    const outcomes = begin(upstream);
    await vi.waitUntil(() => outcomes.length > 0);
    expect(server.sockets).toHaveLength(1);
  });

  test('a reload that drops one still answers what is under way, and leaves nothing open', async () => {
    const upstream = upstreams.acquire(server.target, TERMS);
    server.behaviour = (seen) => void setTimeout(() => seen.answer(), 200);
    const outcomes = begin(upstream);
    await vi.waitUntil(() => server.seen.length === 1);
    upstreams.release(upstream, TERMS);
    await vi.waitUntil(() => outcomes.length === 1);
    expect(outcomes).toMatchObject([{ rcode: 0 }]);
    await vi.waitUntil(() => server.connected === 0, { timeout: 3000 });
  });

  test('a mute upstream: the deadline ends the query', async () => {
    server.behaviour = () => undefined;
    const upstream = upstreams.acquire(server.target, TERMS);
    const outcomes = begin(upstream, 300);
    await vi.waitUntil(() => outcomes.length === 1);
    expect(outcomes[0]).toMatch(/i\/o timeout$/);
  });

  test('the end of the process: everything under way fails, nothing is opened again', async () => {
    server.behaviour = () => undefined;
    const upstream = upstreams.acquire(server.target, TERMS);
    const outcomes = begin(upstream);
    await vi.waitUntil(() => server.seen.length === 1);
    upstreams.close();
    await vi.waitUntil(() => outcomes.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(server.sockets).toHaveLength(1);
    expect(server.connected).toBe(0);
  });
});
