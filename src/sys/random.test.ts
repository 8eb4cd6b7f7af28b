import { describe, expect, test, vi } from 'vitest';
import { nowMs, toDs } from './clock.ts';
import { random16, random30, randomBelow } from './random.ts';

describe('random numbers (RFC 5452 section 4)', () => {
  const DRAWS = 20_000;

  test('random numbers of 16 bits use all of them', () => {
    let ones = 0;
    let zeros = 0;
    for (let i = 0; i < 200; i++) {
      const drawn = random16();
      expect(drawn & 0xffff).toBe(drawn);
      ones |= drawn;
      zeros |= ~drawn;
    }
    expect([ones & 0xffff, zeros & 0xffff]).toEqual([0xffff, 0xffff]);
  });

  test('random numbers of 30 bits use all of them, and are small integers', () => {
    let ones = 0;
    for (let i = 0; i < 200; i++) {
      const drawn = random30();
      expect(drawn & 0x3fffffff).toBe(drawn);
      ones |= drawn;
    }
    expect(ones).toBe(0x3fffffff);
  });

  test.each([1, 2, 3, 7, 100])('random numbers below %i are uniform', (below) => {
    const counts = Array.from({ length: below }, () => 0);
    for (let i = 0; i < DRAWS; i++) {
      const drawn = randomBelow(below);
      counts[drawn] = counts[drawn]! + 1;
    }
    expect(counts.length).toBe(below);
    const expected = DRAWS / below;
    // Eight standard deviations: fails once in 10^14 runs.
    for (const count of counts)
      expect(Math.abs(count - expected)).toBeLessThan(8 * Math.sqrt(expected) + 1);
  });

  test('random numbers below 65536 are below 65536', () => {
    for (let i = 0; i < 100; i++) expect(randomBelow(65536)).toBeLessThan(65536);
  });
});

describe('the clock', () => {
  test('the clock never goes back, whatever the wall clock does', () => {
    vi.useFakeTimers({ toFake: ['Date'], now: 0 });
    const before = nowMs();
    vi.setSystemTime(-1e12);
    expect(nowMs()).toBeGreaterThanOrEqual(before);
    vi.useRealTimers();
  });

  test.each([
    [0, 0],
    [99.9, 0],
    [100, 1],
    [12_345.6, 123],
  ])('%d ms are %i tenths of a second', (ms, ds) => {
    expect(toDs(ms)).toBe(ds);
  });
});
