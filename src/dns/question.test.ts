import * as fc from 'fast-check';
import { type Answer, decode, encode } from 'dns-packet';
import { describe, expect, test } from 'vitest';
import { queryMessage } from '../query/testing.ts';
import { ARCOUNT_AT, HEADER_OCTETS, QR, writeU16 } from './header.ts';
import { nameFromText, nameToText } from './name.ts';
import {
  QueryView,
  READ_FORMERR,
  READ_FORMERR_QUESTION,
  READ_NOTIMP,
  READ_QUERY,
  READ_SILENCE,
  hashOctet,
  readQuery,
} from './question.ts';

const base = queryMessage('A.Test.', 'AAAA', { edns: 1232, dnssecOk: true });
const OPT_AT = base.length - 11;

/** The query for A.Test. with EDNS, changed here and there. */
function changed(octets: Readonly<Record<number, number>>, message = base): Uint8Array {
  const msg = message.slice();
  for (const [at, octet] of Object.entries(octets)) msg[Number(at)] = octet;
  return msg;
}

/** The query with `records` octets in place of its OPT, counted as `additionals`. */
function withAdditionals(additionals: number, ...records: readonly string[]): Uint8Array {
  const behind = Buffer.from(records.join('').replaceAll(' ', ''), 'hex');
  const msg = Uint8Array.from(Buffer.concat([base.subarray(0, OPT_AT), behind]));
  writeU16(msg, ARCOUNT_AT, additionals);
  return msg;
}

function read(msg: Uint8Array): { reading: number; view: QueryView } {
  const view = new QueryView(1);
  return { reading: readQuery(view, msg, 0, msg.length), view };
}

const hashOf = (name: string, seed: number): number => {
  const view = new QueryView(seed);
  const msg = queryMessage(name, 'A');
  readQuery(view, msg, 0, msg.length);
  return view.nameHash;
};

const opt = (udpPayloadSize: number, length: number): Answer => ({
  type: 'OPT',
  name: '.',
  udpPayloadSize,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0x8000,
  flag_do: true,
  options: [{ code: 12, length }], // padding
});

describe('queries, and what other messages deserve (RFC 1035 section 4.1)', () => {
  test.each([
    { msg: base, is: READ_QUERY, because: 'it is one' },
    { msg: base.subarray(0, 11), is: READ_SILENCE, because: 'it is shorter than a header' },
    { msg: new Uint8Array(0), is: READ_SILENCE, because: 'it is empty' },
    { msg: changed({ 2: QR }), is: READ_SILENCE, because: 'it is a response' },
    { msg: changed({ 2: 0x21 }), is: READ_QUERY, because: 'NOTIFY passes' },
    { msg: changed({ 2: 0x09 }), is: READ_NOTIMP, because: 'opcode 1 is IQUERY' },
    { msg: changed({ 2: 0x29 }), is: READ_NOTIMP, because: 'opcode 5 is UPDATE' },
    { msg: changed({ 2: 0x79 }), is: READ_NOTIMP, because: 'there is no opcode 15' },
    { msg: changed({ 5: 0 }), is: READ_FORMERR, because: 'it has no question' },
    { msg: changed({ 5: 2 }), is: READ_FORMERR, because: 'it has two questions' },
    { msg: changed({ 7: 2 }), is: READ_FORMERR, because: 'it has two answers' },
    { msg: changed({ 9: 2 }), is: READ_FORMERR, because: 'it has two authority records' },
    { msg: changed({ 11: 3 }), is: READ_FORMERR, because: 'it has three additional records' },
    { msg: changed({ 12: 64 }), is: READ_FORMERR, because: 'a label is longer than 63' },
    { msg: changed({ 12: 0xc0 }), is: READ_FORMERR, because: 'the question is a pointer' },
    { msg: base.subarray(0, 18), is: READ_FORMERR, because: 'its name is cut' },
    { msg: base.subarray(0, 23), is: READ_FORMERR, because: 'its class is cut' },
    { msg: base.subarray(0, 24), is: READ_FORMERR_QUESTION, because: 'the OPT is missing' },
    { msg: base.subarray(0, 34), is: READ_FORMERR_QUESTION, because: 'the OPT is cut' },
    { msg: changed({ 7: 1 }), is: READ_FORMERR_QUESTION, because: 'an answer is missing' },
    { msg: changed({ 34: 1 }), is: READ_FORMERR_QUESTION, because: 'the OPT’s data is cut' },
    { msg: Buffer.concat([base, base]), is: READ_QUERY, because: 'what stands behind is ignored' },
  ])('a message is read as $is: $because', ({ msg, is }) => {
    expect(read(msg).reading).toBe(is);
  });
});

describe('names (RFC 1035 section 2.3.4)', () => {
  test.each([
    { octets: 255, is: READ_QUERY },
    { octets: 256, is: READ_FORMERR },
  ])('a name of $octets octets is read as $is', ({ octets, is }) => {
    const labels = [63, 63, 63, octets - 194].map((length) =>
      Buffer.concat([Uint8Array.of(length), Buffer.alloc(length, 'x')]),
    );
    const msg = Buffer.concat([base.subarray(0, 12), ...labels, base.subarray(19, 24)]);
    writeU16(msg, ARCOUNT_AT, 0);
    expect(read(msg).reading).toBe(is);
  });

  test('a name of 127 labels is read, with the place of each label', () => {
    const { reading, view } = read(queryMessage('a.'.repeat(127), 'A'));
    expect(reading).toBe(READ_QUERY);
    expect(view).toMatchObject({ nameOctets: 255, labels: 127 });
    expect(Array.from(view.labelAt.subarray(0, 127))).toEqual(
      Array.from({ length: 127 }, (_, label) => 2 * label),
    );
  });

  test.each([
    { name: '.', nameOctets: 1, labelAt: [] },
    { name: 'A.bc.TEST.', nameOctets: 11, labelAt: [0, 2, 5] },
    { name: String.raw`a\.B\000.`, nameOctets: 6, labelAt: [0] },
  ])('$name is lower-cased, its labels found', ({ name: text, nameOctets, labelAt }) => {
    const { view } = read(queryMessage(text, 'A'));
    expect(nameToText(view.lowered)).toBe(text.toLowerCase());
    expect(view).toMatchObject({ nameOctets, labels: labelAt.length });
    expect(Array.from(view.labelAt.subarray(0, labelAt.length))).toEqual(labelAt);
  });
});

describe('the hash of a name', () => {
  test('the hash of a name depends on the seed, and not on case', () => {
    expect(hashOf('a.TEST.', 7)).toBe(hashOf('A.test.', 7));
    expect(hashOf('a.test.', 7)).not.toBe(hashOf('a.test.', 8));
    expect(hashOf('a.test.', 7)).not.toBe(hashOf('b.test.', 7));
  });

  test('the hash of a name can be continued octet by octet', () => {
    const continued = nameFromText('a.test.')!.reduce((sofar, octet) => hashOctet(sofar, octet), 7);
    expect(continued).toBe(hashOf('a.test.', 7));
  });
});

describe('EDNS (RFC 6891 section 6.1)', () => {
  //          root type payload rcode version flags length
  const OPT = '00 0029 1000 00 00 8000 0000';
  const SMALL = '00 0029 0200 00 01 0000 0000';
  const A_RECORD = '00 0001 0001 00000000 0004 c0000201';
  test.each([
    { msg: base, view: { hasEdns: true, payloadOctets: 1232, dnssecOk: true, optAt: OPT_AT } },
    {
      msg: withAdditionals(0),
      view: { hasEdns: false, payloadOctets: 512, dnssecOk: false, optAt: 0 },
    },
    { msg: withAdditionals(1, OPT), view: { payloadOctets: 4096, dnssecOk: true, ednsVersion: 0 } },
    { msg: withAdditionals(1, SMALL), view: { payloadOctets: 512, ednsVersion: 1 } },
    { msg: withAdditionals(1, '00 0029 01ff 00 00 0000 0000'), view: { payloadOctets: 512 } },
    { msg: withAdditionals(1, '00 0029 ffff 00 00 0000 0000'), view: { payloadOctets: 65535 } },
    { msg: withAdditionals(1, A_RECORD), view: { hasEdns: false } },
    { msg: withAdditionals(2, A_RECORD, OPT), view: { hasEdns: true, optAt: OPT_AT + 15 } },
    { msg: withAdditionals(2, OPT, A_RECORD), view: { hasEdns: true, optAt: OPT_AT } },
    { msg: withAdditionals(2, OPT, SMALL), view: { payloadOctets: 512, dnssecOk: false } },
    { msg: withAdditionals(1, '01 78 00 0029 1000 00 00 0000 0000'), view: { hasEdns: true } },
  ])('the view shows $view', ({ msg, view }) => {
    const found = read(msg);
    expect(found.reading).toBe(READ_QUERY);
    expect(found.view).toMatchObject(view);
  });

  test('an OPT outside of the additional section does not count', () => {
    const msg = withAdditionals(0, OPT);
    writeU16(msg, 6, 1);
    expect(read(msg)).toMatchObject({ reading: READ_QUERY, view: { hasEdns: false } });
  });

  test.each([
    { options: '000a 0008 0102030405060708', is: READ_QUERY, because: 'a cookie' },
    { options: '000a 0000 000c 0002 0000', is: READ_QUERY, because: 'two options' },
    { options: '000a', is: READ_FORMERR_QUESTION, because: 'an option without length' },
    { options: '000a 0009 01', is: READ_FORMERR_QUESTION, because: 'an option that runs past' },
    { options: '0008 0007 0001 18 00 c00002', is: READ_QUERY, because: 'a client subnet' },
    {
      options: '0008 0003 0001 18',
      is: READ_FORMERR_QUESTION,
      because: 'a client subnet too short',
    },
    {
      options: '0008 0004 0003 00 00',
      is: READ_FORMERR_QUESTION,
      because: 'a subnet of an unknown family',
    },
    {
      options: '0008 0004 0000 00 00',
      is: READ_QUERY,
      because: 'a subnet without family and address',
    },
    {
      options: '0008 0004 0000 18 00',
      is: READ_FORMERR_QUESTION,
      because: 'a subnet without family, but with an address',
    },
  ])('an OPT with $because is read as $is', ({ options, is }) => {
    const octets = options.replaceAll(' ', '');
    const length = (octets.length / 2).toString(16).padStart(4, '0');
    expect(read(withAdditionals(1, `00 0029 1000 00 00 0000 ${length}`, octets)).reading).toBe(is);
  });

  test('nothing of a query is left in the view for the next one', () => {
    const view = new QueryView(1);
    readQuery(view, base, 0, base.length);
    const plain = queryMessage('b.', 'A');
    readQuery(view, plain, 0, plain.length);
    expect(view).toMatchObject({ hasEdns: false, dnssecOk: false, payloadOctets: 512, optAt: 0 });
    expect(view).toMatchObject({ nameOctets: 3, labels: 1, qtype: 1 });
  });
});

describe('whatever octets come', () => {
  const label = fc.stringMatching(/^[a-zA-Z0-9_-]{1,12}$/);
  const wellFormed = fc
    .record({
      labels: fc.array(label, { maxLength: 6 }),
      edns: fc.option(fc.tuple(fc.nat(0xffff), fc.nat(9))),
      hasAnswer: fc.boolean(),
    })
    .map(({ labels, edns, hasAnswer }) => {
      const name = labels.join('.') || '.';
      return encode({
        id: 1,
        type: 'query',
        questions: [{ name, type: 'A' }],
        answers: hasAnswer ? [{ name, type: 'A', data: '192.0.2.1' }] : [],
        additionals: edns === null ? [] : [opt(...edns)],
      });
    });
  const mutated = fc
    .tuple(wellFormed, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 5 }), fc.nat(30))
    .map(([msg, changes, cut]) => {
      const copy = Uint8Array.from(msg);
      for (const [at, octet] of changes) copy[at % copy.length] = octet;
      return copy.subarray(0, Math.max(0, copy.length - (cut > 15 ? 0 : cut)));
    });

  test.each([
    { kind: 'arbitrary', octets: fc.uint8Array({ maxLength: 300 }), runs: 300 },
    { kind: 'mutated', octets: mutated, runs: 1000 },
  ])(
    '$kind octets are read without a throw, and octets outside do not count',
    ({ octets, runs }) => {
      fc.assert(
        fc.property(octets, fc.nat(20), fc.nat(255), (msg, at, fill) => {
          const alone = new QueryView(5);
          const reading = readQuery(alone, msg, 0, msg.length);
          const buffer = new Uint8Array(at + msg.length + 300).fill(fill);
          buffer.set(msg, at);
          const before = buffer.slice();
          const view = new QueryView(5);
          expect(readQuery(view, buffer, at, at + msg.length)).toBe(reading);
          expect(Buffer.compare(buffer, before)).toBe(0);
          if (reading !== READ_QUERY && reading !== READ_FORMERR_QUESTION) return;
          const { nameOctets, labels, nameHash, qtype, qclass, hasEdns, payloadOctets } = alone;
          expect(view).toMatchObject({ nameOctets, labels, nameHash, qtype, qclass, hasEdns });
          expect(view.payloadOctets).toBe(payloadOctets);
          expect(view.optAt).toBe(alone.optAt === 0 ? 0 : alone.optAt + at);
          expect(nameOctets).toBeLessThanOrEqual(255);
          expect(HEADER_OCTETS + nameOctets + 4).toBeLessThanOrEqual(msg.length);
        }),
        { numRuns: runs },
      );
    },
  );

  test('dns-packet reads the same from a well-formed query', () => {
    fc.assert(
      fc.property(wellFormed, (msg) => {
        const { reading, view } = read(msg);
        expect(reading).toBe(READ_QUERY);
        const packet = decode(msg);
        const found = packet.additionals![0];
        expect(nameToText(view.lowered).replace(/\.$/, '')).toBe(
          packet.questions![0]!.name.replace(/^\.$/, '').toLowerCase(),
        );
        expect(view.hasEdns).toBe(found?.type === 'OPT');
        if (found?.type !== 'OPT') return;
        expect(view.payloadOctets).toBe(Math.max(512, found.udpPayloadSize));
        expect(view.dnssecOk).toBe(found.flag_do);
        expect(view.ednsVersion).toBe(found.ednsVersion);
      }),
    );
  });
});
