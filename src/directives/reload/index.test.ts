import { describe, expect, test } from 'vitest';
import { RELOAD_INTERVAL } from '../contributions.ts';
import { contributed, parseAs, refusal } from '../testing.ts';
import { reload } from './index.ts';

describe('reload', () => {
  test.each([
    { use: 'reload', intervalMs: 30_000, jitterMs: 15_000 },
    { use: 'reload 2s', intervalMs: 2000, jitterMs: 1000 },
    { use: 'reload 10s 1s', intervalMs: 10_000, jitterMs: 1000 },
    { use: 'reload 10s 0s', intervalMs: 10_000, jitterMs: 0 },
    { use: 'reload 10s 1h', intervalMs: 10_000, jitterMs: 5000 },
    { use: 'reload 24h 1m', intervalMs: 86_400_000, jitterMs: 60_000 },
  ])('$use', ({ use, intervalMs, jitterMs }) => {
    expect(parseAs(reload, use)).toEqual({ intervalMs, jitterMs });
  });

  test.each([
    ['reload 5', 'Corefile:1:8: reload: time: missing unit in duration "5"'],
    ['reload 1999ms', 'Corefile:1:8: reload: interval value must be greater or equal to 2s'],
    ['reload 2s 999ms', 'Corefile:1:11: reload: jitter value must be greater or equal to 1s'],
    ['reload 2s 1s 1s', 'Corefile:1:14: reload: Wrong argument count'],
    ['reload {\n}', 'reload takes no block'],
  ])('%j is refused: %s', (use, message) => {
    expect(refusal(reload, use)).toContain(message);
  });

  test('of several uses of reload the first one counts', () => {
    const settings = contributed(reload, RELOAD_INTERVAL, 'reload 5s', 'reload 6s');
    expect(settings).toEqual([{ intervalMs: 5000, jitterMs: 2500 }]);
  });
});
