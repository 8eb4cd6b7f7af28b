import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { SHARED_CLOCK_OFFSET_MS, clockIdentity, nowMs, toDs } from './clock.ts';

test('a process that began later has the same time on the shared clock', () => {
  const script = 'String(process.hrtime.bigint() / 1000000n)';
  const beforeMs = nowMs() + SHARED_CLOCK_OFFSET_MS;
  const otherMs = Number(execFileSync(process.execPath, ['-p', script]).toString());
  const afterMs = nowMs() + SHARED_CLOCK_OFFSET_MS;
  expect(otherMs).toBeGreaterThanOrEqual(Math.floor(beforeMs) - 1);
  expect(otherMs).toBeLessThanOrEqual(Math.ceil(afterMs) + 1);
});

test('the clock has a name that stays the same', () => {
  expect(clockIdentity()).not.toBe('');
  expect(clockIdentity()).toBe(clockIdentity());
});

test.each([
  { ms: 0, ds: 0 },
  { ms: 99.9, ds: 0 },
  { ms: 100, ds: 1 },
])('$ms ms are $ds tenths of a second, whole', ({ ms, ds }) => {
  expect(toDs(ms)).toBe(ds);
});
