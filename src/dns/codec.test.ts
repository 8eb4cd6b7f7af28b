import { describe, expect, test } from 'vitest';
import {
  type Rdata,
  type ResourceRecord,
  decodeMessage,
  encodeRdata,
  encodeRecord,
} from './codec.ts';
import { writeU16 } from './header.ts';
import { A, AAAA, CNAME, HINFO, IN, MX, SOA, SRV, TXT } from './rrtype.ts';

const hex = (wire: Uint8Array | undefined): string | undefined =>
  wire === undefined ? undefined : Buffer.from(wire).toString('hex');

/** A response without question that holds the records as answers. */
function message(...records: ResourceRecord[]): Uint8Array {
  const header = new Uint8Array(12);
  header[2] = 0x80;
  writeU16(header, 6, records.length);
  return Uint8Array.from(Buffer.concat([header, ...records.map((r) => encodeRecord(r)!)]));
}

describe('a record becomes octets and a record again (RFC 1035 section 3.2.1)', () => {
  test.each<{ type: number; rdata: Rdata; wire: string }>([
    { type: A, rdata: { kind: 'address', address: '192.0.2.1' }, wire: 'c0000201' },
    {
      type: AAAA,
      rdata: { kind: 'address', address: '2001:db8::1' },
      wire: '20010db8000000000000000000000001',
    },
    { type: CNAME, rdata: { kind: 'name', target: 'b.' }, wire: '016200' },
    { type: CNAME, rdata: { kind: 'name', target: String.raw`a\.b\000.` }, wire: '04612e620000' },
    { type: MX, rdata: { kind: 'mx', preference: 258, target: 'b.' }, wire: '0102016200' },
    {
      type: SRV,
      rdata: { kind: 'srv', priority: 1, weight: 2, port: 53, target: '.' },
      wire: '00010002003500',
    },
    {
      type: SOA,
      rdata: {
        kind: 'soa',
        mname: 'm.',
        rname: String.raw`j\.d.`,
        serial: 4294967295,
        refresh: 1,
        retry: 2,
        expire: 3,
        minimum: 4,
      },
      wire: '016d00036a2e6400ffffffff00000001000000020000000300000004',
    },
    {
      type: TXT,
      rdata: { kind: 'texts', texts: [Uint8Array.of(0x61), Uint8Array.of(0xff, 0)] },
      wire: '016102ff00',
    },
    { type: HINFO, rdata: { kind: 'hinfo', cpu: 'x', os: '' }, wire: '017800' },
    { type: 65280, rdata: { kind: 'octets', octets: Uint8Array.of(0xab) }, wire: 'ab' },
  ])('a record of type $type becomes $wire and is read back', ({ type, rdata, wire }) => {
    expect(hex(encodeRdata(type, rdata))).toBe(wire);
    const record = { name: String.raw`O\.wner.`, type, rrClass: IN, ttlSec: 4294967295, rdata };
    expect(decodeMessage(message(record))?.answers).toEqual([record]);
  });
});

describe('what cannot be written is refused', () => {
  test.each<{ type: number; rdata: Rdata; because: string }>([
    { type: A, rdata: { kind: 'address', address: '1.2.3' }, because: 'no address' },
    { type: A, rdata: { kind: 'address', address: '::1' }, because: 'of the other family' },
    { type: AAAA, rdata: { kind: 'address', address: '1.2.3.4' }, because: 'of the other family' },
    { type: AAAA, rdata: { kind: 'address', address: 'fe80::1%lo' }, because: 'with a zone' },
    { type: CNAME, rdata: { kind: 'name', target: 'a..b' }, because: 'no name' },
    { type: CNAME, rdata: { kind: 'address', address: '::1' }, because: 'no address type' },
    { type: MX, rdata: { kind: 'mx', preference: 65536, target: '.' }, because: 'over 16 bits' },
    {
      type: TXT,
      rdata: { kind: 'texts', texts: [new Uint8Array(256)] },
      because: 'a string over 255 octets',
    },
    { type: HINFO, rdata: { kind: 'hinfo', cpu: 'x'.repeat(256), os: '' }, because: 'too long' },
  ])('a record of type $type is refused: $because', ({ type, rdata }) => {
    expect(encodeRdata(type, rdata)).toBeUndefined();
    expect(encodeRecord({ name: 'a.', type, rrClass: IN, ttlSec: 0, rdata })).toBeUndefined();
  });

  test('an owner that is not a name is refused', () => {
    const rdata: Rdata = { kind: 'address', address: '1.2.3.4' };
    expect(encodeRecord({ name: 'a..', type: A, rrClass: IN, ttlSec: 0, rdata })).toBeUndefined();
  });
});

describe('RDATA that does not hold what its type says', () => {
  test.each([
    { type: A, octets: 5 },
    { type: A, octets: 0 },
    { type: AAAA, octets: 4 },
    { type: CNAME, octets: 2 },
    { type: MX, octets: 1 },
    { type: SOA, octets: 23 },
  ])(
    'a record of type $type with $octets octets makes its message unreadable',
    ({ type, octets }) => {
      const rdata: Rdata = { kind: 'octets', octets: new Uint8Array(octets) };
      const wrong = { name: 'a.', type, rrClass: IN, ttlSec: 1, rdata };
      expect(decodeMessage(message(wrong))?.answers).toBeUndefined();
    },
  );
});
