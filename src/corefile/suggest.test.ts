import { describe, expect, test } from 'vitest';
import { nearest } from './suggest.ts';

const OPTIONS = [
  'except',
  'force_tcp',
  'prefer_udp',
  'expire',
  'max_fails',
  'tls',
  'policy',
  'next',
];

describe('the nearest known word', () => {
  test.each([
    { word: 'max_fail', meant: 'max_fails', because: 'a letter is missing' },
    { word: 'polcy', meant: 'policy', because: 'a letter is missing' },
    { word: 'pollicy', meant: 'policy', because: 'there is one too many' },
    { word: 'force-tcp', meant: 'force_tcp', because: 'one is wrong' },
    { word: 'exprie', meant: 'expire', because: 'two changed places' },
    { word: 'FORCE_TCP', meant: 'force_tcp', because: 'case does not count' },
    { word: 'tsl', meant: 'tls', because: 'two changed places' },
    { word: 'foo', meant: undefined, because: 'nothing is near' },
    { word: 'max', meant: undefined, because: 'too much is missing' },
    { word: '', meant: undefined, because: 'there is nothing' },
  ])('$word: $meant, since $because', ({ word, meant }) => {
    expect(nearest(word, OPTIONS)).toBe(meant);
  });

  test('is not looked for when a word is too long to be measured', () => {
    expect(nearest('x'.repeat(100_000), ['x'.repeat(100_000)])).toBeUndefined();
  });

  test('is the first of those that are equally near', () => {
    expect(nearest('cacke', ['cache', 'cacne'])).toBe('cache');
    expect(nearest('cacke', ['cacne', 'cache'])).toBe('cacne');
  });
});
