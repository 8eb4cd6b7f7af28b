/**
 * The messages between supervisor and worker, over a channel that the worker is started with, as two
 * tables (message-table.ts).
 *
 * A new version may be installed over a daemon that runs: its next worker is then of the new version,
 * under the old supervisor.
 *
 * Owns:    the names and fields of these messages.
 */
import {
  type MessageOf,
  type MessageTable,
  counts,
  flag,
  isMessageOf,
  number,
  text,
  texts,
} from './message-table.ts';

const TO_WORKER = {
  /**
   * The first message, repeated if one cannot carry it all: the inheritance, a descriptor for each key
   * in the same order. `last`: no other follows. `takesOver` (an old name, kept for other versions):
   * interface and rules stand as a worker that served has made them, here or in the incumbent.
   * `restarts`: how often workers were replaced, by reason.
   */
  hello: { keys: texts, last: flag, takesOver: flag, restarts: counts },
  /** End in good order; `signal` asked for it. */
  stop: { signal: text },
  /** Load the Corefile again. */
  reload: { signal: text },
  /** Write all that the cache holds into memory, for a newcomer, and pass it on. */
  snapshot: {},
  /** Another daemon serves in our place: end in good order, and leave the node as it is. */
  retire: {},
} satisfies MessageTable;

const TO_SUPERVISOR = {
  /** The event loop turns. Sent every half second. */
  alive: {},
  /** All sockets are open and answer. */
  serving: {},
  /** Hold the one descriptor that comes along under this key, in place of an earlier one. */
  hold: { key: text },
  /** Close the descriptor that is held under this key. */
  drop: { key: text },
  /** The worker ends, and the daemon is to end with it, with this exit code. */
  ending: { code: number },
} satisfies MessageTable;

export type ToWorker = MessageOf<typeof TO_WORKER>;
export type ToSupervisor = MessageOf<typeof TO_SUPERVISOR>;

/** The value received, if it is a message for the worker; undefined if not. */
export function readToWorker(value: unknown): ToWorker | undefined {
  return isMessageOf(TO_WORKER, value) ? value : undefined;
}

/** The value received, if it is a message for the supervisor; undefined if not. */
export function readToSupervisor(value: unknown): ToSupervisor | undefined {
  return isMessageOf(TO_SUPERVISOR, value) ? value : undefined;
}

/** Why workers are replaced: the label of `nodelocald_worker_restarts_total`. */
export const RESTART_REASONS = ['exit', 'signal', 'silent', 'late'] as const;
export type RestartReason = (typeof RESTART_REASONS)[number];

/** A sign of life every half second. */
export const BEAT_MS = 500;

/** The descriptor of a worker's channel. */
export const CHANNEL_FD = 3;
