/**
 * How queries reach one upstream over TCP, TLS and HTTPS: which connection takes one, when another
 * connection is opened, and what a lost connection means for the next.
 *
 * Owns:    the path of an attempt to a connection: one that is known, a new one, or the wait for one
 *          that has proved itself.
 * Is not:  the choice among known connections (pool.ts), the search for one that answers (trials.ts),
 *          the judgement of silence and age (watch.ts), nor the life of one connection (connection.ts).
 */
import type { SecureContext } from 'node:tls';
import { formatHostPort } from '../../net/host-port.ts';
import { nowMs } from '../../sys/clock.ts';
import { secureContextOf } from '../../tls/secure-context.ts';
import type { Attempt } from '../attempt.ts';
import type { UpstreamTarget } from '../config.ts';
import type { Health } from '../health.ts';
import type { ResponseTime } from '../response-time.ts';
import { type AgreedTerms, NO_TERMS } from '../terms.ts';
import type { UpstreamCounters } from '../upstream-counters.ts';
import { Connection, type ConnectionEnd, type ConnectionEvents } from './connection.ts';
import { drawLifespan } from './lifespan.ts';
import { Pool } from './pool.ts';
import { REDIAL_MS, Trials } from './trials.ts';
import { Watch } from './watch.ts';

export class Streams implements ConnectionEvents {
  readonly #target: UpstreamTarget;
  readonly #counters: UpstreamCounters;
  readonly #pool: Pool;
  readonly #trials: Trials;
  readonly #watch: Watch;
  terms: AgreedTerms = NO_TERMS;
  #secure: SecureContext | undefined;
  #session: Buffer | undefined;
  /** In words; how long no other dial is tried because of it. */
  #dialFailure = '';
  #noDialBeforeMs = 0;
  #lastAnswerMs = -Infinity;

  constructor(
    target: UpstreamTarget,
    health: Health,
    time: ResponseTime,
    counters: UpstreamCounters,
  ) {
    const label = formatHostPort(target);
    this.#target = target;
    this.#counters = counters;
    this.#pool = new Pool(time, label);
    this.#watch = new Watch(this.#pool, health, time, label);
    this.#trials = new Trials({
      pool: this.#pool,
      health,
      time,
      dial: (now) => this.#dial(now),
      dialFailure: () => this.#dialFailure,
    });
  }

  /** Connections that are open or being opened. */
  get count(): number {
    return this.#pool.all.length;
  }

  get outstanding(): number {
    let sum = this.#trials.waiting;
    for (const connection of this.#pool.all) sum += connection.outstanding;
    return sum;
  }

  /** Whether a connection on which somebody answers is being looked for. */
  get isSearching(): boolean {
    return this.#trials.underWay;
  }

  /** When the last answer came over any connection; -Infinity if none has. */
  get lastAnswerMs(): number {
    return this.#lastAnswerMs;
  }

  /** Sends over the best connection there is, or a new one. */
  send(attempt: Attempt): void {
    const now = nowMs();
    const pool = this.#pool;
    const proven = attempt.mends && pool.hasRoom(now);
    const known = proven ? pool.pickProven(now) : pool.pick(now);
    if (known !== undefined) {
      if (known.isOld(now)) this.#trials.replace(now); // it serves until that has answered
      this.#counters.hits.value++;
      known.send(attempt);
      return;
    }
    // A check that opened a connection of its own would only double what trials do.
    const waits = attempt.mends || attempt.purpose === 'check' || this.#trials.underWay;
    if (waits ? !this.#trials.mayBegin(now) : now < this.#noDialBeforeMs) {
      attempt.failSoon(this.#dialFailure, 'unreachable');
    } else if (waits || !pool.hasRoom(now)) {
      this.#trials.await(attempt, now);
    } else {
      this.#dial(now).send(attempt);
    }
  }

  /** Begins to look for a connection on which somebody answers. No query waits for it. */
  search(now: number): void {
    this.#trials.begin(now);
  }

  /** An answer has come over one of the connections. */
  answered(now: number): void {
    this.#lastAnswerMs = now;
    this.#noDialBeforeMs = 0;
    this.#trials.answered();
  }

  tick(now: number): void {
    this.#watch.tick(now, this.terms);
    this.#trials.tick(now);
  }

  /** Every connection finishes what it has, and closes. */
  retire(): void {
    for (const connection of this.#pool.all.slice()) connection.retire();
  }

  /** Closes every connection at once; what is outstanding fails with that reason. */
  close(reason: string): void {
    this.#trials.close(nowMs(), reason);
    for (const connection of this.#pool.all.slice()) connection.abort(reason, 'closed');
  }

  disbelieved(reason: string): void {
    this.#counters.disbelieved(reason);
  }

  closed(connection: Connection, { reason, cause }: ConnectionEnd, wasAccepted: boolean): void {
    const wasDropped = !this.#pool.remove(connection);
    const wasOnTrial = connection.standing === 'onTrial';
    if (cause === 'unreachable') {
      this.#dialFailure = reason;
      this.#session = undefined; // perhaps it was what the upstream did not like
      if (!wasOnTrial) this.#noDialBeforeMs = nowMs() + REDIAL_MS;
    }
    if (wasOnTrial && !wasDropped) this.#trials.lost(wasAccepted, nowMs());
  }

  session(session: Buffer): void {
    this.#session = session;
  }

  #dial(now: number): Connection {
    this.#counters.misses.value++;
    const { tls } = this.#target;
    if (tls !== undefined) this.#secure ??= secureContextOf(tls);
    const lifespan = drawLifespan(this.terms.ageMaxMs, this.terms.shares);
    return this.#pool.add(
      now,
      () => new Connection(this.#target, this, lifespan, this.#secure, this.#session),
    );
  }
}
