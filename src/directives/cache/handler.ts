/**
 * `cache` in a chain: the choice of its queries, and its metrics. The cache itself is in src/cache/:
 * resolver.ts for misses, hits.ts for hits.
 *
 * Owns:    the choice of queries by zone and opcode.
 */
import { AnswerCache } from '../../cache/answer-cache.ts';
import type { CacheConfig } from '../../cache/config.ts';
import { CacheCounters } from '../../cache/counters.ts';
import { Cuts } from '../../cache/denial/cut.ts';
import { Resolver } from '../../cache/resolver.ts';
import { OPCODE_QUERY } from '../../dns/header.ts';
import { isInZones } from '../../dns/in-zone.ts';
import type { Metrics } from '../../observe/metrics.ts';
import type { HitSource } from '../../query/hit-source.ts';
import type { Query, QueryChain } from '../../query/query.ts';
import type { Response } from '../../query/response.ts';
import { PASS, type Verdict } from '../../query/verdict.ts';
import type { BuildContext, Handler } from '../directive.ts';

export class CacheHandler implements Handler {
  readonly name = 'cache';
  readonly seesHits = false;
  /** Present if the cache covers all that the block serves: then the server may ask it directly. */
  readonly hits: HitSource | undefined;
  readonly #zones: readonly string[];
  readonly #resolver: Resolver;

  constructor(config: CacheConfig, context: BuildContext) {
    this.#zones = config.zones;
    const cache = context.keep('cache', () => new AnswerCache(config));
    const cuts = config.cutZones.length === 0 ? undefined : new Cuts(config.cutZones, cache);
    const zones = config.zones.join(',');
    const counters = context.servers.map((server) => {
      showStores(cache, context.metrics, server, zones);
      return new CacheCounters(context.metrics, server, zones);
    });
    this.#resolver = new Resolver({ config, cache, cuts, counters });
    const coversBlock = context.zones.every((zone) => isInZones(zone, config.zones));
    this.hits = coversBlock ? this.#resolver.hits : undefined;
  }

  attach(chain: QueryChain, depth: number): void {
    this.#resolver.attach(chain, depth);
  }

  onQuery(query: Query): Verdict {
    return this.#handles(query) ? this.#resolver.ask(query) : PASS;
  }

  onResponse(query: Query, response: Response): Response {
    return this.#handles(query) ? this.#resolver.respond(query, response) : response;
  }

  #handles(query: Query): boolean {
    if (query.opcode !== OPCODE_QUERY) return false;
    return this.hits !== undefined || isInZones(query.name, this.#zones);
  }
}

function showStores(cache: AnswerCache, metrics: Metrics, server: string, zones: string): void {
  for (const type of ['success', 'denial'] as const) {
    const labels = { server, type, zones, view: '' };
    const entries = metrics.gauge('coredns_cache_entries', labels);
    entries.read = () => cache[type].size;
    const evictions = metrics.counter('coredns_cache_evictions_total', labels);
    evictions.read = () => cache[type].evictions;
  }
}
