import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HEADER_OCTETS, readU16 } from '../dns/header.ts';
import { nameFromText } from '../dns/name.ts';
import { AAAA, IN } from '../dns/rrtype.ts';
import { derive, optOf } from './derive.ts';
import { askQuery } from './testing.ts';

const wire = (name: string): Uint8Array => nameFromText(name)!;

describe('a query made from another', () => {
  test('a derived query has the other question, and the flags, EDNS and hash seed of the first', () => {
    const { query } = askQuery('a.test.', 'A', {
      edns: 1232,
      dnssecOk: true,
      checkingDisabled: true,
    });
    const derived = derive(query, { name: wire('Other.example.'), qtype: AAAA })!;
    expect(derived).toMatchObject({
      nameOctets: 15,
      qtype: AAAA,
      qclass: IN,
      hasEdns: true,
      payloadOctets: 1232,
      dnssecOk: true,
      hashSeed: query.hashSeed,
    });
    expect(Buffer.compare(derived.msg.subarray(0, 4), query.msg.subarray(0, 4))).toBe(0);
    expect(Buffer.from(derived.msg).toString('latin1')).toContain('Other');
    expect(derived.nameHash).toBe(askQuery('other.EXAMPLE.', 'A').query.nameHash);
  });

  test('a query derived without a change is the same query', () => {
    const { query } = askQuery('a.test.', 'A', { edns: 4096 });
    const derived = derive(query, {})!;
    expect(Buffer.compare(derived.msg, query.msg)).toBe(0);
  });

  test.each([
    { edns: undefined, opt: undefined, has: false, because: 'there was none' },
    { edns: 1232, opt: new Uint8Array(0), has: false, because: 'it is to have none' },
    {
      edns: undefined,
      opt: Uint8Array.of(0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0),
      has: true,
      because: 'it is given one',
    },
  ])('whether a derived query has EDNS is $has, since $because', ({ edns, opt, has }) => {
    const { query } = askQuery('a.test.', 'A', edns === undefined ? {} : { edns });
    const derived = derive(query, opt === undefined ? {} : { opt })!;
    expect([derived.hasEdns, readU16(derived.msg, 10)]).toEqual([has, has ? 1 : 0]);
  });

  test.each([
    { name: Uint8Array.of(1, 97), because: 'the name has no end' },
    { name: Uint8Array.of(0, 0), because: 'there is something behind the name' },
    { name: Uint8Array.of(0xc0, 12), because: 'the name is a pointer' },
    { name: new Uint8Array(0), because: 'there is no name' },
  ])('no query is derived if $because', ({ name }) => {
    const { query } = askQuery('a.test.', 'A', { edns: 1232 });
    expect(derive(query, { name })).toBeUndefined();
  });

  test('no query is derived if the OPT is none', () => {
    const { query } = askQuery('a.test.', 'A');
    expect(derive(query, { opt: Uint8Array.of(0, 0, 41, 16, 0) })).toBeUndefined();
  });

  test('deriving a query never throws, and never gives another question than was asked for', () => {
    const { query } = askQuery('a.test.', 'A', { edns: 1232 });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(0xffff), (name, qtype) => {
        const derived = derive(query, { name, qtype });
        if (derived === undefined) return;
        expect(derived.qtype).toBe(qtype);
        const asked = derived.msg.subarray(HEADER_OCTETS, HEADER_OCTETS + derived.nameOctets);
        expect(Buffer.compare(asked, name)).toBe(0);
      }),
    );
  });
});

describe('the OPT record of a query', () => {
  test('the OPT record of a query is copied with its root owner', () => {
    const { query } = askQuery('a.test.', 'A', { edns: 1232, dnssecOk: true });
    expect([...optOf(query)]).toEqual([0, 0, 41, 4, 0xd0, 0, 0, 0x80, 0, 0, 0]);
  });

  test('the OPT record of a query without EDNS is empty', () => {
    expect(optOf(askQuery('a.test.', 'A').query)).toHaveLength(0);
  });
});
