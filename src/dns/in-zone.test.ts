import { describe, expect, test } from 'vitest';
import { isInZone } from './in-zone.ts';

describe('a name is in a zone if its last labels are the zone (RFC 1034 section 3.1)', () => {
  test.each([
    { name: 'a.example.', zone: '.', holds: true },
    { name: '.', zone: '.', holds: true },
    { name: '.', zone: 'example.', holds: false },
    { name: 'example.', zone: 'example.', holds: true },
    { name: 'a.example.', zone: 'example.', holds: true },
    { name: 'anexample.', zone: 'example.', holds: false },
    { name: String.raw`a\.example.`, zone: 'example.', holds: false },
    { name: String.raw`a\\.example.`, zone: 'example.', holds: true },
    { name: 'example.', zone: 'a.example.', holds: false },
  ])('is $name in the zone $zone? $holds', ({ name, zone, holds }) => {
    expect(isInZone(name, zone)).toBe(holds);
  });
});
