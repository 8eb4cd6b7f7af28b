/**
 * Between the server and a block's cache: a question goes down, and an answer that is ready comes back
 * as octets in a buffer that the listener owns.
 *
 * Owns:    what the two agree upon, so that the server knows no cache and the cache no server.
 * Hot path, between stops 3 and 4 of 6: no allocation, no throw.
 */
import type { QueryView } from '../dns/question.ts';
import type { AddressIndex } from './address-index.ts';
import type { SendSlot } from './responder.ts';

/** The cache has no live answer. */
export const NOT_CACHED = 0;
/** The cache has an answer, larger than the room for it. */
export const NO_ROOM = -1;

/**
 * The facts of an answer that the server counts besides its octets. Owned by the server, and overwritten
 * by each hit.
 */
export class HitFacts {
  rcode: number = 0;
  /** The length without name compression. */
  plainOctets: number = 0;
}

export interface HitSource {
  /**
   * Writes the cached response to `slot`, if there is one and it fits with an OPT behind it, and returns
   * its octets: the caller frames it. `facts` is filled then, and left alone otherwise. Returns NOT_CACHED
   * or NO_ROOM if the query must walk the chain.
   */
  answer(
    view: QueryView,
    addressIndex: AddressIndex,
    nowDs: number,
    slot: SendSlot,
    facts: HitFacts,
  ): number;
}
