import { describe, expect, test } from 'vitest';
import { DEBUG_LOG } from '../contributions.ts';
import { contributed, refusal } from '../testing.ts';
import { debug } from './index.ts';

describe('debug', () => {
  test('debug switches the level debug on', () => {
    expect(contributed(debug, DEBUG_LOG, 'debug')).toEqual([true]);
  });

  test.each([
    ['debug on', 'Corefile:1:7: debug: Wrong argument count'],
    ['debug {\n}', 'debug takes no block'],
  ])('%j is refused: %s', (use, message) => {
    expect(refusal(debug, use)).toContain(message);
  });

  test('debug may stand twice, and handles no queries', () => {
    expect(debug.repeat).toBe('last');
    expect('build' in debug).toBe(false);
  });
});
