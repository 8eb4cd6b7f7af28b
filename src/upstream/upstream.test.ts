/** Connections to an upstream on loopback: when they are opened, judged, replaced and closed. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Metrics } from '../observe/metrics.ts';
import { Upstream } from './upstream.ts';
import { Asker, LoopbackUpstream, TERMS, framed, responseFor } from './testing.ts';
import type { UpstreamTerms } from './config.ts';

let server: LoopbackUpstream;
let upstream: Upstream;
let clock: NodeJS.Timeout;

beforeEach(async () => {
  server = await LoopbackUpstream.start();
  use(TERMS);
  // What upstreams.ts does.
  clock = setInterval(() => setImmediate(() => upstream.tick(performance.now())), 5);
});

afterEach(async () => {
  clearInterval(clock);
  upstream.close();
  await server.close();
});

function use(terms: UpstreamTerms): void {
  upstream = new Upstream(server.target, new Metrics());
  upstream.join(terms);
}

function ask(name: string, mends: boolean = false): Asker {
  const asker = new Asker();
  upstream.sendStream(asker.attempt(upstream, name, mends));
  return asker;
}

async function ended(...askers: readonly Asker[]): Promise<void> {
  await vi.waitUntil(() => askers.every(({ ends }) => ends > 0), { timeout: 5000, interval: 1 });
}

async function warm(): Promise<void> {
  await ended(ask('warm.test.'));
}

describe('how many connections there are', () => {
  test('none ahead of need, one for queries that are answered', async () => {
    expect(server.sockets).toHaveLength(0);
    for (let i = 0; i < 20; i++) await ended(ask(`q${i}.test.`));
    expect(server.sockets).toHaveLength(1);
  });

  test('another one rather than a place behind a query that is slow', async () => {
    await warm();
    server.behaviour = (seen) => {
      if (seen.name !== 'slow.test.') seen.answer();
    };
    const slow = ask('slow.test.');
    await new Promise((resolve) => setTimeout(resolve, 150));
    await ended(ask('fast.test.'));
    expect(slow.ends).toBe(0);
    expect(server.seen.map(({ connection }) => connection)).toEqual([0, 0, 1]);
  });

  test('8 at most, with 2,000 queries outstanding', async () => {
    const held: (() => void)[] = [];
    server.behaviour = (seen) => void held.push(() => seen.answer());
    const askers: Asker[] = [];
    for (let i = 0; i < 2000; i++) {
      askers.push(ask(`q${i}.test.`));
      if (i % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await vi.waitUntil(() => held.length === 2000);
    expect(server.connected).toBeLessThanOrEqual(8);
    for (const answer of held) answer();
    await ended(...askers);
    expect(askers.every(({ answer, ends }) => answer !== undefined && ends === 1)).toBe(true);
  });

  test('idle ones are closed after `expire`, and the clock may stop', async () => {
    use({ ...TERMS, expireMs: 50 });
    await warm();
    await vi.waitUntil(() => server.connected === 0);
    expect(upstream.busy).toBe(false);
  });

  test('of idle ones no more are kept than max_idle_conns', async () => {
    use({ ...TERMS, idleMax: 1 });
    const held: (() => void)[] = [];
    server.behaviour = (seen) => void held.push(() => seen.answer());
    const askers: Asker[] = [];
    for (let i = 0; i < 3; i++) {
      askers.push(ask(`q${i}.test.`));
      await new Promise((resolve) => setTimeout(resolve, 120)); // each is slow
    }
    expect(server.connected).toBe(3);
    for (const answer of held) answer();
    await ended(...askers);
    await vi.waitUntil(() => server.connected === 1);
  });

  test('a slow upstream, 1,000 misses for 2 s, each asked for twice: 8 are opened in all', async () => {
    // Every answer takes longer than anybody's patience.
    server.behaviour = (seen) => void setTimeout(() => seen.answer(), 1200);
    server.onProbe = (seen) => void setTimeout(() => seen.answer(), 1200);
    const askers: Asker[] = [];
    for (let i = 0; i < 1000; i++) {
      askers.push(ask(`q${i}.test.`));
      if (i % 50 === 49) await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const again = new Set<Asker>();
    while (askers.some(({ ends }) => ends === 0)) {
      for (const asker of askers) {
        if (asker.silent > 0 && !again.has(asker)) {
          again.add(asker);
          ask('again.test.', true);
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(again.size).toBeGreaterThan(0);
    expect(server.sockets.length).toBeLessThanOrEqual(8);
  });

  test('a mute upstream: 8 soon, then one each 2 s, and one in the place of the first that is hopeless', async () => {
    server.onProbe = () => undefined;
    server.behaviour = () => undefined;
    const end = performance.now() + 2300;
    let count = 0;
    while (performance.now() < end) {
      ask(`q${count++}.test.`, count % 2 === 0);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(server.sockets.length).toBeLessThanOrEqual(8 + 2);
  });

  test('the lowest expire of all users counts, for as long as they are there', async () => {
    const brief = { ...TERMS, expireMs: 50 };
    upstream.join(brief);
    upstream.leave(brief);
    await warm();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(server.connected).toBe(1);
  });
});

describe('a connection of a certain age', () => {
  test('serves until its replacement has answered a probe, and no query is lost', async () => {
    use({ ...TERMS, ageMaxMs: 100, expireMs: 100 });
    const askers: Asker[] = [];
    for (let i = 0; i < 100; i++) {
      askers.push(ask(`q${i}.test.`));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await ended(...askers);
    expect(askers.every(({ answer }) => answer !== undefined)).toBe(true);
    expect(server.sockets.length).toBeGreaterThan(1);
    expect(server.connected).toBeLessThanOrEqual(2);
  });

  test('serves on where its replacement is mute', async () => {
    use({ ...TERMS, ageMaxMs: 100, expireMs: 100 });
    server.onProbe = () => undefined;
    const askers: Asker[] = [];
    for (let i = 0; i < 60; i++) {
      askers.push(ask(`q${i}.test.`));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await ended(...askers);
    expect(askers.every(({ answer, silent }) => answer !== undefined && silent === 0)).toBe(true);
    expect(new Set(server.seen.map(({ connection }) => connection))).toEqual(new Set([0]));
  });
});

describe('a connection that has carried its share of the queries', () => {
  test('is replaced when it is 2 s old: at a high rate each serves for about 2 s', async () => {
    const askers: Asker[] = [];
    const start = performance.now();
    while (performance.now() - start < 2500) {
      for (let i = 0; i < 100; i++) askers.push(ask(`q${askers.length}.test.`));
      await ended(...askers.slice(-100));
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(askers.length).toBeGreaterThan(1300);
    expect(askers.every(({ answer }) => answer !== undefined)).toBe(true);
    expect(server.sockets.length).toBe(2);
    await vi.waitUntil(() => server.connected === 1);
  });
});

describe('an attempt that mends another', () => {
  test('goes over a fresh connection that has answered a probe, and only one is opened', async () => {
    await warm();
    await new Promise((resolve) => setTimeout(resolve, 100)); // so that the first one proves nothing
    const probed: number[] = [];
    server.onProbe = (seen) => {
      probed.push(seen.connection);
      seen.answer();
    };
    await ended(ask('again.test.', true));
    expect(probed).toEqual([1]);
    expect(server.seen.at(-1)).toMatchObject({ name: 'again.test.', connection: 1 });
  });

  test('goes over one that has answered just now', async () => {
    await warm();
    await ended(ask('again.test.', true));
    expect(server.sockets).toHaveLength(1);
  });

  test('behind one address, most servers of which are mute: the first that answers gets it', async () => {
    server.onProbe = (seen) => {
      if (seen.connection >= 3) seen.answer();
    };
    server.behaviour = (seen) => {
      if (seen.connection >= 3) seen.answer();
    };
    const before = performance.now();
    const asker = ask('again.test.', true);
    await ended(asker);
    expect(asker.answer).toBeDefined();
    expect(server.names()).toEqual(['again.test.']);
    expect(performance.now() - before).toBeLessThan(1000);
    await vi.waitUntil(() => server.connected === 1); // the others are not kept
  });

  test('an upstream that answers no probe is asked after all', async () => {
    server.onProbe = () => undefined;
    const asker = ask('again.test.', true);
    await ended(asker);
    expect(asker.answer).toBeDefined();
  });

  test('nobody listens: it fails soon, after a few attempts to connect, and once', async () => {
    await server.close();
    const before = performance.now();
    const asker = ask('again.test.', true);
    await ended(asker);
    expect(performance.now() - before).toBeLessThan(1000);
    expect(asker).toMatchObject({ ends: 1, failure: { cause: 'unreachable' } });
    expect(asker.failure!.reason).toMatch(
      /^dial tcp 127\.0\.0\.1:\d+: connect: connection refused$/,
    );
  });

  test('withdrawn while it waits, it is never sent', async () => {
    let probe: (() => void) | undefined;
    server.onProbe = (seen) => {
      probe = () => seen.answer();
    };
    const asker = new Asker();
    const attempt = asker.attempt(upstream, 'again.test.', true);
    upstream.sendStream(attempt);
    await vi.waitUntil(() => probe !== undefined);
    attempt.withdraw();
    probe!();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(server.seen).toEqual([]);
    expect(asker.ends).toBe(0);
  });
});

describe('connections that end or fall silent', () => {
  test('one that the upstream closes fails its queries at once, as closed and not as trouble', async () => {
    await warm();
    server.behaviour = ({ socket }) => void socket.end();
    const asker = ask('q.test.');
    await ended(asker);
    expect(asker.failure).toMatchObject({ cause: 'closed' });
    expect(upstream.health.checking).toBe(false);
  });

  test('one that says nothing more: its queries are told, it is avoided, and in the end closed', async () => {
    await warm();
    server.behaviour = (seen) => {
      if (seen.connection > 0) seen.answer();
    };
    const askers = [ask('a.test.'), ask('b.test.')];
    await vi.waitUntil(() => askers.every(({ silent }) => silent === 1), { timeout: 2000 });
    expect(askers[1]!.slow).toBe(1); // it might only have waited behind the other
    await ended(ask('c.test.'));
    await ended(...askers);
    expect(askers[0]!.failure).toMatchObject({ cause: 'timeout' });
    expect(askers.map(({ ends }) => ends)).toEqual([1, 1]);
  });

  test('with 8 silent connections the next query still gets a fresh one', async () => {
    server.onProbe = () => undefined;
    server.behaviour = (seen) => {
      if (seen.connection >= 8) seen.answer();
    };
    for (let i = 0; i < 30 && server.sockets.length < 8; i++) {
      ask(`q${i}.test.`);
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    expect(server.sockets.length).toBe(8);
    await new Promise((resolve) => setTimeout(resolve, 700));
    await ended(ask('last.test.'));
    expect(server.connected).toBeLessThanOrEqual(8);
  });

  test('an event loop that was held up does not take that for silence', async () => {
    await warm();
    const asker = ask('q.test.');
    const behind = ask('behind.test.');
    await vi.waitUntil(() => server.seen.length === 3);
    const busyUntil = performance.now() + 300;
    while (performance.now() < busyUntil);
    await ended(asker, behind);
    expect([asker, behind].map(({ slow, silent }) => slow + silent)).toEqual([0, 0]);
  });

  test('one that sends rubbish takes no more queries', async () => {
    await warm();
    server.behaviour = (seen) => {
      if (seen.connection === 0) seen.socket.write(framed(seen.query));
      else seen.answer();
    };
    const asker = ask('q.test.');
    await ended(asker);
    expect(asker.failure).toMatchObject({ cause: 'bad-response' });
    await ended(ask('next.test.'));
    expect(server.seen.at(-1)!.connection).toBe(1);
  });

  test('a second answer to one ID harms nobody', async () => {
    server.behaviour = (seen) => {
      const answer = framed(responseFor(seen.query));
      seen.socket.write(Buffer.concat([answer, answer]));
    };
    for (let i = 0; i < 5; i++) {
      const asker = ask(`q${i}.test.`);
      await ended(asker);
      expect(asker.ends).toBe(1);
    }
    expect(server.sockets).toHaveLength(1);
  });

  test('left by its last user it finishes what it has, and nothing of it stays', async () => {
    let answer: (() => void) | undefined;
    server.behaviour = (seen) => {
      answer = () => seen.answer();
    };
    const asker = ask('q.test.');
    await vi.waitUntil(() => answer !== undefined);
    upstream.leave(TERMS);
    answer!();
    await ended(asker);
    expect(asker.answer).toBeDefined();
    await vi.waitUntil(() => !upstream.busy);
    await vi.waitUntil(() => server.connected === 0);
  });
});

describe('prefer_tcp', () => {
  test('streams are avoided for 30 s, then until a trial has been answered, which no query waits for', async () => {
    const start = performance.now();
    expect(upstream.avoidsStreams).toBe(false);
    upstream.avoidStreams(start);
    expect(upstream.avoidsStreams).toBe(true);
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => start + 31_000);
    upstream.retryStreams();
    expect(upstream.avoidsStreams).toBe(true);
    clock.mockRestore();
    await vi.waitUntil(() => !upstream.avoidsStreams);
    expect(server.seen).toEqual([]);
  });

  test('not because of one that is silent, where another has answered since', async () => {
    const start = performance.now();
    await warm();
    upstream.avoidStreams(start);
    expect(upstream.avoidsStreams).toBe(false);
  });
});
