import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type EdnsOption, clientSubnet, emptyOpt, optionsOf, withOptions } from './edns.ts';

const octets = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe('the options of an OPT record (RFC 6891 section 6.1)', () => {
  test('options are read in their order, and new ones replace those that were there', () => {
    const opt = withOptions(emptyOpt(4096), [
      { code: 3, data: octets() },
      { code: 0xffee, data: octets(1, 2) },
      { code: 3, data: octets(9) },
    ])!;
    expect([...opt]).toEqual([
      ...[0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 15],
      ...[0, 3, 0, 0],
      ...[0xff, 0xee, 0, 2, 1, 2],
      ...[0, 3, 0, 1, 9],
    ]);
    expect(optionsOf(opt)).toEqual([
      { code: 3, data: octets() },
      { code: 0xffee, data: octets(1, 2) },
      { code: 3, data: octets(9) },
    ]);
    expect(withOptions(opt, [])).toEqual(emptyOpt(4096));
  });

  test('options have room for 65,535 octets', () => {
    const fill = (length: number) => [{ code: 1, data: new Uint8Array(length) }];
    expect(withOptions(emptyOpt(512), fill(65_531))).toHaveLength(11 + 65_535);
    expect(withOptions(emptyOpt(512), fill(65_532))).toBeUndefined();
  });

  test('options that were written are read back', () => {
    const option: fc.Arbitrary<EdnsOption> = fc.record({
      code: fc.nat(0xffff),
      data: fc.uint8Array({ maxLength: 40 }),
    });
    fc.assert(
      fc.property(fc.array(option), (options) => {
        expect(optionsOf(withOptions(emptyOpt(1232), options)!)).toEqual(options);
      }),
    );
  });
});

describe('a client subnet in a query (RFC 7871 section 6)', () => {
  const v4 = octets(192, 0, 2, 255);
  const v6 = octets(
    0x20,
    0x01,
    0x0d,
    0xb8,
    0xff,
    0xff,
    0xff,
    ...Array.from({ length: 9 }, () => 1),
  );
  test.each([
    { address: v4, bits: 24, data: [0, 1, 24, 0, 192, 0, 2] },
    { address: v4, bits: 32, data: [0, 1, 32, 0, 192, 0, 2, 255] },
    { address: v4, bits: 25, data: [0, 1, 25, 0, 192, 0, 2, 128] },
    { address: v4, bits: 0, data: [0, 1, 0, 0] },
    { address: v6, bits: 56, data: [0, 2, 56, 0, 0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0xff] },
    { address: v6, bits: 33, data: [0, 2, 33, 0, 0x20, 0x01, 0x0d, 0xb8, 0x80] },
  ])('a subnet of $bits bits of an address is written', ({ address, bits, data }) => {
    expect([...clientSubnet(address, bits)]).toEqual(data);
  });
});
