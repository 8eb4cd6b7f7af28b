/** A cache takes in nothing that it may not keep, whatever another process hands over. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { writeU32 } from '../../dns/header.ts';
import { NXDOMAIN } from '../../dns/rcode.ts';
import { normalize } from '../../dns/response.ts';
import { response } from '../../dns/testing.ts';
import { askQuery } from '../../query/testing.ts';
import { nowMs, toDs } from '../../sys/clock.ts';
import { AnswerCache } from '../answer-cache.ts';
import { checksum, recordsOf } from './record.ts';
import { restore, tagKey } from './restore.ts';
import { takeSnapshot } from './snapshot.ts';
import { cacheConfig } from '../testing.ts';
import { classify, lifetimeSec } from '../ttl-policy.ts';

const TAG = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const TTL_MAX_SEC = 3600;

const MESSAGES = [
  response({ question: 'a.test. A', answers: ['a.test. 60 A 192.0.2.1'] }),
  response({
    question: 'www.a.test. MX',
    answers: ['www.a.test. 60 CNAME a.test.', 'a.test. 60 MX 10 mail.a.test.'],
  }),
  response({ question: 'b.test. AAAA', rcode: NXDOMAIN, authorities: ['test. 300 SOA 20'] }),
  response({ question: 'cc.test. AAAA', authorities: ['test. 300 SOA 20'] }),
];

async function snapshot(): Promise<Uint8Array> {
  const cache = new AnswerCache(cacheConfig());
  for (const message of MESSAGES) {
    const { query } = askQuery('x.test.', 'A');
    const question = {
      lowered: message.wire.slice(12, 12 + message.nameOctets),
      name: 'x.test.',
      nameOctets: message.nameOctets,
      nameHash: message.nameOctets * 7919,
      qtype: message.qtype,
      qclass: message.qclass,
      dnssecOk: query.dnssecOk,
      checkingDisabled: query.checkingDisabled,
    };
    const responseClass = classify(message, 0, 1_700_000_000);
    const lifetime = lifetimeSec(message, responseClass, cache.config);
    cache.keep(question, message, responseClass, lifetime, toDs(nowMs()));
  }
  let taken = new Uint8Array(0);
  await takeSnapshot([[TAG, cache]], 0, (segment) => (taken = segment.slice()));
  return taken;
}

/** Restores, and checks that every entry that got in may be there. */
async function restored(octets: Uint8Array): Promise<number> {
  const cache = new AnswerCache(cacheConfig());
  const { kept } = await restore(octets, {
    caches: new Map([[tagKey(TAG), cache]]),
    hashSeed: 4711,
    clockOffsetDs: 0,
    from: 'journal',
  });
  const nowDs = toDs(nowMs());
  for (const entry of [...cache.success.values(), ...cache.denial.values()]) {
    expect(entry.lifetimeSec).toBeGreaterThan(0);
    expect(entry.lifetimeSec).toBeLessThanOrEqual(TTL_MAX_SEC);
    expect(entry.storedDs).toBeLessThanOrEqual(nowDs);
    expect(entry.lastHitDs).toBeLessThanOrEqual(nowDs);
    const wire = entry.toWire(1, entry.remainingSec(nowDs));
    const read = normalize(wire, 0, wire.length);
    expect(read).toBeDefined();
    expect(read!.wire.length).toBe(wire.length);
    expect(read!.nameOctets).toBe(entry.nameOctets);
    expect(wire[2]! & 0x80).toBe(0x80);
  }
  return kept;
}

/** Where records stand, as [from, end). */
function recordsIn(octets: Uint8Array): [number, number][] {
  return [...recordsOf(octets, 0)].map(({ wireAt, wireEnd }) => [wireAt - 28, wireEnd]);
}

describe('a snapshot that is not as it was written', () => {
  test('a snapshot as it was written is taken whole', async () => {
    expect(await restored(await snapshot())).toBe(MESSAGES.length);
  });

  test('no record is read whose octets were changed', async () => {
    const original = await snapshot();
    const used = recordsIn(original).at(-1)![1];
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat({ max: used - 1 }), fc.integer({ min: 1, max: 255 })), {
          minLength: 1,
          maxLength: 8,
        }),
        async (changes) => {
          const octets = original.slice();
          for (const [at, change] of changes) octets[at] = octets[at]! ^ change;
          expect(await restored(octets)).toBeLessThanOrEqual(MESSAGES.length);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('no entry gets in that may not, even if checksums match the changed octets', async () => {
    const original = await snapshot();
    const records = recordsIn(original);
    const seed = checksum(original, 0, 16, 0);
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            record: fc.nat({ max: records.length - 1 }),
            at: fc.nat({ max: 200 }),
            value: fc.nat({ max: 255 }),
          }),
          { minLength: 1, maxLength: 6 },
        ),
        async (changes) => {
          const octets = original.slice();
          for (const { record, at, value } of changes) {
            const [from, end] = records[record]!;
            octets[from + 4 + (at % (end - from - 4))] = value;
          }
          for (const [from, end] of records) {
            writeU32(octets, from, checksum(octets, from + 4, end, seed));
          }
          expect(await restored(octets)).toBeLessThanOrEqual(MESSAGES.length);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('nonsense in place of a snapshot is not read, and throws nothing', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (nonsense) => {
        const octets = (await snapshot()).slice();
        octets.set(nonsense, 16);
        await restored(octets);
        await restored(nonsense);
      }),
      { numRuns: 200 },
    );
  });
});
