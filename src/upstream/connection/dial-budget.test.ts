import { describe, expect, test } from 'vitest';
import { CONNECTIONS_MAX, DialBudget } from './dial-budget.ts';

describe('how many connections there may be', () => {
  test.each([
    { open: 0, wasted: 0, afterMs: 0, allows: true },
    { open: 7, wasted: 0, afterMs: 0, allows: true },
    { open: 8, wasted: 0, afterMs: 0, allows: false },
    { open: 5, wasted: 3, afterMs: 0, allows: false },
    { open: 0, wasted: 8, afterMs: 1999, allows: false },
    { open: 0, wasted: 8, afterMs: 2000, allows: true },
    { open: 1, wasted: 8, afterMs: 3999, allows: false },
    { open: 1, wasted: 8, afterMs: 4000, allows: true },
  ])(
    '$open open, $wasted of no use $afterMs ms ago: another one is allowed: $allows',
    ({ open, wasted, afterMs, allows }) => {
      const budget = new DialBudget();
      for (let i = 0; i < wasted; i++) budget.waste(1000);
      expect(budget.allows(1000 + afterMs, open)).toBe(allows);
    },
  );

  test('of those of no use 8 are opened at first, and then one each 2 s', () => {
    const budget = new DialBudget();
    let dialled = 0;
    for (let now = 0; now < 20_000; now += 10) {
      if (!budget.allows(now, 0)) continue;
      budget.waste(now);
      dialled++;
    }
    expect(dialled).toBe(CONNECTIONS_MAX + 9);
  });
});
