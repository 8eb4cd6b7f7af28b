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
 */
import type { Attempt, AttemptOwner, FailureCause } from '../attempt.ts';
import { CONNECT_MS, type Connection } from './connection.ts';
import type { Connections } from './pool.ts';
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
  readonly connections: Connections;
  readonly health: Health;
  readonly time: ResponseTime;
  /** Opens a connection; there is room for it. */
  dial(now: number): Connection;
  /** In words, for attempts that fail because nobody takes connections. */
  dialFailure(): string;
}

export class Trials {
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
    if (now < this.#noReplacementBeforeMs || !this.#around.connections.hasRoom(now)) return;
    this.begin(now);
  }

  /** The attempt is sent when a connection has proved itself, or fails. */
  await(attempt: Attempt, now: number): void {
    this.begin(now);
    attempt.sentMs = now;
    attempt.withdraw = this.#withdraw;
    this.#waiting.add(attempt);
  }

  readonly #withdraw = (attempt: Attempt): void => {
    this.#waiting.delete(attempt);
  };

  #dial(now: number, count: number): void {
    const { connections, health } = this.#around;
    this.#roundMs = now;
    const trials = this.#open();
    for (let i = 0; i < count; i++) {
      if (trials.length >= TRIALS_MAX) connections.giveUp(trials.shift()!, now);
      if (!connections.hasRoom(now)) return;
      const connection = this.#around.dial(now);
      connection.onTrial = true;
      trials.push(connection);
      connection.send(health.probe(this.#probeOwner));
    }
  }

  /** What becomes of probes is seen where it happens to their connections. */
  readonly #probeOwner: AttemptOwner = {
    onAnswer: () => undefined,
    onSlow: () => undefined,
    onFailure: () => undefined,
  };

  #open(): Connection[] {
    return this.#around.connections.all.filter(({ onTrial }) => onTrial);
  }

  /** Somebody answers, over whatever connection. */
  answered(): void {
    this.#redialMs = REDIAL_MS;
    this.#notBeforeMs = 0;
  }

  /** A trial was answered: the connection may be used, and those who waited use it. */
  passed(connection: Connection, now: number): void {
    connection.onTrial = false;
    this.#flush(now);
    if (this.#waiting.size === 0) this.#end(now);
  }

  /** A trial is closed. One that was taken, and closed by the other side, will be so again. */
  lost(connection: Connection, now: number): void {
    if (connection.wasAccepted && this.#round > 0) this.#giveUp(now);
  }

  #flush(now: number): void {
    for (const attempt of this.#waiting) {
      const connection = this.#around.connections.pickProven(now);
      if (connection === undefined) return;
      this.#waiting.delete(attempt);
      sendAnew(attempt, connection);
    }
  }

  #end(now: number): void {
    const { connections } = this.#around;
    this.#round = 0;
    for (const connection of this.#open())
      connections.drop(connection, now, 'not needed', 'closed');
  }

  /** The next round, or the end. */
  tick(now: number): void {
    if (this.#round === 0) return;
    for (const attempt of this.#waiting) {
      if (attempt.toldSilent || now - attempt.sentMs < SILENT_MS_MIN) continue;
      attempt.toldSilent = true;
      attempt.owner.onSlow(attempt, true);
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
    const hasRoom = this.#around.connections.hasRoom(now);
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
    const { connections } = this.#around;
    return trials.length > 0 || connections.hasRoom(now) ? undefined : connections.pickAny();
  }

  #nextRound(now: number): void {
    this.#round++;
    this.#dial(now, this.#waiting.size > 0 ? TRIALS_NEXT : TRIALS_FIRST);
  }

  /** Nobody answers probes, but somebody takes connections: better than nothing. */
  #acceptUnproven(connection: Connection, now: number): void {
    connection.onTrial = false;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    this.#end(now);
    for (const attempt of waiting) sendAnew(attempt, connection);
  }

  /** Nobody takes connections. Those who wait are told, and the next trial begins later each time. */
  #giveUp(now: number): void {
    this.#notBeforeMs = now + this.#redialMs;
    this.#redialMs = Math.min(2 * this.#redialMs, REDIAL_MS_MAX);
    this.#around.health.suspect();
    this.#fail(now, this.#around.dialFailure(), 'unreachable');
  }

  /** Ends it for good; those who wait are told later, since they may be about to send. */
  close(now: number, fail: (attempt: Attempt) => void): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    this.#end(now);
    waiting.forEach(fail);
  }

  #fail(now: number, reason: string, cause: FailureCause): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    this.#end(now);
    for (const attempt of waiting) attempt.owner.onFailure(attempt, reason, cause);
  }
}

/** Over a connection of which nothing bad is known, so that its owner's patience begins anew. */
function sendAnew(attempt: Attempt, connection: Connection): void {
  attempt.toldSlow = false;
  attempt.toldSilent = false;
  connection.send(attempt);
}
