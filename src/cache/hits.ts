/**
 * Hits: a live entry is counted, written, and refreshed where `prefetch` says so.
 *
 * Owns:    the order of the three: the refresh comes last, because one that ends at once replaces the
 *          entry and frees its octets.
 * Is not:  the search in the stores (answer-cache.ts, denial/cut.ts), nor the writing of octets (entry.ts).
 * Hot path, stop 4 of 6: `answer`.
 */
import { OPT_OCTETS } from '../dns/limits.ts';
import type { QueryFacts, QueryView } from '../dns/question.ts';
import type { AddressIndex } from '../query/address-index.ts';
import { type HitFacts, type HitSource, NOT_CACHED, NO_ROOM } from '../query/hit-source.ts';
import type { Query } from '../query/query.ts';
import { SendSlot } from '../query/responder.ts';
import { ANSWERED, type Verdict } from '../query/verdict.ts';
import type { AnswerCache } from './answer-cache.ts';
import { cachedResponse } from './answers.ts';
import type { CacheConfig } from './config.ts';
import type { CacheCounters } from './counters.ts';
import type { CutQuestion, Cuts } from './denial/cut.ts';
import { type CacheEntry, POSITIVE, SERVER_ERROR } from './entry.ts';
import type { CacheParts } from './parts.ts';
import { countHitForPrefetch } from './waiting/prefetch.ts';
import type { Refreshes } from './waiting/refresh.ts';

export class Hits implements HitSource {
  readonly #config: CacheConfig;
  readonly #cache: AnswerCache;
  readonly #cuts: Cuts | undefined;
  readonly #counters: readonly CacheCounters[];
  readonly #refreshes: Refreshes;

  constructor({ config, cache, cuts, counters }: CacheParts, refreshes: Refreshes) {
    this.#config = config;
    this.#cache = cache;
    this.#cuts = cuts;
    this.#counters = counters;
    this.#refreshes = refreshes;
  }

  /** The live entry that answers the question: its own, or the denial of a name above it. */
  find(question: CutQuestion, nowDs: number): CacheEntry | undefined {
    return this.#cache.find(question, nowDs) ?? this.#cuts?.find(question, nowDs, 0);
  }

  answer(
    view: QueryView,
    addressIndex: AddressIndex,
    nowDs: number,
    slot: SendSlot,
    facts: HitFacts,
  ): number {
    const entry = this.find(view, nowDs);
    if (entry === undefined) return NOT_CACHED;
    // An entry of fewer octets than the name is a cut above it.
    const shift = view.nameOctets - entry.nameOctets;
    if (slot.at + entry.neededOctets + shift + OPT_OCTETS > slot.end) return NO_ROOM;
    const octets = this.#write(entry, view, addressIndex, nowDs, slot);
    facts.rcode = entry.rcode;
    facts.plainOctets = entry.plainOctets + shift;
    return octets;
  }

  /** Answers a query that walks the chain with an entry that `find` has found. Off the hot path. */
  answerQuery(query: Query, entry: CacheEntry, nowDs: number): Verdict {
    const shift = query.nameOctets - entry.nameOctets;
    const slot = new SendSlot(new Uint8Array(entry.neededOctets + shift));
    const octets = this.#write(entry, query, query.addressIndex, nowDs, slot);
    query.answer(cachedResponse(slot.octets.subarray(0, octets)));
    return ANSWERED;
  }

  /** Counts the hit, writes it to `slot`, and refreshes its entry if that is due. Returns the octets. */
  #write(
    entry: CacheEntry,
    question: QueryFacts & CutQuestion,
    addressIndex: AddressIndex,
    nowDs: number,
    slot: SendSlot,
  ): number {
    const counters = this.#counters[addressIndex]!;
    counters.countHit(entry.kind === POSITIVE);
    if (entry.nameOctets < question.nameOctets) counters.cutAnswers.value++;
    // Negative: as stored.
    const ttlSec = this.#config.keepTtl ? -1 : entry.remainingSecFor(question, nowDs);
    const octets = entry.writeFor(slot.octets, slot.at, question, ttlSec);
    const { prefetch } = this.#config;
    if (
      prefetch !== undefined &&
      entry.kind !== SERVER_ERROR &&
      countHitForPrefetch(entry, prefetch, nowDs)
    ) {
      this.#refreshes.begin(question, addressIndex, entry, nowDs);
    }
    return octets;
  }
}
