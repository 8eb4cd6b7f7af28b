/**
 * Every upstream of the process, by address: blocks that forward to the same one share its
 * connections and its health, and both outlive a reload.
 *
 * Owns:    the clock that all timeouts of upstreams hang on: one timer, fast while anything is
 *          outstanding, slow while connections only wait to become too idle, off otherwise.
 */
import type { Metrics } from '../observe/metrics.ts';
import { nowMs } from '../sys/clock.ts';
import type { UpstreamTarget, UpstreamTerms } from './config.ts';
import { Upstream } from './upstream.ts';

const FAST_TICK_MS = 10;
const SLOW_TICK_MS = 1000;

/** Something that ends by itself at its deadline, on the monotonic clock. */
export interface Expiring {
  readonly deadlineMs: number;
  expire(): void;
}

export class Upstreams {
  readonly #metrics: Metrics;
  /** By target. */
  readonly #shared = new Map<string, Upstream>();
  /** Released by their last user, with queries still under way. */
  readonly #leaving = new Set<Upstream>();
  /** Exchanges under way, in the order of their deadlines. */
  readonly #exchanges = new Set<Expiring>();
  #timer: NodeJS.Timeout | undefined;
  #tickMs = 0;
  #closed = false;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  /** The upstream with that target, on these terms; to be given back by {@link release}. */
  acquire(target: UpstreamTarget, terms: UpstreamTerms): Upstream {
    const key = JSON.stringify(target);
    let upstream = this.#shared.get(key);
    if (upstream === undefined) {
      upstream = new Upstream(target, this.#metrics);
      this.#shared.set(key, upstream);
    }
    upstream.join(terms);
    return upstream;
  }

  /** What is under way is still answered; then the upstream's connections are closed. */
  release(upstream: Upstream, terms: UpstreamTerms): void {
    if (upstream.leave(terms) > 0) return;
    this.#shared.delete(JSON.stringify(upstream.target));
    this.#leaving.add(upstream);
    if (this.#tickMs === 0) this.#schedule(SLOW_TICK_MS);
  }

  /** An exchange has begun: its deadline is watched, and so are the upstreams. */
  began(exchange: Expiring): void {
    this.#exchanges.add(exchange);
    if (this.#tickMs !== FAST_TICK_MS) this.#schedule(FAST_TICK_MS);
  }

  ended(exchange: Expiring): void {
    this.#exchanges.delete(exchange);
  }

  #schedule(everyMs: number): void {
    if (this.#closed && everyMs > 0) return;
    if (this.#timer !== undefined) clearInterval(this.#timer);
    this.#tickMs = everyMs;
    if (everyMs === 0) {
      this.#timer = undefined;
      return;
    }
    // After what has arrived is read: when we were late ourselves, the upstreams were perhaps not.
    this.#timer = setInterval(() => setImmediate(this.#tick), everyMs);
    this.#timer.unref();
  }

  readonly #tick = (): void => {
    const now = nowMs();
    for (const exchange of this.#exchanges) {
      if (exchange.deadlineMs > now) break;
      exchange.expire();
    }
    let watching = this.#exchanges.size > 0;
    let busy = false;
    for (const upstream of this.#shared.values()) {
      upstream.tick(now);
      if (upstream.urgent) watching = true;
      if (upstream.busy) busy = true;
    }
    for (const upstream of this.#leaving) {
      upstream.tick(now);
      if (upstream.urgent) watching = true;
      if (upstream.busy || this.#exchanges.size > 0) busy = true;
      else this.#leaving.delete(upstream);
    }
    const wanted = watching ? FAST_TICK_MS : busy ? SLOW_TICK_MS : 0;
    if (wanted !== this.#tickMs) this.#schedule(wanted);
  };

  /** Closes everything: the process ends. */
  close(): void {
    this.#closed = true;
    this.#schedule(0);
    for (const upstream of this.#shared.values()) upstream.close();
    for (const upstream of this.#leaving) upstream.close();
    this.#shared.clear();
    this.#leaving.clear();
  }
}
