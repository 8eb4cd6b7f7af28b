import { describe, expect, test } from 'vitest';
import { NXDOMAIN, SERVFAIL } from '../../dns/rcode.ts';
import { type ResponseText, recordsToText, response } from '../../dns/testing.ts';
import { type AskOptions, askQuery } from '../../query/testing.ts';
import { nowMs, toDs } from '../../sys/clock.ts';
import { JOURNAL_OCTETS, Journal } from './journal.ts';
import { AnswerCache } from '../answer-cache.ts';
import { SEGMENT_OCTETS } from './record.ts';
import { type RestoreOptions, type Restored, restore, tagKey } from './restore.ts';
import { SNAPSHOT_LIMITS, type SnapshotLimits, takeSnapshot } from './snapshot.ts';
import { type CacheOptions, cacheConfig } from '../testing.ts';
import { classify, lifetimeSec } from '../ttl-policy.ts';

const SOA = 'test. 300 SOA 20';
const TAG = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
/** Added to a process's time, gives that of the clock which all share. */
const OFFSET_DS = 5_000_000;
const SEED = 4711;

interface Kept extends AskOptions {
  readonly name?: string;
  readonly type?: string;
  readonly says: ResponseText;
  /** Seconds before now. */
  readonly ageSec?: number;
}

function makeCache(options?: CacheOptions): AnswerCache {
  return new AnswerCache(cacheConfig(options));
}

function keep(
  cache: AnswerCache,
  { name = 'a.test.', type = 'A', says, ageSec = 0, ...ask }: Kept,
): void {
  const message = response({ question: `${name} ${ask.qclass ?? 'IN'} ${type}`, ...says });
  const { query } = askQuery(name, type, ask);
  const responseClass = classify(message, 0, 1_700_000_000);
  const lifetime = lifetimeSec(message, responseClass, cache.config);
  const storedDs = toDs(nowMs()) - ageSec * 10;
  cache.keep(query, message, responseClass, lifetime, storedDs);
}

/** `RCODE: records`, the TTLs counted down, as a process finds it whose names hash otherwise. */
function find(
  cache: AnswerCache,
  name: string,
  type: string,
  ask: AskOptions = {},
): string | undefined {
  const { query } = askQuery(name, type, ask, SEED);
  const nowDs = toDs(nowMs());
  const entry = cache.find(query, nowDs);
  if (entry === undefined) return undefined;
  return `${entry.rcode}: ${recordsToText(entry.toWire(query.qtype, entry.remainingSec(nowDs)))!.join()}`;
}

async function snapshotOf(cache: AnswerCache, limits?: SnapshotLimits): Promise<Uint8Array> {
  const segments: Uint8Array[] = [];
  await takeSnapshot(
    [[TAG, cache]],
    OFFSET_DS,
    (segment) => segments.push(segment.slice()),
    limits,
  );
  return Buffer.concat(segments);
}

function restoreInto(
  cache: AnswerCache,
  octets: Uint8Array,
  options: Partial<RestoreOptions> = {},
): Promise<Restored> {
  return restore(octets, {
    caches: new Map([[tagKey(TAG), cache]]),
    hashSeed: SEED,
    clockOffsetDs: OFFSET_DS,
    from: 'snapshot',
    ...options,
  });
}

/** The entries that the old process kept, as the new one, whose clock began otherwise, finds them. */
async function handedOver(kept: Kept, options?: CacheOptions): Promise<AnswerCache> {
  const before = makeCache(options);
  keep(before, kept);
  const after = makeCache(options);
  await restoreInto(after, await snapshotOf(before));
  return after;
}

describe('the next worker inherits', () => {
  test.each<{ kept: Kept; found: string | undefined }>([
    { kept: { says: { answers: ['a.test. 60 A 192.0.2.1'] } }, found: '0: a.test. 60 A 192.0.2.1' },
    {
      kept: { says: { answers: ['a.test. 60 A 192.0.2.1'] }, ageSec: 20 },
      found: '0: a.test. 40 A 192.0.2.1',
    },
    { kept: { says: { answers: ['a.test. 60 A 192.0.2.1'] }, ageSec: 60 }, found: undefined },
    { kept: { says: { authorities: [SOA] } }, found: '0: test. 300 SOA 20' },
    { kept: { says: { rcode: NXDOMAIN, authorities: [SOA] } }, found: '3: test. 300 SOA 20' },
    { kept: { says: { rcode: SERVFAIL } }, found: undefined },
    {
      kept: { dnssecOk: true, says: { answers: ['a.test. 60 A 192.0.2.1'] } },
      found: '0: a.test. 60 A 192.0.2.1',
    },
    {
      kept: { checkingDisabled: true, says: { answers: ['a.test. 60 A 192.0.2.1'] } },
      found: '0: a.test. 60 A 192.0.2.1',
    },
    {
      kept: { qclass: 'CH', says: { answers: ['a.test. 60 TXT "x"'] }, type: 'TXT' },
      found: '0: a.test. 60 TXT "x"',
    },
    {
      kept: { name: '.', type: 'NS', says: { answers: ['. 60 NS a.test.'] } },
      found: '0: . 60 NS a.test.',
    },
  ])('the next worker finds $kept as $found', async ({ kept, found }) => {
    const { name = 'a.test.', type = 'A' } = kept;
    const cache = await handedOver(kept);
    expect(find(cache, name, type, kept)).toBe(found);
    const others: AskOptions[] = [
      { ...kept, dnssecOk: kept.dnssecOk !== true },
      { ...kept, checkingDisabled: kept.checkingDisabled !== true },
    ];
    for (const other of others) expect(find(cache, name, type, other)).toBeUndefined();
  });

  test('an inherited NXDOMAIN denies the type that it was heard for', async () => {
    const cache = await handedOver({ says: { rcode: NXDOMAIN, authorities: [SOA] } });
    expect(find(cache, 'a.test.', 'A')).toBe('3: test. 300 SOA 20');
    expect(find(cache, 'a.test.', 'AAAA')).toBeUndefined();
  });

  test('where stale answers are served, an entry that has not expired for longer is inherited', async () => {
    const says = { answers: ['a.test. 60 A 192.0.2.1'] };
    const stale = { stale: { durationSec: 100 } };
    const { query } = askQuery('a.test.', 'A', {}, SEED);
    for (const [ageSec, isThere] of [
      [159, true],
      [161, false],
    ] as const) {
      const cache = await handedOver({ says, ageSec }, stale);
      const found = cache.findStale(query, toDs(nowMs()), 100);
      expect(found !== undefined).toBe(isThere);
    }
  });

  test('an inherited entry keeps its hits, so that prefetching goes on', async () => {
    const before = makeCache();
    keep(before, { says: { answers: ['a.test. 60 A 192.0.2.1'] } });
    const [entry] = before.success.values();
    entry!.hits = 7;
    entry!.lastHitDs = toDs(nowMs()) - 30;
    const after = makeCache();
    await restoreInto(after, await snapshotOf(before));
    const [restored] = after.success.values();
    expect(restored).toMatchObject({ hits: 7, lastHitDs: entry!.lastHitDs });
  });

  test('the age of an inherited entry is counted on the clock that both workers share', async () => {
    const before = makeCache();
    keep(before, { says: { answers: ['a.test. 600 A 192.0.2.1'] } });
    const after = makeCache();
    // This process began 100 s later, and its clock shows as much as the other's did.
    await restoreInto(after, await snapshotOf(before), { clockOffsetDs: OFFSET_DS + 1000 });
    expect(find(after, 'a.test.', 'A')).toBe('0: a.test. 500 A 192.0.2.1');
  });
});

describe('the next worker does not inherit', () => {
  const says = { answers: ['a.test. 60 A 192.0.2.1'] };

  test('nothing is inherited from a block of another text', async () => {
    const before = makeCache();
    keep(before, { says });
    const after = makeCache();
    const caches = new Map([['0000000000000000', after]]);
    expect(await restoreInto(after, await snapshotOf(before), { caches })).toEqual({
      read: 1,
      kept: 0,
    });
  });

  test('nothing is inherited from the future', async () => {
    const before = makeCache();
    keep(before, { says, ageSec: -10 });
    const after = makeCache();
    await restoreInto(after, await snapshotOf(before));
    expect(after.success.size).toBe(0);
  });

  test.each([
    { newer: says, because: 'the same question' },
    { newer: { authorities: [SOA] }, because: 'a denial of the type' },
    { newer: { rcode: NXDOMAIN, authorities: [SOA] }, because: 'a denial of the name' },
  ])(
    'an inherited entry does not replace one that the worker learned itself: $because',
    async ({ newer }) => {
      const before = makeCache();
      keep(before, { says: { answers: ['a.test. 60 A 192.0.2.99'] }, ageSec: 5 });
      const after = makeCache();
      const message = response({ question: 'a.test. A', ...newer });
      const { query } = askQuery('a.test.', 'A', {}, SEED);
      after.keep(query, message, classify(message, 0, 1_700_000_000), 30, toDs(nowMs()));
      const known = find(after, 'a.test.', 'A');
      await restoreInto(after, await snapshotOf(before));
      expect(find(after, 'a.test.', 'A')).toBe(known);
    },
  );

  test('an entry is not inherited for longer than the worker would keep it itself', async () => {
    const before = makeCache({ success: { ttlMaxSec: 3600 } });
    keep(before, { says: { answers: ['a.test. 3000 A 192.0.2.1'] } });
    const after = makeCache({ success: { ttlMaxSec: 30 } });
    await restoreInto(after, await snapshotOf(before));
    expect(find(after, 'a.test.', 'A')).toBe('0: a.test. 30 A 192.0.2.1');
  });

  test.each([
    { octets: new Uint8Array(0) },
    { octets: new Uint8Array(SEGMENT_OCTETS) },
    { octets: new Uint8Array(SEGMENT_OCTETS - 1).fill(0xff) },
    { octets: new Uint8Array(2 * SEGMENT_OCTETS).fill(0xff) },
  ])('nothing is inherited from octets that are no snapshot', async ({ octets }) => {
    expect(await restoreInto(makeCache(), octets)).toEqual({ read: 0, kept: 0 });
  });
});

describe('a snapshot', () => {
  function fill(cache: AnswerCache, entries: number): void {
    for (let i = 0; i < entries; i++) {
      const name = `host-${i}.test.`;
      keep(cache, { name, says: { answers: [`${name} 60 A 192.0.2.1`] } });
    }
  }

  test('a snapshot of many entries is the same afterwards, in the order of use', async () => {
    const before = makeCache();
    fill(before, 3000);
    const { query } = askQuery('host-17.test.', 'A');
    before.find(query, toDs(nowMs())); // is now the one used last
    const octets = await snapshotOf(before);
    const after = makeCache();
    const restored = await restoreInto(after, octets);
    expect(restored).toEqual({ read: 3000, kept: 3000 });
    expect(after.success.size).toBe(3000);
    const small = makeCache({ success: { entriesMax: 1500 } });
    await restoreInto(small, octets);
    expect(find(small, 'host-17.test.', 'A')).toBeDefined();
    expect(find(small, 'host-2999.test.', 'A')).toBeDefined();
    expect(find(small, 'host-0.test.', 'A')).toBeUndefined();
  });

  test('a snapshot that may not be large holds the entries used last', async () => {
    const before = makeCache();
    fill(before, 3000);
    const octets = await snapshotOf(before, { ...SNAPSHOT_LIMITS, octetsMax: SEGMENT_OCTETS });
    expect(octets.length).toBe(SEGMENT_OCTETS);
    const after = makeCache();
    await restoreInto(after, octets);
    expect(after.success.size).toBeGreaterThan(500);
    expect(find(after, 'host-2999.test.', 'A')).toBeDefined();
    expect(find(after, 'host-0.test.', 'A')).toBeUndefined();
  });

  test('a snapshot that may not take long does not', async () => {
    const before = makeCache({ success: { entriesMax: 10_000 } });
    fill(before, 4000);
    let written = 0;
    const entries = await takeSnapshot([[TAG, before]], 0, () => written++, {
      ...SNAPSHOT_LIMITS,
      ms: 0,
    });
    expect(entries).toBeLessThan(4000);
    expect(written).toBeGreaterThan(0);
    // No entry is held any more: the store gives back those that it drops.
    expect(() => fill(before, 4000)).not.toThrow();
  });
});

describe('a journal', () => {
  const OCTETS = 4 * SEGMENT_OCTETS;

  function journaled(memory: Uint8Array): AnswerCache {
    const cache = makeCache();
    cache.log = new Journal(memory, OFFSET_DS).logFor(TAG);
    return cache;
  }

  async function replay(memory: Uint8Array): Promise<{ cache: AnswerCache; restored: Restored }> {
    const cache = makeCache();
    const options = { from: 'journal' } as const;
    return { cache, restored: await restoreInto(cache, memory, options) };
  }

  test('a journal holds each entry that was kept, and the last word on each question', async () => {
    const memory = new Uint8Array(OCTETS);
    const cache = journaled(memory);
    keep(cache, { says: { answers: ['a.test. 60 A 192.0.2.1'] }, ageSec: 3 });
    keep(cache, { name: 'b.test.', says: { rcode: NXDOMAIN, authorities: [SOA] } });
    keep(cache, { name: 'c.test.', says: { rcode: SERVFAIL } });
    keep(cache, { says: { answers: ['a.test. 60 A 192.0.2.2'] } });
    const { cache: after, restored } = await replay(memory);
    expect(restored).toEqual({ read: 3, kept: 3 });
    expect(find(after, 'a.test.', 'A')).toBe('0: a.test. 60 A 192.0.2.2');
    expect(find(after, 'b.test.', 'A')).toBe('3: test. 300 SOA 20');
  });

  test('a journal goes on where another process has left off, and forgets the oldest', async () => {
    const memory = new Uint8Array(OCTETS);
    for (let process = 0; process < 3; process++) {
      const cache = journaled(memory);
      for (let i = 0; i < 300; i++) {
        const name = `host-${process}-${i}.test.`;
        keep(cache, { name, says: { answers: [`${name} 60 A 192.0.2.1`] } });
      }
    }
    expect((await replay(memory)).restored.kept).toBe(900);
    const cache = journaled(memory); // takes the fourth segment
    for (let i = 0; i < 2000; i++) {
      const name = `more-${i}.test.`;
      keep(cache, { name, says: { answers: [`${name} 60 A 192.0.2.1`] } });
    }
    const { cache: after } = await replay(memory);
    expect(find(after, 'host-0-0.test.', 'A')).toBeUndefined();
    expect(find(after, 'more-1999.test.', 'A')).toBeDefined();
    expect(after.success.size).toBeGreaterThan(1500);
  });

  test('a journal in which the last write was cut short is good up to there', async () => {
    const memory = new Uint8Array(OCTETS);
    const cache = journaled(memory);
    for (const name of ['a.test.', 'b.test.', 'c.test.']) {
      keep(cache, { name, says: { answers: [`${name} 60 A 192.0.2.1`] } });
    }
    const end = memory.findLastIndex((octet) => octet !== 0);
    memory[end] = 0;
    const { restored } = await replay(memory);
    expect(restored).toEqual({ read: 2, kept: 2 });
  });

  test('a journal of the size that the daemon gives it holds more than a cache of default size', async () => {
    const memory = new Uint8Array(JOURNAL_OCTETS);
    const cache = journaled(memory);
    for (let i = 0; i < 20_000; i++) {
      const name = `host-${i % 100}.namespace.svc.cluster.local.`;
      keep(cache, { name, says: { answers: [`${name} 60 A 192.0.2.1`] } });
    }
    const { cache: after, restored } = await replay(memory);
    expect([restored.read, after.success.size]).toEqual([20_000, 100]);
  });

  test('a journal takes no answer that would fill a segment alone', async () => {
    const memory = new Uint8Array(OCTETS);
    const cache = journaled(memory);
    const answers = Array.from(
      { length: 1500 },
      (_, i) => `a.test. 60 A 192.0.${i >> 8}.${i & 255}`,
    );
    keep(cache, { says: { answers } });
    expect(cache.success.size).toBe(1);
    expect((await replay(memory)).restored.read).toBe(0);
  });
});
