/**
 * The metrics of one upstream.
 *
 * Owns:    their labels; each series is looked up once and kept.
 * Is not:  the decision when something is counted (upstream.ts, connection/streams.ts).
 */
import { rcodeName } from '../dns/rcode.ts';
import type { Counter, Histogram } from '../observe/counters.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { AttemptOutcome, AttemptPurpose } from './attempt.ts';
import type { UpstreamTarget } from './config.ts';

export class UpstreamCounters {
  /** Attempts sent over a connection that was open, and those that opened one. */
  readonly hits: Counter;
  readonly misses: Counter;
  readonly udpMisses: Counter;
  readonly #metrics: Metrics;
  readonly #to: string;
  readonly #proto: 'tcp' | 'tcp-tls' | 'https';
  /** By RCODE; by purpose and outcome. Each is made when it is first counted. */
  readonly #durations = new Map<number, Histogram>();
  readonly #ends = { query: noEnds(), check: noEnds(), trial: noEnds() };

  constructor(metrics: Metrics, target: UpstreamTarget, to: string) {
    this.#metrics = metrics;
    this.#to = to;
    this.#proto = protocolOf(target);
    const labels = { proxy_name: 'forward', to };
    const proto = this.#proto;
    this.hits = metrics.counter('coredns_proxy_conn_cache_hits_total', { ...labels, proto });
    this.misses = metrics.counter('coredns_proxy_conn_cache_misses_total', { ...labels, proto });
    this.udpMisses = metrics.counter('coredns_proxy_conn_cache_misses_total', {
      ...labels,
      proto: 'udp',
    });
  }

  /** The gauges show these from now on. */
  show(connections: () => number, outstanding: () => number): void {
    const [to, proto] = [this.#to, this.#proto];
    this.#metrics.gauge('nodelocald_upstream_connections', { to, proto }).read = connections;
    this.#metrics.gauge('nodelocald_upstream_outstanding', { to }).read = outstanding;
  }

  /** An attempt ended. */
  ended(purpose: AttemptPurpose, outcome: AttemptOutcome): void {
    const ends = this.#ends[purpose];
    const counter = ends[outcome];
    if (counter !== undefined) {
      counter.value++;
      return;
    }
    const labels = { to: this.#to, purpose, outcome };
    const first = this.#metrics.counter('nodelocald_upstream_attempts_total', labels);
    ends[outcome] = first;
    first.value++;
  }

  /** A query was answered `tookMs` after it was sent. */
  answered(rcode: number, tookMs: number): void {
    let durations = this.#durations.get(rcode);
    if (durations === undefined) {
      durations = this.#metrics.histogram('coredns_proxy_request_duration_seconds', {
        proxy_name: 'forward',
        to: this.#to,
        rcode: rcodeName(rcode),
      });
      this.#durations.set(rcode, durations);
    }
    durations.observe(tookMs / 1000);
  }

  /** A response was not believed. */
  disbelieved(reason: string): void {
    const labels = { to: this.#to, reason };
    this.#metrics.counter('nodelocald_upstream_bad_responses_total', labels).value++;
  }
}

function noEnds(): Record<AttemptOutcome, Counter | undefined> {
  return {
    answered: undefined,
    withdrawn: undefined,
    closed: undefined,
    unreachable: undefined,
    timeout: undefined,
    'bad-response': undefined,
  };
}

function protocolOf({ tls, https }: UpstreamTarget): 'tcp' | 'tcp-tls' | 'https' {
  if (https !== undefined) return 'https';
  return tls === undefined ? 'tcp' : 'tcp-tls';
}
