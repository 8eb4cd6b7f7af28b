import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TestLog } from '../../directives/testing.ts';
import { NXDOMAIN, NOERROR, REFUSED, SERVFAIL } from '../../dns/rcode.ts';
import { Metrics } from '../../observe/metrics.ts';
import type { Proof } from './generation.ts';
import { Readiness } from './readiness.ts';

const CLUSTER: Proof = {
  zone: 'cluster.local.',
  at: { host: '169.254.20.10', port: 53 },
  continuously: false,
};
const MISSING = 'no upstream of the block cluster.local. has answered';

let log: TestLog;
let metrics: Metrics;
let readiness: Readiness;
let isServing: boolean;
let undiverted: string | undefined;
let misconfigured: string[];
/** The RCODE of the next answer; undefined if there is none. */
let rcode: number | undefined;
let asked: string[];
let nowMs: number;

beforeEach(() => {
  [log, metrics, asked, nowMs] = [new TestLog(), new Metrics(), [], Date.now()];
  [isServing, undiverted, misconfigured, rcode] = [true, undefined, [], NOERROR];
  readiness = new Readiness(
    {
      isServing: () => isServing,
      undiverted: () => undiverted,
      misconfigured: () => misconfigured,
      ask: ({ host }, zone) => {
        asked.push(`${zone} at ${host}`);
        return Promise.resolve(rcode);
      },
    },
    log,
    metrics,
  );
});
afterEach(() => readiness.withdraw('the test is over'));

/** Lets `seconds` pass, with a check in each. */
async function pass(seconds: number): Promise<void> {
  for (let i = 0; i < seconds; i++) {
    nowMs += 1000;
    await readiness.check(nowMs);
  }
}

async function follow(...proofs: readonly Proof[]): Promise<void> {
  readiness.follow(proofs);
  await Promise.resolve();
  await pass(1);
}

describe('readiness', () => {
  test('readiness needs sockets, rules, a sound configuration and an answer; missing ones are logged', async () => {
    expect(readiness.unready()).toEqual(['nothing is listened on yet']);
    [isServing, undiverted, misconfigured, rcode] = [false, 'no rules', ['no Service'], undefined];
    await follow(CLUSTER);
    expect(readiness.unready()).toEqual([
      'our own queries are not answered',
      'no rules',
      'no Service',
      MISSING,
    ]);
    expect(metrics.gauge('nodelocald_ready', {}).read!()).toBe(0);
    [isServing, undiverted, misconfigured, rcode] = [true, undefined, [], NOERROR];
    await pass(1);
    expect(readiness.unready()).toEqual([]);
    expect(metrics.gauge('nodelocald_ready', {}).read!()).toBe(1);
    expect(log.lines.at(-1)).toBe('[INFO] plugin/ready: Ready');
  });

  test.each([
    { answer: NOERROR, ready: true },
    { answer: NXDOMAIN, ready: true },
    { answer: SERVFAIL, ready: false },
    { answer: REFUSED, ready: false },
    { answer: undefined, ready: false },
  ])('an answer with RCODE $answer: $ready', async ({ answer, ready }) => {
    rcode = answer;
    await follow(CLUSTER);
    expect(readiness.unready()).toEqual(ready ? [] : [MISSING]);
    expect(asked[0]).toBe('cluster.local. at 169.254.20.10');
  });

  test('readiness asks once a second until there is an answer, and then no longer', async () => {
    rcode = SERVFAIL;
    await follow(CLUSTER);
    await pass(3);
    const before = asked.length;
    expect(before).toBeGreaterThanOrEqual(4);
    rcode = NOERROR;
    await pass(20);
    expect(asked.length).toBe(before + 1);
  });

  test('readiness does not flap: neither upstreams, nor rules, nor a refused Corefile withdraw it', async () => {
    await follow(CLUSTER);
    expect(readiness.unready()).toEqual([]);
    [undiverted, misconfigured, rcode] = ['the lock is held', ['refused'], undefined];
    await pass(10);
    expect(readiness.unready()).toEqual([]);
    // Nor does a reload, whose blocks have not been asked.
    await follow({ ...CLUSTER, zone: 'new.' });
    expect(readiness.unready()).toEqual([]);
  });

  test('readiness outlives the worker: one that replaces another asks no upstream again', async () => {
    [undiverted, rcode] = ['no rules', undefined];
    readiness.resume();
    expect(readiness.unready()).toEqual(['nothing is listened on yet']);
    await follow(CLUSTER);
    expect(readiness.unready()).toEqual(['no rules']);
    undiverted = undefined;
    expect(readiness.unready()).toEqual([]);
    expect(asked).toEqual([]);
  });

  test('readiness goes with sockets that no longer answer, and comes back with them', async () => {
    await follow();
    isServing = false;
    expect(readiness.unready()).toEqual(['our own queries are not answered']);
    isServing = true;
    expect(readiness.unready()).toEqual([]);
  });

  test('readiness that is monitored continuously goes after three failures in a row and comes with an answer', async () => {
    await follow({ ...CLUSTER, continuously: true });
    expect(readiness.unready()).toEqual([]);
    rcode = SERVFAIL;
    await pass(10);
    expect(readiness.unready()).toEqual([]);
    await pass(6);
    expect(readiness.unready()).toEqual([MISSING]);
    rcode = NOERROR;
    await pass(1);
    expect(readiness.unready()).toEqual([]);
  });

  test('readiness is withdrawn for good, whatever else is true', async () => {
    await follow(CLUSTER);
    readiness.withdraw('shutting down');
    await follow(CLUSTER);
    expect(readiness.unready()).toEqual(['shutting down']);
  });
});
