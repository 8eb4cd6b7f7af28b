import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NameCompressor } from './compress.ts';
import { expandName, lowerText, nameFromText, nameToText } from './name.ts';

const OUT_OCTETS = 0x10000;
const compressor = new NameCompressor();

interface Written {
  readonly out: Uint8Array;
  /** Where each name begins, and the offset just past the last. */
  readonly at: readonly number[];
}

/** Writes the names one behind the other, from `from` on. */
function write(
  names: readonly string[],
  options: { out?: Uint8Array; from?: number; allowed?: boolean } = {},
): Written {
  const { out = new Uint8Array(OUT_OCTETS), from = 12, allowed = true } = options;
  compressor.reset(out, 0);
  const at = [from];
  for (const name of names) {
    const wire = nameFromText(name)!;
    at.push(compressor.write(wire, wire.length, at.at(-1)!, allowed));
  }
  return { out, at };
}

function read({ out, at }: Written): string[] {
  return at.slice(0, -1).map((from) => {
    const name = new Uint8Array(255);
    const octets = expandName(out, from, at.at(-1)!, name, 0);
    return octets < 0 ? 'malformed' : nameToText(name);
  });
}

const hex = ({ out, at }: Written): string =>
  Buffer.from(out.subarray(at[0], at.at(-1))).toString('hex');

describe('names that stand in the message already become pointers (RFC 1035 section 4.1.4)', () => {
  test.each([
    { names: ['a.b.'], wire: '0161016200', because: 'nothing stands there yet' },
    { names: ['a.b.', 'a.b.'], wire: '0161016200c00c', because: 'the whole name stands there' },
    { names: ['a.b.', 'c.b.'], wire: '01610162000163c00e', because: 'its tail stands there' },
    { names: ['a.b.', 'c.b.', 'd.c.b.'], wire: '01610162000163c00e0164c011', because: 'of both' },
    { names: ['a.B.', 'C.b.'], wire: '01610142000143c00e', because: 'case does not count' },
    { names: ['.', '.'], wire: '0000', because: 'the root is shorter than a pointer' },
    { names: ['ab.', 'b.'], wire: '02616200016200', because: 'half a label is no tail' },
  ])('$names become $wire: $because', ({ names, wire }) => {
    expect(hex(write(names))).toBe(wire);
  });

  test('a name is written in full where compression is not allowed (RFC 3597 section 4)', () => {
    expect(hex(write(['a.', 'a.'], { allowed: false }))).toBe('016100016100');
  });

  test('a name that was written in full can be pointed to', () => {
    const out = new Uint8Array(64);
    compressor.reset(out, 0);
    const name = nameFromText('a.')!;
    expect(compressor.write(name, 3, 12, false)).toBe(15);
    expect(compressor.write(name, 3, 15, true)).toBe(17);
    expect(Buffer.from(out.subarray(15, 17)).toString('hex')).toBe('c00c');
  });

  test('a message that does not begin at offset 0 counts from its own beginning', () => {
    const out = new Uint8Array(64);
    const name = nameFromText('a.')!;
    compressor.reset(out, 20);
    compressor.write(name, 3, 32, true);
    compressor.write(name, 3, 35, true);
    expect(Buffer.from(out.subarray(35, 37)).toString('hex')).toBe('c00c');
  });
});

test('a pointer holds 14 bits, so names beyond 0x3fff are never pointed to', () => {
  for (const from of [0x3ffe, 0x3fff, 0x4000, 0x8000]) {
    const written = write(['a.b.', 'a.b.', 'c.b.'], { from });
    expect(read(written)).toEqual(['a.b.', 'a.b.', 'c.b.']);
    expect(written.at[2]! - written.at[1]!).toBe(from <= 0x3fff ? 2 : 5);
  }
});

test('a message that does not know a name is not led astray by one that was there before', () => {
  // The memory is reused: where "x.a." is about to be written, "a." stands from the message before.
  const out = new Uint8Array(64);
  for (let label = 0; label < 1000; label++) {
    out.set(nameFromText('a.')!, 12);
    const [found] = read(write([`x${label}.a.`], { out }));
    if (found !== `x${label}.a.`) expect(found).toBe(`x${label}.a.`);
  }
});

const label = fc.constantFrom('a', 'b', 'A', 'ab', 'x'.repeat(63), '\\000', '\\.');
const name = fc
  .array(label, { maxLength: 6 })
  .map((labels) => labels.map((text) => `${text}.`).join('') || '.')
  .filter((text) => nameFromText(text) !== undefined);

test('names that were written can be read, whatever stood in memory before', () => {
  fc.assert(
    fc.property(
      fc.array(name, { maxLength: 400 }),
      fc.array(name, { maxLength: 40 }),
      fc.nat(0x5000),
      (names, before, from) => {
        const { out } = write(before, { from: 12 + from });
        const written = write(names, { out, from: 12 + from });
        expect(read(written).map(lowerText)).toEqual(names.map(lowerText));
      },
    ),
    { numRuns: 60 },
  );
});
