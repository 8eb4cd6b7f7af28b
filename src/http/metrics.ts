/**
 * `/metrics`: everything that the process counts, in Prometheus's text format, with prom-client's
 * metrics of the process and of Node beside it.
 *
 * Owns:    the reading of counters at scrape time. Nothing is copied between scrapes.
 * Is not:  the counters (observe/metrics.ts). One page serves all addresses: the registry is one.
 */
import { Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import type { HostPort } from '../directives/directive.ts';
import { Counter, Gauge as PlainGauge, type Histogram } from '../observe/counters.ts';
import type { MetricDefinition, MetricName, Metrics, Series } from '../observe/metrics.ts';
import type { SocketSource } from '../sys/sockets.ts';
import { HttpServer, type HttpTls, type Page, text } from './server.ts';

/** Ten readings of the event loop's delay a second; prom-client's hundred would show in idle CPU. */
const EVENT_LOOP_MS = 100;

export class MetricsPage {
  readonly #metrics: Metrics;
  readonly #registry = new Registry();
  readonly #families = new Map<MetricName, Family>();
  #rendering: Promise<Page> | undefined;

  /** One for the process: prom-client's own collectors cannot be ended. */
  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    countFromStart(metrics);
    collectDefaultMetrics({
      register: this.#registry,
      eventLoopMonitoringPrecision: EVENT_LOOP_MS,
    });
  }

  /** Scrapes that come while one is under way share it. Never rejects. */
  page(): Promise<Page> {
    this.#rendering ??= this.#render().finally(() => {
      this.#rendering = undefined;
    });
    return this.#rendering;
  }

  async #render(): Promise<Page> {
    try {
      for (const family of this.#families.values()) family.series = [];
      for (const [name, definition, series] of this.#metrics.families()) {
        this.#familyOf(name, definition).series = series;
      }
      const body = await this.#registry.metrics();
      return { status: 200, contentType: this.#registry.contentType, body };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return text(500, `metrics cannot be collected: ${reason}\n`);
    }
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

/** Serves `page` at one address; whose port is taken, is not fatal, and tried again. */
export function metricsServer(
  at: HostPort,
  page: MetricsPage,
  sockets?: SocketSource,
  tls?: HttpTls,
): HttpServer {
  const routes = new Map([['/metrics', () => page.page()]]);
  return new HttpServer(at, routes, sockets, tls === undefined ? {} : { tls });
}

/** Without labels a counter is there from the start, at 0: rate() needs a first value. */
function countFromStart(metrics: Metrics): void {
  metrics.counter('coredns_panics_total', {});
  metrics.counter('coredns_forward_healthcheck_broken_total', {});
  metrics.counter('coredns_forward_max_concurrent_rejects_total', {});
  metrics.counter('coredns_health_request_failures_total', {});
  metrics.histogram('coredns_health_request_duration_seconds', {});
  metrics.gauge('coredns_hosts_reload_timestamp_seconds', {});
  metrics.counter('coredns_reload_failed_total', {});
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

/** What cannot be read is left out of this scrape, and spoils no other. */
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
