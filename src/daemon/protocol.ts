/**
 * What supervisor and worker say to each other: messages by name, with their fields, over a channel
 * (sys/channel.ts) that the worker inherits.
 *
 * Owns:    the two tables, and the judgement whether what came is a message of them.
 * Is not:  a judge of descriptors that come along: who reads a message knows how many it takes.
 *
 * A daemon may be installed over one that runs, whose next worker is then the new one. So a message
 * that is not known is passed over, and a name once used is never given another meaning.
 */

type Field<T> = (value: unknown) => value is T;

const text: Field<string> = (value): value is string => typeof value === 'string';
const number: Field<number> = (value): value is number => Number.isSafeInteger(value);
const flag: Field<boolean> = (value): value is boolean => typeof value === 'boolean';
const texts: Field<readonly string[]> = (value): value is string[] =>
  Array.isArray(value) && value.every(text);
const counts: Field<Readonly<Record<string, number>>> = (value): value is Record<string, number> =>
  typeof value === 'object' && value !== null && Object.values(value).every(number);

type Table = Readonly<Record<string, Readonly<Record<string, Field<unknown>>>>>;

/** A message of a table: `say` is its name. */
type MessageOf<T extends Table> = {
  [Name in keyof T]: { readonly say: Name } & {
    readonly [Key in keyof T[Name]]: T[Name][Key] extends Field<infer Value> ? Value : never;
  };
}[keyof T];

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
} satisfies Table;

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
} satisfies Table;

export type ToWorker = MessageOf<typeof TO_WORKER>;
export type ToSupervisor = MessageOf<typeof TO_SUPERVISOR>;

/** What came, if it is a message for the worker; undefined if not. */
export function readToWorker(value: unknown): ToWorker | undefined {
  return isOf(TO_WORKER, value) ? value : undefined;
}

/** What came, if it is a message for the supervisor; undefined if not. */
export function readToSupervisor(value: unknown): ToSupervisor | undefined {
  return isOf(TO_SUPERVISOR, value) ? value : undefined;
}

function isOf<T extends Table>(table: T, value: unknown): value is MessageOf<T> {
  if (typeof value !== 'object' || value === null || !('say' in value)) return false;
  const { say } = value;
  if (typeof say !== 'string' || !Object.hasOwn(table, say)) return false;
  const fields = value as Readonly<Record<string, unknown>>;
  return Object.entries(table[say]!).every(([key, isField]) => isField(fields[key]));
}

/** Why workers are replaced: the label of `nodelocald_worker_restarts_total`. */
export const RESTART_REASONS = ['exit', 'signal', 'silent', 'late'] as const;
export type RestartReason = (typeof RESTART_REASONS)[number];

/** Every half second a sign of life. */
export const BEAT_MS = 500;

/** The descriptor by which a worker finds its channel. */
export const CHANNEL_FD = 3;
