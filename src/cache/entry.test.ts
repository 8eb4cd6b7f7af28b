import { describe, expect, test } from 'vitest';
import { decodeMessage } from '../dns/codec.ts';
import { AA } from '../dns/header.ts';
import { nameFromText } from '../dns/name.ts';
import { type ResponseText, recordsToText, response } from '../dns/testing.ts';
import { CacheEntry, DENIED, POSITIVE } from './entry.ts';
import type { CacheQuestion } from './question.ts';
import { EVERY_TYPE } from './key.ts';

const TEXT: ResponseText = {
  question: 'A.Test. A',
  answers: ['A.Test. 300 CNAME b.test.', 'b.test. 7 A 192.0.2.1'],
  authorities: ['test. 99 NS ns.test.'],
};
const STORED_DS = 1000;

function entry(text: ResponseText = TEXT, qtype = 1, lifetimeSec = 30): CacheEntry {
  return new CacheEntry(response(text), {
    kind: POSITIVE,
    qtype,
    dnssecOk: false,
    checkingDisabled: false,
    storedDs: STORED_DS,
    lifetimeSec,
  });
}

describe('an entry ages in whole seconds, rounded down', () => {
  test.each([
    { afterDs: 0, left: 30 },
    { afterDs: 9, left: 30 },
    { afterDs: 10, left: 29 },
    { afterDs: 299, left: 1 },
    { afterDs: 300, left: 0 },
    { afterDs: 400, left: -10 },
  ])('after $afterDs tenths of a second an entry has $left s to live', ({ afterDs, left }) => {
    expect(entry().remainingSec(STORED_DS + afterDs)).toBe(left);
  });
});

describe('a cached answer is written', () => {
  test.each([
    { ttlSec: 12, ttls: [12, 12, 12], because: 'the TTL of all records is set' },
    { ttlSec: 0, ttls: [0, 0, 0], because: 'also to 0' },
    { ttlSec: -1, ttls: [300, 7, 99], because: 'with keepttl they are those of the upstream' },
    { ttlSec: 4294967295, ttls: Array(3).fill(4294967295), because: 'a TTL has 32 bits' },
  ])('a cached answer is written with TTL $ttlSec: $because', ({ ttlSec, ttls }) => {
    const cached = entry();
    const out = new Uint8Array(9 + cached.neededOctets + 9).fill(0xee);
    cached.write(out, 9, 1, ttlSec);
    const wire = out.slice(9, 9 + cached.wireOctets);
    const { answers, authorities } = decodeMessage(wire)!;
    expect([...answers, ...authorities].map((record) => record.ttlSec)).toEqual(ttls);
    const outside = [...out.subarray(0, 9), ...out.subarray(9 + cached.neededOctets)];
    expect(new Set(outside)).toEqual(new Set([0xee]));
  });

  test('a cached answer has AA set, as from CoreDNS’s cache, and its question lower-cased', () => {
    const wire = entry().toWire(1, 5);
    expect(wire[2]! & AA).toBe(AA);
    expect(decodeMessage(wire)!.questions).toEqual([{ name: 'a.test.', qtype: 1, qclass: 1 }]);
    expect(recordsToText(wire)![0]).toBe('a.test. 5 CNAME b.test.');
  });

  test('a denial of all types is written for the type that is asked', () => {
    const denial = { question: 'a.test. A', rcode: 3, authorities: ['test. 60 SOA 5'] };
    const cached = entry(denial, EVERY_TYPE);
    expect(decodeMessage(cached.toWire(28, 5))!.questions[0]!.qtype).toBe(28);
    expect(decodeMessage(cached.toWire(65535, 5))!.questions[0]!.qtype).toBe(65535);
  });

  test('a cached answer is the same each time, whatever becomes of the message that it was made from', () => {
    const message = response(TEXT);
    const cached = new CacheEntry(message, {
      kind: DENIED,
      qtype: 1,
      dnssecOk: false,
      checkingDisabled: false,
      storedDs: 0,
      lifetimeSec: 30,
    });
    const first = cached.toWire(1, 5);
    message.wire.fill(0);
    cached.toWire(1, 5).fill(0);
    expect(cached.toWire(1, 5)).toEqual(first);
  });
});

describe('an entry answers its own question and no other', () => {
  const cached = entry();
  const lowered = nameFromText('a.test.')!;
  const answers = (
    changes: Partial<Record<'qtype' | 'qclass', number>> & {
      lowered?: Uint8Array;
      dnssecOk?: boolean;
      disabled?: boolean;
    },
  ): boolean => {
    const name = changes.lowered ?? lowered;
    const { qtype = 1, qclass = 1, dnssecOk = false, disabled = false } = changes;
    return cached.answers(questionOf(name, { qtype, qclass, dnssecOk, disabled }), qtype);
  };

  test('an entry answers the same name, type, class, DO and CD', () => {
    expect(answers({})).toBe(true);
    // The view's array is longer than the name.
    expect(
      cached.answers(
        {
          ...questionOf(lowered),
          lowered: new Uint8Array(256).fill(9).map((o, i) => lowered[i] ?? o),
        },
        1,
      ),
    ).toBe(true);
  });

  test.each([
    { changes: { qtype: 28 }, what: 'type' },
    { changes: { qclass: 3 }, what: 'class' },
    { changes: { dnssecOk: true }, what: 'DO' },
    { changes: { disabled: true }, what: 'CD' },
    { changes: { lowered: nameFromText('b.test.')! }, what: 'name' },
    { changes: { lowered: nameFromText('a.tess.')! }, what: 'name' },
    { changes: { lowered: nameFromText('test.')! }, what: 'length of name' },
    { changes: { lowered: nameFromText('.')! }, what: 'length of name' },
  ])('an entry does not answer another $what', ({ changes }) => {
    expect(answers(changes)).toBe(false);
  });

  test('DO and CD are not mistaken for each other', () => {
    const withDo = new CacheEntry(response(TEXT), {
      kind: POSITIVE,
      qtype: 1,
      dnssecOk: true,
      checkingDisabled: false,
      storedDs: 0,
      lifetimeSec: 30,
    });
    expect(withDo.answers(questionOf(lowered, { dnssecOk: true }), 1)).toBe(true);
    expect(withDo.answers(questionOf(lowered, { disabled: true }), 1)).toBe(false);
  });
});

function questionOf(
  lowered: Uint8Array,
  { qtype = 1, qclass = 1, dnssecOk = false, disabled = false } = {},
): CacheQuestion {
  const nameOctets = lowered.length;
  return { lowered, nameOctets, nameHash: 0, qtype, qclass, dnssecOk, checkingDisabled: disabled };
}

test('an entry costs the octets of its response and two for each TTL', () => {
  const { wire, ttlAt, plainOctets } = response(TEXT);
  const cached = entry();
  expect(ttlAt.length).toBe(3);
  expect(cached.wireOctets).toBe(wire.length);
  expect(cached.neededOctets).toBe(wire.length + 2 * ttlAt.length);
  expect(cached.plainOctets).toBe(plainOctets);
  // No fields of its own hold arrays or objects: each would cost some 200 octets an entry. `denied` does,
  // in the denial of a name, and saves the entry of a second type.
  const own = Object.values(cached);
  expect(own.every((value) => typeof value !== 'object')).toBe(true);
});
