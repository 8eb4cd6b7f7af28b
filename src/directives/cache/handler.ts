/**
 * What `cache` does with queries and responses: answers hits, joins identical misses, keeps what
 * comes back, refreshes entries before or after their end, and where `nxdomain_cut` says so answers
 * from the denial of a name above (cache/cut.ts). The engine is src/cache/.
 *
 * Owns:    the order in which cache, denials and upstreams are tried for a query.
 */
import { AnswerCache } from '../../cache/answer-cache.ts';
import { CacheCounters } from '../../cache/counters.ts';
import { Coalescer } from '../../cache/waiting/coalesce.ts';
import type { CacheConfig, StaleConfig } from '../../cache/config.ts';
import { type CacheEntry, POSITIVE, SERVER_ERROR } from '../../cache/entry.ts';
import { Cuts, questionAbove } from '../../cache/cut.ts';
import { EVERY_TYPE, cacheKey } from '../../cache/key.ts';
import { countHitForPrefetch } from '../../cache/waiting/prefetch.ts';
import { Probes } from '../../cache/waiting/probe.ts';
import { Refreshes } from '../../cache/waiting/refresh.ts';
import { classify, lifetimeSec } from '../../cache/ttl-policy.ts';
import { OPCODE_QUERY } from '../../dns/header.ts';
import { OPT_OCTETS } from '../../dns/limits.ts';
import { HINFO } from '../../dns/rrtype.ts';
import { isInZones } from '../../dns/in-zone.ts';
import type { QueryFacts, QueryView } from '../../dns/question.ts';
import { NOERROR, NXDOMAIN } from '../../dns/rcode.ts';
import { type NormalizedResponse, normalize, setTtl } from '../../dns/response.ts';
import type { AddressIndex } from '../../query/address-index.ts';
import { type HitFacts, type HitSource, NOT_CACHED, NO_ROOM } from '../../query/hit-source.ts';
import { Query, type QueryChain, type Sink } from '../../query/query.ts';
import type { SendSlot } from '../../query/responder.ts';
import { type Failure, Response } from '../../query/response.ts';
import { ANSWERED, LATER, PASS, type Verdict } from '../../query/verdict.ts';
import { nowMs, toDs } from '../../sys/clock.ts';
import { type BuildContext, type Handler } from '../directive.ts';

/** Stale answers are there within 100 ms of the news that no upstream answers. */
const REACHABILITY_CHECK_MS = 50;

export class CacheHandler implements Handler, HitSource {
  readonly name = 'cache';
  readonly seesHits = false;
  /** Present if the cache covers all that the block serves: then the server may ask it directly. */
  readonly hits: HitSource | undefined;
  readonly #config: CacheConfig;
  readonly #cache: AnswerCache;
  readonly #coalescer = new Coalescer();
  readonly #refreshes = new Refreshes();
  readonly #sink: Sink = { deliver: (query, response) => this.#refreshed(query, response) };
  /** The entry that each query of our own is to replace. */
  readonly #refreshing = new Map<Query, CacheEntry>();
  /** Undefined if `nxdomain_cut` is off. */
  readonly #cuts: Cuts | undefined;
  readonly #probes = new Probes();
  readonly #probeSink: Sink = { deliver: (query, response) => this.#probed(query, response) };
  #chain: QueryChain | undefined;
  #depth = 0;
  #reachabilityCheck: NodeJS.Timeout | undefined;
  /** By server address of the block. */
  readonly #counters: readonly CacheCounters[];

  constructor(config: CacheConfig, context: BuildContext) {
    this.#config = config;
    this.#cache = context.keep('cache', () => new AnswerCache(config));
    this.#cuts = config.cutZones.length === 0 ? undefined : new Cuts(config.cutZones, this.#cache);
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
        const evictions = context.metrics.counter('coredns_cache_evictions_total', {
          server,
          type,
          zones,
          view: '',
        });
        evictions.read = () => this.#cache[type].evictions;
      }
    }
    const coversBlock = context.zones.every((zone) => isInZones(zone, config.zones));
    this.hits = coversBlock ? this : undefined;
  }

  attach(chain: QueryChain, depth: number): void {
    this.#chain = chain;
    this.#depth = depth;
  }

  /** The walk of a hit. Hot path, stop 4 of 6. */
  answer(
    view: QueryView,
    addressIndex: AddressIndex,
    nowDs: number,
    slot: SendSlot,
    facts: HitFacts,
  ): number {
    const entry = this.#cache.find(view, nowDs) ?? this.#cuts?.find(view, nowDs, 0);
    if (entry === undefined) return NOT_CACHED;
    // An entry of fewer octets than the name is a cut above it.
    const shift = view.nameOctets - entry.nameOctets;
    if (slot.at + entry.neededOctets + shift + OPT_OCTETS > slot.end) return NO_ROOM;
    const counters = this.#counters[addressIndex]!;
    counters.countHit(entry.kind === POSITIVE);
    if (shift > 0) counters.cutAnswers.value++;
    const octets = entry.writeFor(slot.octets, slot.at, view, this.#hitTtlSec(entry, nowDs));
    facts.rcode = entry.rcode;
    facts.plainOctets = entry.plainOctets + shift;
    this.#prefetch(view, addressIndex, entry, nowDs); // last: it may replace the entry
    return octets;
  }

  onQuery(query: Query): Verdict {
    if (!this.#handles(query)) return PASS;
    return this.#ask(query, query.cacheAsked);
  }

  /** The walk of a miss, from its beginning or from where it waited for a probe. */
  #ask(query: Query, cacheAsked: boolean): Verdict {
    const counters = this.#counters[query.addressIndex]!;
    const nowDs = toDs(nowMs());
    const entry = cacheAsked
      ? undefined
      : (this.#cache.find(query, nowDs) ?? this.#cuts?.find(query, nowDs, 0));
    if (entry !== undefined) {
      counters.countHit(entry.kind === POSITIVE);
      if (entry.nameOctets < query.nameOctets) counters.cutAnswers.value++;
      const response = responseOf(entry, query, this.#hitTtlSec(entry, nowDs));
      this.#prefetch(query, query.addressIndex, entry, nowDs); // may replace the entry
      query.answer(response);
      return ANSWERED;
    }
    const cuts = this.#cuts;
    const { stale } = this.#config;
    if (stale !== undefined) {
      const expired = this.#cache.findStale(query, nowDs, stale.durationSec);
      if (expired !== undefined) return this.#answerStale(query, expired, stale, nowDs);
    }
    if (cuts !== undefined && cuts.findUnknown(query, nowDs)) {
      const verdict = this.#askAbove(query, cuts, nowDs);
      if (verdict !== PASS) return verdict;
    }
    counters.requests.value++;
    counters.misses.value++;
    // A stub resolver asks for A and AAAA at once: if the name was denied before, one of them will do.
    const wasDenied = this.#cache.wasDenied(query);
    const flight = wasDenied ? denialKey(query.nameHash, query) : flightOf(query);
    // HINFO is what `loop` asks, who must see its question each time that it comes round again.
    if (query.qtype !== HINFO && this.#coalescer.joins(flight, query, wasDenied)) {
      counters.coalesced.value++;
      return LATER;
    }
    query.viaCache = true;
    return PASS;
  }

  /**
   * Lets the query wait for news of a name above it that may not exist, instead of asking for each
   * name below. What cannot be learned now is not waited for.
   */
  #askAbove(query: Query, cuts: Cuts, nowDs: number): Verdict {
    const nameOctets = query.nameOctets - cuts.unknownAt;
    const key = denialKey(cuts.unknownHash, query);
    if (this.#probes.joins(key, query, nameOctets)) return LATER;
    if (
      this.#probes.has(key) ||
      cuts.isResting(key, nowDs) ||
      !this.#chain!.isReachable(this.#depth + 1)
    ) {
      return this.#answerFromStaleCut(query, cuts, nowDs);
    }
    const probe = new Query(questionAbove(query, nameOctets), undefined, nowMs(), this.#probeSink);
    probe.addressIndex = query.addressIndex;
    probe.viaCache = true;
    probe.floor = this.#depth + 1;
    this.#counters[query.addressIndex]!.cutProbes.value++;
    this.#probes.begin(key, probe, (waiters) => this.#resume(waiters));
    this.#probes.joins(key, query, nameOctets);
    this.#chain!.run(probe, this.#depth + 1);
    return LATER;
  }

  /** With `serve_stale`, a cut stands in for the names below it as an expired entry does for its own. */
  #answerFromStaleCut(query: Query, cuts: Cuts, nowDs: number): Verdict {
    const { stale } = this.#config;
    if (stale === undefined) return PASS;
    const cut = cuts.find(query, nowDs, stale.durationSec);
    if (cut === undefined) return PASS;
    const counters = this.#counters[query.addressIndex]!;
    counters.countHit(false);
    counters.cutAnswers.value++;
    this.#answerFrom(cut, query);
    return ANSWERED;
  }

  /** A probe has ended, for better or worse. */
  #probed(query: Query, response: Response): void {
    if (response.failure === undefined && isUsable(response.rcode)) this.#keep(query, response);
    this.#cuts!.rest(denialKey(query.nameHash, query), toDs(nowMs()));
    this.#resume(this.#probes.ended(query));
  }

  /** Those who waited for news of another question go on with what is known now. */
  #resume(waiters: readonly Query[]): void {
    for (const query of waiters) {
      if (!query.answered && this.#ask(query, false) === PASS) {
        this.#chain!.run(query, this.#depth + 1);
      }
    }
  }

  onResponse(query: Query, response: Response): Response {
    if (!this.#handles(query)) return response;
    if (response.failure !== undefined) this.#rest(query, response.message, response.failure);
    const kept = response.failure === undefined ? this.#keep(query, response) : response;
    this.#land(flightOf(query), query, kept);
    this.#land(denialKey(query.nameHash, query), query, kept);
    return kept;
  }

  #land(flight: number, query: Query, kept: Response): void {
    const waiters = this.#coalescer.land(flight, query);
    for (let i = 0; i < waiters.length; i++) this.#pass(kept, query, waiters[i]!);
  }

  /** Gives what has come for one query to another that waited for it; one of another type asks on. */
  #pass(kept: Response, asked: Query, waiter: Query): void {
    if (waiter.answered) return;
    if (waiter.qtype === asked.qtype && waiter.nameOctets === asked.nameOctets) {
      waiter.answer(kept);
    } else if (kept.failure !== undefined) {
      const { message, restSec } = kept.failure;
      waiter.answer(Response.failed(waiter, kept.rcode, message, restSec));
    } else {
      this.#resume([waiter]);
    }
  }

  /** Keeps a failure for a moment, so that retries do not pile up where there is trouble. */
  #rest(query: Query, message: NormalizedResponse, { restSec }: Failure): void {
    const seconds = Math.min(restSec, this.#config.servfailSec);
    const nowDs = toDs(nowMs());
    this.#cache.keep(query, message, 'server-error', seconds, nowDs);
  }

  /** Stores the response if it may be, and gives all its records the TTL of the entry. */
  #keep(query: Query, response: Response): Response {
    const { message } = response;
    const unixSec = Math.floor(Date.now() / 1000);
    const responseClass = classify(message, query.opcode, unixSec);
    if (responseClass === 'meta') return response;
    if (message.nameOctets !== query.nameOctets || message.qtype !== query.qtype) {
      this.#counters[query.addressIndex]!.drops.value++;
      return response;
    }
    const ttlSec = lifetimeSec(message, responseClass, this.#config);
    const nowDs = toDs(nowMs());
    const kept = this.#cache.keep(query, message, responseClass, ttlSec, nowDs);
    this.#cuts?.learn(query, message, nowDs);
    const refreshed = this.#refreshing.get(query);
    if (kept !== undefined && refreshed !== undefined) {
      kept.hits = refreshed.hits;
      kept.lastHitDs = refreshed.lastHitDs;
    }
    // Whoever wrote it below has no further use for it, and who waits for it has not seen it yet.
    if (!this.#config.keepTtl) setTtl(message, ttlSec);
    return response.with(message, this.name);
  }

  /** Refreshes an entry that is asked for often and near its end. Hot path, where configured. */
  #prefetch(
    question: QueryFacts,
    addressIndex: AddressIndex,
    entry: CacheEntry,
    nowDs: number,
  ): void {
    const { prefetch } = this.#config;
    if (prefetch === undefined || entry.kind === SERVER_ERROR) return;
    if (countHitForPrefetch(entry, prefetch, nowDs))
      this.#refresh(question, addressIndex, entry, nowDs);
  }

  /** An expired entry stands in: at once, or when its refresh has failed or takes too long. */
  #answerStale(query: Query, entry: CacheEntry, stale: StaleConfig, nowDs: number): Verdict {
    this.#counters[query.addressIndex]!.countHit(entry.kind === POSITIVE);
    entry.hold(); // a refresh may replace it before it has answered
    this.#refresh(query, query.addressIndex, entry, nowDs);
    const waits =
      stale.mode === 'verify' && entry.refreshing && this.#chain!.isReachable(this.#depth + 1);
    if (!waits) {
      this.#answerFrom(entry, query);
      entry.release();
      return ANSWERED;
    }
    entry.release(); // its refresh holds it, for as long as anybody waits
    this.#refreshes.wait(entry, query);
    this.#watchReachability();
    if (stale.verifyTimeoutMs > 0) {
      setTimeout(() => this.#answerFrom(entry, query), stale.verifyTimeoutMs).unref();
    }
    return LATER;
  }

  /** Answers with the expired entry; nothing happens if the query has its answer. */
  #answerFrom(entry: CacheEntry, query: Query): void {
    if (query.answered) return;
    this.#counters[query.addressIndex]!.servedStale.value++;
    const ttlSec = this.#config.keepTtl ? -1 : this.#config.stale!.ttlSec;
    query.answer(responseOf(entry, query, ttlSec));
  }

  /** Asks what is below for a new answer, unless that is under way or was just in vain. */
  #refresh(
    question: QueryFacts,
    addressIndex: AddressIndex,
    entry: CacheEntry,
    nowDs: number,
  ): void {
    if (this.#chain === undefined || !this.#refreshes.begin(entry, nowDs)) return;
    this.#counters[addressIndex]!.prefetches.value++;
    // An entry of fewer octets than the question is a cut above it.
    const { nameOctets } = entry;
    const asked =
      nameOctets === question.nameOctets ? question : questionAbove(question, nameOctets);
    const query = new Query(asked, undefined, nowMs(), this.#sink);
    query.addressIndex = addressIndex;
    query.viaCache = true;
    query.floor = this.#depth + 1;
    this.#refreshing.set(query, entry);
    this.#chain.run(query, this.#depth + 1);
  }

  /** A refresh has ended, for better or worse. */
  #refreshed(query: Query, response: Response): void {
    const entry = this.#refreshing.get(query)!;
    const failed = response.failure !== undefined || !isUsable(response.rcode);
    const kept = failed ? response : this.#keep(query, response);
    this.#refreshing.delete(query);
    const recheckMs = this.#config.stale?.recheckMs ?? 0;
    const waiters = this.#refreshes.takeWaiters(entry);
    if (failed) for (const waiter of waiters) this.#answerFrom(entry, waiter);
    this.#refreshes.ended(entry, failed ? toDs(nowMs() + recheckMs) : 0);
    if (!failed) for (const waiter of waiters) this.#pass(kept, query, waiter);
  }

  /** Whoever waits for a refresh waits no longer once every upstream has fallen silent. */
  #watchReachability(): void {
    this.#reachabilityCheck ??= setInterval(() => {
      const awaited = this.#refreshes.awaited();
      if (awaited.length > 0 && this.#chain!.isReachable(this.#depth + 1)) return;
      for (const entry of awaited) {
        for (const waiter of this.#refreshes.takeWaiters(entry)) this.#answerFrom(entry, waiter);
      }
      clearInterval(this.#reachabilityCheck);
      this.#reachabilityCheck = undefined;
    }, REACHABILITY_CHECK_MS).unref();
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

/** What a refresh may bring: any other RCODE is the upstream's trouble, not news of the name. */
function isUsable(rcode: number): boolean {
  return rcode === NOERROR || rcode === NXDOMAIN;
}

function flightOf(query: Query): number {
  const { nameHash, qtype, qclass, dnssecOk, checkingDisabled } = query;
  return cacheKey(nameHash, qtype, qclass, dnssecOk, checkingDisabled);
}

/** The key of the NXDOMAIN of a name, to be asked about with the query's DO and CD. */
function denialKey(nameHash: number, query: Query): number {
  const { qclass, dnssecOk, checkingDisabled } = query;
  return cacheKey(nameHash, EVERY_TYPE, qclass, dnssecOk, checkingDisabled);
}

function responseOf(entry: CacheEntry, query: Query, ttlSec: number): Response {
  const wire = entry.toWireFor(query, ttlSec);
  // An entry's octets are in normal form, so they cannot be refused.
  return new Response(normalize(wire, 0, wire.length)!, 'cache');
}
