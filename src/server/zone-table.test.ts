import { describe, expect, test } from 'vitest';
import { QueryView, readQuery } from '../dns/question.ts';
import { Counter } from '../observe/counters.ts';
import type { Handler } from '../directives/directive.ts';
import { TestLog } from '../directives/testing.ts';
import type { AddressIndex } from '../query/address-index.ts';
import { queryMessage } from '../query/testing.ts';
import { ZoneTable } from './zone-table.ts';
import { Chain } from './chain.ts';

/** A table of these zones, with such a handler in each. */
function tableOf(zones: readonly string[], handler: Partial<Handler> = {}): ZoneTable {
  const handlers = [{ name: 'hosts', seesHits: false, ...handler }];
  const chain = new Chain(handlers, new Counter(), new TestLog());
  const rest = { chain, counters: undefined, hits: undefined };
  return new ZoneTable(
    zones.map((zone, i) => ({ zone, addressIndex: i as AddressIndex, ...rest })),
  );
}

function zoneOf(table: ZoneTable, name: string, type = 'A'): string | undefined {
  const view = new QueryView(1);
  const msg = queryMessage(name, type);
  // After a longer name: the rest of it that is still in the view must not count.
  const before = queryMessage('x.'.repeat(60), 'A');
  readQuery(view, before, 0, before.length);
  readQuery(view, msg, 0, msg.length);
  return table.find(view)?.zone;
}

describe('the longest zone that holds the name answers', () => {
  const table = tableOf(['.', 'test.', 'b.test.', 'a.b.test.', 'cluster.local.']);
  test.each([
    { name: '.', zone: '.' },
    { name: 'com.', zone: '.' },
    { name: 'test.', zone: 'test.' },
    { name: 'x.test.', zone: 'test.' },
    { name: 'b.test.', zone: 'b.test.' },
    { name: 'X.A.B.Test.', zone: 'a.b.test.' },
    { name: 'xb.test.', zone: 'test.' }, // whole labels
    { name: 'xtest.', zone: '.' },
    { name: 'b.test.x.', zone: '.' },
    { name: String.raw`b\.test.`, zone: '.' }, // one label
    { name: String.raw`x\.b.test.`, zone: 'test.' },
    { name: 'a.svc.cluster.local.', zone: 'cluster.local.' },
    { name: 'local.', zone: '.' },
  ])('$name is answered by the zone $zone', ({ name, zone }) => {
    expect(zoneOf(table, name)).toBe(zone);
  });

  test('a name in no zone finds no block if none serves the root', () => {
    expect(zoneOf(tableOf(['test.']), 'com.')).toBeUndefined();
    expect(zoneOf(tableOf(['test.']), '.')).toBeUndefined();
    expect(zoneOf(tableOf([]), 'a.')).toBeUndefined();
  });

  test('the longest zone wins among a thousand, many of them of one length', () => {
    const zones = Array.from({ length: 1000 }, (_, i) => `z${String(i).padStart(3, '0')}.test.`);
    const many = tableOf(zones);
    for (const zone of zones) expect(zoneOf(many, `www.${zone}`)).toBe(zone);
    expect(zoneOf(many, 'www.zzzz.test.')).toBeUndefined();
  });

  test('the longest possible names find their zone', () => {
    const longest = 'a.'.repeat(127);
    expect(zoneOf(tableOf(['.', longest]), longest)).toBe(longest);
    expect(zoneOf(tableOf(['.', longest]), `b.${longest.slice(2)}`)).toBe('.');
  });
});

describe('DS belongs to the parent’s side of a zone cut (RFC 4035 section 3.1.4.1)', () => {
  test.each([
    { zones: ['a.test.', 'test.'], name: 'a.test.', zone: 'test.' },
    { zones: ['a.test.', 'test.'], name: 'b.a.test.', zone: 'test.' },
    { zones: ['a.test.', '.'], name: 'a.test.', zone: 'a.test.' }, // the root does not count
    { zones: ['a.test.', '.'], name: 'com.', zone: '.' },
    { zones: ['b.a.test.', 'a.test.', 'test.', '.'], name: 'x.b.a.test.', zone: 'test.' },
    { zones: ['a.test.'], name: 'b.test.', zone: undefined },
  ])('with the zones $zones, DS of $name belongs to $zone', ({ zones, name, zone }) => {
    expect(zoneOf(tableOf(zones), name, 'DS')).toBe(zone);
  });
});

test('a table lets every class in if one handler takes them', () => {
  expect(tableOf(['.'], { takesEveryClass: true }).takesEveryClass).toBe(true);
  expect(tableOf(['.']).takesEveryClass).toBe(false);
  expect(tableOf([]).takesEveryClass).toBe(false);
});
