/**
 * In which order a query tries its upstreams: the policy's, then by health.
 *
 * Owns:    the order, and the turn of `round_robin`.
 */
import { randomBelow } from '../sys/random.ts';
import type { ForwardConfig } from './config.ts';
import type { Upstream } from './upstream.ts';

export class Policy {
  readonly #kind: ForwardConfig['policy'];
  readonly #upstreams: readonly Upstream[];
  readonly #failsMax: number;
  #turn = 0;

  constructor(kind: ForwardConfig['policy'], upstreams: readonly Upstream[], failsMax: number) {
    this.#kind = kind;
    this.#upstreams = upstreams;
    this.#failsMax = failsMax;
  }

  /** Every upstream once: those that are up first, then the suspects, then those that are down. */
  order(): readonly Upstream[] {
    const ordered = this.#ordered();
    if (ordered.every((upstream) => upstream.health.state(this.#failsMax) === 'up')) return ordered;
    const rank = { up: 0, suspect: 1, down: 2 } as const;
    return [...ordered].sort(
      (a, b) => rank[a.health.state(this.#failsMax)] - rank[b.health.state(this.#failsMax)],
    );
  }

  /** Whether there is none left that is not down. */
  get allDown(): boolean {
    return this.#upstreams.every((upstream) => upstream.health.state(this.#failsMax) === 'down');
  }

  /** Whether there is one that nothing is known against. */
  get anyUp(): boolean {
    return this.#upstreams.some((upstream) => upstream.health.state(this.#failsMax) === 'up');
  }

  #ordered(): readonly Upstream[] {
    const upstreams = this.#upstreams;
    const count = upstreams.length;
    if (count === 1) return upstreams;
    switch (this.#kind) {
      case 'sequential':
        return upstreams;
      case 'round_robin': {
        // CoreDNS counts before it chooses: the first query goes to the second upstream.
        this.#turn = (this.#turn + 1) % count;
        const first = upstreams[this.#turn]!;
        return [first, ...upstreams.filter((_, i) => i !== this.#turn)];
      }
      case 'random': {
        const shuffled = [...upstreams];
        for (let i = count - 1; i > 0; i--) {
          const other = randomBelow(i + 1);
          [shuffled[i], shuffled[other]] = [shuffled[other]!, shuffled[i]!];
        }
        return shuffled;
      }
      default:
        return this.#kind satisfies never;
    }
  }
}
