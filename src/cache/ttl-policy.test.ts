import { describe, expect, test } from 'vitest';
import { FORMERR, NOTIMP, NXDOMAIN, REFUSED, SERVFAIL } from '../dns/rcode.ts';
import { TC } from '../dns/header.ts';
import { type ResponseText, response } from '../dns/testing.ts';
import { type CacheOptions, cacheConfig } from './testing.ts';
import { classify, isTruncated, lifetimeSec, storeOf } from './ttl-policy.ts';

const NOW = 1_700_000_000;
const SOA = 'test. 300 SOA 20';
const NS = 'test. 300 NS ns.test.';
const A = 'a.test. 60 A 192.0.2.1';
const CNAME = 'a.test. 60 CNAME b.test.';
const dnssec = { edns: { dnssecOk: true } };
const signed = (from: number, until: number): ResponseText => ({
  answers: [A, `a.test. 60 RRSIG ${from} ${until}`],
  ...dnssec,
});

const soa = (ttlSec: number): ResponseText => ({ authorities: [`test. ${ttlSec} SOA 20`] });
const a = (ttlSec: number): ResponseText => ({ answers: [`a.test. ${ttlSec} A 192.0.2.1`] });

describe('the class of a response, and so the store that it goes to (RFC 2308 section 2)', () => {
  test.each<{ text: ResponseText; is: string; to: string | undefined; opcode?: number }>([
    { text: { answers: [A] }, is: 'positive', to: 'success' },
    { text: { answers: [CNAME] }, is: 'positive', to: 'success' },
    { text: { answers: [CNAME], authorities: [SOA] }, is: 'positive', to: 'success' },
    { text: { authorities: [SOA] }, is: 'no-data', to: 'denial' },
    { text: { authorities: [NS, SOA] }, is: 'no-data', to: 'denial' },
    { text: { authorities: [NS] }, is: 'delegation', to: 'success' },
    { text: {}, is: 'positive', to: 'success' },
    { text: { additionals: [A] }, is: 'positive', to: 'success' },
    { text: { rcode: NXDOMAIN, authorities: [SOA] }, is: 'name-error', to: 'denial' },
    {
      text: { rcode: NXDOMAIN, answers: [CNAME], authorities: [SOA] },
      is: 'name-error',
      to: 'denial',
    },
    { text: { rcode: NXDOMAIN }, is: 'other-error', to: undefined },
    { text: { rcode: NXDOMAIN, authorities: [NS] }, is: 'other-error', to: undefined },
    { text: { rcode: SERVFAIL }, is: 'server-error', to: 'denial' },
    { text: { rcode: SERVFAIL, authorities: [SOA] }, is: 'server-error', to: 'denial' },
    { text: { rcode: NOTIMP }, is: 'server-error', to: 'denial' },
    { text: { rcode: REFUSED, answers: [A] }, is: 'other-error', to: undefined },
    { text: { rcode: FORMERR }, is: 'other-error', to: undefined },
    { text: { rcode: 16, edns: {} }, is: 'other-error', to: undefined },
    { text: { question: 'a.test. AXFR', answers: [A] }, is: 'meta', to: undefined },
    { text: { question: 'a.test. IXFR' }, is: 'meta', to: undefined },
    { text: { answers: [A] }, opcode: 4, is: 'meta', to: undefined },
    { text: { answers: [A] }, opcode: 5, is: 'meta', to: undefined },
    { text: signed(NOW - 10, NOW + 10), is: 'positive', to: 'success' },
    { text: signed(NOW, NOW), is: 'positive', to: 'success' },
    { text: signed(NOW + 1, NOW + 10), is: 'other-error', to: undefined },
    { text: signed(NOW - 10, NOW - 1), is: 'other-error', to: undefined },
    // Without DO, signatures do not count.
    { text: { ...signed(1, 2), edns: {} }, is: 'positive', to: 'success' },
    {
      text: { rcode: NXDOMAIN, authorities: [SOA, 'test. 60 RRSIG 1 2'], ...dnssec },
      is: 'other-error',
      to: undefined,
    },
  ])('the response $text is $is and goes to $to', ({ text, opcode = 0, is, to }) => {
    const responseClass = classify(response(text), opcode, NOW);
    expect(responseClass).toBe(is);
    expect(storeOf(responseClass)).toBe(to);
  });

  test('signatures are compared by serial arithmetic, also past 2106 (RFC 4034 section 3.1.5)', () => {
    const text = signed(2 ** 32 - 100, 100);
    expect(classify(response(text), 0, 2 ** 32 + 50)).toBe('positive');
    expect(classify(response(text), 0, 2 ** 32 + 150)).toBe('other-error');
  });
});

describe('how long a response is kept, and the TTL that its records get', () => {
  test.each<{ config: CacheOptions; text: ResponseText; is: number; because: string }>([
    { config: {}, text: a(60), is: 60, because: 'that is its TTL' },
    {
      config: { success: { ttlMaxSec: 30 }, denial: { ttlMaxSec: 30 } },
      text: a(100),
      is: 30,
      because: 'that is the maximum',
    },
    { config: {}, text: a(2), is: 5, because: 'that is the default MINTTL' },
    { config: {}, text: a(0), is: 5, because: 'that is the default MINTTL' },
    { config: {}, text: a(7200), is: 3600, because: 'that is the default maximum' },
    {
      config: { success: { ttlMaxSec: 86_400 } },
      text: a(7200),
      is: 7200,
      because: 'a configured maximum counts (1.14)',
    },
    { config: { success: { ttlMinSec: 0 } }, text: a(0), is: 0, because: 'MINTTL may be 0' },
    {
      config: { success: { ttlMaxSec: 10, ttlMinSec: 20 } },
      text: a(15),
      is: 10,
      because: 'the maximum wins',
    },
    {
      config: {},
      text: { answers: ['a.test. 20 CNAME b.', 'b. 7 A 192.0.2.1'], authorities: [NS] },
      is: 7,
      because: 'the lowest TTL counts',
    },
    {
      config: {},
      text: { answers: [A], additionals: ['b. 9 A 192.0.2.2'] },
      is: 9,
      because: 'in every section',
    },
    { config: {}, text: { answers: [A], ...dnssec }, is: 60, because: 'an OPT has no TTL' },
    { config: {}, text: {}, is: 5, because: 'there is no TTL to go by' },
    { config: {}, text: { authorities: [NS] }, is: 5, because: 'it is a delegation' },
    { config: {}, text: soa(300), is: 300, because: 'the SOA’s MINIMUM does not count' },
    { config: {}, text: soa(7200), is: 1800, because: 'denials have a maximum of their own' },
    {
      config: { success: { ttlMaxSec: 30 }, denial: { ttlMaxSec: 30 } },
      text: soa(300),
      is: 30,
      because: 'the first argument is for both',
    },
    {
      config: { denial: { ttlMaxSec: 40, ttlMinSec: 35 } },
      text: soa(300),
      is: 40,
      because: 'denial says so',
    },
    {
      config: { denial: { ttlMaxSec: 40, ttlMinSec: 35 } },
      text: soa(3),
      is: 35,
      because: 'denial says so',
    },
    { config: {}, text: { rcode: NXDOMAIN, ...soa(300) }, is: 300, because: 'NXDOMAIN likewise' },
    {
      config: {},
      text: { rcode: SERVFAIL, ...a(60) },
      is: 5,
      because: 'that is servfail’s default',
    },
    {
      config: { success: { ttlMaxSec: 2 }, denial: { ttlMaxSec: 2 } },
      text: { rcode: SERVFAIL },
      is: 5,
      because: 'maxima do not matter to servfail',
    },
    {
      config: { servfailSec: 60 },
      text: { rcode: NOTIMP },
      is: 60,
      because: 'servfail says so',
    },
    { config: { servfailSec: 0 }, text: { rcode: SERVFAIL }, is: 0, because: 'servfail is off' },
    { config: {}, text: { rcode: REFUSED, ...a(60) }, is: 5, because: 'it is another error' },
  ])('with $config, $text is kept for $is s, as $because', ({ config, text, is }) => {
    const message = response(text);
    const responseClass = classify(message, 0, NOW);
    expect(lifetimeSec(message, responseClass, cacheConfig(config))).toBe(is);
  });
});

test('a message with TC is truncated', () => {
  expect(isTruncated(response({ flags: TC << 8 }))).toBe(true);
  expect(isTruncated(response({}))).toBe(false);
});
