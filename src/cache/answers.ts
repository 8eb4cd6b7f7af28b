/** Responses made of cache entries, for queries that walk the chain. */
import { normalize } from '../dns/response.ts';
import type { Query } from '../query/query.ts';
import { Response } from '../query/response.ts';
import type { CacheEntry } from './entry.ts';
import type { CacheParts } from './parts.ts';

/** The response in `wire`, which an entry has written. */
export function cachedResponse(wire: Uint8Array): Response {
  // An entry's octets are in normal form, so normalize accepts them.
  return new Response(normalize(wire, 0, wire.length)!, 'cache');
}

/** Answers with an expired entry (`serve_stale`), whose octets the caller holds. */
export function answerExpired(
  { config, counters }: CacheParts,
  entry: CacheEntry,
  query: Query,
): void {
  if (query.answered) return;
  counters[query.addressIndex]!.servedStale.value++;
  const ttlSec = config.keepTtl ? -1 : config.stale!.ttlSec;
  query.answer(cachedResponse(entry.toWireFor(query, ttlSec)));
}
