import { describe, expect, test } from 'vitest';
import { NOTIMP, NXDOMAIN, REFUSED, SERVFAIL } from '../dns/rcode.ts';
import { TC } from '../dns/header.ts';
import { type ResponseText, recordsToText, response } from '../dns/testing.ts';
import type { Query } from '../query/query.ts';
import { type AskOptions, askQuery } from '../query/testing.ts';
import { AnswerCache } from './answer-cache.ts';
import { type CacheOptions, cacheConfig } from './testing.ts';
import { classify, lifetimeSec } from './ttl-policy.ts';

const SOA = 'test. 300 SOA 20';
const A = 'a.test. 60 A 192.0.2.1';
const positive: ResponseText = { answers: [A] };
const noData: ResponseText = { authorities: [SOA] };
const noName: ResponseText = { rcode: NXDOMAIN, authorities: [SOA] };
const serverError: ResponseText = { rcode: SERVFAIL };

const make = (options?: CacheOptions): AnswerCache => new AnswerCache(cacheConfig(options));

interface At extends AskOptions {
  readonly name?: string;
  readonly type?: string;
  /** On the cache's clock, in seconds. */
  readonly sec?: number;
}

const ask = ({ name = 'a.test.', type = 'A', ...options }: At): Query =>
  askQuery(name, type, options).query;

/** Keeps the upstream's response, as the directive does, and returns whether it is kept. */
function keep(cache: AnswerCache, text: ResponseText, at: At = {}): boolean {
  const { name = 'a.test.', type = 'A', sec = 0 } = at;
  const message = response({ question: `${name} ${at.qclass ?? 'IN'} ${type}`, ...text });
  const query = ask(at);
  const responseClass = classify(message, query.opcode, 1_700_000_000);
  const lifetime = lifetimeSec(message, responseClass, cache.config);
  return cache.keep(query, message, responseClass, lifetime, sec * 10) !== undefined;
}

/** `RCODE: records` of the live answer, or undefined. */
function find(cache: AnswerCache, at: At = {}): string | undefined {
  const query = ask(at);
  const entry = cache.find(query, (at.sec ?? 0) * 10);
  if (entry === undefined) return undefined;
  const ttlSec = entry.remainingSecFor(query, (at.sec ?? 0) * 10);
  return `${entry.rcode}: ${recordsToText(entry.toWire(query.qtype, ttlSec))!.join()}`;
}

function findStale(cache: AnswerCache, at: At, staleSec: number): number | undefined {
  const query = ask(at);
  return cache.findStale(query, (at.sec ?? 0) * 10, staleSec)?.rcode;
}

describe('the responses that are stored', () => {
  test.each<{ text: ResponseText; at?: At; found: string | undefined }>([
    { text: positive, found: '0: a.test. 60 A 192.0.2.1' },
    { text: noData, found: '0: test. 300 SOA 20' },
    { text: noName, found: '3: test. 300 SOA 20' },
    { text: serverError, found: '2: ' },
    { text: { rcode: NOTIMP }, found: '4: ' },
    { text: { authorities: ['test. 300 NS ns.test.'] }, found: '0: test. 5 NS ns.test.' },
    { text: {}, found: '0: ' },
    { text: { answers: ['a.test. 60 CNAME b.test.'] }, found: '0: a.test. 60 CNAME b.test.' },
    { text: { rcode: REFUSED }, found: undefined },
    { text: { rcode: NXDOMAIN }, found: undefined },
    { text: { ...positive, flags: TC << 8 }, found: undefined },
    { text: { ...serverError, flags: TC << 8 }, found: undefined },
    { text: positive, at: { type: 'AXFR' }, found: undefined },
    { text: positive, at: { opcode: 4 }, found: undefined },
  ])('of $text, the cache answers $found', ({ text, at, found }) => {
    const cache = make();
    expect(keep(cache, text, at)).toBe(found !== undefined);
    expect(find(cache, at)).toBe(found);
  });

  test('a response with a lifetime of 0 is not stored', () => {
    const cache = make({ success: { ttlMinSec: 0 }, servfailSec: 0 });
    expect(keep(cache, { answers: ['a.test. 0 A 192.0.2.1'] })).toBe(false);
    expect(keep(cache, serverError)).toBe(false);
    expect(cache.success.size + cache.denial.size).toBe(0);
  });

  test.each([
    { options: { success: { disabledZones: ['test.'] } }, kept: { positive: false, noData: true } },
    { options: { denial: { disabledZones: ['test.'] } }, kept: { positive: true, noData: false } },
    { options: { denial: { disabledZones: ['.'] } }, kept: { positive: true, noData: false } },
    {
      options: { success: { disabledZones: ['est.'] }, denial: { disabledZones: ['b.test.'] } },
      kept: { positive: true, noData: true },
    },
  ])('with $options, the responses kept are $kept', ({ options, kept }) => {
    expect(keep(make(options), positive)).toBe(kept.positive);
    expect(keep(make(options), noData)).toBe(kept.noData);
    expect(keep(make(options), noName)).toBe(kept.noData);
  });
});

describe('a cached answer counts its TTL down, and ends (RFC 1035 section 3.2.1)', () => {
  test.each([
    { sec: 100, found: '0: a.test. 60 A 192.0.2.1' },
    { sec: 100.9, found: '0: a.test. 60 A 192.0.2.1' },
    { sec: 101, found: '0: a.test. 59 A 192.0.2.1' },
    { sec: 159.9, found: '0: a.test. 1 A 192.0.2.1' },
    { sec: 160, found: undefined },
  ])('at $sec s the cached answer is $found', ({ sec, found }) => {
    const cache = make();
    keep(cache, positive, { sec: 100 });
    expect(find(cache, { sec })).toBe(found);
  });
});

describe('a question is answered by its own entry only', () => {
  test.each<{ other: At; what: string }>([
    { other: { type: 'AAAA' }, what: 'type' },
    { other: { qclass: 'CH' }, what: 'class' },
    { other: { qclass: 'ANY' }, what: 'class' },
    { other: { dnssecOk: true }, what: 'DO' },
    { other: { checkingDisabled: true }, what: 'CD' },
    { other: { name: 'b.test.' }, what: 'name' },
    { other: { name: 'a.a.test.' }, what: 'name' },
  ])('a question is not answered by the entry of another $what', ({ other }) => {
    for (const text of [positive, noData, serverError]) {
      const cache = make();
      keep(cache, text);
      expect(find(cache, other)).toBeUndefined();
      keep(cache, text, other);
      expect(find(cache)).toBeDefined();
      expect(find(cache, other)).toBeDefined();
    }
  });

  test.each<{ other: At }>([
    { other: { name: 'A.TEST.' } },
    { other: { edns: 4096 } },
    { other: { recursionDesired: false } },
    { other: { transport: 'tcp' } },
    { other: { remoteAddress: '192.0.2.9' } },
  ])('a question that differs by $other finds the same entry', ({ other }) => {
    const cache = make();
    keep(cache, positive);
    expect(find(cache, other)).toBeDefined();
  });

  test('a question whose key collides with an entry’s is a miss', () => {
    const cache = make();
    keep(cache, positive);
    keep(cache, noName, { name: 'b.test.' });
    keep(cache, noData, { name: 'c.test.' });
    for (const name of ['a.test.', 'b.test.', 'c.test.']) {
      const known = ask({ name });
      const other = ask({ name: name.replace('test', 'tost') });
      const collides = {
        lowered: other.lowered,
        nameOctets: other.nameOctets,
        nameHash: known.nameHash, // forced: on the wire a client cannot know the seed
        qtype: 1,
        qclass: 1,
        dnssecOk: false,
        checkingDisabled: false,
      };
      expect(cache.find(known, 0)).toBeDefined();
      expect(cache.find(collides, 0)).toBeUndefined();
      expect(cache.findStale(collides, 0, 3600)).toBeUndefined();
    }
  });
});

describe('NXDOMAIN denies the types that were denied themselves (RFC 2308 section 5, RFC 4074)', () => {
  const TYPES = ['A', 'AAAA', 'TXT', 'TYPE0', 'TYPE65535'];

  test.each(TYPES)('an NXDOMAIN heard for %s alone answers no other type', (type) => {
    const cache = make();
    keep(cache, noName, { type });
    for (const asked of TYPES) {
      expect(find(cache, { type: asked })).toBe(asked === type ? '3: test. 300 SOA 20' : undefined);
    }
  });

  test('an NXDOMAIN is of its class, DO and CD', () => {
    const cache = make();
    keep(cache, noName);
    expect(find(cache, { qclass: 'CH' })).toBeUndefined();
    expect(find(cache, { dnssecOk: true })).toBeUndefined();
    expect(find(cache, { checkingDisabled: true })).toBeUndefined();
    expect(find(cache, { name: 'x.a.test.' })).toBeUndefined();
  });

  const brief: ResponseText = { rcode: NXDOMAIN, authorities: ['test. 5 SOA 5'] };

  test.each([
    { by: 'A', type: 'AAAA', sec: 30, ttl: 5, because: 'both were denied, and A again just now' },
    { by: 'A', type: 'AAAA', sec: 3598, ttl: 2, because: 'the TTL ends with the cover of AAAA' },
    { by: 'A', type: 'AAAA', sec: 3600, ttl: undefined, because: 'AAAA was denied an hour ago' },
    { by: 'AAAA', type: 'A', sec: 6, ttl: 5, because: 'both were denied, and AAAA just now' },
    { by: 'AAAA', type: 'A', sec: 27, ttl: 3, because: 'the TTL ends with the cover of A' },
    { by: 'AAAA', type: 'A', sec: 30, ttl: undefined, because: 'servers deny AAAA by mistake' },
    { by: 'TXT', type: 'A', sec: 30, ttl: undefined, because: 'and TXT' },
  ])('at $sec s the denial of $by answers $type with TTL $ttl: $because', (row) => {
    const { by, type, sec, ttl } = row;
    const cache = make();
    keep(cache, brief, { type });
    keep(cache, brief, { type: by, sec });
    expect(find(cache, { type, sec })).toBe(
      ttl === undefined ? undefined : `3: test. ${ttl} SOA 5`,
    );
  });

  test('a denial that lives longer than 30 s answers its own type to its end', () => {
    const cache = make();
    keep(cache, { rcode: NXDOMAIN, authorities: ['test. 300 SOA 300'] });
    keep(
      cache,
      { rcode: NXDOMAIN, authorities: ['test. 300 SOA 300'] },
      { type: 'AAAA', sec: 200 },
    );
    expect(find(cache, { sec: 299 })).toBe('3: test. 1 SOA 300');
    expect(find(cache, { sec: 300 })).toBeUndefined();
    expect(find(cache, { type: 'AAAA', sec: 300 })).toBe('3: test. 200 SOA 300');
  });

  test('where nxdomain_cut trusts the zone, A and AAAA deny each other from the first on', () => {
    for (const kind of ['kubernetes', 'plain'] as const) {
      const cache = make({ cutZones: [{ zone: 'test.', kind }] });
      keep(cache, noName);
      expect(find(cache, { type: 'AAAA' })).toBe('3: test. 300 SOA 20');
      expect(find(cache, { type: 'TXT' })).toBeUndefined();
    }
    const cache = make({ cutZones: [{ zone: 'test.', kind: 'search' }] });
    keep(cache, noName);
    expect(find(cache, { type: 'AAAA' })).toBeUndefined();
  });

  test('of four types in turn, the one that was denied first is forgotten', () => {
    const cache = make();
    ['A', 'AAAA', 'TXT', 'MX'].forEach((type, sec) => keep(cache, noName, { type, sec }));
    expect(find(cache, { type: 'A', sec: 4 })).toBeUndefined();
    for (const type of ['AAAA', 'TXT', 'MX']) expect(find(cache, { type, sec: 4 })?.[0]).toBe('3');
  });
});

describe('a fresh word of an upstream ends what contradicts it, kept or not', () => {
  const short: ResponseText = { answers: ['a.test. 0 AAAA 2001:db8::1'] };

  test.each<{ says: ResponseText; type: string; dnssecOk?: boolean; because: string }>([
    { says: short, type: 'AAAA', because: 'a record of another type exists' },
    { says: short, type: 'AAAA', dnssecOk: true, because: 'also if DO was set' },
    { says: noData, type: 'TXT', because: 'a name without such records is there' },
    { says: { answers: [A] }, type: 'A', because: 'a record of this type exists' },
    { says: { ...positive, flags: TC << 8 }, type: 'A', because: 'a cut answer has records too' },
    { says: {}, type: 'TXT', because: 'the same, from a server that adds no SOA' },
  ])('an NXDOMAIN ends with $type: $because', ({ says, type, dnssecOk }) => {
    const cache = make({ success: { ttlMinSec: 0 } });
    keep(cache, noName);
    keep(cache, says, { type, sec: 1, ...(dnssecOk === undefined ? {} : { dnssecOk }) });
    expect(find(cache, { sec: 2 })?.[0]).not.toBe('3');
  });

  test.each<{ says: ResponseText; because: string }>([
    { says: noData, because: 'there is no record of the type' },
    { says: noName, because: 'there is no such name' },
    { says: { rcode: NXDOMAIN }, because: 'an NXDOMAIN without SOA is not kept, but was said' },
    { says: {}, because: 'an answer without records is one' },
  ])('a record ends, for clients with DO too: $because', ({ says }) => {
    const cache = make();
    keep(cache, positive);
    keep(cache, positive, { dnssecOk: true });
    keep(cache, says, { sec: 1 });
    expect(find(cache, { sec: 2, dnssecOk: true })).toBeUndefined();
    expect(find(cache, { sec: 2 }) ?? '').not.toContain('192.0.2.1');
  });

  test.each<{ says: ResponseText; because: string }>([
    { says: serverError, because: 'the server is in trouble' },
    { says: { rcode: REFUSED }, because: 'the server does not want to say' },
  ])('a record stays: $because', ({ says }) => {
    const cache = make();
    keep(cache, positive);
    keep(cache, says, { sec: 1 });
    expect(find(cache, { sec: 2 })).toBe('0: a.test. 58 A 192.0.2.1');
  });

  test('the NXDOMAIN of one type leaves another type’s record alone', () => {
    const cache = make();
    keep(cache, positive);
    keep(cache, noName, { type: 'AAAA', sec: 1 });
    expect(find(cache, { sec: 2 })).toBe('0: a.test. 58 A 192.0.2.1');
  });
});

describe('other denials', () => {
  test('a NODATA denies its own type alone, even that of type 0', () => {
    for (const type of ['A', 'TYPE0', 'TYPE65535']) {
      const cache = make();
      keep(cache, noData, { type });
      expect(find(cache, { type })).toBeDefined();
      expect(find(cache, { type: 'AAAA' })).toBeUndefined();
    }
  });

  test('a server error fails its own type alone, even that of type 0', () => {
    for (const type of ['A', 'TYPE0']) {
      const cache = make();
      keep(cache, serverError, { type });
      expect(find(cache, { type: 'AAAA' })).toBeUndefined();
    }
  });

  test('an NXDOMAIN behind a CNAME denies the target, and so this type alone', () => {
    const cache = make();
    keep(cache, { ...noName, answers: ['a.test. 60 CNAME b.test.'] });
    expect(find(cache)).toBe('3: a.test. 60 CNAME b.test.,test. 60 SOA 20');
    expect(find(cache, { type: 'AAAA' })).toBeUndefined();
    expect(find(cache, { name: 'b.test.' })).toBeUndefined();
  });

  test('a live positive answer of another type stays when the name is denied', () => {
    const cache = make();
    keep(cache, { answers: ['a.test. 60 AAAA 2001:db8::1'] }, { type: 'AAAA' });
    keep(cache, noName);
    expect(find(cache, { type: 'AAAA' })).toBe('0: a.test. 60 AAAA 2001:db8::1');
    expect(find(cache)).toBe('3: test. 300 SOA 20');
  });
});

describe('a fresh entry of one kind removes the others', () => {
  const kinds = { positive, noData, noName };
  const names = Object.keys(kinds) as (keyof typeof kinds)[];
  const pairs = names.flatMap((before) => names.map((after) => ({ before, after })));

  test.each(pairs)('the answer is $after when it was stored after $before', ({ before, after }) => {
    const cache = make({ stale: {} });
    keep(cache, kinds[before]);
    keep(cache, kinds[after], { sec: 1 });
    expect(cache.success.size + cache.denial.size).toBe(1);
    expect(find(cache, { sec: 2 })?.[0]).toBe(after === 'noName' ? '3' : '0');
    // Nor does the old one come back when both are stale.
    expect(findStale(cache, { sec: 600 }, 3600)).toBe(after === 'noName' ? NXDOMAIN : 0);
  });

  test.each(names)('a server error gives way to %s', (after) => {
    const cache = make();
    keep(cache, serverError);
    keep(cache, kinds[after], { sec: 1 });
    expect(find(cache, { sec: 2 })?.[0]).toBe(after === 'noName' ? '3' : '0');
    expect(cache.success.size + cache.denial.size).toBe(1);
  });
});

describe('a server error never hides anything usable', () => {
  test.each([
    { kind: positive, rcode: 0 },
    { kind: noData, rcode: 0 },
    { kind: noName, rcode: NXDOMAIN },
  ])('a live $rcode stays when a server error comes', ({ kind, rcode }) => {
    const cache = make();
    keep(cache, kind);
    expect(keep(cache, serverError, { sec: 1 })).toBe(false);
    expect(find(cache, { sec: 2 })?.[0]).toBe(String(rcode));
  });

  test('a server error is not kept for another type of a name that is denied', () => {
    const cache = make();
    keep(cache, noName, { type: 'AAAA' });
    keep(cache, noName);
    expect(keep(cache, serverError, { type: 'AAAA' })).toBe(false);
    expect(find(cache, { type: 'AAAA' })?.[0]).toBe('3');
  });

  test('a server error is not kept while a stale answer can be served', () => {
    const cache = make({ stale: {} });
    keep(cache, positive);
    expect(keep(cache, serverError, { sec: 100 })).toBe(false);
    expect(findStale(cache, { sec: 100 }, 3600)).toBe(0);
  });

  test.each([
    { options: {}, sec: 61, because: 'stale answers are not served' },
    {
      options: { stale: { durationSec: 10 } },
      sec: 71,
      because: 'it is too old to be served stale',
    },
  ])(
    'an expired entry that is not usable does not hold off a server error: $because',
    ({ options, sec }) => {
      const cache = make(options);
      keep(cache, positive);
      expect(keep(cache, serverError, { sec })).toBe(true);
      expect(find(cache, { sec })).toBe('2: ');
      expect(find(cache, { sec: sec + 5 })).toBeUndefined();
    },
  );

  test('a server error is never served stale itself', () => {
    const cache = make({ stale: {} });
    keep(cache, serverError);
    expect(findStale(cache, { sec: 1 }, 3600)).toBeUndefined();
    expect(findStale(cache, { sec: 10 }, 3600)).toBeUndefined();
  });
});

describe('a stale answer is usable for its duration (RFC 8767 section 5)', () => {
  test.each([
    { sec: 60, rcode: 0 },
    { sec: 159.9, rcode: 0 },
    { sec: 160, rcode: undefined },
  ])('at $sec s the stale answer is $rcode', ({ sec, rcode }) => {
    const cache = make({ stale: { durationSec: 100 } });
    keep(cache, positive);
    expect(find(cache, { sec })).toBeUndefined();
    expect(findStale(cache, { sec }, 100)).toBe(rcode);
  });

  test('where serve_stale_policy is prefer_positive, a stale positive answer wins over a denial', () => {
    const cache = make({ stale: { preferPositive: true } });
    keep(cache, positive);
    keep(cache, noName, { sec: 61 });
    expect(find(cache, { sec: 62 })).toBeUndefined();
    expect(findStale(cache, { sec: 62 }, 3600)).toBe(0);
    expect(find(cache, { sec: 62, type: 'AAAA' })).toBeUndefined();
  });
});

test('each store holds its own capacity', () => {
  const cache = make({ success: { entriesMax: 2 }, denial: { entriesMax: 1 } });
  for (let i = 0; i < 5; i++) {
    keep(cache, positive, { name: `p${i}.test.` });
    keep(cache, noData, { name: `n${i}.test.` });
  }
  expect([cache.success.size, cache.denial.size]).toEqual([2, 1]);
  expect([cache.success.evictions, cache.denial.evictions]).toEqual([3, 4]);
});
