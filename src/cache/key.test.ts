import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { EVERY_TYPE, cacheKey } from './key.ts';

const NAME = 0x12345678;

test('a key is a whole number of 30 bits, so that V8 keeps it as a small integer', () => {
  const word = fc.integer();
  const u16 = fc.nat(0xffff);
  fc.assert(
    fc.property(word, u16, u16, fc.boolean(), fc.boolean(), (...question) => {
      const key = cacheKey(...question);
      expect(key).toBe(key & 0x3fffffff);
      expect(cacheKey(...question)).toBe(key);
    }),
  );
});

test('name, type, class, DO and CD all make a difference', () => {
  const keys = [NAME, NAME + 1, -NAME].flatMap((name) =>
    [0, 1, 28, 255, 65535, EVERY_TYPE].flatMap((type) =>
      [1, 3, 255].flatMap((qclass) =>
        [false, true].flatMap((dnssecOk) =>
          [false, true].map((disabled) => cacheKey(name, type, qclass, dnssecOk, disabled)),
        ),
      ),
    ),
  );
  expect(new Set(keys).size).toBe(keys.length);
});

test('the types and names of one hash spread over all keys', () => {
  const low = new Set<number>();
  for (let type = 0; type < 4096; type++) low.add(cacheKey(NAME, type, 1, false, false) & 0xfff);
  // Thrown at random, 4096 balls leave about 1/e of 4096 boxes empty.
  expect(low.size).toBeGreaterThan(2400);
});
