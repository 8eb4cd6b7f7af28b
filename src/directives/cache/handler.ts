/**
 * What `cache` does with queries and responses: answers hits, joins identical misses, keeps what
 * comes back, refreshes entries before or after their end. The engine is src/cache/.
 */
import { AnswerCache } from '../../cache/lookup.ts';
import { CacheCounters } from '../../cache/cache-counters.ts';
import { Coalescer } from '../../cache/coalesce.ts';
import type { CacheConfig } from '../../cache/config.ts';
import { type CacheEntry, POSITIVE } from '../../cache/entry.ts';
import { cacheKey } from '../../cache/key.ts';
import { classify, lifetimeSec } from '../../cache/ttl-policy.ts';
import { OPT_OCTETS, frameAnswer } from '../../dns/frame.ts';
import { CD, OPCODE_QUERY } from '../../dns/header.ts';
import { isInZones } from '../../dns/zone.ts';
import type { QueryView } from '../../dns/question.ts';
import { normalize, setTtl } from '../../dns/response.ts';
import type { Query } from '../../query/query.ts';
import { Response } from '../../query/response.ts';
import { ANSWERED, LATER, PASS, type Verdict } from '../../query/verdict.ts';
import { nowMs, toDs } from '../../sys/clock.ts';
import {
  type BuildContext,
  type Handler,
  type HitSource,
  NOT_CACHED,
  NO_ROOM,
} from '../directive.ts';

export class CacheHandler implements Handler, HitSource {
  readonly name = 'cache';
  readonly seesHits = false;
  /** Present if the cache covers all that the block serves: then the server may ask it directly. */
  readonly hits: HitSource | undefined;
  lastRcode = 0;
  lastPlainOctets = 0;
  readonly #config: CacheConfig;
  readonly #cache: AnswerCache;
  readonly #coalescer = new Coalescer();
  /** By server address of the block. */
  readonly #counters: readonly CacheCounters[];

  constructor(config: CacheConfig, context: BuildContext) {
    this.#config = config;
    this.#cache = context.inherit('cache', () => new AnswerCache(config));
    const zones = config.zones.join(',');
    this.#counters = context.servers.map(
      (server) => new CacheCounters(context.metrics, server, zones),
    );
    for (const server of context.servers) {
      for (const type of ['success', 'denial'] as const) {
        const gauge = context.metrics.gauge('coredns_cache_entries', {
          server,
          type,
          zones,
          view: '',
        });
        gauge.read = () => this.#cache[type].size;
      }
    }
    const coversBlock = context.zones.every((zone) => isInZones(zone, config.zones));
    this.hits = coversBlock ? this : undefined;
  }

  /** The walk of a hit. Hot path, stop 4 of 6. */
  answer(
    view: QueryView,
    server: number,
    limitOctets: number,
    nowDs: number,
    out: Uint8Array,
    at: number,
    outEnd: number,
  ): number {
    const checkingDisabled = (view.msg[view.at + 3]! & CD) !== 0;
    const entry = this.#cache.find(view, checkingDisabled, nowDs);
    if (entry === undefined) return NOT_CACHED;
    if (at + entry.neededOctets + OPT_OCTETS > outEnd) return NO_ROOM;
    this.#counters[server]!.countHit(entry.kind === POSITIVE);
    entry.write(out, at, view.qtype, this.#hitTtlSec(entry, nowDs));
    this.lastRcode = entry.rcode;
    this.lastPlainOctets = entry.plainOctets;
    return frameAnswer(view, out, at, entry.wireOctets, limitOctets);
  }

  onQuery(query: Query): Verdict {
    if (!this.#handles(query)) return PASS;
    const counters = this.#counters[query.server]!;
    const nowDs = toDs(nowMs());
    const entry = query.cacheAsked
      ? undefined
      : this.#cache.find(query, query.checkingDisabled, nowDs);
    if (entry !== undefined) {
      counters.countHit(entry.kind === POSITIVE);
      query.answer(responseOf(entry, query, this.#hitTtlSec(entry, nowDs)));
      return ANSWERED;
    }
    counters.requests.value++;
    counters.misses.value++;
    if (this.#coalescer.joins(flightOf(query), query)) {
      counters.coalesced.value++;
      return LATER;
    }
    query.viaCache = true;
    return PASS;
  }

  onResponse(query: Query, response: Response): Response {
    if (!this.#handles(query)) return response;
    const kept = response.failure === undefined ? this.#keep(query, response) : response;
    for (const waiter of this.#coalescer.land(flightOf(query), query)) waiter.answer(kept);
    return kept;
  }

  /** Stores the response if it may be, and gives all its records the TTL of the entry. */
  #keep(query: Query, response: Response): Response {
    const { message } = response;
    const unixSec = Math.floor(Date.now() / 1000);
    const responseClass = classify(message, query.opcode, unixSec);
    if (responseClass === 'meta') return response;
    if (message.nameOctets !== query.nameOctets || message.qtype !== query.qtype) {
      this.#counters[query.server]!.drops.value++;
      return response;
    }
    const ttlSec = lifetimeSec(message, responseClass, this.#config);
    this.#cache.keep(query, query.checkingDisabled, message, responseClass, ttlSec, toDs(nowMs()));
    // Whoever wrote it below has no further use for it, and who waits for it has not seen it yet.
    if (!this.#config.keepTtl) setTtl(message, ttlSec);
    return new Response(message, this.name);
  }

  #handles(query: Query): boolean {
    if (query.opcode !== OPCODE_QUERY) return false;
    return this.hits !== undefined || isInZones(query.name, this.#config.zones);
  }

  /** Negative means: as stored. */
  #hitTtlSec(entry: CacheEntry, nowDs: number): number {
    return this.#config.keepTtl ? -1 : entry.remainingSec(nowDs);
  }
}

function flightOf(query: Query): number {
  const { nameHash, qtype, qclass, dnssecOk, checkingDisabled } = query;
  return cacheKey(nameHash, qtype, qclass, dnssecOk, checkingDisabled);
}

function responseOf(entry: CacheEntry, query: Query, ttlSec: number): Response {
  const wire = entry.toWire(query.qtype, ttlSec);
  // An entry's octets are in normal form, so they cannot be refused.
  return new Response(normalize(wire, 0, wire.length)!, 'cache');
}
