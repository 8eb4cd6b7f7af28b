/**
 * Our counters in Prometheus's text format, with prom-client's metrics of the process and of Node
 * beside them.
 *
 * Owns:    the reading of counters at scrape time. Nothing is copied between scrapes.
 */
import { Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import { Counter, Gauge as PlainGauge, type Histogram } from '../observe/counters.ts';
import type { MetricDefinition, MetricName, Metrics, Series } from '../observe/metrics.ts';

/** Ten readings of the event loop's delay a second; prom-client's hundred would show in idle CPU. */
const EVENT_LOOP_MS = 100;

export class MetricsRegistry {
  readonly #registry = new Registry();
  readonly #families = new Map<MetricName, Family>();

  /** One for the process: prom-client's own collectors cannot be ended. */
  constructor() {
    collectDefaultMetrics({
      register: this.#registry,
      eventLoopMonitoringPrecision: EVENT_LOOP_MS,
    });
  }

  /** Rejects if a collector of prom-client's does. */
  async render(metrics: Metrics): Promise<{ readonly contentType: string; readonly body: string }> {
    for (const family of this.#families.values()) family.series = [];
    for (const [name, definition, series] of metrics.families()) {
      this.#familyOf(name, definition).series = series;
    }
    return { contentType: this.#registry.contentType, body: await this.#registry.metrics() };
  }

  /** A metric is shown once it has a series, as in Prometheus's own client. */
  #familyOf(name: MetricName, definition: MetricDefinition): Family {
    let family = this.#families.get(name);
    if (family === undefined) {
      family = new Family(name, definition);
      this.#families.set(name, family);
      this.#registry.registerMetric(family);
    }
    return family;
  }
}

interface Sample {
  readonly value: number;
  readonly labels: Record<string, string | number>;
  /** Printed after `labels`, and formatted once per object: series share theirs over all scrapes. */
  readonly sharedLabels: Readonly<Record<string, string>>;
  readonly metricName: string;
}

const NO_LABELS: Record<string, string> = {};

/**
 * A metric in prom-client's registry whose kind and values are ours. It is a Gauge in name only: the
 * registry prints whatever `getForPromString` returns, which prom-client's own histograms have.
 */
class Family extends Gauge {
  series: readonly Series[] = [];
  readonly #name: MetricName;
  readonly #definition: MetricDefinition;

  constructor(name: MetricName, definition: MetricDefinition) {
    super({ name, help: definition.help, registers: [] });
    this.#name = name;
    this.#definition = definition;
  }

  getForPromString(): Promise<PrintedMetric> {
    const { help, kind } = this.#definition;
    const values = samplesOf(this.#name, this.series);
    return Promise.resolve({ name: this.#name, help, type: kind, values });
  }
}

interface PrintedMetric {
  readonly name: string;
  readonly help: string;
  readonly type: MetricDefinition['kind'];
  readonly values: readonly Sample[];
}

function samplesOf(name: string, series: readonly Series[]): Sample[] {
  const samples: Sample[] = [];
  for (const { labels: sharedLabels, data } of series) {
    if (data instanceof Counter || data instanceof PlainGauge) {
      const value = valueOf(data);
      if (value !== undefined) {
        samples.push({ metricName: name, value, labels: NO_LABELS, sharedLabels });
      }
    } else {
      addBuckets(samples, name, data, sharedLabels);
    }
  }
  return samples;
}

/** Undefined for a value that cannot be read: only this scrape goes without it. */
function valueOf(data: Counter | PlainGauge): number | undefined {
  try {
    return data.read === undefined ? data.value : data.read();
  } catch {
    return undefined;
  }
}

function addBuckets(
  samples: Sample[],
  name: string,
  { bounds, counts, sum }: Histogram,
  sharedLabels: Readonly<Record<string, string>>,
): void {
  let count = 0;
  for (let i = 0; i < counts.length; i++) {
    count += counts[i]!;
    const le = bounds[i] ?? '+Inf';
    samples.push({
      metricName: `${name}_bucket`,
      value: count,
      labels: { le: String(le) },
      sharedLabels,
    });
  }
  samples.push(
    { metricName: `${name}_sum`, value: sum, labels: NO_LABELS, sharedLabels },
    { metricName: `${name}_count`, value: count, labels: NO_LABELS, sharedLabels },
  );
}
