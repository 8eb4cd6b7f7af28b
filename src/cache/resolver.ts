/**
 * The walk of a miss through the cache, from the query's arrival to the answers of all queries that waited
 * with it. The steps come in this order, each in a file of its own:
 *
 *   find      a live entry, where the walk of a hit has not looked      hits.ts
 *   cut       ... or the denial of a name above                         denial/cut.ts
 *   stale     an expired entry answers, at once or after a refresh      waiting/stale.ts
 *   probe     the query waits for news of a name above                  waiting/probe.ts
 *   coalesce  the query waits for an identical one in flight            waiting/coalesce.ts
 *   keep      the response from below enters the stores                 keeper.ts
 *   refresh   our own query replaces an entry before or after its end   waiting/refresh.ts
 *
 * Owns:    the order of the steps.
 * Is not:  the directive (directives/cache), which decides whether a query is the cache's at all.
 */
import { A, HINFO } from '../dns/rrtype.ts';
import type { Query, QueryChain } from '../query/query.ts';
import type { Response } from '../query/response.ts';
import { LATER, PASS, type Verdict } from '../query/verdict.ts';
import { nowMs, toDs } from '../sys/clock.ts';
import { ChainBelow } from './chain-below.ts';
import { Hits } from './hits.ts';
import { Keeper } from './keeper.ts';
import { denialKey, questionKey } from './key.ts';
import type { CacheParts } from './parts.ts';
import { Coalescer } from './waiting/coalesce.ts';
import { passOn } from './waiting/pass-on.ts';
import { Probes } from './waiting/probe.ts';
import { Refreshes } from './waiting/refresh.ts';
import { Stale } from './waiting/stale.ts';

export class Resolver {
  readonly hits: Hits;
  readonly #parts: CacheParts;
  readonly #below = new ChainBelow();
  readonly #keeper: Keeper;
  readonly #coalescer = new Coalescer();
  /** Undefined without `serve_stale`. */
  readonly #stale: Stale | undefined;
  /** Undefined without `nxdomain_cut`. */
  readonly #probes: Probes | undefined;
  readonly #resume = (query: Query): void => this.#goOn(query);

  constructor(parts: CacheParts) {
    const { config, cuts } = parts;
    this.#parts = parts;
    this.#keeper = new Keeper(parts);
    const refreshes = new Refreshes(parts, this.#below, this.#keeper, this.#resume);
    this.hits = new Hits(parts, refreshes);
    this.#stale = config.stale && new Stale(parts, config.stale, refreshes, this.#below);
    this.#probes = cuts && new Probes(parts, cuts, this.#below, this.#keeper, this.#resume);
  }

  attach(chain: QueryChain, depth: number): void {
    this.#below.attach(chain, depth);
  }

  /** Answers, keeps the query for later, or passes: then `respond` must see its response. */
  ask(query: Query): Verdict {
    return this.#ask(query, query.cacheAsked);
  }

  #ask(query: Query, cacheAsked: boolean): Verdict {
    const nowDs = toDs(nowMs());
    const entry = cacheAsked ? undefined : this.hits.find(query, nowDs);
    if (entry !== undefined) return this.hits.answerQuery(query, entry, nowDs);
    let verdict: Verdict = this.#stale?.answer(query, nowDs) ?? PASS;
    if (verdict === PASS) verdict = this.#askAbove(query, nowDs);
    if (verdict === PASS) verdict = this.#coalesce(query, nowDs);
    return verdict;
  }

  /**
   * Lets the query wait for news of a name above it that may not exist, instead of asking for each
   * name below. It does not wait for news that cannot be learned now.
   */
  #askAbove(query: Query, nowDs: number): Verdict {
    const unknown = this.#parts.cuts?.findUnknown(query, nowDs);
    if (unknown === undefined) return PASS;
    if (this.#probes!.letWait(query, unknown, nowDs)) return LATER;
    return this.#stale?.answerFromCut(query, nowDs) ?? PASS;
  }

  #coalesce(query: Query, nowDs: number): Verdict {
    const counters = this.#parts.counters[query.addressIndex]!;
    counters.requests.value++;
    counters.misses.value++;
    // HINFO is what `loop` asks, and it must see its question each time that it comes round again.
    if (query.qtype !== HINFO && this.#joins(query, nowDs)) {
      counters.coalesced.value++;
      return LATER;
    }
    query.viaCache = true;
    return PASS;
  }

  /**
   * Whether the query waits for another one: an identical one, or where its NXDOMAIN would do, the question for
   * A of the same name, since a stub resolver asks for A and AAAA at once.
   */
  #joins(query: Query, nowDs: number): boolean {
    if (this.#parts.cache.fallsWithA(query, nowDs)) {
      const name = denialKey(query.nameHash, query);
      if (query.qtype === A) return this.#coalescer.joins(name, query);
      if (this.#coalescer.follows(name, query)) return true;
    }
    return this.#coalescer.joins(questionKey(query), query);
  }

  /** Keeps the response to a query that had passed, and answers the queries that waited for it. */
  respond(query: Query, response: Response): Response {
    let kept = response;
    if (response.failure === undefined) kept = this.#keeper.keep(query, response);
    else this.#keeper.keepFailure(query, response);
    this.#land(questionKey(query), query, kept);
    this.#land(denialKey(query.nameHash, query), query, kept);
    return kept;
  }

  #land(flight: number, query: Query, kept: Response): void {
    const waiters = this.#coalescer.land(flight, query);
    for (const waiter of waiters) passOn(kept, query, waiter, this.#resume);
  }

  /** A query that waited for news of another question goes on with what is known now. */
  #goOn(query: Query): void {
    if (!query.answered && this.#ask(query, false) === PASS) this.#below.resume(query);
  }
}
