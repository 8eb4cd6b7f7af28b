import { describe, expect, test } from 'vitest';
import { copyOctets } from './octets.ts';
import { rcodeFromName, rcodeName } from './rcode.ts';
import { classFromName, className, typeFromName, typeName } from './rrtype.ts';

describe('response codes (RFC 6895 section 2.3)', () => {
  test.each([
    [0, 'NOERROR'],
    [3, 'NXDOMAIN'],
    [4, 'NOTIMP'],
    [11, 'DSOTYPENI'],
    [16, 'BADVERS'],
    [23, 'BADCOOKIE'],
  ])('RCODE %i is called %s', (rcode, name) => {
    expect(rcodeName(rcode)).toBe(name);
    expect(rcodeFromName(name.toLowerCase())).toBe(rcode);
  });

  test.each([12, 15, 24, 4095])('RCODE %i has no name of its own', (rcode) => {
    expect(rcodeName(rcode)).toBe(`RCODE${rcode}`);
  });

  test.each(['', 'foo', 'undefined', 'RCODE24', 'NOTIMPL'])('%j is not an RCODE', (name) => {
    expect(rcodeFromName(name)).toBeUndefined();
  });
});

describe('types and classes (RFC 6895 section 3, RFC 3597 section 5)', () => {
  test.each([
    [1, 'A'],
    [28, 'AAAA'],
    [65, 'HTTPS'],
    [255, 'ANY'],
    [257, 'CAA'],
    [0, 'TYPE0'],
    [65280, 'TYPE65280'],
    [65535, 'TYPE65535'],
  ])('type %i is called %s', (type, name) => {
    expect(typeName(type)).toBe(name);
    expect(typeFromName(name)).toBe(type);
  });

  test.each([
    [1, 'IN'],
    [3, 'CH'],
    [255, 'ANY'],
    [2048, 'CLASS2048'],
  ])('class %i is called %s', (rrClass, name) => {
    expect(className(rrClass)).toBe(name);
    expect(classFromName(name)).toBe(rrClass);
  });

  test('TYPE1 means A too, and CLASS1 means IN', () => {
    expect(typeFromName('TYPE1')).toBe(1);
    expect(classFromName('CLASS1')).toBe(1);
  });

  test.each(['a', 'TYPE', 'TYPE-1', 'TYPE65536', 'TYPE1.5', 'toString', ''])(
    '%j is neither a type nor a class',
    (name) => {
      expect(typeFromName(name)).toBeUndefined();
      expect(classFromName(name.replace('TYPE', 'CLASS'))).toBeUndefined();
    },
  );
});

describe('a copy of octets', () => {
  test.each([{ source: Uint8Array.of(1, 2, 3) }, { source: Buffer.from([1, 2, 3]) }])(
    'shares no memory with $source.constructor.name',
    ({ source }) => {
      const copy = copyOctets(source, 1, 3);
      source.fill(9);
      expect(copy).toEqual(Uint8Array.of(2, 3));
      expect(copyOctets(source)).toEqual(Uint8Array.of(9, 9, 9));
    },
  );
});
