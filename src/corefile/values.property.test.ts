import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CorefileError } from './error.ts';
import type { Token } from './tokens.ts';
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
} from './values.ts';

function tokenOf(text: string): Token {
  return {
    text,
    kind: 'word',
    quoted: true,
    file: 'Corefile',
    line: 1,
    column: 1,
    length: text.length,
    endLine: 1,
    startsLine: true,
  };
}

describe('values', () => {
  test('a duration that is printed reads back, to the nanosecond for 26 days', () => {
    fc.assert(
      fc.property(
        fc.maxSafeInteger().filter((ns) => Math.abs(ns) < 2 ** 51),
        (ns) => {
          const ms = ns / 1e6;
          expect(parseDuration(tokenOf(formatDuration(ms)))).toBe(ms);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test('an integer that is printed reads back', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        expect(parseInteger(tokenOf(String(value)))).toBe(value);
      }),
    );
  });

  test('any text is read as a value or refused with a CorefileError', () => {
    const nearly = fc
      .array(
        fc.constantFrom('0', '1', '9', '.', ':', '-', '+', 's', 'ms', 'h', '%', '/', '[', ']', 'f'),
      )
      .map((parts) => parts.join(''));
    const readers = [
      parseDuration,
      parseInteger,
      parseUnsigned,
      parseBool,
      parsePercentage,
      parseIp,
      parseCidr,
      parseHostPort,
    ];
    fc.assert(
      fc.property(fc.oneof(nearly, fc.string({ unit: 'binary' })), (text) => {
        for (const read of readers) {
          try {
            read(tokenOf(text));
          } catch (error) {
            expect(error).toBeInstanceOf(CorefileError);
          }
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
