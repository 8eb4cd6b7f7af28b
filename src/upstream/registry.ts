/**
 * Every upstream of the process, by address: blocks that forward to the same one share its
 * connections and its health, and both outlive a reload.
 *
 * Owns:    the clock that all timeouts of upstreams hang on: one timer, fast while anything is
 *          outstanding, slow while connections only wait to become too idle, off otherwise.
 */
import type { Metrics } from '../observe/metrics.ts';
import { nowMs } from '../sys/clock.ts';
import type { UpstreamTarget } from './config.ts';
import type { Exchange } from './exchange.ts';
import { Upstream } from './pool.ts';

const FAST_TICK_MS = 10;
const SLOW_TICK_MS = 1000;

interface Shared {
  readonly upstream: Upstream;
  users: number;
}

export class Upstreams {
  readonly #metrics: Metrics;
  readonly #shared = new Map<string, Shared>();
  /** Exchanges under way, in the order of their deadlines. */
  readonly #exchanges = new Set<Exchange>();
  #timer: NodeJS.Timeout | undefined;
  #tickMs = 0;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  /** The upstream with that target; to be given back by {@link release}. */
  acquire(target: UpstreamTarget): Upstream {
    const key = JSON.stringify(target);
    let shared = this.#shared.get(key);
    if (shared === undefined) {
      shared = { upstream: new Upstream(target, this.#metrics), users: 0 };
      this.#shared.set(key, shared);
    }
    shared.users++;
    return shared.upstream;
  }

  /** Closes the upstream's connections when nobody uses it any more. */
  release(upstream: Upstream): void {
    const key = JSON.stringify(upstream.target);
    const shared = this.#shared.get(key);
    if (shared === undefined || --shared.users > 0) return;
    this.#shared.delete(key);
    upstream.close();
  }

  /** An exchange has begun: its deadline is watched, and so are the upstreams. */
  began(exchange: Exchange): void {
    this.#exchanges.add(exchange);
    if (this.#tickMs !== FAST_TICK_MS) this.#schedule(FAST_TICK_MS);
  }

  ended(exchange: Exchange): void {
    this.#exchanges.delete(exchange);
  }

  #schedule(everyMs: number): void {
    if (this.#timer !== undefined) clearInterval(this.#timer);
    this.#tickMs = everyMs;
    if (everyMs === 0) {
      this.#timer = undefined;
      return;
    }
    this.#timer = setInterval(() => this.#tick(), everyMs);
    this.#timer.unref();
  }

  #tick(): void {
    const now = nowMs();
    for (const exchange of this.#exchanges) {
      if (exchange.deadlineMs > now) break;
      exchange.expire();
    }
    let watching = this.#exchanges.size > 0;
    let busy = false;
    for (const { upstream } of this.#shared.values()) {
      upstream.tick(now);
      if (upstream.outstanding > 0 || upstream.health.checking) watching = true;
      if (upstream.busy) busy = true;
    }
    const wanted = watching ? FAST_TICK_MS : busy ? SLOW_TICK_MS : 0;
    if (wanted !== this.#tickMs) this.#schedule(wanted);
  }

  /** Closes everything: the process ends. */
  close(): void {
    this.#schedule(0);
    for (const { upstream } of this.#shared.values()) upstream.close();
    this.#shared.clear();
  }
}
