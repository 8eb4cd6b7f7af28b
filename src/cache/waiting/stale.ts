/**
 * `serve_stale`: an expired entry answers, at once or when its refresh has failed or takes too long.
 *
 * Owns:    the choice between answering and waiting (`immediate`, `verify`).
 * Is not:  the refresh and the queries that wait for it (refresh.ts).
 */
import type { Query } from '../../query/query.ts';
import { ANSWERED, LATER, PASS, type Verdict } from '../../query/verdict.ts';
import { answerExpired } from '../answers.ts';
import type { ChainBelow } from '../chain-below.ts';
import type { StaleConfig } from '../config.ts';
import { POSITIVE } from '../entry.ts';
import type { CacheParts } from '../parts.ts';
import type { Refreshes } from './refresh.ts';

export class Stale {
  readonly #parts: CacheParts;
  readonly #config: StaleConfig;
  readonly #refreshes: Refreshes;
  readonly #below: ChainBelow;

  constructor(parts: CacheParts, config: StaleConfig, refreshes: Refreshes, below: ChainBelow) {
    this.#parts = parts;
    this.#config = config;
    this.#refreshes = refreshes;
    this.#below = below;
  }

  /** Answers from the question's own expired entry, or waits for its refresh; PASS without an entry. */
  answer(query: Query, nowDs: number): Verdict {
    const { durationSec, mode, verifyTimeoutMs } = this.#config;
    const entry = this.#parts.cache.findStale(query, nowDs, durationSec);
    if (entry === undefined) return PASS;
    this.#parts.counters[query.addressIndex]!.countHit(entry.kind === POSITIVE);
    entry.hold(); // a refresh may replace it before it has answered
    this.#refreshes.begin(query, query.addressIndex, entry, nowDs);
    const waits = mode === 'verify' && entry.refreshing && this.#below.isReachable();
    if (waits) this.#refreshes.wait(entry, query, verifyTimeoutMs);
    else answerExpired(this.#parts, entry, query);
    entry.release(); // its refresh holds it, for as long as a query waits
    return waits ? LATER : ANSWERED;
  }

  /** Answers from an expired cut above the name, which stands in as an expired entry of its own does. */
  answerFromCut(query: Query, nowDs: number): Verdict {
    const cut = this.#parts.cuts?.find(query, nowDs, this.#config.durationSec);
    if (cut === undefined) return PASS;
    const counters = this.#parts.counters[query.addressIndex]!;
    counters.countHit(false);
    counters.cutAnswers.value++;
    answerExpired(this.#parts, cut, query);
    return ANSWERED;
  }
}
