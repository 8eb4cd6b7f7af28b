import { describe, expect, test } from 'vitest';
import { AGE_MAX_MS, drawLifespan, isOver } from './lifespan.ts';

describe('a connection is old', () => {
  test.each([
    { ageMs: 29_000, queries: 999, over: false, because: 'neither age nor share is reached' },
    { ageMs: 30_001, queries: 0, over: true, because: 'of its age' },
    { ageMs: 2001, queries: 1000, over: true, because: 'its share is carried' },
    { ageMs: 2000, queries: 100_000, over: false, because: 'conntrack has an entry for each' },
  ])('at $ageMs ms, $queries queries: $over, since $because', ({ ageMs, queries, over }) => {
    expect(isOver({ ageMs: 30_000, share: 1000 }, ageMs, queries)).toBe(over);
  });

  test('never for its queries where they do not count', () => {
    const lifespan = drawLifespan(60_000, false);
    expect(isOver(lifespan, 40_000, 1e9)).toBe(false);
  });

  test('at another time each, within a fifth', () => {
    const drawn = Array.from({ length: 200 }, () => drawLifespan(AGE_MAX_MS, true));
    for (const { ageMs, share } of drawn) {
      expect(ageMs).toBeGreaterThanOrEqual(24_000);
      expect(ageMs).toBeLessThanOrEqual(36_000);
      expect(share).toBeGreaterThanOrEqual(800);
      expect(share).toBeLessThanOrEqual(1200);
    }
    expect(new Set(drawn.map(({ ageMs }) => ageMs)).size).toBeGreaterThan(50);
  });
});
