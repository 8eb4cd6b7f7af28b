import { describe, expect, test } from 'vitest';
import { CorefileError } from './error.ts';
import { type Token, tokenize } from './tokens.ts';
import {
  formatDuration,
  parseBool,
  parseCidr,
  parseDuration,
  parseHostPort,
  parseInteger,
  parseIp,
  parsePercentage,
  parseUnsigned,
  parseWord,
} from './values.ts';

function tokenOf(text: string): Token {
  return tokenize(`"${text}"`, 'Corefile')[0]!;
}

function unknownMode(found: string): string {
  return `invalid value for serve_stale refresh mode: ${found}`;
}

function expectRefused(read: () => unknown, says: string): void {
  expect(read).toThrow(CorefileError);
  expect(read).toThrow('Corefile:1:1: ');
  expect(read).toThrow(says);
}

describe('a duration is one of Go', () => {
  test.each([
    ['0', 0],
    ['+0', 0],
    ['300ms', 300],
    ['1.5h', 5_400_000],
    ['2h45m', 9_900_000],
    ['1m30.5s', 90_500],
    ['.5s', 500],
    ['1.s', 1_000],
    ['-1s', -1_000],
    ['+1s', 1_000],
    ['1us', 0.001],
    ['1µs', 0.001],
    ['1μs', 0.001],
    ['1ns', 0.000_001],
    ['0.9ns', 0],
    ['1h1h', 7_200_000],
    ['000001s', 1_000],
  ])('the duration %s is %d ms', (text, ms) => {
    expect(parseDuration(tokenOf(text))).toBe(ms);
  });

  test.each([
    ['5', 'time: missing unit in duration "5"; expected a duration such as 5s'],
    ['1s5', 'time: missing unit in duration "1s5"'],
    ['x', 'time: invalid duration "x"'],
    ['', 'time: invalid duration ""'],
    ['-', 'time: invalid duration "-"'],
    ['.s', 'time: invalid duration ".s"'],
    ['1d', 'time: unknown unit "d" in duration "1d"'],
    ['1 s', 'time: unknown unit " s" in duration "1 s"'],
    ['s', 'time: invalid duration "s"'],
    ['--1s', 'time: invalid duration "--1s"'],
    ['2562048h', 'time: invalid duration "2562048h"'],
  ])('the duration "%s" is refused: %s', (text, says) => {
    expectRefused(() => parseDuration(tokenOf(text)), says);
  });

  test('a duration outside its range is refused, and the message gives the range', () => {
    const range = { min: 0, max: 300_000 };
    expect(parseDuration(tokenOf('5m'), range)).toBe(300_000);
    expectRefused(
      () => parseDuration(tokenOf('6m'), range),
      '6m0s is out of range; expected a duration from 0s to 5m0s',
    );
    expectRefused(
      () => parseDuration(tokenOf('-1s'), { min: 0 }),
      '-1s is out of range; expected a duration of at least 0s',
    );
  });

  test.each([
    [0, '0s'],
    [0.000_001, '1ns'],
    [0.0015, '1.5µs'],
    [1.5, '1.5ms'],
    [500, '500ms'],
    [1_000, '1s'],
    [1_500, '1.5s'],
    [60_000, '1m0s'],
    [90_000, '1m30s'],
    [90_000_000, '25h0m0s'],
    [-1_000, '-1s'],
    [3_661_001.001, '1h1m1.001001s'],
  ])('%d ms is printed %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});

describe('integers are those of strconv', () => {
  test.each([
    ['0', 0],
    ['-0', 0],
    ['+7', 7],
    ['-7', -7],
    ['007', 7],
  ])('Atoi takes %s as %d', (text, value) => {
    expect(parseInteger(tokenOf(text))).toBe(value);
  });

  test.each([
    ['a', 'strconv.Atoi: parsing "a": invalid syntax; expected an integer'],
    ['', 'strconv.Atoi: parsing "": invalid syntax'],
    ['1.5', 'strconv.Atoi: parsing "1.5": invalid syntax'],
    ['1_000', 'strconv.Atoi: parsing "1_000": invalid syntax'],
    ['0x10', 'strconv.Atoi: parsing "0x10": invalid syntax'],
    ['9223372036854775808', 'strconv.Atoi: parsing "9223372036854775808": value out of range'],
  ])('Atoi refuses %s: %s', (text, says) => {
    expectRefused(() => parseInteger(tokenOf(text)), says);
  });

  test.each([
    ['-1', 'strconv.ParseUint: parsing "-1": invalid syntax'],
    ['+1', 'strconv.ParseUint: parsing "+1": invalid syntax'],
    ['4294967296', 'strconv.ParseUint: parsing "4294967296": value out of range'],
  ])('ParseUint refuses %s: %s', (text, says) => {
    expectRefused(() => parseUnsigned(tokenOf(text)), says);
    expect(parseUnsigned(tokenOf('4294967295'))).toBe(4_294_967_295);
  });

  test('an integer outside its range is refused, and the message gives the range', () => {
    const range = { min: 512, max: 4096 };
    expect([512, 4096].map((size) => parseInteger(tokenOf(String(size)), range))).toEqual([
      512, 4096,
    ]);
    for (const text of ['511', '4097']) {
      const says = `${text} is out of range; expected an integer from 512 to 4096`;
      expectRefused(() => parseInteger(tokenOf(text), range), says);
    }
    expectRefused(() => parseInteger(tokenOf('2'), { max: 1 }), 'expected an integer of at most 1');
  });
});

test('numbers of a hundred thousand digits are refused at once', () => {
  const digits = '9'.repeat(100_000);
  expectRefused(() => parseDuration(tokenOf(`${digits}s`)), 'time: invalid duration');
  expectRefused(() => parseInteger(tokenOf(digits)), 'strconv.Atoi: parsing');
});

describe('other values', () => {
  test.each([
    ['1', true],
    ['TRUE', true],
    ['f', false],
    ['False', false],
  ])('the boolean %s is %s', (text, value) => {
    expect(parseBool(tokenOf(text))).toBe(value);
  });

  test('a boolean is one of twelve words', () => {
    expectRefused(
      () => parseBool(tokenOf('yes')),
      'strconv.ParseBool: parsing "yes": invalid syntax',
    );
  });

  test('a percentage has a percent sign and is within its range', () => {
    const range = { min: 10, max: 90 };
    expect(parsePercentage(tokenOf('10%'), range)).toBe(10);
    const without = "last character of percentage should be `%`, but is: '0'";
    expectRefused(() => parsePercentage(tokenOf('10'), range), without);
    const low = 'percentage should fall in range [10, 90]: 5';
    expectRefused(() => parsePercentage(tokenOf('5%'), range), low);
    expectRefused(() => parsePercentage(tokenOf('x%'), range), 'strconv.Atoi: parsing "x"');
    expectRefused(() => parsePercentage(tokenOf(''), range), 'last character of percentage');
  });

  test('a word is one of those listed', () => {
    const words = ['immediate', 'verify'] as const;
    expect(parseWord(tokenOf('VERIFY'), words, unknownMode, { anyCase: true })).toBe('verify');
    const says = 'invalid value for serve_stale refresh mode: VERIFY; expected immediate, verify';
    expectRefused(() => parseWord(tokenOf('VERIFY'), words, unknownMode), says);
  });

  test('an address has no port, and a zone only if that is allowed', () => {
    expect(parseIp(tokenOf('::1')).text).toBe('::1');
    expect(parseIp(tokenOf('fe80::1%eth0'), { zone: true }).zone).toBe('eth0');
    for (const text of ['1.1.1.1:53', '[::1]', 'fe80::1%eth0', 'localhost']) {
      expectRefused(() => parseIp(tokenOf(text)), `not a valid IP address: "${text}"`);
    }
  });

  test('a CIDR has a prefix length', () => {
    expect(parseCidr(tokenOf('64:ff9b::/96')).prefixLength).toBe(96);
    expectRefused(() => parseCidr(tokenOf('10.0.0.0')), 'invalid CIDR address: 10.0.0.0');
  });

  test.each([
    [':8080', '', 8080],
    ['localhost:9153', 'localhost', 9153],
    ['169.254.20.10:8080', '169.254.20.10', 8080],
    ['[::1]:53', '::1', 53],
    ['[fe80::1%eth0]:0', 'fe80::1%eth0', 0],
  ])('the address %s is host "%s" and port %d', (text, host, port) => {
    expect(parseHostPort(tokenOf(text))).toEqual({ host, port });
  });

  test('a missing host becomes the default host', () => {
    expect(parseHostPort(tokenOf(':1'), { defaultHost: 'localhost' })).toEqual({
      host: 'localhost',
      port: 1,
    });
  });

  test.each([
    ['x', 'address x: missing port in address'],
    ['', 'address : missing port in address'],
    ['::1:53', 'address ::1:53: too many colons in address'],
    ['[::1]', 'address [::1]: missing port in address'],
    ['[::1', "address [::1: missing ']' in address"],
    ['[::1]x:1', 'address [::1]x:1: missing port in address'],
    ['[::1]:1:2', 'address [::1]:1:2: too many colons in address'],
    ['a]:1', "address a]:1: unexpected ']' in address"],
    ['[a[b]:1', "address [a[b]:1: unexpected '[' in address"],
    [':99999', 'address :99999: invalid port "99999"; expected a port from 0 to 65535'],
    [':http', 'invalid port "http"'],
    ['a:', 'invalid port ""'],
  ])('the address %s is refused: %s', (text, says) => {
    expectRefused(() => parseHostPort(tokenOf(text)), says);
  });
});
