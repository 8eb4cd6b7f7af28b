import { array, assert, constantFrom, domain, ipV4, ipV6, oneof, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readAddress, readHostName } from './addresses.ts';

describe('addresses and host names', () => {
  test('whatever the text, nothing is thrown, and a port is within its range', () => {
    const piece = constantFrom('a', '1', '.', ':', '[', ']', '%', '-', '::1', '53', '99999', '_');
    assert(
      property(array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('');
        for (const found of [readAddress(text, 53), readHostName(text, 53)]) {
          if (found === undefined) continue;
          expect(found.port).toBeGreaterThan(0);
          expect(found.port).toBeLessThanOrEqual(0xffff);
          expect(text).toContain(found.host);
        }
      }),
    );
  });

  test('nothing is both', () => {
    const address = oneof(ipV4(), ipV6());
    assert(
      property(address, (text) => {
        expect(readAddress(text, 53)).toEqual({ host: text, port: 53 });
        expect(readHostName(text, 53)).toBeUndefined();
      }),
    );
    assert(property(domain(), (text) => readAddress(text, 53) === undefined));
  });

  test.each([
    ['a'.repeat(63), true],
    ['a'.repeat(64), false],
    [Array.from({ length: 127 }, () => 'a').join('.'), true],
    [Array.from({ length: 128 }, () => 'a').join('.'), false],
  ])('%s is within the limits of names: %s', (name, is) => {
    expect(readHostName(name, 53) !== undefined).toBe(is);
  });
});
