/** Checks of an upstream: only after trouble, one at a time, until anything is answered. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Metrics } from '../observe/metrics.ts';
import type { Attempt } from './attempt.ts';
import type { Health } from './health.ts';
import { Upstream } from './upstream.ts';
import { TERMS } from './testing.ts';
import { type HealthEvent, type HealthState, nextHealthState } from './health-state.ts';

class FakeUpstream extends Upstream {
  readonly checks: Attempt[] = [];

  override sendStream(attempt: Attempt): void {
    this.checks.push(attempt);
  }

  override sendDatagram(attempt: Attempt): void {
    this.checks.push(attempt);
  }
}

let upstream: FakeUpstream;
let health: Health;
let nowMs: number;

beforeEach(() => {
  nowMs = 1000;
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
  upstream = new FakeUpstream({ host: '192.0.2.1', port: 53, tls: undefined }, new Metrics());
  upstream.join(TERMS);
  health = upstream.health;
});

afterEach(() => {
  vi.restoreAllMocks();
});

function pass(ms: number): void {
  for (let i = 0; i < ms; i += 10) {
    nowMs += 10;
    health.tick(nowMs);
  }
}

describe('health checks', () => {
  test('a healthy upstream is never checked', () => {
    pass(10_000);
    expect(upstream.checks).toEqual([]);
  });

  test('trouble: suspect, then down after more than max_fails checks, one each second and interval', () => {
    upstream.join({ ...TERMS, failsMax: 5 });
    for (let i = 0; i < 50; i++) health.suspect();
    expect(health.state(2)).toBe('suspect');
    pass(4600);
    expect(upstream.checks).toHaveLength(4);
    expect(health.state(2)).toBe('down');
    expect(health.state(5)).toBe('suspect');
    expect(health.state(0)).toBe('up');
  });

  test('any answer ends it, to whatever', () => {
    health.suspect();
    pass(20);
    health.answered();
    expect(health.state(2)).toBe('up');
    pass(10_000);
    expect(upstream.checks).toHaveLength(1);
  });

  test('a check that fails at once is followed by one after the interval, not at once', () => {
    health.suspect();
    for (let i = 0; i < 100; i++) {
      pass(10);
      const check = upstream.checks.at(-1)!;
      check.fail('refused', 'unreachable'); // a second time changes nothing
    }
    expect(upstream.checks.length).toBeLessThanOrEqual(3);
  });

  test('asks for what is configured', () => {
    upstream.leave(TERMS);
    const healthCheck = { intervalMs: 100, recursionDesired: false, domain: 'example.org.' };
    upstream.join({ ...TERMS, healthCheck });
    health.suspect();
    pass(20);
    const { query } = upstream.checks[0]!;
    expect(query[2]).toBe(0);
    expect(Buffer.from(query.subarray(12)).toString('latin1')).toBe(
      '\x07example\x03org\x00\x00\x02\x00\x01',
    );
  });

  test('max_fails 0 for all users: there are none', () => {
    upstream.join({ ...TERMS, failsMax: 0 });
    expect(health.isWatched).toBe(true);
    upstream.leave(TERMS);
    expect(health.isWatched).toBe(false);
    health.suspect();
    pass(1000);
    expect(upstream.checks).toEqual([]);
  });
});

describe('the states of health', () => {
  const states: readonly HealthState[] = ['up', 'suspect', 'down'];
  test.each<{ event: HealthEvent; to: readonly HealthState[] }>([
    { event: 'trouble', to: ['suspect', 'suspect', 'down'] },
    { event: 'checkFailed', to: ['up', 'suspect', 'down'] },
    { event: 'exhausted', to: ['up', 'down', 'down'] },
    { event: 'answered', to: ['up', 'up', 'up'] },
  ])(`the event $event leads from ${states.join(', ')} to $to`, ({ event, to }) => {
    expect(states.map((state) => nextHealthState(state, event))).toEqual(to);
  });
});
