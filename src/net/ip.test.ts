import { describe, expect, test } from 'vitest';
import * as fc from 'fast-check';
import { ipFromText, ipToText, networkFromText } from './ip.ts';

describe('IP addresses are read with the strictness of Go', () => {
  test.each([
    ['192.0.2.1', 4, '192.0.2.1'],
    ['::', 6, '::'],
    ['::1', 6, '::1'],
    ['2001:DB8:0:0:1:0:0:1', 6, '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', 6, '2001:db8:0:1:1:1:1:1'],
    ['1::', 6, '1::'],
    ['::ffff:192.0.2.1', 4, '192.0.2.1'],
    ['64:ff9b::192.0.2.33', 6, '64:ff9b::c000:221'],
    ['fe80::1%eth0', 6, 'fe80::1%eth0'],
  ])('%s is read as IPv%i, printed %s', (text, family, printed) => {
    expect(ipFromText(text)).toMatchObject({ family, text: printed });
  });

  test.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '1.2.3.256',
    '1.2.3.4:53',
    '[::1]',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8',
    '12345::',
    'g::',
    '1.2.3.4::',
    '::1.2.3',
    '1.2.3.4%eth0',
    'fe80::1%',
    ' ::1',
    '1:',
  ])('%j is not an IP address', (text) => {
    expect(ipFromText(text)).toBeUndefined();
  });

  test('a printed address is read as the same address', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (octets) => {
        octets[0] = 0x20; // not IPv4 in disguise
        expect(ipFromText(ipToText(octets))?.octets).toEqual(octets);
      }),
    );
  });
});

describe('networks', () => {
  test.each([
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['10.1.2.3/32', '10.1.2.3/32'],
    ['255.255.255.255/0', '0.0.0.0/0'],
    ['2001:db8:ffff::/33', '2001:db8:8000::/33'],
    ['fd00::1/8', 'fd00::/8'],
  ])('the network %s is printed %s', (text, printed) => {
    expect(networkFromText(text)?.text).toBe(printed);
  });

  test.each([
    '10.0.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/-1',
    'a/8',
    '10.0.0.0/8/8',
  ])('%s is not a network', (text) => {
    expect(networkFromText(text)).toBeUndefined();
  });
});
