/**
 * The judgement of an upstream's connections from time to time: which is slow, silent, idle or old.
 *
 * Owns:    the times after which a connection is judged, and what follows.
 * Is not:  the choice of a connection (pool.ts), nor the states (connection-state.ts).
 */
import type { AgreedTerms } from '../terms.ts';
import type { Health } from '../health.ts';
import type { ResponseTime } from '../response-time.ts';
import { CONNECT_MS, type Connection } from './connection.ts';
import { type Pool, isThere } from './pool.ts';

/**
 * No answer for so long, although the other side has acknowledged the query: it is there, and probably
 * only slow, and a second query would cost it more. A recursive resolver seldom takes that long.
 */
const SILENT_ACKNOWLEDGED_MS = 600;
/** A connection that owes answers and has sent nothing for so long is dead: nobody waits longer. */
const DEAD_MS = 4000;
/** Likewise if not even our octets were acknowledged: the kernel has sent them four times by then. */
const DEAD_UNACKNOWLEDGED_MS = 2000;
/** An old connection that is in use waits so long for its replacement to answer a probe. */
const AGE_GRACE_MS = 5000;
/** An old connection that is idle for so long is not in use. */
const AGED_IDLE_MS = 1000;

export class Watch {
  readonly #pool: Pool;
  readonly #health: Health;
  readonly #time: ResponseTime;
  /** As errors name the upstream. */
  readonly #label: string;

  constructor(pool: Pool, health: Health, time: ResponseTime, label: string) {
    this.#pool = pool;
    this.#health = health;
    this.#time = time;
    this.#label = label;
  }

  tick(now: number, terms: AgreedTerms): void {
    for (const connection of this.#pool.all.slice()) this.#judge(connection, now, terms);
    if (terms.idleMax !== Infinity) this.#closeIdle(now, terms.idleMax);
  }

  #judge(connection: Connection, now: number, terms: AgreedTerms): void {
    if (connection.state === 'closed') return;
    if (connection.isConnecting && now - connection.startedMs > CONNECT_MS) {
      this.#pool.drop(connection, now, `dial tcp ${this.#label}: i/o timeout`, 'unreachable');
      return;
    }
    if (connection.standing === 'onTrial') return; // the trial has its own times
    const silentMs = connection.silentMs(now);
    if (silentMs >= DEAD_MS || (silentMs >= DEAD_UNACKNOWLEDGED_MS && !isThere(connection))) {
      this.#pool.giveUp(connection, now);
      return;
    }
    if (silentMs >= this.#time.silentMs && isGone(connection, silentMs)) {
      if (this.#time.isQuiet(now)) this.#health.suspect();
      connection.mute();
    } else if (silentMs >= this.#time.slowMs) {
      connection.lag();
    } else if (connection.idleMs(now) > terms.idleMaxMs) {
      connection.retire();
    }
    if (connection.isOld(now) && this.#isReplaced(connection, now)) connection.retire();
    connection.doubtLate(now - terms.readTimeoutMs);
  }

  /** Closes those that have been idle for longest, where there are more than users want. */
  #closeIdle(now: number, idleMax: number): void {
    const idle = this.#pool.all
      .filter((connection) => connection.outstanding === 0 && connection.state === 'open')
      .toSorted((a, b) => a.idleMs(now) - b.idleMs(now));
    for (const connection of idle.slice(idleMax)) connection.retire();
  }

  /** Whether an old connection may go: nothing needs it, another one is there, or it is too old. */
  #isReplaced(old: Connection, now: number): boolean {
    if (old.idleMs(now) > AGED_IDLE_MS || old.oldMs(now) > AGE_GRACE_MS) return true;
    return this.#pool.all.some(
      (connection) =>
        connection !== old &&
        connection.state === 'open' &&
        connection.standing === 'trusted' &&
        !connection.isOld(now),
    );
  }
}

/** Whether a silent connection leads to nobody: nothing is acknowledged, or it is silent too long. */
function isGone(connection: Connection, silentMs: number): boolean {
  return silentMs >= SILENT_ACKNOWLEDGED_MS || !isThere(connection);
}
