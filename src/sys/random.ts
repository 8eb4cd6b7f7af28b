/**
 * Unpredictable numbers for message IDs, source ports and hash seeds (RFC 5452 section 4).
 *
 * Drawn from the operating system's generator a block at a time: one call of randomFillSync costs
 * about 1 us, whatever its size.
 */
import { randomFillSync } from 'node:crypto';

const pool = new Uint16Array(512);
let next: number = pool.length;

/** 0 to 65535, uniform and unpredictable. */
export function random16(): number {
  if (next === pool.length) {
    randomFillSync(pool);
    next = 0;
  }
  return pool[next++]!;
}

/** A whole number from 0 to `below` - 1, uniform; `below` is 1 to 65536. */
export function randomBelow(below: number): number {
  const limit = 65536 - (65536 % below); // draws from there on would favour small numbers
  for (;;) {
    const drawn = random16();
    if (drawn < limit) return drawn % below;
  }
}

/** 30 bits: what stays a small integer in V8 on every platform. */
export function random30(): number {
  return ((random16() << 15) ^ random16()) & 0x3fffffff;
}
