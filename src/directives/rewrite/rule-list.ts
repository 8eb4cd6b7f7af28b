/**
 * The rules of one block, applied to a question in their order.
 *
 * Owns:    which rules a question meets, and when the list ends.
 */
import type { Draft } from './draft.ts';
import type { Rule } from './rule.ts';

export class RuleList {
  readonly #rules: readonly Rule[];
  /** The rules that concern one name only, by that name; their numbers, rising. */
  readonly #byName = new Map<string, number[]>();
  /** The numbers of all others, rising. */
  readonly #others: number[] = [];

  constructor(rules: readonly Rule[]) {
    this.#rules = rules;
    rules.forEach(({ onlyName }, number) => {
      if (onlyName === undefined) {
        this.#others.push(number);
        return;
      }
      const same = this.#byName.get(onlyName);
      if (same === undefined) this.#byName.set(onlyName, [number]);
      else same.push(number);
    });
  }

  /** Rewrites the draft, until a rule ends the list or makes a name that is none. */
  apply(draft: Draft): void {
    for (let next = 0; ;) {
      const matched = this.#applyFrom(next, draft);
      if (matched === -1 || draft.invalidName !== undefined) return;
      if (!this.#rules[matched]!.continues) return;
      next = matched + 1;
    }
  }

  /** Applies the first rule from number `from` on that matches; returns its number, or -1. */
  #applyFrom(from: number, draft: Draft): number {
    const exact = this.#firstOf(draft, from);
    for (const number of this.#others) {
      if (number > exact) break;
      if (number >= from && this.#rules[number]!.apply(draft)) return number;
    }
    if (exact === Infinity) return -1;
    this.#rules[exact]!.apply(draft);
    return exact;
  }

  /** The first rule from number `from` on that concerns just this name; Infinity if there is none. */
  #firstOf(draft: Draft, from: number): number {
    if (this.#byName.size === 0) return Infinity; // spares the query its name as text
    const numbers = this.#byName.get(draft.name);
    return numbers?.find((number) => number >= from) ?? Infinity;
  }
}
