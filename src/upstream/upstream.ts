/**
 * One upstream: what its users want of it, and what becomes of the attempts at it as a whole.
 *
 * Owns:    the account of attempts: each end of each attempt passes `attemptEnded`, which tells the
 *          counters, the response time and health of it.
 * Is not:  the ways to the upstream (connection/streams.ts, wire/datagrams.ts), nor the fate of a
 *          query (exchange.ts): the owner of an attempt hears of its end after this.
 */
import type { Metrics } from '../observe/metrics.ts';
import { formatHostPort } from '../net/host-port.ts';
import { nowMs } from '../sys/clock.ts';
import type { Attempt, AttemptOutcome } from './attempt.ts';
import type { UpstreamTarget, UpstreamTerms } from './config.ts';
import { Streams } from './connection/streams.ts';
import { type CheckedUpstream, Health } from './health.ts';
import { ResponseTime } from './response-time.ts';
import { type AgreedTerms, NO_TERMS, agree } from './terms.ts';
import { UpstreamCounters } from './upstream-counters.ts';
import { Datagrams } from './wire/datagrams.ts';

/** An upstream that accepted no TCP is tried over TCP again after that (`prefer_tcp`). */
const STREAM_RETRY_MS = 30_000;
const REMOVED = 'upstream removed';

export class Upstream implements CheckedUpstream {
  readonly target: UpstreamTarget;
  /** `127.0.0.1:53`, as in the label `to`. */
  readonly label: string;
  readonly health: Health;
  readonly #counters: UpstreamCounters;
  readonly #time = new ResponseTime();
  readonly #streams: Streams;
  readonly #datagrams: Datagrams;
  readonly #users: UpstreamTerms[] = [];
  #terms: AgreedTerms = NO_TERMS;
  /** `prefer_tcp`: when a stream is tried again; Infinity while streams are not avoided. */
  #retryStreamsMs = Infinity;
  #closed = false;

  constructor(target: UpstreamTarget, metrics: Metrics) {
    this.target = target;
    this.label = formatHostPort(target);
    this.health = new Health(this, metrics);
    const counters = new UpstreamCounters(metrics, target, this.label);
    this.#counters = counters;
    this.#streams = new Streams(target, this.health, this.#time, counters);
    this.#datagrams = new Datagrams(target, this.#time, this.health, (reason) =>
      counters.disbelieved(reason),
    );
    counters.show(
      () => this.#streams.count,
      () => this.outstanding,
    );
  }

  /** A user begins to use the upstream, on these terms. */
  join(terms: UpstreamTerms): void {
    this.#users.push(terms);
    this.#agree();
  }

  /** That user leaves. Returns how many remain; without users it only finishes what it has. */
  leave(terms: UpstreamTerms): number {
    const at = this.#users.indexOf(terms);
    if (at !== -1) this.#users.splice(at, 1);
    this.#agree();
    if (this.#users.length === 0) this.#streams.retire();
    return this.#users.length;
  }

  #agree(): void {
    const terms = agree(this.#users, this.target.tls !== undefined);
    this.#terms = terms;
    this.#streams.terms = terms;
    this.health.config = terms.healthCheck;
    this.health.overStream = terms.checkOverStream;
    this.health.watch(terms.failsMaxes);
  }

  /** Whether the upstream appears not to accept TCP (`prefer_tcp`). */
  get avoidsStreams(): boolean {
    return this.#retryStreamsMs !== Infinity;
  }

  /** UDP for a while, unless a stream has answered since `sinceMs`. */
  avoidStreams(sinceMs: number): void {
    if (this.#streams.lastAnswerMs >= sinceMs) return;
    this.#retryStreamsMs = nowMs() + STREAM_RETRY_MS;
  }

  /** Tries a stream again if that is due, to see whether they must still be avoided. */
  retryStreams(): void {
    const now = nowMs();
    if (now < this.#retryStreamsMs) return;
    this.#retryStreamsMs = now + STREAM_RETRY_MS;
    this.#streams.search(now);
  }

  get outstanding(): number {
    return this.#datagrams.outstanding + this.#streams.outstanding;
  }

  /** Whether `tick` has anything to watch; whether it must be soon. */
  get busy(): boolean {
    return this.#streams.count > 0 || this.#datagrams.outstanding > 0 || this.urgent;
  }

  get urgent(): boolean {
    return this.outstanding > 0 || this.#streams.isSearching || this.health.checking;
  }

  /** Sends over UDP: for plain upstreams only. */
  sendDatagram(attempt: Attempt): void {
    if (this.#closed) {
      attempt.failSoon(REMOVED, 'unreachable');
      return;
    }
    this.#counters.udpMisses.value++;
    this.#datagrams.send(attempt);
  }

  /** Sends over a stream: the best there is, or a new one. */
  sendStream(attempt: Attempt): void {
    if (this.#closed) attempt.failSoon(REMOVED, 'unreachable');
    else this.#streams.send(attempt);
  }

  /** Called every few ms while busy: finds what is slow, silent, idle and old. */
  tick(now: number): void {
    this.#streams.tick(now);
    this.#datagrams.tick(now, Math.min(this.#time.silentMs, this.#terms.readTimeoutMs));
    this.health.tick(now);
  }

  /** The one place through which each end of each attempt passes. */
  attemptEnded(attempt: Attempt, outcome: AttemptOutcome, rcode: number): void {
    this.#counters.ended(attempt.purpose, outcome);
    if (outcome === 'answered') {
      const now = nowMs();
      const tookMs = now - attempt.sentMs;
      this.#time.observe(now, tookMs);
      if (attempt.purpose === 'query') this.#counters.answered(rcode, tookMs);
      if (attempt.overStream) this.#streams.answered(now);
      if (attempt.purpose === 'trial') this.#retryStreamsMs = Infinity;
    }
    this.health.attemptEnded(attempt, outcome);
  }

  /** Closes every connection; what is outstanding ends as failed. */
  close(): void {
    this.#closed = true;
    this.health.watch([]);
    this.#streams.close(REMOVED);
    this.#datagrams.close();
  }
}
