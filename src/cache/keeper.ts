/**
 * Puts what comes from below into the cache: classified, with its lifetime, or dropped.
 *
 * Owns:    what an incoming response leaves in the stores and in what is known of the names above it.
 * Is not:  the rules for classes and lifetimes (ttl-policy.ts), nor those of the stores (answer-cache.ts).
 */
import { NOERROR, NXDOMAIN } from '../dns/rcode.ts';
import { setTtl } from '../dns/response.ts';
import type { Query } from '../query/query.ts';
import type { Response } from '../query/response.ts';
import { nowMs, toDs } from '../sys/clock.ts';
import type { CacheEntry } from './entry.ts';
import type { CacheParts } from './parts.ts';
import { classify, lifetimeSec } from './ttl-policy.ts';

export class Keeper {
  readonly #parts: CacheParts;

  constructor(parts: CacheParts) {
    this.#parts = parts;
  }

  /**
   * Stores the response if the policy allows it, and returns it with the entry's TTL in all its records.
   * The new entry inherits the count of hits of the one that it replaces.
   */
  keep(query: Query, response: Response, replaced?: CacheEntry): Response {
    const { config, cache, cuts, counters } = this.#parts;
    const { message } = response;
    const unixSec = Math.floor(Date.now() / 1000);
    const responseClass = classify(message, query.opcode, unixSec);
    if (responseClass === 'meta') return response;
    if (message.nameOctets !== query.nameOctets || message.qtype !== query.qtype) {
      counters[query.addressIndex]!.drops.value++;
      return response;
    }
    const ttlSec = lifetimeSec(message, responseClass, config);
    const nowDs = toDs(nowMs());
    const entry = cache.keep(query, message, responseClass, ttlSec, nowDs);
    cuts?.learn(query, message, nowDs);
    if (entry !== undefined && replaced !== undefined) {
      entry.hits = replaced.hits;
      entry.lastHitDs = replaced.lastHitDs;
    }
    // The handler that wrote the message has no further use for it, and the waiters have not seen it yet.
    if (!config.keepTtl) setTtl(message, ttlSec);
    return response.with(message, 'cache');
  }

  /** Keeps a failure for a moment, so that retries do not pile up where there is trouble. */
  keepFailure(query: Query, { message, failure }: Response): void {
    const seconds = Math.min(failure!.restSec, this.#parts.config.servfailSec);
    this.#parts.cache.keep(query, message, 'server-error', seconds, toDs(nowMs()));
  }
}

/** Whether the response says something of the name: other RCODEs speak of the upstream's own trouble. */
export function bringsNews({ failure, rcode }: Response): boolean {
  return failure === undefined && (rcode === NOERROR || rcode === NXDOMAIN);
}
