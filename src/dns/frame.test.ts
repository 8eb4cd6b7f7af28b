import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type AskOptions, queryMessage } from '../query/testing.ts';
import { decodeMessage } from './codec.ts';
import { frameAnswer, writeEmpty, writeExtendedRcode, writeHeaderOnly } from './frame.ts';
import { AA, AD, ARCOUNT_AT, CD, HEADER_OCTETS, RA, RD, TC, Z, readU16 } from './header.ts';
import { OPT_OCTETS } from './limits.ts';
import { QueryView, readQuery } from './question.ts';
import { BADVERS, FORMERR, NOTIMP, REFUSED } from './rcode.ts';
import { type ResponseText, recordsToText, response } from './testing.ts';

const AT = 7; // an answer need not begin where its buffer begins
const OUT_OCTETS = 66_000;

function asked(name: string, options: AskOptions & { authenticData?: boolean } = {}): QueryView {
  const msg = queryMessage(name, 'A', options);
  if (options.authenticData === true) msg[3] = msg[3]! | AD;
  // Somewhere in a batch, too.
  const buffer = Buffer.concat([new Uint8Array(5).fill(0xee), msg, new Uint8Array(5).fill(0xee)]);
  const view = new QueryView(1);
  readQuery(view, buffer, 5, 5 + msg.length);
  return view;
}

/** Frames the response, and returns the answer; nothing outside of it may be touched. */
function frame(view: QueryView, text: ResponseText, limit = 65535): Uint8Array {
  const { wire } = response(text);
  const out = new Uint8Array(OUT_OCTETS).fill(0xee);
  out.set(wire, AT);
  const octets = frameAnswer(view, out, AT, wire.length, limit);
  expect(out.subarray(0, AT).every((octet) => octet === 0xee)).toBe(true);
  const behind = AT + Math.max(octets, wire.length);
  expect(out.subarray(behind).every((octet) => octet === 0xee)).toBe(true);
  return out.slice(AT, AT + octets);
}

const flagsOf = (wire: Uint8Array): number => readU16(wire, 2) & 0x7fff;

describe('flags of an answer (RFC 1035 section 4.1.1, RFC 6840 section 5.7)', () => {
  const FLAGS = { rd: RD << 8, aa: AA << 8, tc: TC << 8, ra: RA, z: Z, ad: AD, cd: CD };
  test.each<{
    query: AskOptions & { authenticData?: boolean };
    stored: number;
    is: number;
    because: string;
  }>([
    { query: {}, stored: 0, is: FLAGS.rd, because: 'RD is the query’s' },
    { query: { recursionDesired: false }, stored: FLAGS.rd, is: 0, because: 'RD is the query’s' },
    { query: { checkingDisabled: true }, stored: 0, is: FLAGS.rd | FLAGS.cd, because: 'so is CD' },
    { query: {}, stored: FLAGS.cd, is: FLAGS.rd, because: 'so is CD' },
    {
      query: {},
      stored: FLAGS.aa | FLAGS.ra | FLAGS.tc | FLAGS.z,
      is: FLAGS.rd | FLAGS.aa | FLAGS.ra | FLAGS.tc | FLAGS.z,
      because: 'AA, RA, TC and Z are the response’s',
    },
    { query: {}, stored: FLAGS.ad, is: FLAGS.rd, because: 'AD is for those who ask' },
    {
      query: { authenticData: true },
      stored: FLAGS.ad,
      is: FLAGS.rd | FLAGS.ad,
      because: 'by AD',
    },
    { query: { dnssecOk: true }, stored: FLAGS.ad, is: FLAGS.rd | FLAGS.ad, because: 'or by DO' },
    { query: { edns: 1232 }, stored: FLAGS.ad, is: FLAGS.rd, because: 'EDNS alone is no asking' },
    { query: { authenticData: true }, stored: 0, is: FLAGS.rd, because: 'AD is not made up' },
    {
      query: { opcode: 4 },
      stored: 0,
      is: 0x2000 | FLAGS.rd,
      because: 'the opcode is the query’s',
    },
  ])('$query with stored flags $stored gets $is: $because', ({ query, stored, is }) => {
    expect(flagsOf(frame(asked('a.test.', query), { flags: stored }))).toBe(is);
  });

  test('the RCODE is the response’s, and the ID the query’s', () => {
    const wire = frame(asked('a.test.', { id: 0xfedc }), { id: 0x1234, rcode: 3 });
    expect(decodeMessage(wire)).toMatchObject({ id: 0xfedc, rcode: 3, isResponse: true });
  });
});

test('the question has the client’s spelling, and so has what points to it', () => {
  const wire = frame(asked('wWw.A.tEST.'), {
    question: 'www.a.test. A',
    answers: ['www.a.test. 5 CNAME a.test.', 'a.test. 5 A 192.0.2.1'],
  });
  expect(decodeMessage(wire)!.questions[0]!.name).toBe('wWw.A.tEST.');
  expect(recordsToText(wire)).toEqual(['wWw.A.tEST. 5 CNAME A.tEST.', 'A.tEST. 5 A 192.0.2.1']);
});

describe('the OPT (RFC 6891 sections 6.1.1 and 7)', () => {
  const answers = ['a.test. 5 A 192.0.2.1'];
  test.each([
    { query: {}, opt: undefined, because: 'a client that sent none gets none' },
    { query: { edns: 1232 }, opt: '000029 04d0 00 00 0000 0000', because: 'the client’s size' },
    { query: { edns: 100 }, opt: '000029 0200 00 00 0000 0000', because: 'at least 512' },
    { query: { dnssecOk: true }, opt: '000029 0200 00 00 8000 0000', because: 'DO is copied' },
  ])('a query $query gets the OPT $opt: $because', ({ query, opt }) => {
    const additionals = ['b. 1 A 192.0.2.2'];
    const wire = frame(asked('a.test.', query), { answers, additionals });
    expect(readU16(wire, ARCOUNT_AT)).toBe(opt === undefined ? 1 : 2);
    const last = Buffer.from(wire.subarray(-OPT_OCTETS)).toString('hex');
    if (opt !== undefined) expect(last).toBe(opt.replaceAll(' ', ''));
    expect(recordsToText(wire)).toEqual([
      ...answers,
      ...additionals,
      ...(opt === undefined ? [] : ['OPT']),
    ]);
  });
});

describe('an answer that does not fit is cut at whole records, and says so (RFC 2181 section 9)', () => {
  const text: ResponseText = {
    answers: ['a.test. 5 A 192.0.2.1', 'a.test. 5 A 192.0.2.2'],
    authorities: ['test. 5 NS a.test.'],
    additionals: ['b. 5 A 192.0.2.3'],
  };
  const { answers, authorities, additionals } = text;
  const whole = response(text).wire.length;
  const A_OCTETS = 16;
  const NS_OCTETS = 14;
  const B_OCTETS = 17;
  test.each([
    { less: 0, kept: [...answers!, ...authorities!, ...additionals!] },
    { less: 1, kept: [...answers!, ...authorities!] },
    { less: B_OCTETS, kept: [...answers!, ...authorities!] },
    { less: B_OCTETS + 1, kept: answers! },
    { less: B_OCTETS + NS_OCTETS, kept: answers! },
    { less: B_OCTETS + NS_OCTETS + 1, kept: answers!.slice(0, 1) },
    { less: B_OCTETS + NS_OCTETS + A_OCTETS + 1, kept: [] },
  ])('with $less octets less room, $kept are kept', ({ less, kept }) => {
    for (const edns of [false, true]) {
      const view = asked('a.test.', edns ? { edns: 4096 } : {});
      const limit = whole - less + (edns ? OPT_OCTETS : 0);
      const wire = frame(view, text, limit);
      expect(wire.length).toBeLessThanOrEqual(limit);
      expect(recordsToText(wire)).toEqual([...kept, ...(edns ? ['OPT'] : [])]);
      expect((wire[2]! & TC) !== 0).toBe(less > 0);
    }
  });

  test('a small record does not slip through behind a large one that was left out', () => {
    const wire = frame(
      asked('a.test.'),
      { answers: [`a.test. 5 TXT ${'x'.repeat(200)}`, 'a.test. 5 A 192.0.2.1'] },
      100,
    );
    expect(recordsToText(wire)).toEqual([]);
    expect(wire[2]! & TC).toBe(TC);
  });

  test('a TC that the upstream has set stays', () => {
    expect(frame(asked('a.test.'), { flags: TC << 8 })[2]! & TC).toBe(TC);
  });
});

const line = fc.oneof(
  fc.nat(255).map((n) => `a.test. 5 A 192.0.2.${n}`),
  fc.nat(200).map((n) => `b.a.test. 5 TXT ${'x'.repeat(n)}`),
  fc.constantFrom('a.test. 5 CNAME b.test.', 'test. 5 MX 1 mail.a.test.', '. 5 SRV 1 2 3 a.test.'),
);

test('any answer within any limit can be read, holds the first records, and TC if not all', () => {
  fc.assert(
    fc.property(
      fc.array(line, { maxLength: 12 }),
      fc.array(line, { maxLength: 4 }),
      fc.array(line, { maxLength: 4 }),
      fc.integer({ min: 512, max: 3000 }),
      fc.boolean(),
      (answers, authorities, additionals, limit, edns) => {
        const view = asked('A.Test.', edns ? { edns: limit } : {});
        const wire = frame(view, { answers, authorities, additionals }, limit);
        expect(wire.length).toBeLessThanOrEqual(limit);
        const lower = recordsToText(wire)!.map((text) => text.toLowerCase());
        const all = [...answers, ...authorities, ...additionals].map((text) => text.toLowerCase());
        const kept = edns ? lower.slice(0, -1) : lower;
        expect(kept).toEqual(all.slice(0, kept.length));
        if (edns) expect(lower.at(-1)).toBe('opt');
        expect((wire[2]! & TC) !== 0).toBe(kept.length < all.length);
        expect(decodeMessage(wire)!.questions[0]!.name).toBe('A.Test.');
      },
    ),
  );
});

describe('answers without records', () => {
  test('a header alone copies RD, RA, TC, AD and CD, and clears AA and Z', () => {
    const msg = queryMessage('a.test.', 'A', { id: 0xabcd, opcode: 5, edns: 1232 });
    msg[2] = msg[2]! | AA | TC;
    msg[3] = RA | Z | AD | CD | 7;
    const out = new Uint8Array(30).fill(0xee);
    expect(writeHeaderOnly(msg, 0, out, AT, NOTIMP)).toBe(HEADER_OCTETS);
    const answer = Buffer.from(out.subarray(AT, AT + HEADER_OCTETS)).toString('hex');
    expect(answer).toBe('abcdabb40000000000000000'); // QR, opcode 5, TC, RD; RA, AD, CD, NOTIMP
    expect(out.subarray(AT + HEADER_OCTETS).every((octet) => octet === 0xee)).toBe(true);
  });

  test('an empty answer has the question, RD and CD, and nothing else', () => {
    const view = asked('A.Test.', { checkingDisabled: true, edns: 1232, id: 0x0102 });
    const out = new Uint8Array(60);
    const octets = writeEmpty(view, out, AT, REFUSED);
    const decoded = decodeMessage(out.slice(AT, AT + octets))!;
    expect(decoded).toMatchObject({ id: 0x0102, flags: 0x8115, additionals: [] });
    expect(decoded.questions).toEqual([{ name: 'A.Test.', qtype: 1, qclass: 1 }]);
    expect(octets).toBe(HEADER_OCTETS + 8 + 4);
  });

  test('an RCODE above 15 travels in an OPT of no size (RFC 6891 section 6.1.3)', () => {
    const view = asked('a.test.', { edns: 1232 });
    const out = new Uint8Array(60);
    const octets = writeExtendedRcode(out, AT, writeEmpty(view, out, AT, BADVERS), BADVERS);
    const wire = out.slice(AT, AT + octets);
    expect(decodeMessage(wire)).toMatchObject({ rcode: 0 });
    const opt = Buffer.from(wire.subarray(-OPT_OCTETS)).toString('hex');
    expect(opt).toBe('0000290000010000000000');
    expect(readU16(wire, ARCOUNT_AT)).toBe(1);
  });

  test('an RCODE below 16 is in the header', () => {
    const view = asked('a.test.');
    const out = new Uint8Array(60);
    const octets = writeEmpty(view, out, 0, FORMERR);
    expect(decodeMessage(out.slice(0, octets))!.rcode).toBe(1);
  });
});
