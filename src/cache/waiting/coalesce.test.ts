import { describe, expect, test } from 'vitest';
import { type AskOptions, askQuery } from '../../query/testing.ts';
import type { Query } from '../../query/query.ts';
import { Coalescer } from './coalesce.ts';

const KEY = 7;
const ask = (name = 'a.test.', type = 'A', options: AskOptions = {}): Query =>
  askQuery(name, type, options).query;

describe('identical misses', () => {
  test('identical misses wait for the first of them, in their order', () => {
    const coalescer = new Coalescer();
    const [leader, second, third] = [ask(), ask('A.TEST.'), ask('a.test.', 'A', { id: 1 })];
    expect(coalescer.joins(KEY, leader)).toBe(false);
    expect(coalescer.joins(KEY, second)).toBe(true);
    expect(coalescer.joins(KEY, third)).toBe(true);
    expect(coalescer.land(KEY, leader)).toEqual([second, third]);
  });

  test('an identical miss that comes after the answer leads again', () => {
    const coalescer = new Coalescer();
    const [leader, next] = [ask(), ask()];
    coalescer.joins(KEY, leader);
    coalescer.land(KEY, leader);
    expect(coalescer.land(KEY, leader)).toEqual([]);
    expect(coalescer.joins(KEY, next)).toBe(false);
    expect(coalescer.land(KEY, leader)).toEqual([]); // leads no longer
    expect(coalescer.joins(KEY, ask())).toBe(true);
  });

  test('misses of different keys do not wait for each other', () => {
    const coalescer = new Coalescer();
    const [one, other] = [ask(), ask('b.test.')];
    expect(coalescer.joins(1, one)).toBe(false);
    expect(coalescer.joins(2, other)).toBe(false);
    expect(coalescer.land(2, one)).toEqual([]);
    expect(coalescer.land(1, one)).toEqual([]);
  });
});

describe('where keys collide, no query gets another question’s answer', () => {
  test.each([
    { other: ask('b.test.'), what: 'name' },
    { other: ask('test.'), what: 'length of name' },
    { other: ask('a.test.', 'AAAA'), what: 'type' },
    { other: ask('a.test.', 'A', { qclass: 'CH' }), what: 'class' },
    { other: ask('a.test.', 'A', { dnssecOk: true }), what: 'DO' },
    { other: ask('a.test.', 'A', { checkingDisabled: true }), what: 'CD' },
  ])('a miss with another $what goes alone', ({ other }) => {
    const coalescer = new Coalescer();
    const leader = ask();
    const waiter = ask();
    coalescer.joins(KEY, leader);
    expect(coalescer.joins(KEY, other)).toBe(false);
    expect(coalescer.joins(KEY, waiter)).toBe(true);
    expect(coalescer.land(KEY, other)).toEqual([]);
    expect(coalescer.land(KEY, leader)).toEqual([waiter]);
  });

  test('EDNS without DO makes no difference', () => {
    const coalescer = new Coalescer();
    coalescer.joins(KEY, ask());
    expect(coalescer.joins(KEY, ask('a.test.', 'A', { edns: 4096 }))).toBe(true);
  });
});
