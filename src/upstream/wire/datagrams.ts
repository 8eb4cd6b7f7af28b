/**
 * The queries under way over UDP to one upstream.
 *
 * Owns:    when an answer over UDP is late, and when it is given up.
 * Is not:  one query's socket and what counts as its answer (udp.ts).
 */
import type { Attempt } from '../attempt.ts';
import type { UpstreamTarget } from '../config.ts';
import type { Health } from '../health.ts';
import type { ResponseTime } from '../response-time.ts';
import { type UdpEvents, UdpQuery } from './udp.ts';

/** Nobody waits longer for an answer. */
const DEAD_MS = 4000;

export class Datagrams implements UdpEvents {
  readonly #target: UpstreamTarget;
  readonly #time: ResponseTime;
  readonly #health: Health;
  readonly #disbelieved: (reason: string) => void;
  /** In the order of sending. */
  readonly #queries = new Set<UdpQuery>();

  constructor(
    target: UpstreamTarget,
    time: ResponseTime,
    health: Health,
    disbelieved: (reason: string) => void,
  ) {
    this.#target = target;
    this.#time = time;
    this.#health = health;
    this.#disbelieved = disbelieved;
  }

  get outstanding(): number {
    return this.#queries.size;
  }

  send(attempt: Attempt): void {
    this.#queries.add(new UdpQuery(attempt, this.#target, this));
  }

  /** Doubts what has had no answer for `silentMs`, and gives up what nobody waits for any longer. */
  tick(now: number, silentMs: number): void {
    for (const query of this.#queries) {
      const waitedMs = now - query.attempt.sentMs;
      if (waitedMs < silentMs) break; // the rest are younger
      if (waitedMs >= DEAD_MS) {
        query.timeOut();
      } else if (!query.attempt.isDoubted) {
        if (this.#time.isQuiet(now)) this.#health.suspect();
        query.attempt.doubt();
      }
    }
  }

  /** Every query fails. */
  close(): void {
    for (const query of Array.from(this.#queries)) query.timeOut();
  }

  disbelieved(reason: string): void {
    this.#disbelieved(reason);
  }

  done(query: UdpQuery): void {
    this.#queries.delete(query);
  }
}
