/** Pseudo-random choices that a seed repeats. */

/** mulberry32: 32 bits of state, which is plenty for choosing among a few. */
export class Draw {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** A generator of its own for one text: the same text always draws the same. */
  static of(text: string, seed: number): Draw {
    let hash = seed | 0;
    for (const letter of text) hash = Math.imul(hash ^ letter.codePointAt(0)!, 0x01000193);
    return new Draw(hash);
  }

  /** An integer from 0 to `limit` - 1. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  /** True once in `n` times. */
  once(n: number): boolean {
    return this.below(n) === 0;
  }

  among<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }
}
