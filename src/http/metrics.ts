/**
 * `/metrics`: everything that the process counts, in Prometheus's text format.
 *
 * Owns:    the page, and the endpoints that serve it.
 * Is not:  the counters (observe/metrics.ts), or their form (metrics-registry.ts). One page serves all
 *          addresses: the registry is one.
 */
import type { HostPort } from '../net/host-port.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { reasonOf } from '../observe/reason.ts';
import type { SocketSource } from '../sys/socket-source.ts';
import type { Endpoint } from './endpoint.ts';
import type { MetricsRegistry } from './metrics-registry.ts';
import { HttpServer, type HttpTls, type Page, text } from './server.ts';
import { readWebConfig } from './web-config.ts';

export class MetricsPage {
  readonly #metrics: Metrics;
  /** Made for the first scrape, so that without one prom-client costs no start and no memory. */
  #registry: MetricsRegistry | undefined;
  #rendering: Promise<Page> | undefined;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    countFromStart(metrics);
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
      this.#registry ??= new (await import('./metrics-registry.ts')).MetricsRegistry();
      const { body, contentType } = await this.#registry.render(this.#metrics);
      return { status: 200, contentType, body };
    } catch (error) {
      const reason = reasonOf(error);
      return text(500, `metrics cannot be collected: ${reason}\n`);
    }
  }
}

/** Serves `page` at one address; whose port is taken, is not fatal, and tried again. */
export function metricsServer(
  at: HostPort,
  page: Pick<MetricsPage, 'page'>,
  sockets?: SocketSource,
  tls?: HttpTls,
): HttpServer {
  const routes = new Map([['/metrics', () => page.page()]]);
  return new HttpServer(at, routes, sockets, tls === undefined ? {} : { tls });
}

export interface MetricsPlace extends HostPort {
  /** The file that says how TLS is spoken there; plain HTTP without. */
  readonly tlsConfigFile?: string;
}

/** `/metrics` at one address. */
export function metricsEndpoint(place: MetricsPlace): Endpoint {
  const { host, port, tlsConfigFile: file } = place;
  const at = { host, port };
  return {
    at,
    kind: 'metrics',
    directive: 'prometheus',
    ...(file === undefined ? {} : { variant: `TLS by ${file}` }),
    open: ({ metricsPage, sockets, log }) =>
      metricsServer(at, metricsPage, sockets, file === undefined ? undefined : tlsBy(file, log)),
  };
}

function tlsBy(file: string, log: Log): HttpTls {
  return {
    read: () => readWebConfig(file),
    failed: (reason) =>
      log.error(`plugin/prometheus: the certificate of ${file} stays as it was: ${reason}`),
  };
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
