/**
 * The connections to one upstream: which of them takes the next query, and whether there may be
 * another one.
 *
 * Owns:    that there are 8 at most, none ahead of need, and that what is filled first is not slow.
 * Is not:  the life of each (connection.ts), the judgement of its silence and age (watch.ts), nor the search
 *          for one that answers (trials.ts).
 *
 * CoreDNS as an upstream answers one connection's queries strictly in turn, closes a connection that
 * sends nothing within 3 s and one that is idle for 10 s. So: least outstanding first, another
 * connection before queueing behind a slow one, none ahead of need.
 */
import type { FailureCause } from '../attempt.ts';
import type { Connection } from './connection.ts';
import { DialBudget } from './dial-budget.ts';
import type { ResponseTime } from '../response-time.ts';

/** Outstanding queries on the least loaded connection that are worth another one. */
const GROW_AT_OUTSTANDING = 128;
/**
 * Up to so many outstanding queries the first connection that will do is taken, beyond them the least
 * loaded: what leaves together costs one write, and what is not needed becomes idle.
 */
const FILL_OUTSTANDING = 32;
/** One that acknowledges and does not answer makes room for another one after so long. */
const HOPELESS_MS = 2000;

export class Pool {
  readonly all: Connection[] = [];
  readonly #time: ResponseTime;
  /** As errors name the upstream. */
  readonly #label: string;
  readonly #budget = new DialBudget();

  constructor(time: ResponseTime, label: string) {
    this.#time = time;
    this.#label = label;
  }

  /** Whether another one may be opened, perhaps in the place of one that is of no use. */
  hasRoom(now: number): boolean {
    const { length } = this.all;
    if (this.#budget.allows(now, length)) return true;
    return this.#budget.allows(now, length - 1) && this.#useless(now) !== undefined;
  }

  /** Takes in a new one. Callers have seen that there is room. */
  add(now: number, open: () => Connection): Connection {
    if (!this.#budget.allows(now, this.all.length)) {
      const worst = this.#useless(now);
      if (worst !== undefined) this.giveUp(worst, now);
    }
    const connection = open();
    this.all.push(connection);
    return connection;
  }

  /** Closes it; what is outstanding on it fails with that reason. */
  drop(connection: Connection, now: number, reason: string, cause: FailureCause): void {
    this.remove(connection);
    if (connection.lastAnswerMs === -Infinity) this.#budget.waste(now);
    connection.abort(reason, cause);
  }

  /** Closes one that does not answer. */
  giveUp(connection: Connection, now: number): void {
    this.drop(connection, now, `read tcp ${this.#label}: i/o timeout`, 'timeout');
  }

  /** Forgets one that is closed. False if it was forgotten before. */
  remove(connection: Connection): boolean {
    const at = this.all.indexOf(connection);
    if (at !== -1) this.all.splice(at, 1);
    return at !== -1;
  }

  /** What has been silent for longest and leads to nobody, or else what takes no more queries. */
  #useless(now: number): Connection | undefined {
    let worst: Connection | undefined;
    for (const connection of this.all) {
      if (connection.standing !== 'silent') continue;
      if (connection.silentMs(now) < HOPELESS_MS && isThere(connection)) continue;
      if (worst === undefined || connection.silentMs(now) > worst.silentMs(now)) worst = connection;
    }
    return worst ?? this.all.find((connection) => !connection.takesMore);
  }

  /**
   * The one to use; an old one only if there is none else. Undefined if a new one is better, and there
   * is room for it, or if there is none.
   */
  pick(now: number): Connection | undefined {
    const { slowMs } = this.#time;
    let best: Connection | undefined;
    let old: Connection | undefined;
    let fallback: Connection | undefined;
    let filling = false;
    let connecting = false;
    for (const connection of this.all) {
      if (!connection.takesMore || connection.standing === 'onTrial') continue;
      if (fallback === undefined || connection.outstanding < fallback.outstanding) {
        fallback = connection;
      }
      if (connection.standing !== 'trusted') continue;
      if (connection.isConnecting) connecting = true;
      if (filling) continue;
      if (connection.isOld(now)) {
        if (connection.silentMs(now) < slowMs) old = connection;
      } else if (connection.outstanding < FILL_OUTSTANDING && connection.silentMs(now) < slowMs) {
        best = connection;
        filling = true;
      } else if (best === undefined || connection.outstanding < best.outstanding) {
        best = connection;
      }
    }
    best ??= old;
    if (best !== undefined) {
      if (best === old || best.outstanding === 0 || connecting) return best;
      if (best.silentMs(now) <= slowMs && best.outstanding < GROW_AT_OUTSTANDING) return best;
    }
    return this.hasRoom(now) ? undefined : (best ?? fallback);
  }

  /**
   * The least loaded that has answered a moment ago: later than anything can have happened for which
   * an attempt is made again, since that shows after `slowMs` at the earliest. Undefined if there is
   * none, or a new one is better and there is room for it.
   */
  pickProven(now: number): Connection | undefined {
    const sinceMs = now - this.#time.slowMs / 2;
    let best: Connection | undefined;
    for (const connection of this.all) {
      if (connection.lastAnswerMs < sinceMs || !connection.takesMore) continue;
      if (connection.standing !== 'trusted') continue;
      if (best === undefined || connection.outstanding < best.outstanding) best = connection;
    }
    if (best === undefined || best.outstanding < GROW_AT_OUTSTANDING) return best;
    return this.hasRoom(now) ? undefined : best;
  }

  /** The least loaded that takes queries at all, however little is known of it. */
  pickAny(): Connection | undefined {
    let best: Connection | undefined;
    for (const connection of this.all) {
      if (!connection.takesMore || connection.standing === 'onTrial') continue;
      if (best === undefined || connection.outstanding < best.outstanding) best = connection;
    }
    return best;
  }
}

/** Whether the other side acknowledges what it gets, as far as can be told. */
export function isThere(connection: Connection): boolean {
  return connection.isAcknowledged() !== false;
}
