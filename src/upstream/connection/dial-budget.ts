/**
 * How many connections to one upstream there may be, and how soon others take the place of those that
 * were of no use: they count for a while as if they were open. So an upstream that is slow never sees
 * more than 8, and one that is mute sees 8 and then one each 2 s, however many queries wait for it.
 */

/** Conntrack entries that a node may cost its upstream (the goal is 8 for all of them). */
export const CONNECTIONS_MAX = 8;
/** One of those that were of no use is forgotten each time that so much has passed. */
const FORGET_MS = 2000;

export class DialBudget {
  #wasted = 0;
  #forgottenMs = 0;

  /** Whether one may be opened where `open` are. */
  allows(now: number, open: number): boolean {
    this.#forget(now);
    return open + this.#wasted < CONNECTIONS_MAX;
  }

  /** We have closed one that never answered anything. */
  waste(now: number): void {
    this.#forget(now);
    if (this.#wasted === 0) this.#forgottenMs = now;
    this.#wasted++;
  }

  #forget(now: number): void {
    if (this.#wasted === 0) return;
    const count = Math.floor((now - this.#forgottenMs) / FORGET_MS);
    if (count === 0) return;
    this.#wasted = Math.max(0, this.#wasted - count);
    this.#forgottenMs += count * FORGET_MS;
  }
}
