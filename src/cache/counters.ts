/** The counters of one cache at one listening address: `coredns_cache_*`. */
import type { Counter } from '../observe/counters.ts';
import type { Metrics } from '../observe/metrics.ts';

export class CacheCounters {
  readonly requests: Counter;
  readonly misses: Counter;
  readonly prefetches: Counter;
  readonly drops: Counter;
  readonly servedStale: Counter;
  readonly coalesced: Counter;
  readonly cutAnswers: Counter;
  readonly cutProbes: Counter;
  readonly #metrics: Metrics;
  readonly #labels: { readonly server: string; readonly zones: string; readonly view: string };
  #hitsSuccess: Counter | undefined;
  #hitsDenial: Counter | undefined;

  /** `zones` are the cache's own, joined by commas. */
  constructor(metrics: Metrics, server: string, zones: string) {
    this.#metrics = metrics;
    this.#labels = { server, zones, view: '' };
    this.requests = metrics.counter('coredns_cache_requests_total', this.#labels);
    this.misses = metrics.counter('coredns_cache_misses_total', this.#labels);
    this.prefetches = metrics.counter('coredns_cache_prefetch_total', this.#labels);
    this.drops = metrics.counter('coredns_cache_drops_total', this.#labels);
    this.servedStale = metrics.counter('coredns_cache_served_stale_total', this.#labels);
    this.coalesced = metrics.counter('nodelocald_coalesced_queries_total', this.#labels);
    this.cutAnswers = metrics.counter('nodelocald_cut_answers_total', this.#labels);
    this.cutProbes = metrics.counter('nodelocald_cut_probes_total', this.#labels);
  }

  /** Hot path. */
  countHit(success: boolean): void {
    this.requests.value++;
    if (success) {
      this.#hitsSuccess ??= this.#hits('success');
      this.#hitsSuccess.value++;
    } else {
      this.#hitsDenial ??= this.#hits('denial');
      this.#hitsDenial.value++;
    }
  }

  #hits(type: 'success' | 'denial'): Counter {
    return this.#metrics.counter('coredns_cache_hits_total', { ...this.#labels, type });
  }
}
