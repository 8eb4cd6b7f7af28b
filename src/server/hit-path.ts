/**
 * The walk of a hit through one block: its cache, and what the handlers above the cache do to hits in
 * place of being asked.
 *
 * Owns:    whether a block's hits have a walk of their own at all.
 * Hot path, between stops 3 and 5 of 6.
 */
import type { Handler, HitPart } from '../directives/directive.ts';
import { MESSAGE_OCTETS_MAX } from '../dns/limits.ts';
import type { QueryView } from '../dns/question.ts';
import type { HitSource } from '../query/hit-source.ts';
import type { Client } from '../query/responder.ts';

export class HitPath {
  readonly source: HitSource;
  /** The most that counts of what a client offers. */
  readonly payloadOctetsMax: number;
  /** The directive that a hit counts as written by: the topmost that touches it. */
  readonly writer: string;
  readonly #gates: readonly HitPart[];
  readonly #arrangers: readonly HitPart[];

  /** `above` are the handlers above the cache, from top to bottom. */
  constructor(source: HitSource, above: readonly Handler[]) {
    const parts = above.flatMap(({ onHits }) => onHits ?? []);
    this.source = source;
    this.payloadOctetsMax = Math.min(
      MESSAGE_OCTETS_MAX,
      ...parts.flatMap(({ payloadOctetsMax }) => payloadOctetsMax ?? []),
    );
    this.writer = above.find(({ onHits }) => onHits?.arrange !== undefined)?.name ?? 'cache';
    this.#gates = parts.filter((part) => part.wants !== undefined);
    this.#arrangers = parts.filter((part) => part.arrange !== undefined).toReversed();
  }

  /** Whether a handler above the cache must see this query, whatever the cache holds. */
  mustWalk(view: QueryView, client: Client): boolean {
    const gates = this.#gates;
    for (let i = 0; i < gates.length; i++) if (gates[i]!.wants!(view, client)) return true;
    return false;
  }

  /** Lets the handlers above change the response of `octets` octets at `out[at]`. Returns its length. */
  arrange(out: Uint8Array, at: number, octets: number, end: number): number {
    const arrangers = this.#arrangers;
    for (let i = 0; i < arrangers.length; i++) {
      octets = arrangers[i]!.arrange!(out, at, octets, end);
    }
    return octets;
  }
}

/**
 * Undefined if there is no cache for all of the block, or a handler above it must see every hit. Off the
 * hot path: once for each block.
 */
export function hitPathOf(handlers: readonly Handler[]): HitPath | undefined {
  const cacheAt = handlers.findIndex(({ hits }) => hits !== undefined);
  if (cacheAt === -1) return undefined;
  const above = handlers.slice(0, cacheAt);
  return above.some(({ seesHits }) => seesHits)
    ? undefined
    : new HitPath(handlers[cacheAt]!.hits!, above);
}
