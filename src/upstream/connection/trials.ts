/**
 * The search for a connection on which somebody answers.
 *
 * Behind one address there may be several servers (kube-proxy), one of them gone or mute, and each new
 * connection may lead to it again. So what must be sent a second time goes only over a connection that
 * has answered since; if there is none, new ones are tried, each with a probe, and the queries wait
 * for the first probe that is answered. A connection that has grown old is replaced in the same way.
 *
 *   idle --begin--> a round: 1 connection --unanswered--> a round: 3 more, 4 at once ... --> idle
 *
 * It ends when nobody waits any more, when connections are refused, or when the queries are given to a
 * connection that takes them and answers no probe. How many are opened is the budget's: pool.ts.
 *
 * Owns:    the rounds, their times, and the queries that wait for one.
 */
import type { Attempt, AttemptCarrier, AttemptOwner } from '../attempt.ts';
import { nowMs } from '../../sys/clock.ts';
import { CONNECT_MS, type Connection } from './connection.ts';
import type { Pool } from './pool.ts';
import type { Health } from '../health.ts';
import { type ResponseTime, SILENT_MS_MIN } from '../response-time.ts';

/** Between attempts to connect after one that failed, doubled each time that a trial ends in vain. */
export const REDIAL_MS = 20;
const REDIAL_MS_MAX = 1000;
/** Connections tried in a round: one at first, then several, since some may lead to nobody. */
const TRIALS_FIRST = 1;
const TRIALS_NEXT = 3;
const TRIALS_MAX = 4;
/** A round waits for answers that long, and each one twice as long as the one before. */
const ROUND_MS_MIN = 40;
const ROUND_MS_MAX = 1000;
/** Rounds in which every connection is refused before those who wait are told. */
const REFUSED_ROUNDS_MAX = 3;
/** An upstream that answers no probe but takes connections is given the queries after all. */
const TRIAL_MS = 500;
/** Nothing answered that could take the place of an old connection: it is left alone for so long. */
const REPLACE_AGAIN_MS = 5000;

export interface TrialSurroundings {
  readonly pool: Pool;
  readonly health: Health;
  readonly time: ResponseTime;
  /** Opens a connection; there is room for it. */
  dial(now: number): Connection;
  /** In words, for attempts that fail because nobody takes connections. */
  dialFailure(): string;
}

export class Trials implements AttemptCarrier, AttemptOwner {
  readonly #around: TrialSurroundings;
  /** Attempts that wait for a connection to prove itself. */
  readonly #waiting = new Set<Attempt>();
  /** The round, from 1; 0 if none is under way. */
  #round = 0;
  #roundMs = 0;
  #sinceMs = 0;
  #notBeforeMs = 0;
  #noReplacementBeforeMs = 0;
  #redialMs = REDIAL_MS;

  constructor(around: TrialSurroundings) {
    this.#around = around;
  }

  get underWay(): boolean {
    return this.#round > 0;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** An upstream that takes no connection is left alone for a moment. */
  mayBegin(now: number): boolean {
    return this.#round > 0 || now >= this.#notBeforeMs;
  }

  /** Begins to look for a connection on which somebody answers, unless that is under way or too soon. */
  begin(now: number): void {
    if (this.#round > 0 || now < this.#notBeforeMs) return;
    this.#round = 1;
    this.#sinceMs = now;
    this.#dial(now, TRIALS_FIRST);
  }

  /** An old connection should be replaced. */
  replace(now: number): void {
    if (now < this.#noReplacementBeforeMs || !this.#around.pool.hasRoom(now)) return;
    this.begin(now);
  }

  /** The attempt is sent when a connection has proved itself, or fails. */
  await(attempt: Attempt, now: number): void {
    this.begin(now);
    attempt.sent(this, now);
    this.#waiting.add(attempt);
  }

  withdrawn(attempt: Attempt): void {
    this.#waiting.delete(attempt);
  }

  #dial(now: number, count: number): void {
    const { pool, health } = this.#around;
    this.#roundMs = now;
    const trials = this.#open();
    for (let i = 0; i < count; i++) {
      if (trials.length >= TRIALS_MAX) pool.giveUp(trials.shift()!, now);
      if (!pool.hasRoom(now)) return;
      const connection = this.#around.dial(now);
      connection.putOnTrial();
      trials.push(connection);
      const probe = health.probe(this, 'trial');
      probe.overStream = true;
      connection.send(probe);
    }
  }

  #open(): Connection[] {
    return this.#around.pool.all.filter(({ standing }) => standing === 'onTrial');
  }

  /** A probe was answered: its connection may be used, and those who waited use it. */
  onAnswered(probe: Attempt): void {
    const connection = this.#around.pool.all.find((each) => each === probe.carrier);
    if (connection?.standing !== 'onTrial') return;
    connection.trust();
    const now = nowMs();
    this.#flush(now);
    if (this.#waiting.size === 0) this.#end(now);
  }

  onSlow(): void {
    // A round has its own time.
  }

  onFailed(): void {
    // If its connection ends, `lost` follows; else the round goes on.
  }

  /** Somebody answers, over whatever connection. */
  answered(): void {
    this.#redialMs = REDIAL_MS;
    this.#notBeforeMs = 0;
  }

  /** A trial is closed. One that was taken, and closed by the other side, will be so again. */
  lost(wasAccepted: boolean, now: number): void {
    if (wasAccepted && this.#round > 0) this.#giveUp(now);
  }

  #flush(now: number): void {
    for (const attempt of this.#waiting) {
      const connection = this.#around.pool.pickProven(now);
      if (connection === undefined) return;
      this.#waiting.delete(attempt);
      connection.send(attempt);
    }
  }

  #end(now: number): void {
    const { pool } = this.#around;
    this.#round = 0;
    for (const connection of this.#open()) pool.drop(connection, now, 'not needed', 'closed');
  }

  /** The next round, or the end. */
  tick(now: number): void {
    if (this.#round === 0) return;
    for (const attempt of this.#waiting) {
      if (now - attempt.sentMs >= SILENT_MS_MIN) attempt.doubt();
    }
    this.#flush(now);
    const trials = this.#open();
    if (this.#waiting.size === 0 && (trials.length === 0 || now - this.#sinceMs >= CONNECT_MS)) {
      this.#noReplacementBeforeMs = now + REPLACE_AGAIN_MS;
      this.#end(now);
      return;
    }
    if (this.#waiting.size > 0 && now - this.#sinceMs >= TRIAL_MS) {
      const taker = trials.find(({ state }) => state === 'open') ?? this.#lastResort(now, trials);
      if (taker !== undefined) {
        this.#acceptUnproven(taker, now);
        return;
      }
    }
    const hasRoom = this.#around.pool.hasRoom(now);
    if (trials.length === 0) {
      if (!hasRoom) return; // those who wait have their deadlines
      if (this.#round >= REFUSED_ROUNDS_MAX) this.#giveUp(now);
      else if (now - this.#roundMs >= REDIAL_MS) this.#nextRound(now);
      return;
    }
    const roundMs = Math.max(this.#around.time.slowMs, ROUND_MS_MIN) * 2 ** (this.#round - 1);
    if (hasRoom && now - this.#roundMs >= Math.min(roundMs, ROUND_MS_MAX)) this.#nextRound(now);
  }

  /** With nothing on trial and nothing to be opened: what there is. */
  #lastResort(now: number, trials: readonly Connection[]): Connection | undefined {
    const { pool } = this.#around;
    return trials.length > 0 || pool.hasRoom(now) ? undefined : pool.pickAny();
  }

  #nextRound(now: number): void {
    this.#round++;
    this.#dial(now, this.#waiting.size > 0 ? TRIALS_NEXT : TRIALS_FIRST);
  }

  /** Nobody answers probes, but somebody takes connections: better than nothing. */
  #acceptUnproven(connection: Connection, now: number): void {
    connection.trust();
    for (const attempt of this.#endWaiting(now)) connection.send(attempt);
  }

  /** Nobody takes connections. Those who wait are told, and the next trial begins later each time. */
  #giveUp(now: number): void {
    this.#notBeforeMs = now + this.#redialMs;
    this.#redialMs = Math.min(2 * this.#redialMs, REDIAL_MS_MAX);
    this.#around.health.suspect();
    const reason = this.#around.dialFailure();
    for (const attempt of this.#endWaiting(now)) attempt.fail(reason, 'unreachable');
  }

  /** Ends it for good; those who wait are told later, since they may be about to send. */
  close(now: number, reason: string): void {
    for (const attempt of this.#endWaiting(now)) attempt.failSoon(reason, 'unreachable');
  }

  /** Ends the search. Returns those who waited for it. */
  #endWaiting(now: number): Attempt[] {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    this.#end(now);
    return waiting;
  }
}
