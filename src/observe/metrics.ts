/**
 * The one table of metrics: name, kind, labels, help, buckets. Names, labels, help and buckets are
 * those of node-cache 1.26 (CoreDNS 1.13.2), so that dashboards and alerts keep working; what is
 * ours alone begins with `nodelocald_`.
 *
 * Owns:    every series of the process, over all reloads.
 * Is not:  the exposition: http/metrics.ts serves what this holds.
 */
import { Counter, Gauge, Histogram } from './counters.ts';

/** 0.25 ms doubling 16 times, up to 8.192 s; in seconds. */
const TIME_BOUNDS: readonly number[] = Array.from({ length: 16 }, (_, n) => 0.00025 * 2 ** n);
/** 0.25 ms times ten, up to 2.5 s; in seconds. */
const SLIM_TIME_BOUNDS: readonly number[] = [0.00025, 0.0025, 0.025, 0.25, 2.5];
const SIZE_BOUNDS: readonly number[] = [
  0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16000, 32000, 48000, 64000,
];

export interface MetricDefinition {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  readonly bounds?: readonly number[];
}

const SERVER = ['server', 'zone', 'view'] as const;
const CACHE = ['server', 'zones', 'view'] as const;
const TEMPLATE = [...SERVER, 'class', 'type'] as const;

export const METRICS = {
  coredns_build_info: {
    kind: 'gauge',
    help: "A metric with a constant '1' value labeled by version, revision, and goversion from which CoreDNS was built.",
    labels: ['version', 'revision', 'goversion'],
  },
  coredns_panics_total: {
    kind: 'counter',
    help: 'A metrics that counts the number of panics.',
    labels: [],
  },
  coredns_plugin_enabled: {
    kind: 'gauge',
    help: 'A metric that indicates whether a plugin is enabled on per server and zone basis.',
    labels: [...SERVER, 'name'],
  },
  coredns_dns_requests_total: {
    kind: 'counter',
    help: 'Counter of DNS requests made per zone, protocol and family.',
    labels: [...SERVER, 'proto', 'family', 'type'],
  },
  coredns_dns_request_duration_seconds: {
    kind: 'histogram',
    help: 'Histogram of the time (in seconds) each request took per zone.',
    labels: SERVER,
    bounds: TIME_BOUNDS,
  },
  coredns_dns_request_size_bytes: {
    kind: 'histogram',
    help: 'Size of the EDNS0 UDP buffer in bytes (64K for TCP) per zone and protocol.',
    labels: [...SERVER, 'proto'],
    bounds: SIZE_BOUNDS,
  },
  coredns_dns_response_size_bytes: {
    kind: 'histogram',
    help: 'Size of the returned response in bytes.',
    labels: [...SERVER, 'proto'],
    bounds: SIZE_BOUNDS,
  },
  coredns_dns_do_requests_total: {
    kind: 'counter',
    help: 'Counter of DNS requests with DO bit set per zone.',
    labels: SERVER,
  },
  coredns_dns_responses_total: {
    kind: 'counter',
    help: 'Counter of response status codes.',
    labels: [...SERVER, 'rcode', 'plugin'],
  },
  coredns_cache_entries: {
    kind: 'gauge',
    help: 'The number of elements in the cache.',
    labels: ['server', 'type', 'zones', 'view'],
  },
  coredns_cache_requests_total: {
    kind: 'counter',
    help: 'The count of cache requests.',
    labels: CACHE,
  },
  coredns_cache_hits_total: {
    kind: 'counter',
    help: 'The count of cache hits.',
    labels: ['server', 'type', 'zones', 'view'],
  },
  coredns_cache_misses_total: {
    kind: 'counter',
    help: 'The count of cache misses. Deprecated, derive misses from cache hits/requests counters.',
    labels: CACHE,
  },
  coredns_cache_prefetch_total: {
    kind: 'counter',
    help: 'The number of times the cache has prefetched a cached item.',
    labels: CACHE,
  },
  coredns_cache_drops_total: {
    kind: 'counter',
    help: 'The number responses that are not cached, because the reply is malformed.',
    labels: CACHE,
  },
  coredns_cache_served_stale_total: {
    kind: 'counter',
    help: 'The number of requests served from stale cache entries.',
    labels: CACHE,
  },
  coredns_cache_evictions_total: {
    kind: 'counter',
    help: 'The count of cache evictions.',
    labels: ['server', 'type', 'zones', 'view'],
  },
  coredns_forward_healthcheck_broken_total: {
    kind: 'counter',
    help: 'Counter of the number of complete failures of the healthchecks.',
    labels: [],
  },
  coredns_forward_max_concurrent_rejects_total: {
    kind: 'counter',
    help: 'Counter of the number of queries rejected because the concurrent queries were at maximum.',
    labels: [],
  },
  coredns_proxy_request_duration_seconds: {
    kind: 'histogram',
    help: 'Histogram of the time each request took.',
    labels: ['proxy_name', 'to', 'rcode'],
    bounds: TIME_BOUNDS,
  },
  coredns_proxy_healthcheck_failures_total: {
    kind: 'counter',
    help: 'Counter of the number of failed healthchecks.',
    labels: ['proxy_name', 'to'],
  },
  coredns_proxy_conn_cache_hits_total: {
    kind: 'counter',
    help: 'Counter of connection cache hits per upstream and protocol.',
    labels: ['proxy_name', 'to', 'proto'],
  },
  coredns_proxy_conn_cache_misses_total: {
    kind: 'counter',
    help: 'Counter of connection cache misses per upstream and protocol.',
    labels: ['proxy_name', 'to', 'proto'],
  },
  coredns_dns64_requests_translated_total: {
    kind: 'counter',
    help: 'Counter of DNS requests translated by dns64.',
    labels: ['server'],
  },
  coredns_health_request_duration_seconds: {
    kind: 'histogram',
    help: 'Histogram of the time (in seconds) each request took.',
    labels: [],
    bounds: SLIM_TIME_BOUNDS,
  },
  coredns_health_request_failures_total: {
    kind: 'counter',
    help: 'The number of times the health check failed.',
    labels: [],
  },
  coredns_hosts_entries: {
    kind: 'gauge',
    help: 'The combined number of entries in hosts and Corefile.',
    labels: ['hostsfile'],
  },
  coredns_hosts_reload_timestamp_seconds: {
    kind: 'gauge',
    help: 'The timestamp of the last reload of hosts file.',
    labels: [],
  },
  coredns_template_matches_total: {
    kind: 'counter',
    help: 'Counter of template regex matches.',
    labels: TEMPLATE,
  },
  coredns_template_template_failures_total: {
    kind: 'counter',
    help: 'Counter of go template failures.',
    labels: [...TEMPLATE, 'section', 'template'],
  },
  coredns_template_rr_failures_total: {
    kind: 'counter',
    help: 'Counter of mis-templated RRs.',
    labels: [...TEMPLATE, 'section', 'template'],
  },
  coredns_reload_failed_total: {
    kind: 'counter',
    help: 'Counter of the number of failed reload attempts.',
    labels: [],
  },
  coredns_reload_version_info: {
    kind: 'gauge',
    help: "A metric with a constant '1' value labeled by hash, and value which type of hash generated.",
    labels: ['hash', 'value'],
  },
  coredns_nodecache_setup_errors_total: {
    kind: 'counter',
    help: 'The number of errors during periodic network setup for node-cache',
    labels: ['errortype'],
  },
  nodelocald_build_info: {
    kind: 'gauge',
    help: 'Always 1; the label is the version of nodelocald.',
    labels: ['version'],
  },
  nodelocald_cut_answers_total: {
    kind: 'counter',
    help: 'Counter of queries answered by the denial of a name above theirs.',
    labels: CACHE,
  },
  nodelocald_cut_probes_total: {
    kind: 'counter',
    help: 'Counter of questions of our own about a name above one that was asked for.',
    labels: CACHE,
  },
  nodelocald_coalesced_queries_total: {
    kind: 'counter',
    help: 'Queries that waited for the upstream answer to an identical one.',
    labels: CACHE,
  },
  nodelocald_expired_queries_total: {
    kind: 'counter',
    help: 'Queries that were answered SERVFAIL because nothing else had answered within 4 s.',
    labels: [],
  },
  nodelocald_upstream_connections: {
    kind: 'gauge',
    help: 'Open connections per upstream and protocol.',
    labels: ['to', 'proto'],
  },
  nodelocald_upstream_outstanding: {
    kind: 'gauge',
    help: 'Queries sent to an upstream that it has not answered yet.',
    labels: ['to'],
  },
  nodelocald_upstream_attempts_total: {
    kind: 'counter',
    help: 'Attempts at an upstream that have ended, by purpose and outcome.',
    labels: ['to', 'purpose', 'outcome'],
  },
  nodelocald_upstream_bad_responses_total: {
    kind: 'counter',
    help: 'Responses of an upstream that were not believed, by reason.',
    labels: ['to', 'reason'],
  },
  nodelocald_udp_io: {
    kind: 'gauge',
    help: 'How datagrams are read and written: 1 for the way in use (batch or plain).',
    labels: ['server', 'io'],
  },
  nodelocald_udp_receive_buffer_bytes: {
    kind: 'gauge',
    help: 'Receive buffer that the kernel granted to the UDP socket, its own overhead counted in.',
    labels: ['server'],
  },
  nodelocald_udp_receive_drops: {
    kind: 'gauge',
    help: 'Datagrams that the kernel dropped because the receive buffer was full, since it was opened.',
    labels: ['server'],
  },
  nodelocald_udp_send_errors_total: {
    kind: 'counter',
    help: 'Answers that could not be sent over UDP.',
    labels: ['server'],
  },
  nodelocald_tcp_clients: {
    kind: 'gauge',
    help: 'Open TCP connections of clients.',
    labels: ['server'],
  },
  nodelocald_tcp_clients_refused_total: {
    kind: 'counter',
    help: 'TCP connections of clients that were closed at once, because there were too many.',
    labels: ['server'],
  },
  nodelocald_tls_handshake_failures_total: {
    kind: 'counter',
    help: 'TLS connections of clients that came to nothing before the first query.',
    labels: ['server'],
  },
  nodelocald_tls_certificate_loads_total: {
    kind: 'counter',
    help: 'Times that a changed certificate or key was read, by result: ok or failed.',
    labels: ['server', 'result'],
  },
  nodelocald_tls_certificate_not_after_seconds: {
    kind: 'gauge',
    help: 'Unix time at which the certificate that is served ends.',
    labels: ['server'],
  },
  nodelocald_listener_errors_total: {
    kind: 'counter',
    help: 'Times that a listener for operators could not be opened, by address. It is tried again.',
    labels: ['address'],
  },
  nodelocald_worker_restarts_total: {
    kind: 'counter',
    help: 'Workers that were replaced since the daemon began, by reason.',
    labels: ['reason'],
  },
  nodelocald_ready: {
    kind: 'gauge',
    help: 'Whether /ready answers 200: 1 or 0.',
    labels: [],
  },
  nodelocald_troubles: {
    kind: 'gauge',
    help: 'What is amiss although DNS is served, by kind; /health has the reasons.',
    labels: ['kind'],
  },
  nodelocald_trace_spans_dropped_total: {
    kind: 'counter',
    help: 'Spans dropped because the collector did not take them in time.',
    labels: [],
  },
  nodelocald_log_lines_dropped_total: {
    kind: 'counter',
    help: 'Log lines dropped because whoever reads the log does not keep up.',
    labels: [],
  },
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof METRICS;
type NameOfKind<Kind extends MetricDefinition['kind']> = {
  [Name in MetricName]: (typeof METRICS)[Name]['kind'] extends Kind ? Name : never;
}[MetricName];
/** A value for each label of the metric, and for no other. */
export type LabelsOf<Name extends MetricName> = {
  readonly [Label in (typeof METRICS)[Name]['labels'][number]]: string;
};

export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly data: Counter | Gauge | Histogram;
}

export class Metrics {
  readonly #families = new Map<MetricName, Map<string, Series>>();

  /** The counter of that name and those labels: the same object each time, from 0. */
  counter<Name extends NameOfKind<'counter'>>(name: Name, labels: LabelsOf<Name>): Counter {
    return this.#series(name, labels, () => new Counter()) as Counter;
  }

  gauge<Name extends NameOfKind<'gauge'>>(name: Name, labels: LabelsOf<Name>): Gauge {
    return this.#series(name, labels, () => new Gauge()) as Gauge;
  }

  histogram<Name extends NameOfKind<'histogram'>>(name: Name, labels: LabelsOf<Name>): Histogram {
    const definition: MetricDefinition = METRICS[name];
    return this.#series(name, labels, () => new Histogram(definition.bounds ?? [])) as Histogram;
  }

  /** Forgets all series of a metric whose label values come and go. */
  clear(name: MetricName): void {
    this.#families.delete(name);
  }

  /** Every series that exists, by metric, in the order of the table. */
  *families(): Generator<[MetricName, MetricDefinition, readonly Series[]]> {
    for (const name of Object.keys(METRICS) as MetricName[]) {
      const family = this.#families.get(name);
      if (family !== undefined) yield [name, METRICS[name], [...family.values()]];
    }
  }

  #series(
    name: MetricName,
    labels: Readonly<Record<string, string>>,
    create: () => Counter | Gauge | Histogram,
  ): Counter | Gauge | Histogram {
    let family = this.#families.get(name);
    if (family === undefined) {
      family = new Map();
      this.#families.set(name, family);
    }
    const definition: MetricDefinition = METRICS[name];
    const key = definition.labels.map((label) => labels[label]).join('\0');
    let series = family.get(key);
    if (series === undefined) {
      series = { labels, data: create() };
      family.set(key, series);
    }
    return series.data;
  }
}
