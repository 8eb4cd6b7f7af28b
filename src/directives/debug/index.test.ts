import { describe, expect, test } from 'vitest';
import { emptySettings, parseAs, refusal } from '../testing.ts';
import { debug } from './index.ts';

describe('debug', () => {
  test('switches the level on', () => {
    const settings = emptySettings();
    expect(settings.debug).toBe(false);
    debug.settle!([parseAs(debug, 'debug')], settings);
    expect(settings.debug).toBe(true);
  });

  test.each([
    ['debug on', 'Corefile:1:7: debug: Wrong argument count'],
    ['debug {\n}', 'debug takes no block'],
  ])('%j is refused: %s', (use, message) => {
    expect(refusal(debug, use)).toContain(message);
  });

  test('may stand twice, and handles no queries', () => {
    expect(debug.repeat).toBe('last');
    expect('build' in debug).toBe(false);
  });
});
