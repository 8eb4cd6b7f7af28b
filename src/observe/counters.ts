/**
 * Counters, gauges and histograms as plain numbers: bumped on the data path, read when Prometheus
 * scrapes. A labelled observe in prom-client costs about 1 us; an increment here costs 1 ns.
 */
export class Counter {
  value = 0;
  /** Where present, asked at each scrape instead of `value`: somebody else counts. */
  read: (() => number) | undefined;
}

/** A gauge is set, or computed when it is read. */
export class Gauge {
  value = 0;
  /** Where present, asked at each scrape instead of `value`. */
  read: (() => number) | undefined;
}

export class Histogram {
  /** Upper bounds, ascending; the bucket above the last one has no bound. */
  readonly bounds: readonly number[];
  /** Observations per bucket, not cumulative; one more than there are bounds. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    this.observeTimes(value, 1);
  }

  /** Counts `times` observations of one value: a batch of hits shares one reading of the clock. */
  observeTimes(value: number, times: number): void {
    const { bounds, counts } = this;
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++;
    counts[bucket] = counts[bucket]! + times;
    this.sum += value * times;
  }
}
