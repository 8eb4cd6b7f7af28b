import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decode } from 'dns-packet';
import { decodeMessage, encodeRecord } from './codec.ts';
import { ANCOUNT_AT, QR, readU32, writeU16 } from './header.ts';
import { lowerText } from './name.ts';
import { type NormalizedResponse, normalize, setTtl } from './response.ts';
import { recordFromLine, recordsToText, responseWire } from './testing.ts';

const label = fc.constantFrom('a', 'b', 'A', 'svc', 'cluster', 'x'.repeat(40), '\\.', '\\200');
const name = fc
  .array(label, { maxLength: 5 })
  .map((labels) => labels.map((text) => `${text}.`).join('') || '.');
const ttl = fc.nat(0x7fffffff);
const rdata = fc.oneof(
  fc.ipV4().map((address) => `A ${address}`),
  name.map((target) => `CNAME ${target}`),
  name.map((target) => `NS ${target}`),
  name.map((target) => `DNAME ${target}`),
  name.map((target) => `MX 7 ${target}`),
  name.map((target) => `SRV 1 2 53 ${target}`),
  fc.nat(1000).map((minimum) => `SOA ${minimum}`),
  fc.constantFrom('TXT text', 'TYPE65280 c00cff', 'TYPE65280 ', 'AAAA 2001:db8::1'),
);
const record = fc.tuple(name, ttl, rdata).map((parts) => parts.join(' '));
const section = fc.array(record, { maxLength: 6 });
const message = fc
  .record({
    question: name.map((text) => `${text} A`),
    answers: section,
    authorities: section,
    additionals: section,
    edns: fc.option(fc.constant({ dnssecOk: true }), { nil: undefined }),
  })
  .map(({ edns, ...text }) => ({ ...text, ...(edns === undefined ? {} : { edns }) }));

/** The message with its names compressed, as most senders write it. */
function compressed(wire: Uint8Array): Uint8Array {
  return normalize(wire, 0, wire.length)!.wire;
}

/** Records as text without regard to case: a compressed name has the case of what it points to. */
function records(wire: Uint8Array): string[] {
  return recordsToText(wire)!.map(lowerText);
}

function isSame(a: NormalizedResponse, b: NormalizedResponse): void {
  expect(Buffer.compare(b.wire, a.wire)).toBe(0);
  expect({ ...b, wire: 0 }).toEqual({ ...a, wire: 0 });
}

describe('the normal form of a response', () => {
  test('the normal form holds the same records, except for the OPT', () => {
    fc.assert(
      fc.property(message, (text) => {
        const wire = responseWire(text);
        const { wire: normal } = normalize(wire, 0, wire.length)!;
        expect(records(normal)).toEqual(records(wire).filter((line) => line !== 'opt'));
        expect(normal.length).toBeLessThanOrEqual(wire.length);
        const before = decode(Buffer.from(wire));
        const after = decode(Buffer.from(normal));
        for (const of of ['answers', 'authorities'] as const) {
          expect(after[of]!.map(({ type }) => type)).toEqual(before[of]!.map(({ type }) => type));
        }
      }),
    );
  });

  test('the places of TTLs, the lowest one, and the uncompressed length are right', () => {
    fc.assert(
      fc.property(message, (text) => {
        const whole = responseWire(text);
        const { edns, ...without } = text;
        const normal = normalize(whole, 0, whole.length)!;
        const ttls = decodeMessage(normal.wire)!;
        const listed = [...ttls.answers, ...ttls.authorities, ...ttls.additionals].map(
          ({ ttlSec }) => ttlSec,
        );
        expect(Array.from(normal.ttlAt, (at) => readU32(normal.wire, at))).toEqual(listed);
        expect(normal.ttlMinSec).toBe(listed.length === 0 ? undefined : Math.min(...listed));
        expect(normal.plainOctets).toBe(responseWire(without).length);
        expect(normal.dnssecOk).toBe(edns !== undefined);
      }),
    );
  });

  test('the normal form is a fixed point', () => {
    fc.assert(
      fc.property(message, (text) => {
        const { edns: _, ...without } = text;
        const wire = responseWire(without);
        const once = normalize(wire, 0, wire.length)!;
        isSame(once, normalize(once.wire, 0, once.wire.length)!);
      }),
    );
  });

  test('the normal form does not depend on octets before and after the message', () => {
    fc.assert(
      fc.property(message, fc.nat(20), fc.uint8Array({ maxLength: 20 }), (text, at, behind) => {
        const wire = compressed(responseWire(text));
        const alone = normalize(wire, 0, wire.length)!;
        const buffer = Buffer.concat([new Uint8Array(at).fill(0xc0), wire, behind]);
        isSame(alone, normalize(buffer, at, at + wire.length)!);
        isSame(alone, normalize(buffer, at, buffer.length)!);
      }),
    );
  });

  test('the normal form depends neither on the previous message nor on the next', () => {
    fc.assert(
      fc.property(message, message, (one, other) => {
        const wire = responseWire(one);
        const first = normalize(wire, 0, wire.length)!;
        const copy = { ...first, wire: first.wire.slice(), ttlAt: first.ttlAt.slice() };
        const between = responseWire(other);
        normalize(between, 0, between.length);
        isSame(copy, first);
        isSame(copy, normalize(wire, 0, wire.length)!);
      }),
    );
  });

  test('setting TTLs keeps all else of the normal form', () => {
    fc.assert(
      fc.property(message, ttl, (text, ttlSec) => {
        const wire = responseWire(text);
        const normal = normalize(wire, 0, wire.length)!;
        const before = records(normal.wire);
        setTtl(normal, ttlSec);
        const expected = before.map((line) => line.replace(/ \d+/, ` ${ttlSec}`));
        expect(records(normal.wire)).toEqual(expected);
      }),
    );
  });
});

describe('octets of any kind', () => {
  /** Well-formed and compressed, then spoiled here and there. */
  const spoiled = fc
    .tuple(message, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }))
    .map(([text, changes]) => {
      const wire = compressed(responseWire(text)).slice();
      for (const [at, octet] of changes) wire[at % wire.length] = octet;
      return wire;
    });

  test.each([
    { kind: 'random', octets: fc.uint8Array({ maxLength: 300 }) },
    { kind: 'spoiled', octets: spoiled },
  ])(
    '$kind octets are refused, or have a readable normal form that is a fixed point',
    ({ octets }) => {
      fc.assert(
        fc.property(octets, (wire) => {
          const before = wire.slice();
          const normal = normalize(wire, 0, wire.length);
          expect(Buffer.compare(wire, before)).toBe(0);
          if (normal === undefined) return;
          expect(normal.wire.length).toBeLessThanOrEqual(65535);
          expect(normal.plainOctets).toBeGreaterThanOrEqual(normal.wire.length);
          for (const at of normal.ttlAt) expect(at + 4).toBeLessThanOrEqual(normal.wire.length);
          const again = normalize(normal.wire, 0, normal.wire.length)!;
          expect(Buffer.compare(again.wire, normal.wire)).toBe(0);
        }),
        { numRuns: 400 },
      );
    },
  );

  test('no message that is cut is read', () => {
    fc.assert(
      fc.property(message, fc.nat(), (text, cut) => {
        const wire = compressed(responseWire(text));
        expect(normalize(wire, 0, cut % wire.length)).toBeUndefined();
      }),
    );
  });
});

const DATA_AT = 12 + 11;

/** A message of 64 KiB: one record that holds `data` from DATA_AT on, then `each` as often as fits. */
function stuffed(data: Uint8Array, each: Uint8Array): Uint8Array {
  const holder = encodeRecord(recordFromLine(`. 0 NULL ${Buffer.from(data).toString('hex')}`))!;
  const count = Math.floor((65535 - 12 - holder.length) / each.length);
  const records = Array.from({ length: count }, () => each);
  const wire = Buffer.concat([
    Uint8Array.of(0, 0, QR, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    holder,
    ...records,
  ]);
  writeU16(wire, ANCOUNT_AT, count + 1);
  return Uint8Array.from(wire);
}

/** A CNAME record whose owner and target are the name at `offset`. */
function cnameAt(offset: number): Uint8Array {
  const record = Uint8Array.of(0, 0, 0, 5, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0);
  writeU16(record, 0, 0xc000 | offset);
  writeU16(record, 12, 0xc000 | offset);
  return record;
}

/** A root label, and behind it pointers that each point to what stands before it. */
function pointerChain(pointers: number): Uint8Array {
  const chain = new Uint8Array(1 + 2 * pointers);
  for (let i = 0; i < pointers; i++) {
    writeU16(chain, 1 + 2 * i, 0xc000 | (DATA_AT + Math.max(0, 2 * i - 1)));
  }
  return chain;
}

describe('hostile compression costs little time (RFC 1035 section 4.1.4)', () => {
  const longest = encodeRecord(recordFromLine(`${'a.'.repeat(126)}z. 0 TYPE65280 `))!;

  test.each([
    {
      what: 'thousands of names at the end of a chain of 8,000 pointers',
      wire: stuffed(pointerChain(8000), cnameAt(DATA_AT + 2 * 8000 - 1)),
      isRead: false,
    },
    {
      what: 'thousands of names at the end of a chain of 126 pointers',
      wire: stuffed(pointerChain(126), cnameAt(DATA_AT + 2 * 126 - 1)),
      isRead: true,
    },
    {
      what: 'a name that points to itself',
      wire: stuffed(Uint8Array.of(0xc0, DATA_AT), cnameAt(DATA_AT)),
      isRead: false,
    },
    {
      what: 'two names that point to each other',
      wire: stuffed(Uint8Array.of(0xc0, DATA_AT + 2, 0xc0, DATA_AT), cnameAt(DATA_AT)),
      isRead: false,
    },
    {
      what: 'thousands of pointers to a name of 127 labels',
      wire: stuffed(longest.subarray(0, 255), cnameAt(DATA_AT)),
      isRead: false, // in normal form it is longer than 65,535 octets
    },
    {
      what: 'names of 127 labels in full',
      wire: stuffed(new Uint8Array(1), longest),
      isRead: true,
    },
  ])('a message of $what takes less than 2 s', ({ wire, isRead }) => {
    const beginMs = performance.now();
    expect(normalize(wire, 0, wire.length) !== undefined).toBe(isRead);
    expect(performance.now() - beginMs).toBeLessThan(2000); // some ms, but the machine may be busy
  });
});
