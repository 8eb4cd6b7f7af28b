import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expandName, nameFromText, namesEqual, nameToText, skipName } from './name.ts';

describe('a name in presentation form becomes wire form (RFC 1035 section 5.1)', () => {
  test.each([
    { text: '.', wire: [0] },
    { text: 'a.', wire: [1, 0x61, 0] },
    { text: 'a', wire: [1, 0x61, 0] },
    { text: 'A.b', wire: [1, 0x41, 1, 0x62, 0] },
    { text: String.raw`a\.b.c`, wire: [3, 0x61, 0x2e, 0x62, 1, 0x63, 0] },
    { text: String.raw`\000.x`, wire: [1, 0, 1, 0x78, 0] },
    { text: 'é.', wire: [2, 0xc3, 0xa9, 0] },
  ])('$text becomes $wire', ({ text, wire }) => {
    expect(Array.from(nameFromText(text)!)).toEqual(wire);
  });

  test.each([
    ['', 'is empty'],
    ['..', 'has an empty label'],
    ['a..b', 'has an empty label inside'],
    ['.a', 'begins with an empty label'],
    [`${'a'.repeat(64)}.`, 'has a label of 64 octets'],
    [`${'a'.repeat(63)}.`.repeat(4), 'is 257 octets long'],
    ['a\\', 'ends within an escape'],
    ['\\999', 'escapes an octet that there is not'],
  ])('%s is refused: it %s', (text) => {
    expect(nameFromText(text)).toBeUndefined();
  });

  test('255 octets are allowed, 256 are not (RFC 1035 section 2.3.4)', () => {
    const most = `${'a'.repeat(63)}.`.repeat(3) + 'a'.repeat(61);
    expect(nameFromText(most)?.length).toBe(255);
    expect(nameFromText(`${most}a`)).toBeUndefined();
  });
});

test('presentation form and wire form are inverse to each other', () => {
  const label = fc.uint8Array({ minLength: 1, maxLength: 63 });
  fc.assert(
    fc.property(fc.array(label, { maxLength: 3 }), (labels) => {
      const wire = Uint8Array.from([...labels.flatMap((l) => [l.length, ...l]), 0]);
      expect(nameFromText(nameToText(wire))).toEqual(wire);
    }),
  );
});

describe('compression pointers (RFC 1035 section 4.1.4)', () => {
  const out = new Uint8Array(255);
  test('a pointer to an earlier name is followed', () => {
    const msg = Uint8Array.of(1, 0x61, 0, 1, 0x62, 0xc0, 0);
    expect(skipName(msg, 3, msg.length)).toBe(7);
    const length = expandName(msg, 3, msg.length, out, 0);
    expect(nameToText(out.slice(0, length))).toBe('b.a.');
  });
  test.each([
    { msg: [0xc0, 0], because: 'points to itself' },
    { msg: [1, 0x61, 0xc0, 0], because: 'loops' },
    { msg: [0xc0, 5, 0, 0, 0, 0], because: 'points forward' },
    { msg: [0xc0], because: 'is cut' },
    { msg: [2, 0x61], because: 'runs past the end' },
    { msg: [0x40, 0], because: 'has a reserved label type' },
  ])('a name that $because is malformed', ({ msg }) => {
    expect(expandName(Uint8Array.from(msg), 0, msg.length, out, 0)).toBe(-1);
  });

  test('no octets make reading a name throw, hang or write past 255', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat(600), (msg, at) => {
        const guarded = new Uint8Array(300).fill(7);
        const length = expandName(msg, at, msg.length, guarded, 0);
        expect(length).toBeLessThanOrEqual(255);
        expect(guarded.subarray(255).every((octet) => octet === 7)).toBe(true);
        expect(skipName(msg, at, msg.length)).toBeLessThanOrEqual(msg.length);
      }),
    );
  });
});

test('names are equal without regard to case (RFC 4343)', () => {
  const a = nameFromText('wWw.Example.')!;
  const b = nameFromText('www.eXAMPLE.')!;
  expect(namesEqual(a, 0, b, 0, a.length)).toBe(true);
});
