/**
 * Whether queries should come to us: `/ready`, which a roll-out waits for, and by which Cilium's
 * local redirect policy chooses its backends.
 *
 *   waiting --all there--> ready --SIGTERM--> withdrawn
 *
 * Owns:    that it does not flap. A condition that held once (the rules, an answer from each block that
 *          counts) is not asked again: when an upstream is in trouble later, the cache answers, and
 *          withdrawing us would only do harm. The exceptions are `monitor continuously`, and
 *          sockets that no longer answer.
 */
import type { Log } from '../../observe/log.ts';
import type { Metrics } from '../../observe/metrics.ts';
import { REFUSED, SERVFAIL } from '../../dns/rcode.ts';
import type { Proof } from './generation.ts';
import { askZone } from './self-query.ts';

export interface ReadinessSources {
  /** Whether our sockets answer (self-query.ts). */
  readonly isServing: () => boolean;
  /** Why queries are not diverted to us yet; undefined if they are, or need not be. */
  readonly undiverted: () => string | undefined;
  /** Faults of the configuration for which clients should rather not come; a line each. */
  readonly misconfigured: () => readonly string[];
  readonly ask?: typeof askZone;
}

const ASK_EVERY_MS = 1000;
const ANSWER_MS = 2000;
/** With `monitor continuously`, once ready. */
const MONITOR_EVERY_MS = 5000;
const MONITOR_FAILURES_MAX = 3;

interface Watched extends Proof {
  hasAnswered: boolean;
  /** In a row. */
  failures: number;
  askedMs: number;
}

export class Readiness {
  readonly #sources: ReadinessSources;
  readonly #log: Log;
  readonly #ask: typeof askZone;
  #watched: Watched[] | undefined;
  #diverted = false;
  /** Every condition held once. */
  #wasReady = false;
  #withdrawn: string | undefined;
  #asking = false;
  #timer: NodeJS.Timeout | undefined;
  #told = '';

  constructor(sources: ReadinessSources, log: Log, metrics: Metrics) {
    this.#sources = sources;
    this.#log = log;
    this.#ask = sources.ask ?? askZone;
    metrics.gauge('nodelocald_ready', {}).read = () => (this.unready().length === 0 ? 1 : 0);
  }

  /**
   * A worker before us served, and was replaced behind the same sockets: its upstreams need not answer
   * again first, which may just be in trouble. The sockets and the rules must be there all the same.
   */
  resume(): void {
    this.#wasReady = true;
  }

  /** A generation serves, with these blocks to be asked. */
  follow(proofs: readonly Proof[]): void {
    if (this.#withdrawn !== undefined) return;
    this.#watched = proofs.map((proof) => ({
      ...proof,
      hasAnswered: this.#wasReady,
      failures: 0,
      askedMs: 0,
    }));
    this.#timer ??= setInterval(() => void this.check(), ASK_EVERY_MS).unref();
    void this.check();
  }

  /** From now on, whatever else is true. */
  withdraw(why: string): void {
    this.#withdrawn = why;
    clearInterval(this.#timer);
  }

  /** The conditions that do not hold, a line each; empty if we are ready. */
  unready(): readonly string[] {
    const reasons = this.#reasons();
    if (reasons.length === 0) this.#wasReady = true;
    const told = reasons.join('; ');
    if (told !== this.#told) {
      this.#told = told;
      this.#log.info(told === '' ? 'plugin/ready: Ready' : `plugin/ready: Still waiting: ${told}`);
    }
    return reasons;
  }

  /** Asks those blocks whose turn it is; for the timer, and for tests. Never rejects. */
  async check(nowMs: number = Date.now()): Promise<void> {
    if (this.#asking || this.#withdrawn !== undefined) return;
    this.#asking = true;
    await Promise.all((this.#watched ?? []).map((watched) => this.#prove(watched, nowMs)));
    this.#asking = false;
    if (this.#withdrawn === undefined) this.unready();
  }

  async #prove(watched: Watched, nowMs: number): Promise<void> {
    if (watched.hasAnswered && !watched.continuously) return;
    if (watched.hasAnswered && nowMs - watched.askedMs < MONITOR_EVERY_MS) return;
    watched.askedMs = nowMs;
    const rcode = await this.#ask(watched.at, watched.zone, ANSWER_MS);
    if (rcode === undefined || rcode === SERVFAIL || rcode === REFUSED) {
      watched.failures++;
      if (watched.failures >= MONITOR_FAILURES_MAX) watched.hasAnswered = false;
    } else {
      watched.hasAnswered = true;
      watched.failures = 0;
    }
  }

  #reasons(): string[] {
    if (this.#withdrawn !== undefined) return [this.#withdrawn];
    if (this.#watched === undefined) return ['nothing is listened on yet'];
    const reasons: string[] = [];
    if (!this.#sources.isServing()) reasons.push('our own queries are not answered');
    const undiverted = this.#diverted ? undefined : this.#sources.undiverted();
    if (undiverted === undefined) this.#diverted = true;
    else reasons.push(undiverted);
    if (!this.#wasReady) reasons.push(...this.#sources.misconfigured());
    for (const { zone, hasAnswered } of this.#watched) {
      if (!hasAnswered) reasons.push(`no upstream of the block ${zone} has answered`);
    }
    return reasons;
  }
}
