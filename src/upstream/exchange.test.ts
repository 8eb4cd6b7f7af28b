/** The life of one query upstream, against upstreams that are told what to do with each attempt. */
import { describe, expect, test } from 'vitest';
import { TC } from '../dns/header.ts';
import { type NormalizedResponse, normalize } from '../dns/response.ts';
import { Metrics } from '../observe/metrics.ts';
import type { Attempt } from './attempt.ts';
import { Exchange, type ExchangeTerms, type Outcome } from './exchange.ts';
import { askQuery } from '../query/testing.ts';
import { Upstream } from './upstream.ts';
import { Upstreams } from './upstreams.ts';
import { queryFor, responseFor } from './testing.ts';

const QUERY = queryFor('a.test.');
const SERVFAIL = 2;

/** Sends nothing: the test decides what becomes of each attempt. */
class FakeUpstream extends Upstream {
  readonly attempts: Attempt[] = [];
  readonly avoided: number[] = [];

  constructor() {
    super({ host: '192.0.2.1', port: 53, tls: undefined }, new Metrics());
  }

  override sendStream(attempt: Attempt): void {
    this.attempts.push(attempt);
  }

  override sendDatagram(attempt: Attempt): void {
    this.attempts.push(attempt);
  }

  override avoidStreams(sinceMs: number): void {
    this.avoided.push(sinceMs);
  }

  get last(): Attempt {
    return this.attempts.at(-1)!;
  }
}

function response(rcode: number = 0, truncated: boolean = false): NormalizedResponse {
  const wire = responseFor(QUERY, rcode);
  if (truncated) wire[2] = wire[2]! | TC;
  return normalize(wire, 0, wire.length)!;
}

interface Begun {
  readonly upstreams: readonly FakeUpstream[];
  readonly outcomes: Outcome[];
  readonly exchange: Exchange;
}

interface Options extends Partial<ExchangeTerms> {
  readonly overStream?: boolean;
}

function begin(count: number, { overStream = true, ...terms }: Options = {}): Begun {
  const upstreams = Array.from({ length: count }, () => new FakeUpstream());
  const outcomes: Outcome[] = [];
  const exchange = new Exchange(
    {
      tcpOptional: false,
      failover: [SERVFAIL],
      attemptsMax: 0,
      ended: (_, outcome) => void outcomes.push(outcome),
      ...terms,
    },
    askQuery('a.test.', 'A').query,
    { upstreams, overStream, deadlineMs: performance.now() + 3900 },
    new Upstreams(new Metrics()),
  );
  exchange.start();
  return { upstreams, outcomes, exchange };
}

function answer(attempt: Attempt, rcode: number = 0, truncated: boolean = false): void {
  attempt.answer(response(rcode, truncated));
}

function silence(attempt: Attempt): void {
  attempt.doubt();
}

function fail(
  attempt: Attempt,
  cause: 'closed' | 'unreachable' | 'timeout' | 'bad-response',
): void {
  attempt.fail(`failed: ${cause}`, cause);
}

function counts({ upstreams }: Begun): number[] {
  return upstreams.map(({ attempts }) => attempts.length);
}

describe('one query costs each upstream two attempts at most, and ends once', () => {
  test('the first answer is the outcome, later ones are not', () => {
    const begun = begin(1);
    const [upstream] = begun.upstreams;
    answer(upstream!.last);
    answer(upstream!.last);
    begun.exchange.expire();
    expect(begun.outcomes).toMatchObject([{ rcode: 0 }]);
    expect(counts(begun)).toEqual([1]);
  });

  test.each(['closed', 'unreachable', 'timeout', 'bad-response'] as const)(
    'all fail: %s',
    (cause) => {
      const begun = begin(2);
      for (let i = 0; i < 10 && begun.outcomes.length === 0; i++) {
        const live = begun.upstreams.flatMap(({ attempts }) => attempts);
        for (const attempt of live) fail(attempt, cause);
      }
      expect(begun.outcomes).toEqual([`failed: ${cause}`]);
      expect(counts(begun)).toEqual([2, 2]);
    },
  );

  test('of 15 upstreams too', () => {
    const begun = begin(15);
    for (let i = 0; i < 40 && begun.outcomes.length === 0; i++) {
      const live = begun.upstreams.flatMap(({ attempts }) => attempts);
      fail(live.at(-1)!, 'timeout');
      for (const attempt of live) fail(attempt, 'timeout');
    }
    expect(begun.outcomes).toEqual(['failed: timeout']);
    expect(counts(begun)).toEqual(Array.from({ length: 15 }, () => 2));
  });

  test('max_connect_attempts lowers that', () => {
    const begun = begin(3, { attemptsMax: 2 });
    fail(begun.upstreams[0]!.last, 'timeout');
    fail(begun.upstreams[1]!.last, 'timeout');
    expect(begun.outcomes).toEqual(['failed: timeout']);
    expect(counts(begun)).toEqual([1, 1, 0]);
  });

  test('the second attempt at an upstream is one that mends', () => {
    const begun = begin(1);
    const [upstream] = begun.upstreams;
    silence(upstream!.last);
    expect(upstream!.attempts.map(({ mends }) => mends)).toEqual([false, true]);
  });
});

describe('where the next attempt goes', () => {
  test('silent: to the next upstream, and a late answer is still taken', () => {
    const begun = begin(2);
    const [first] = begun.upstreams;
    silence(first!.last);
    expect(counts(begun)).toEqual([1, 1]);
    answer(first!.last);
    expect(begun.outcomes).toMatchObject([{ rcode: 0 }]);
  });

  test('behind a slow query: to the same upstream', () => {
    const begun = begin(2);
    const attempt = begun.upstreams[0]!.last;
    attempt.lag();
    expect(counts(begun)).toEqual([2, 0]);
  });

  test('its connection was closed: to the same upstream', () => {
    const begun = begin(2);
    fail(begun.upstreams[0]!.last, 'closed');
    expect(counts(begun)).toEqual([2, 0]);
  });

  test('one is silent and the other fails: on, and no waiting for the silent one', () => {
    const begun = begin(2);
    const [first, second] = begun.upstreams;
    silence(first!.last);
    fail(second!.last, 'unreachable');
    expect(counts(begun)).toEqual([2, 1]);
  });

  test('an older attempt fails while a newer one waits: nothing is added', () => {
    const begun = begin(2);
    const [first] = begun.upstreams;
    silence(first!.attempts[0]!);
    fail(first!.attempts[0]!, 'timeout');
    expect(counts(begun)).toEqual([1, 1]);
  });
});

describe('failover', () => {
  test('each upstream is asked once, then the last answer counts', () => {
    const begun = begin(3);
    for (const upstream of begun.upstreams) answer(upstream.last, SERVFAIL);
    expect(begun.outcomes).toMatchObject([{ rcode: SERVFAIL }]);
    expect(counts(begun)).toEqual([1, 1, 1]);
  });

  test('one is silent, one answers SERVFAIL: the third one is asked', () => {
    const begun = begin(3);
    silence(begun.upstreams[0]!.last);
    answer(begun.upstreams[1]!.last, SERVFAIL);
    answer(begun.upstreams[2]!.last);
    expect(begun.outcomes).toMatchObject([{ rcode: 0 }]);
  });

  test('nothing is left but silence: the answer in hand counts, without waiting for the deadline', () => {
    const begun = begin(2);
    silence(begun.upstreams[0]!.last);
    answer(begun.upstreams[1]!.last, SERVFAIL);
    expect(counts(begun)).toEqual([2, 1]);
    silence(begun.upstreams[0]!.last);
    expect(begun.outcomes).toMatchObject([{ rcode: SERVFAIL }]);
  });

  test('an RCODE that is not listed is an answer', () => {
    const begun = begin(2);
    answer(begun.upstreams[0]!.last, 3);
    expect(begun.outcomes).toMatchObject([{ rcode: 3 }]);
  });
});

describe('truncated answers over UDP', () => {
  test('are asked for again over TCP, at the same upstream', () => {
    const begun = begin(1, { overStream: false });
    const [upstream] = begun.upstreams;
    answer(upstream!.last, 0, true);
    expect(upstream!.attempts.map(({ overStream }) => overStream)).toEqual([false, true]);
    answer(upstream!.last);
    expect((begun.outcomes[0] as NormalizedResponse).wire[2]! & TC).toBe(0);
  });

  test('count if TCP is not to be had', () => {
    const begun = begin(1, { overStream: false });
    for (let i = 0; i < 10 && begun.outcomes.length === 0; i++) {
      const { last } = begun.upstreams[0]!;
      if (last.overStream) fail(last, 'unreachable');
      else answer(last, 0, true);
    }
    expect((begun.outcomes[0] as NormalizedResponse).wire[2]! & TC).toBe(TC);
    expect(counts(begun)[0]).toBeLessThanOrEqual(4);
  });

  test('with prefer_tcp and no TCP they do not go round and round', () => {
    const begun = begin(1, { tcpOptional: true });
    for (let i = 0; i < 20 && begun.outcomes.length === 0; i++) {
      const { last } = begun.upstreams[0]!;
      if (last.overStream) fail(last, 'unreachable');
      else answer(last, 0, true);
    }
    expect(begun.outcomes).toHaveLength(1);
    expect(counts(begun)[0]).toBeLessThanOrEqual(6);
  });
});

describe('prefer_tcp', () => {
  test.each([{ how: 'fails' }, { how: 'is silent' }])('TCP $how: over UDP, once', ({ how }) => {
    const begun = begin(1, { tcpOptional: true });
    const [upstream] = begun.upstreams;
    const stream = upstream!.last;
    if (how === 'fails') {
      fail(stream, 'unreachable');
    } else {
      silence(stream);
      fail(stream, 'unreachable');
    }
    expect(upstream!.attempts.map(({ overStream }) => overStream)).toEqual([true, false]);
    expect(upstream!.avoided).toHaveLength(1);
    answer(upstream!.last);
    expect(begun.outcomes).toMatchObject([{ rcode: 0 }]);
  });
});

describe('the deadline', () => {
  test('ends it with the poor answer in hand, or the reason why there is none', () => {
    const truncated = begin(1, { overStream: false });
    answer(truncated.upstreams[0]!.last, 0, true);
    truncated.exchange.expire();
    expect(truncated.outcomes).toMatchObject([{ rcode: 0 }]);
    const mute = begin(1);
    mute.exchange.expire();
    expect(mute.outcomes).toEqual(['read tcp 192.0.2.1:53: i/o timeout']);
  });
});
