/** Messages as a hostile network makes them: random, or right ones gone wrong, and repeatable. */
import { TYPES, opt, option, query, u16 } from './message.ts';

/** Numbers that look random and are the same for the same seed (mulberry32). */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 to `below` - 1. */
  integer(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let hash = this.#state;
    hash = Math.imul(hash ^ (hash >>> 15), hash | 1);
    hash ^= hash + Math.imul(hash ^ (hash >>> 7), hash | 61);
    return Math.floor((((hash ^ (hash >>> 14)) >>> 0) / 2 ** 32) * below);
  }

  pick<T>(of: readonly T[]): T {
    return of[this.integer(of.length)]!;
  }

  octets(count: number): Buffer {
    return Buffer.from(Array.from({ length: count }, () => this.integer(256)));
  }
}

const INTERESTING = [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff];

/** A copy of the message with one to four things wrong with it. */
export function mutate(chance: Chance, message: Buffer): Buffer {
  let octets = Buffer.from(message);
  for (let left = 1 + chance.integer(4); left > 0; left--) {
    const at = chance.integer(Math.max(octets.length, 1));
    switch (chance.integer(8)) {
      case 0:
        if (octets.length > 0) octets[at] = chance.integer(256);
        break;
      case 1:
        if (octets.length > 0) octets[at] = octets[at]! ^ (1 << chance.integer(8));
        break;
      case 2:
        if (octets.length > 0) octets[at] = chance.pick(INTERESTING);
        break;
      case 3:
        octets = octets.subarray(0, at);
        break;
      case 4:
        octets = Buffer.concat([octets, chance.octets(chance.integer(40))]);
        break;
      case 5: {
        const from = chance.integer(Math.max(octets.length, 1));
        const piece = octets.subarray(from, from + chance.integer(20));
        octets = Buffer.concat([octets.subarray(0, at), piece, octets.subarray(at)]);
        break;
      }
      case 6: // a count
        if (octets.length >= 12)
          u16(chance.pick([0, 1, 2, 3, 0xffff])).copy(octets, 4 + 2 * chance.integer(4));
        break;
      default: // a pointer somewhere
        if (octets.length > at + 1) Buffer.of(0xc0, chance.integer(octets.length)).copy(octets, at);
    }
  }
  return octets;
}

/** A well-formed query of some kind, mostly for a few names so that caches are hit. */
function someQuery(chance: Chance): Buffer {
  const name = chance.pick([
    `n${chance.integer(50)}.example`,
    'a.b.c.d.e.f.g.h.example',
    '',
    `${'x'.repeat(63)}.example`,
    `N${chance.integer(50)}.EXAMPLE`,
  ]);
  const data = option(chance.pick([3, 8, 10, 11, 12, 65_001]), chance.octets(chance.integer(30)));
  return query(name, chance.pick([...Object.values(TYPES), 0, 65, 251, 252, 65_535]), {
    flags: chance.integer(0x10000) & 0x07ff,
    opcode: chance.pick([0, 0, 0, 0, 4, 5, chance.integer(16)]),
    qclass: chance.pick([1, 1, 1, 1, 3, 254, 255, chance.integer(0x10000)]),
    ...(chance.integer(2) === 0
      ? {}
      : { edns: { payload: chance.integer(0x10000), version: chance.pick([0, 0, 0, 1]), data } }),
    ...(chance.integer(8) === 0 ? { trailing: opt({ data }) } : {}),
  });
}

/** A message that a client sends in a fuzz: random octets, a query gone wrong, or a right one. */
export function someDatagram(chance: Chance): Buffer {
  const kind = chance.integer(10);
  if (kind === 0) return chance.octets(chance.integer(600));
  if (kind === 1) return someQuery(chance);
  return mutate(chance, someQuery(chance));
}
