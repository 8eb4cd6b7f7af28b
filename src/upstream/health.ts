/**
 * Whether an upstream is worth asking.
 *
 *   up --suspect--> suspect --failed (more than max_fails checks)--> down
 *    ^                 |                                              |
 *    '---- answered ---'-------------------- answered ----------------'
 *
 * Checks run only after a failure, as in CoreDNS, and end with the first answer to anything: any
 * response, whatever its RCODE. A suspect is asked after those that are up; one that is down only if
 * all are. (CoreDNS goes on asking it in turn until it is down, 2 s each time.)
 */
import { buildQuery } from '../dns/build-query.ts';
import { RD } from '../dns/header.ts';
import { nameFromText } from '../dns/name.ts';
import { NS } from '../dns/rrtype.ts';
import type { Counter } from '../observe/counters.ts';
import type { Metrics } from '../observe/metrics.ts';
import { nowMs } from '../sys/clock.ts';
import { Attempt, type AttemptOwner } from './attempt.ts';
import type { HealthCheckConfig } from './config.ts';
import type { Upstream } from './upstream.ts';

export type HealthState = 'up' | 'suspect' | 'down';

/** A check that is not answered by then has failed. */
const CHECK_MS = 1000;

export class Health implements AttemptOwner {
  readonly #upstream: Upstream;
  readonly #failures: Counter;
  #suspected = false;
  /** Checks that failed in a row. */
  #fails = 0;
  #check: Attempt | undefined;
  #nextCheckMs = Infinity;
  /** These three follow the terms of who uses the upstream. */
  config: HealthCheckConfig = { intervalMs: 500, recursionDesired: true, domain: '.' };
  overStream = false;
  enabled = true;

  constructor(upstream: Upstream, metrics: Metrics) {
    this.#upstream = upstream;
    this.#failures = metrics.counter('coredns_proxy_healthcheck_failures_total', {
      proxy_name: 'forward',
      to: upstream.label,
    });
  }

  /** `failsMax` is the asker's max_fails; with 0 nothing is ever suspect or down for it. */
  state(failsMax: number): HealthState {
    if (failsMax === 0 || !this.#suspected) return 'up';
    return this.#fails > failsMax ? 'down' : 'suspect';
  }

  /** An attempt failed, or waits too long: checks begin. */
  suspect(): void {
    if (this.#suspected || !this.enabled) return;
    this.#suspected = true;
    this.#nextCheckMs = nowMs();
  }

  /** It has answered something. */
  answered(): void {
    if (!this.#suspected) return;
    this.#suspected = false;
    this.#fails = 0;
    this.#nextCheckMs = Infinity;
  }

  get checking(): boolean {
    return this.#suspected;
  }

  tick(now: number): void {
    if (this.#check !== undefined) {
      if (now - this.#check.sentMs > CHECK_MS) {
        this.#check.withdraw?.(this.#check);
        this.#checkFailed();
      }
    } else if (now >= this.#nextCheckMs) {
      this.#nextCheckMs = Infinity;
      this.#send();
    }
  }

  close(): void {
    this.#suspected = false;
    this.#nextCheckMs = Infinity;
    this.#check?.withdraw?.(this.#check);
    this.#check = undefined;
  }

  onAnswer(attempt: Attempt): void {
    if (attempt === this.#check) this.#check = undefined;
  }

  onSlow(): void {
    // Patience ends with CHECK_MS.
  }

  onFailure(attempt: Attempt): void {
    if (attempt === this.#check) this.#checkFailed();
  }

  /** The query that shows whether the upstream answers: `. NS` unless configured. */
  probe(owner: AttemptOwner): Attempt {
    const domain = nameFromText(this.config.domain) ?? Uint8Array.of(0);
    const flags = this.config.recursionDesired ? RD << 8 : 0;
    const query = buildQuery({ name: domain, qtype: NS, flags });
    const attempt = new Attempt(owner, this.#upstream, query, domain.length, false);
    attempt.isProbe = true;
    return attempt;
  }

  #send(): void {
    const check = this.probe(this);
    check.sentMs = nowMs();
    check.overStream = this.overStream && !this.#upstream.avoidsStreams;
    this.#check = check;
    if (check.overStream) this.#upstream.sendStream(check);
    else this.#upstream.sendDatagram(check);
  }

  #checkFailed(): void {
    this.#check = undefined;
    if (!this.#suspected) return;
    this.#fails++;
    this.#failures.value++;
    this.#nextCheckMs = nowMs() + this.config.intervalMs;
  }
}
