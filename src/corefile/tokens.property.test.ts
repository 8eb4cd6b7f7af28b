import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CorefileError } from './error.ts';
import { tokenize } from './tokens.ts';

/** Characters that mean something to the lexer, far more often than chance would have them. */
const lexical = fc
  .array(
    fc.constantFrom('"', '\\', '#', '{', '}', ' ', '\n', '\r', '\t', 'a', ',', '\u00a0', '\ufeff'),
  )
  .map((characters) => characters.join(''));
const octets = fc
  .uint8Array({ maxLength: 300 })
  .map((bytes) => Buffer.from(bytes).toString('utf8'));
const text = fc.oneof(lexical, octets, fc.string({ unit: 'binary', maxLength: 300 }));

describe('the lexer is total', () => {
  test('any text gives tokens or a CorefileError with a place inside the text', () => {
    fc.assert(
      fc.property(text, (input) => {
        const lines = input.split('\n');
        try {
          for (const token of tokenize(input, 'Corefile')) {
            const line = lines[token.line - 1]!;
            expect(token.column).toBeGreaterThanOrEqual(1);
            expect(token.endLine).toBeGreaterThanOrEqual(token.line);
            if (token.line > 1) {
              expect(token.column + token.length - 1).toBeLessThanOrEqual(line.length);
            }
          }
        } catch (error) {
          if (!(error instanceof CorefileError)) throw error;
          expect(error.place?.line).toBeLessThanOrEqual(lines.length);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test('tokens that are written in quotes, with quotes escaped, read back the same', () => {
    const plain = fc
      .string({ unit: 'grapheme', maxLength: 20 })
      .filter((word) => !word.includes('\\'));
    fc.assert(
      fc.property(fc.array(plain, { maxLength: 20 }), (words) => {
        const source = words.map((word) => `"${word.replaceAll('"', '\\"')}"`).join(' ');
        expect(tokenize(source, 'Corefile').map((token) => token.text)).toEqual(words);
      }),
    );
  });

  test('a place points at the text of its token', () => {
    const word = fc.stringMatching(/^[a-z0-9.:_-]{1,12}$/);
    const space = fc.constantFrom(' ', '  ', '\n', '\t', '\n\n ');
    fc.assert(
      fc.property(fc.array(fc.tuple(space, word), { maxLength: 30 }), (pairs) => {
        const source = pairs.flat().join('');
        const lines = source.split('\n');
        for (const { text: found, line, column, length } of tokenize(source, 'Corefile')) {
          expect(lines[line - 1]!.slice(column - 1, column - 1 + length)).toBe(found);
        }
      }),
    );
  });

  test('the time to split a text grows with its length, not with its square', () => {
    const units = ['a', '"', '\\', '"a\n', '{ ', 'a\r', '\n#', '"\\"'];
    for (const unit of units) {
      const input = unit.repeat(400_000 / unit.length);
      const startedMs = performance.now();
      try {
        tokenize(input, 'Corefile');
      } catch (error) {
        expect(error).toBeInstanceOf(CorefileError);
      }
      // Fifty times the slowest measured; a quadratic lexer would need minutes.
      expect(performance.now() - startedMs).toBeLessThan(2_000);
    }
  });
});
