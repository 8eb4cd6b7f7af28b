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
    { word: 'pollicy', meant: 'policy', because: 'a letter is one too many' },
    { word: 'force-tcp', meant: 'force_tcp', because: 'a letter is wrong' },
    { word: 'exprie', meant: 'expire', because: 'two letters are swapped' },
    { word: 'FORCE_TCP', meant: 'force_tcp', because: 'case does not count' },
    { word: 'tsl', meant: 'tls', because: 'two letters are swapped' },
    { word: 'foo', meant: undefined, because: 'nothing is near' },
    { word: 'max', meant: undefined, because: 'too much is missing' },
    { word: '', meant: undefined, because: 'the word is empty' },
  ])('the word nearest to "$word" is $meant, since $because', ({ word, meant }) => {
    expect(nearest(word, OPTIONS)).toBe(meant);
  });

  test('a word that is too long to measure has no nearest word', () => {
    expect(nearest('x'.repeat(100_000), ['x'.repeat(100_000)])).toBeUndefined();
  });

  test('the first of equally near words is the nearest', () => {
    expect(nearest('cacke', ['cache', 'cacne'])).toBe('cache');
    expect(nearest('cacke', ['cacne', 'cache'])).toBe('cacne');
  });
});
