/**
 * What supervisor and worker say to each other, over a channel that the worker inherits: the two tables
 * (message-table.ts).
 *
 * A daemon may be installed over one that runs, whose next worker is then the new one.
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
   * The first, and more of it if there is much: what is held for it, a descriptor for each key in the
   * same order. `last`: all has been said. `takesOver`: a predecessor served, and the node is as it
   * left it. `restarts`: how often workers were replaced, by reason.
   */
  hello: { keys: texts, last: flag, takesOver: flag, restarts: counts },
  /** End in good order. `signal` is what asked for it. */
  stop: { signal: text },
  /** Load the Corefile anew. */
  reload: { signal: text },
  /** Write all that the cache holds into memory, for a successor, and have it held. */
  snapshot: {},
  /** Somebody else serves, or is about to: end in good order, and leave the node as it is. */
  retire: {},
} satisfies MessageTable;

const TO_SUPERVISOR = {
  /** The event loop turns; every half second. */
  alive: {},
  /** All is open and answers. */
  serving: {},
  /** Hold the one descriptor that comes along under this key, in the place of an earlier one. */
  hold: { key: text },
  /** Close what is held under this key. */
  drop: { key: text },
  /** It ends, and the daemon with it, which gives this exit code. */
  ending: { code: number },
} satisfies MessageTable;

export type ToWorker = MessageOf<typeof TO_WORKER>;
export type ToSupervisor = MessageOf<typeof TO_SUPERVISOR>;

/** What came, if it is a message for the worker; undefined if not. */
export function readToWorker(value: unknown): ToWorker | undefined {
  return isMessageOf(TO_WORKER, value) ? value : undefined;
}

/** What came, if it is a message for the supervisor; undefined if not. */
export function readToSupervisor(value: unknown): ToSupervisor | undefined {
  return isMessageOf(TO_SUPERVISOR, value) ? value : undefined;
}

/** Why workers are replaced: the label of `nodelocald_worker_restarts_total`. */
export const RESTART_REASONS = ['exit', 'signal', 'silent', 'late'] as const;
export type RestartReason = (typeof RESTART_REASONS)[number];

/** Every half second a sign of life. */
export const BEAT_MS = 500;

/** The descriptor by which a worker finds its channel. */
export const CHANNEL_FD = 3;
