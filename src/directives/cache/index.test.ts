import { describe, expect, test } from 'vitest';
import type { CacheConfig } from '../../cache/config.ts';
import { parseAs, refusal, testParsing } from '../testing.ts';
import { cache } from './index.ts';

const block = (...lines: string[]): string => `cache {\n${lines.join('\n')}\n}`;
const parse = (use: string): CacheConfig => parseAs(cache, use, testParsing(['block.', 'b2.']));

describe('defaults', () => {
  const store = { entriesMax: 10_000, ttlMinSec: 5, disabledZones: [] };
  test.each(['cache', 'cache {\n}'])('%j keeps 10,000 answers and as many denials', (use) => {
    expect(parse(use)).toEqual({
      zones: ['block.', 'b2.'],
      success: { ...store, ttlMaxSec: 3600 },
      denial: { ...store, ttlMaxSec: 1800 },
      servfailSec: 5,
      prefetch: undefined,
      stale: undefined,
      keepTtl: false,
      cutZones: [],
    });
  });
});

describe('arguments', () => {
  test.each([
    { use: 'cache 30', zones: ['block.', 'b2.'], ttls: [30, 30] },
    { use: 'cache 1', zones: ['block.', 'b2.'], ttls: [1, 1] },
    { use: 'cache +7', zones: ['block.', 'b2.'], ttls: [7, 7] },
    { use: 'cache 86400 Example.ORG', zones: ['example.org.'], ttls: [86_400, 86_400] },
    { use: 'cache a.test b.test', zones: ['a.test.', 'b.test.'], ttls: [3600, 1800] },
    { use: 'cache 1.5', zones: ['1.5.'], ttls: [3600, 1800] }, // no integer, so a zone
    {
      use: 'cache 10.0.0.0/23',
      zones: ['0.0.10.in-addr.arpa.', '1.0.10.in-addr.arpa.'],
      ttls: [3600, 1800],
    },
    { use: 'cache dns://a.test:53', zones: ['a.test.'], ttls: [3600, 1800] },
    { use: 'cache 30 a..b', zones: [], ttls: [30, 30] }, // CoreDNS drops what is no zone
  ])('$use caches $zones with the TTLs $ttls', ({ use, zones, ttls }) => {
    const { success, denial, ...config } = parse(use);
    expect(config.zones).toEqual(zones);
    expect([success.ttlMaxSec, denial.ttlMaxSec]).toEqual(ttls);
  });
});

describe('options: the lowest, the highest and what they mean', () => {
  test.each<{ lines: string[]; is: object }>([
    { lines: ['success 20'], is: { success: { entriesMax: 20, ttlMaxSec: 3600, ttlMinSec: 5 } } },
    { lines: ['success 0'], is: { success: { entriesMax: 0 } } },
    { lines: ['success -1'], is: { success: { entriesMax: -1 } } },
    { lines: ['success 20 1'], is: { success: { ttlMaxSec: 1, ttlMinSec: 5 } } },
    { lines: ['success 20 7200 0'], is: { success: { ttlMaxSec: 7200, ttlMinSec: 0 } } },
    {
      lines: ['denial 20 60 10'],
      is: { denial: { entriesMax: 20, ttlMaxSec: 60, ttlMinSec: 10 } },
    },
    { lines: ['denial 20'], is: { success: { entriesMax: 10_000 } } },
    { lines: ['success 20 60', 'success 30'], is: { success: { entriesMax: 30, ttlMaxSec: 60 } } },
    { lines: ['prefetch 10'], is: { prefetch: { hits: 10, windowMs: 60_000, percent: 10 } } },
    { lines: ['prefetch 0'], is: { prefetch: undefined } },
    { lines: ['prefetch 1 30s'], is: { prefetch: { hits: 1, windowMs: 30_000, percent: 10 } } },
    { lines: ['prefetch 1 -1s 10%'], is: { prefetch: { windowMs: -1000, percent: 10 } } },
    { lines: ['prefetch 1 1h 90%'], is: { prefetch: { windowMs: 3_600_000, percent: 90 } } },
    {
      lines: ['nxdomain_cut kubernetes Cluster.Local', 'nxdomain_cut plain'],
      is: {
        cutZones: [
          { zone: 'cluster.local.', kind: 'kubernetes' },
          { zone: 'block.', kind: 'plain' },
          { zone: 'b2.', kind: 'plain' },
        ],
      },
    },
    {
      lines: ['nxdomain_cut plain a.test', 'nxdomain_cut plain .'],
      is: { cutZones: [{ zone: '.', kind: 'plain' }] },
    },
    { lines: ['servfail 0'], is: { servfailSec: 0 } },
    { lines: ['servfail 0s'], is: { servfailSec: 0 } },
    { lines: ['servfail 5m'], is: { servfailSec: 300 } },
    { lines: ['disable success'], is: { success: { disabledZones: ['.'] } } },
    {
      lines: ['disable denial a.test B.test'],
      is: { denial: { disabledZones: ['a.test.', 'b.test.'] }, success: { disabledZones: [] } },
    },
    {
      lines: ['disable denial a.test', 'disable success', 'disable denial b.test'],
      is: { denial: { disabledZones: ['b.test.'] }, success: { disabledZones: ['.'] } },
    },
    {
      lines: ['disable denial a.test', 'denial 5'],
      is: { denial: { disabledZones: ['a.test.'], entriesMax: 5 } },
    },
    { lines: ['keepttl'], is: { keepTtl: true } },
  ])('$lines', ({ lines, is }) => {
    expect(parse(block(...lines))).toMatchObject(is);
  });

  test('a TTL of the store overrides that of the directive', () => {
    const { success, denial } = parse('cache 30 {\nsuccess 10 60\n}');
    expect([success.ttlMaxSec, denial.ttlMaxSec]).toEqual([60, 30]);
  });

  const stale = {
    durationSec: 3600,
    mode: 'immediate',
    verifyTimeoutMs: 0,
    ttlSec: 0,
    recheckMs: 0,
    preferPositive: false,
  };
  test.each<{ lines: string[]; is: object | undefined }>([
    { lines: ['serve_stale'], is: stale },
    { lines: ['serve_stale 0s'], is: undefined },
    { lines: ['serve_stale 0'], is: undefined },
    { lines: ['serve_stale 30s'], is: { ...stale, durationSec: 30 } },
    { lines: ['serve_stale 24h'], is: { ...stale, durationSec: 86_400 } },
    { lines: ['serve_stale 1h IMMEDIATE'], is: stale },
    { lines: ['serve_stale 1h Verify'], is: { ...stale, mode: 'verify' } },
    { lines: ['serve_stale 1h immediate 30s'], is: { ...stale, ttlSec: 30 } },
    {
      lines: ['serve_stale 1h immediate 30s 5m'],
      is: { ...stale, ttlSec: 30, recheckMs: 300_000 },
    },
    { lines: ['serve_stale 1h verify 0s'], is: { ...stale, mode: 'verify' } },
    {
      lines: ['serve_stale 1h verify 200ms 5s 1s'],
      is: { ...stale, mode: 'verify', verifyTimeoutMs: 200, ttlSec: 5, recheckMs: 1000 },
    },
    {
      lines: ['serve_stale_policy prefer_positive', 'serve_stale'],
      is: { ...stale, preferPositive: true },
    },
    { lines: ['serve_stale 1h verify', 'serve_stale 2h'], is: { ...stale, durationSec: 7200 } },
  ])('$lines', ({ lines, is }) => {
    expect(parse(block(...lines)).stale).toEqual(is);
  });
});

describe('lines that are refused, where, and why', () => {
  test.each([
    [
      'cache 0',
      '1:7: cache: cache TTL can not be zero or negative: 0; expected seconds, at least 1',
    ],
    ['cache -1', '1:7: cache: cache TTL can not be zero or negative: -1'],
    [block('success'), '2:1: cache: success: Wrong argument count or unexpected line ending'],
    [
      block('success 1 2 3 4'),
      "2:15: cache: success: Wrong argument count or unexpected line ending after '4'",
    ],
    [block('success a'), '2:9: cache: success: strconv.Atoi: parsing "a": invalid syntax'],
    [block('success 1 0'), '2:11: cache: success: cache TTL can not be zero or negative: 0'],
    [block('success 1 1s'), '2:11: cache: success: strconv.Atoi: parsing "1s": invalid syntax'],
    [block('success 1 2 -1'), '2:13: cache: success: cache min TTL can not be negative: -1'],
    [block('denial 1 -2'), '2:10: cache: denial: cache TTL can not be zero or negative: -2'],
    [block('denial 1 2 x'), '2:12: cache: denial: strconv.Atoi: parsing "x": invalid syntax'],
    [block('nxdomain_cut'), '2:1: cache: nxdomain_cut: Wrong argument count'],
    [
      block('nxdomain_cut cluster.local'),
      '2:14: cache: nxdomain_cut: unknown value "cluster.local"; expected kubernetes, plain, search',
    ],
    [
      block('nxdomain_cut search'),
      '2:14: cache: the root is no search domain; expected one, as ec2.internal',
    ],
    [
      block('nxdomain_cut kubernetes .'),
      '2:14: cache: the root is no cluster domain; expected one, as cluster.local',
    ],
    [block('prefetch'), '2:1: cache: prefetch: Wrong argument count'],
    [block('prefetch -1'), '2:10: cache: prefetch: prefetch amount should be positive: -1'],
    [block('prefetch 1 x'), '2:12: cache: prefetch: time: invalid duration "x"'],
    [
      block('prefetch 1 1m 10'),
      "2:15: cache: prefetch: last character of percentage should be `%`, but is: '0'",
    ],
    [
      block('prefetch 1 1m 9%'),
      '2:15: cache: prefetch: percentage should fall in range [10, 90]: 9',
    ],
    [
      block('prefetch 1 1m 91%'),
      '2:15: cache: prefetch: percentage should fall in range [10, 90]: 91',
    ],
    [block('prefetch 1 1m 10% x'), '2:19: cache: prefetch: Wrong argument count'],
    [
      block('serve_stale -1s'),
      '2:13: cache: serve_stale: invalid negative duration for serve_stale',
    ],
    [
      block('serve_stale immediate'),
      '2:13: cache: serve_stale: time: invalid duration "immediate"',
    ],
    [
      block('serve_stale 1h foo'),
      '2:16: cache: serve_stale: invalid value for serve_stale refresh mode: foo',
    ],
    [
      block('serve_stale 1h verify -1s'),
      '2:23: cache: serve_stale: invalid negative timeout for serve_stale verify',
    ],
    [
      block('serve_stale 1h immediate 1500ms'),
      '2:26: cache: serve_stale: serve_stale response TTL must be a whole number of seconds',
    ],
    [
      block('serve_stale 1h immediate -1s'),
      '2:26: cache: serve_stale: serve_stale response TTL must be a whole number of seconds',
    ],
    [
      block('serve_stale 1h immediate 0s 301s'),
      '2:29: cache: serve_stale: serve_stale failure recheck cannot exceed 5 minutes',
    ],
    [
      block('serve_stale 1h immediate 0s -1s'),
      '2:29: cache: serve_stale: serve_stale failure recheck cannot exceed 5 minutes',
    ],
    [
      block('serve_stale 1h immediate 1s 1s 1s'),
      "2:32: cache: serve_stale: Wrong argument count or unexpected line ending after '1s'",
    ],
    [block('serve_stale 1h verify 1s 1s 1s 1s'), '2:32: cache: serve_stale: Wrong argument count'],
    [
      block('serve_stale_policy prefer_positive'),
      '2:20: cache: serve_stale_policy requires serve_stale',
    ],
    [
      block('serve_stale 0s', 'serve_stale_policy prefer_positive'),
      '3:20: cache: serve_stale_policy requires serve_stale',
    ],
    [
      block('serve_stale_policy x'),
      '2:20: cache: serve_stale_policy: unknown value "x"; expected prefer_positive',
    ],
    [
      block(
        'serve_stale',
        'serve_stale_policy prefer_positive',
        'serve_stale_policy prefer_positive',
      ),
      '4:1: cache: serve_stale_policy: given a second time',
    ],
    [block('servfail'), '2:1: cache: servfail: Wrong argument count'],
    [block('servfail -1s'), '2:10: cache: servfail: invalid negative ttl for servfail'],
    [
      block('servfail 301s'),
      '2:10: cache: servfail: caching SERVFAIL responses over 5 minutes is not permitted',
    ],
    [block('servfail 5'), '2:10: cache: servfail: time: missing unit in duration "5"'],
    [block('disable'), '2:1: cache: disable: Wrong argument count'],
    [
      block('disable all'),
      '2:9: cache: disable: cache type for disable must be "success" or "denial"',
    ],
    [
      block('keepttl yes'),
      "2:9: cache: keepttl: Wrong argument count or unexpected line ending after 'yes'",
    ],
    [
      block('sucess 10'),
      `2:1: cache: "sucess" is not an option (unknown property 'sucess'); did you mean "success"?`,
    ],
  ])('%j is refused: %s', (use, message) => {
    expect(refusal(cache, use)).toContain(`Corefile:${message}`);
  });

  test('the loader refuses a second cache in one block', () => {
    expect(cache.repeat).toBe('refuse');
  });
});
