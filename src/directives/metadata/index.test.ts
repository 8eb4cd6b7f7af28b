import { describe, expect, test } from 'vitest';
import { askQuery } from '../../query/testing.ts';
import { PASS } from '../../query/verdict.ts';
import { parseAs, refusal, testBuilding, testParsing } from '../testing.ts';
import { metadata } from './index.ts';

describe('the zones', () => {
  test.each([
    { use: 'metadata', zones: ['x.'] },
    { use: 'metadata .', zones: ['.'] },
    { use: 'metadata A.Test b. 10.0.0.0/8', zones: ['a.test.', 'b.', '10.in-addr.arpa.'] },
    { use: 'metadata a..b', zones: [] },
  ])('of $use are $zones', ({ use, zones }) => {
    expect(parseAs(metadata, use, testParsing(['x.']))).toEqual({ zones });
  });

  test('a block of options after metadata is refused', () => {
    expect(refusal(metadata, 'metadata {\nfoo\n}')).toContain(
      "Corefile:2:1: metadata: Wrong argument count or unexpected line ending after '{'",
    );
  });

  test('a second use of metadata is refused', () => {
    expect(metadata.repeat).toBe('refuse');
  });
});

describe('a query has metadata', () => {
  test.each([
    { zones: 'a.test', block: '.', name: 'x.a.test.', has: true },
    { zones: 'a.test', block: '.', name: 'A.TEST.', has: true },
    { zones: 'a.test', block: '.', name: 'xa.test.', has: false },
    { zones: 'a.test', block: '.', name: '.', has: false },
    { zones: '.', block: '.', name: '.', has: true },
    { zones: '', block: 'a.test.', name: 'a.test.', has: true },
  ])('of `metadata $zones` in $block for $name: $has', ({ zones, block, name, has }) => {
    const config = parseAs(metadata, `metadata ${zones}`, testParsing([block]));
    const handler = metadata.build!([config], testBuilding([block]))!;
    expect(handler.seesHits).toBe(false);
    const { query } = askQuery(name, 'A', { qclass: 'CH' });
    expect(query.metadata).toBeUndefined();
    expect(handler.onQuery!(query)).toBe(PASS);
    expect(query.metadata !== undefined).toBe(has);
  });
});
