import { expect, test } from 'vitest';
import { Metrics } from './metrics.ts';
import { Troubles } from './troubles.ts';

test('a subject has one line, for as long as it is in trouble, and its kind counts it', () => {
  const metrics = new Metrics();
  const troubles = new Troubles(metrics);
  const counted = (kind: string): number => metrics.gauge('nodelocald_troubles', { kind }).read!();
  expect([troubles.lines(), counted('upstream')]).toEqual([[], 0]);
  troubles.begin('upstream', 'a', 'a is away');
  troubles.begin('upstream', 'b', 'b is away');
  troubles.begin('listener', 'a', 'a is taken');
  troubles.begin('upstream', 'a', 'a is still away');
  expect(troubles.lines()).toEqual(['a is still away', 'b is away', 'a is taken']);
  expect(troubles.lines('listener')).toEqual(['a is taken']);
  expect([counted('upstream'), counted('listener'), counted('loop')]).toEqual([2, 1, 0]);
  troubles.end('upstream', 'a');
  troubles.end('upstream', 'never began');
  expect(troubles.lines('upstream')).toEqual(['b is away']);
});
