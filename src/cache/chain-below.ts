/**
 * The handlers below the cache. The cache sends its own queries there, and resumes queries that have
 * waited.
 *
 * Owns: the shape of the cache's own queries: no client, and no handler above sees their responses.
 */
import type { QueryFacts } from '../dns/question.ts';
import type { AddressIndex } from '../query/address-index.ts';
import { Query, type QueryChain } from '../query/query.ts';
import type { Response } from '../query/response.ts';
import { nowMs } from '../sys/clock.ts';

export class ChainBelow {
  #chain: QueryChain | undefined;
  #from = 0;

  /** `depth` is that of the cache's own handler. */
  attach(chain: QueryChain, depth: number): void {
    this.#chain = chain;
    this.#from = depth + 1;
  }

  get isAttached(): boolean {
    return this.#chain !== undefined;
  }

  /** Whether an answer can be expected soon. */
  isReachable(): boolean {
    return this.#chain!.isReachable(this.#from);
  }

  /** Sends a client's query on that the cache had kept for later. */
  resume(query: Query): void {
    this.#chain!.run(query, this.#from);
  }

  /** Asks a question of our own. `done` is called once, perhaps before this returns. */
  ask(
    question: QueryFacts,
    addressIndex: AddressIndex,
    done: (own: Query, response: Response) => void,
  ): void {
    const own = new Query(question, undefined, nowMs(), { deliver: done });
    own.addressIndex = addressIndex;
    own.viaCache = true;
    own.floor = this.#from;
    this.#chain!.run(own, this.#from);
  }
}
