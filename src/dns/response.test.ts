import { describe, expect, test } from 'vitest';
import { encodeRecord } from './codec.ts';
import { AA, ARCOUNT_AT, RA, TC, readU16, writeU16 } from './header.ts';
import { nameFromText } from './name.ts';
import { BADVERS, NXDOMAIN } from './rcode.ts';
import { normalize } from './response.ts';
import {
  type ResponseText,
  recordFromLine,
  recordsToText,
  response,
  responseWire,
} from './testing.ts';

const record = (line: string): Uint8Array => encodeRecord(recordFromLine(line))!;

/** A response to `a.test. A` with these octets behind the question, as answers. */
function withAnswers(...records: Uint8Array[]): Uint8Array {
  const wire = Uint8Array.from(Buffer.concat([responseWire(), ...records]));
  writeU16(wire, 6, records.length);
  return wire;
}

/** A record of a.test. with these octets of RDATA. */
function raw(type: number, hex: string, rrClass = 1): Uint8Array {
  const data = Buffer.from(hex, 'hex');
  const owner = nameFromText('a.test.')!;
  const wire = new Uint8Array(owner.length + 10 + data.length);
  wire.set(owner);
  writeU16(wire, owner.length, type);
  writeU16(wire, owner.length + 2, rrClass);
  writeU16(wire, owner.length + 8, data.length);
  wire.set(data, owner.length + 10);
  return wire;
}

describe('the findings of normalize', () => {
  test.each<{ text: ResponseText; is: object }>([
    {
      text: { question: 'a.test. CH TXT', flags: (AA << 8) | RA },
      is: { qtype: 16, qclass: 3, nameOctets: 8, rcode: 0, answers: 0, ttlMinSec: undefined },
    },
    { text: { question: null }, is: { qtype: 0, qclass: 0, nameOctets: 0 } },
    { text: { rcode: NXDOMAIN }, is: { rcode: 3, hasSoa: false, hasNs: false, hasQtype: false } },
    {
      text: { rcode: BADVERS, edns: { options: Uint8Array.of(0, 3, 0, 1, 7) } },
      is: { rcode: 16, dnssecOk: false, options: Uint8Array.of(0, 3, 0, 1, 7) },
    },
    { text: { edns: { dnssecOk: true } }, is: { dnssecOk: true, options: new Uint8Array(0) } },
    {
      text: { answers: ['a.test. 20 CNAME b.test.', 'b.test. 7 A 192.0.2.1'] },
      is: { answers: 2, hasQtype: true, ttlMinSec: 7 },
    },
    {
      text: { answers: ['a.test. 20 CNAME b.test.'], authorities: ['test. 60 SOA 5'] },
      is: { hasQtype: false, hasSoa: true, soaTtlSec: 60, soaMinimumSec: 5 },
    },
    {
      text: { question: 'a.test. CNAME', answers: ['a.test. 20 CNAME b.test.'] },
      is: { hasQtype: true },
    },
    {
      text: { question: 'a.test. ANY', answers: ['a.test. 20 CNAME b.test.'] },
      is: { hasQtype: false },
    },
    { text: { question: 'a.test. ANY', answers: ['a.test. 20 TXT x'] }, is: { hasQtype: true } },
    {
      text: { answers: ['test. 60 SOA 5', 'test. 60 NS b.'] },
      is: { hasSoa: false, hasNs: false },
    },
    { text: { authorities: ['test. 60 NS b.'] }, is: { hasNs: true, ttlMinSec: 60 } },
    { text: { additionals: ['b. 3 A 192.0.2.1'] }, is: { ttlMinSec: 3, answers: 0 } },
    // The highest bit set counts as 0 (RFC 2181 section 8).
    { text: { answers: ['a. 2147483647 A 192.0.2.1'] }, is: { ttlMinSec: 2147483647 } },
    { text: { answers: ['a. 2147483648 A 192.0.2.1'] }, is: { ttlMinSec: 0 } },
    {
      text: { answers: ['a. 1 RRSIG 100 900', 'a. 1 RRSIG 200 800'] },
      is: { signedFrom: 200, signedUntil: 800 },
    },
    {
      text: { answers: ['a. 1 RRSIG 4294967290 900', 'a. 1 RRSIG 10 4294967295'] },
      is: { signedFrom: 10, signedUntil: 4294967295 },
    },
  ])('of the response $text, $is is known', ({ text, is }) => {
    expect(response(text)).toMatchObject(is);
  });
});

describe('names in RDATA (RFC 3597 section 4)', () => {
  const QUESTION = 'c00c'; // a.test. stands at offset 12
  test.each([
    { type: 2, rdata: QUESTION, wire: QUESTION, because: 'NS may be compressed' },
    { type: 15, rdata: `0007${QUESTION}`, wire: `0007${QUESTION}`, because: 'so may MX' },
    { type: 14, rdata: `00${QUESTION}`, wire: `00${QUESTION}`, because: 'and MINFO' },
    {
      type: 33,
      rdata: `000100020035${QUESTION}`,
      wire: '00010002003501610474657374 00',
      because: 'SRV is expanded',
    },
    { type: 39, rdata: QUESTION, wire: '0161047465737400', because: 'so is DNAME' },
    {
      type: 17,
      rdata: `${QUESTION}${QUESTION}`,
      wire: '01610474657374000161047465737400',
      because: 'and RP',
    },
    { type: 26, rdata: `0001${QUESTION}00`, wire: '0001016104746573740000', because: 'and PX' },
    {
      type: 35,
      rdata: `00010002000000${QUESTION}`,
      wire: '000100020000000161047465737400',
      because: 'and NAPTR',
    },
    {
      type: 65280,
      rdata: QUESTION,
      wire: QUESTION,
      because: 'of unknown types no octet is touched',
    },
    { type: 1, rdata: QUESTION, wire: QUESTION, rrClass: 3, because: 'nor of other classes’ A' },
  ])('a name in RDATA of type $type: $because', ({ type, rdata, wire, rrClass }) => {
    const message = withAnswers(raw(type, rdata, rrClass));
    const normal = normalize(message, 0, message.length)!;
    const rdataAt = 12 + 8 + 4 + 2 + 10;
    const found = Buffer.from(normal.wire.subarray(rdataAt)).toString('hex');
    expect(found).toBe(wire.replaceAll(' ', ''));
    expect(readU16(normal.wire, rdataAt - 2)).toBe(normal.wire.length - rdataAt);
  });
});

describe('a response is malformed', () => {
  test.each([
    { type: 1, rdata: 'c00002', because: 'an address of 3 octets' },
    { type: 1, rdata: 'c000020101', because: 'an address of 5 octets' },
    { type: 1, rdata: '', because: 'an address of none' },
    { type: 28, rdata: 'c0000201', because: 'an IPv6 address of 4 octets' },
    { type: 5, rdata: '', because: 'no name' },
    { type: 5, rdata: '0000', because: 'an octet behind the name' },
    { type: 5, rdata: '0161', because: 'a name that runs past the RDATA' },
    { type: 5, rdata: 'c0', because: 'half a pointer' },
    { type: 5, rdata: 'c0ff', because: 'a pointer forward' },
    { type: 15, rdata: '0007', because: 'a preference without name' },
    { type: 6, rdata: '000000', because: 'an SOA without numbers' },
    { type: 14, rdata: '00', because: 'one name of two' },
    { type: 17, rdata: '00', because: 'one name of two' },
    { type: 33, rdata: '000100020035', because: 'an SRV without target' },
    { type: 35, rdata: '00010002ff0000', because: 'strings that run past the RDATA' },
  ])('a record of type $type that holds $because is malformed', ({ type, rdata }) => {
    // Octets behind the record must not be taken for its own.
    const message = withAnswers(raw(type, rdata), record('b. 1 A 192.0.2.1'));
    expect(normalize(message, 0, message.length)).toBeUndefined();
  });

  test.each([
    { what: 'that is shorter than a header', wire: new Uint8Array(11) },
    { what: 'with two questions', wire: responseWire().with(5, 2) },
    { what: 'of more than 65,535 octets', wire: new Uint8Array(65536) },
    { what: 'with a record less than it says', wire: responseWire().with(7, 1) },
  ])('a response $what is malformed', ({ wire }) => {
    expect(normalize(wire, 0, wire.length)).toBeUndefined();
  });

  test('a response of more than 65,535 octets in normal form is malformed', () => {
    // SRV targets are expanded: 14 octets of each become 255 and more.
    const longest = `${'x'.repeat(63)}.`.repeat(3) + `${'y'.repeat(61)}.`;
    const message = withAnswers(
      record(`. 1 CNAME ${longest}`),
      ...Array.from({ length: 300 }, () => raw(33, '000100020035c022')),
    );
    const rdataAt = responseWire().length + 11;
    for (let at = 0; at + 1 < message.length; at++) {
      if (message[at] === 0xc0 && message[at + 1] === 0x22) message[at + 1] = rdataAt;
    }
    expect(normalize(message, 0, message.length)).toBeUndefined();
  });
});

describe('the OPT of a response is read and left out (RFC 6891 section 6.1.1)', () => {
  test('an OPT is left out wherever it stands among the additional records', () => {
    const text = { additionals: ['b. 1 A 192.0.2.1'], edns: { dnssecOk: true } };
    const wire = responseWire(text);
    const opt = wire.slice(-11);
    const b = record('b. 1 A 192.0.2.1');
    const first = Buffer.concat([wire.subarray(0, wire.length - 11 - b.length), opt, b]);
    for (const message of [wire, first]) {
      const normal = normalize(message, 0, message.length)!;
      expect(recordsToText(normal.wire)).toEqual(['b. 1 A 192.0.2.1']);
      expect(readU16(normal.wire, ARCOUNT_AT)).toBe(1);
      expect(normal.ttlAt.length).toBe(1);
    }
  });

  test('no name points to the owner of an OPT, which is the root or a sender’s mistake', () => {
    // Where the tail "c." of the OPT's owner would have stood, the record behind it ends in a 1: if
    // that is taken for the tail, the name behind it becomes a pointer into itself.
    const owner = nameFromText(`${'o'.repeat(63)}.c.`)!;
    const wire = responseWire({ edns: {} });
    const behind = [`. 1 TYPE65280 ${'00'.repeat(53)}01`, 'c. 1 A 192.0.2.1'];
    const odd = Buffer.concat([
      wire.subarray(0, wire.length - 11),
      owner,
      wire.subarray(wire.length - 10),
      ...behind.map(record),
    ]);
    writeU16(odd, ARCOUNT_AT, 3);
    expect(recordsToText(normalize(odd, 0, odd.length)!.wire)).toEqual(behind);
  });
});

test('flags and ID of a response stay as they came', () => {
  const wire = responseWire({ id: 0xabcd, flags: ((AA | TC) << 8) | RA });
  expect(Array.from(normalize(wire, 0, wire.length)!.wire.subarray(0, 4))).toEqual([
    0xab, 0xcd, 0x86, 0x80,
  ]);
});
