import { describe, expect, test } from 'vitest';
import { Metrics } from '../observe/metrics.ts';
import type { ForwardConfig } from './config.ts';
import { Policy } from './policy.ts';
import { Upstream } from './upstream.ts';
import { TERMS } from './testing.ts';

function upstreams(count: number): Upstream[] {
  return Array.from({ length: count }, (_, i) => {
    const target = { host: `192.0.2.${i}`, port: 53, tls: undefined };
    const upstream = new Upstream(target, new Metrics());
    upstream.join(TERMS);
    return upstream;
  });
}

function policy(kind: ForwardConfig['policy'], of: readonly Upstream[], failsMax = 2): Policy {
  return new Policy(kind, of, failsMax);
}

function places(of: readonly Upstream[], order: readonly Upstream[]): number[] {
  return order.map((upstream) => of.indexOf(upstream));
}

describe('the order in which upstreams are asked', () => {
  test('sequential: as written', () => {
    const of = upstreams(3);
    const sequential = policy('sequential', of);
    for (let i = 0; i < 3; i++) expect(places(of, sequential.order())).toEqual([0, 1, 2]);
  });

  test('round_robin: one after the other comes first, beginning with the second (CoreDNS)', () => {
    const of = upstreams(3);
    const turns = policy('round_robin', of);
    expect([1, 2, 3, 4].map(() => places(of, turns.order()))).toEqual([
      [1, 0, 2],
      [2, 0, 1],
      [0, 1, 2],
      [1, 0, 2],
    ]);
  });

  test('random: each upstream once, and each comes first at times', () => {
    const of = upstreams(4);
    const random = policy('random', of);
    const first = [0, 0, 0, 0];
    for (let i = 0; i < 400; i++) {
      const order = places(of, random.order());
      expect(order.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3]);
      first[order[0]!]!++;
    }
    for (const times of first) expect(times).toBeGreaterThan(40);
  });

  test('a suspect comes last whatever the policy, unless max_fails is 0', () => {
    const of = upstreams(3);
    of[0]!.health.suspect();
    expect(places(of, policy('sequential', of).order())).toEqual([1, 2, 0]);
    expect(places(of, policy('random', of).order())[2]).toBe(0);
    expect(places(of, policy('sequential', of, 0).order())).toEqual([0, 1, 2]);
  });

  test('what is known of all of them', () => {
    const of = upstreams(2);
    const both = policy('random', of);
    expect([both.anyUp, both.allDown]).toEqual([true, false]);
    of[0]!.health.suspect();
    expect([both.anyUp, both.allDown]).toEqual([true, false]);
    of[1]!.health.suspect();
    expect([both.anyUp, both.allDown]).toEqual([false, false]);
    of[0]!.health.answered();
    expect([both.anyUp, both.allDown]).toEqual([true, false]);
  });
});
