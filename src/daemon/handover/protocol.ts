/**
 * What a daemon and its successor say to each other (docs/ARCHITECTURE.md, "The handover").
 *
 *   successor                      predecessor
 *     hello (versions)      ->
 *                           <-     busy: a handover is under way, or refuse: another version, or ending
 *                           <-     offer (keys, with a descriptor each), as often as needed
 *     serving               ->
 *                           <-     closes, when it reads no more
 *
 * Either may end at any time. Until `serving` is said nothing has changed for the predecessor; and what
 * was offered stays with the successor, whatever becomes of the predecessor.
 *
 * Owns:    both sides' messages and states. Who acts: newcomer.ts, incumbent.ts.
 */
import { type MessageOf, flag, isMessageOf, numbers, text, texts } from '../ipc/message-table.ts';

/**
 * Raised when a message changes its meaning. A daemon may speak several; the highest that both speak
 * is spoken.
 */
const VERSIONS: readonly number[] = [1];

const TO_PREDECESSOR = {
  /** The first: the versions that the successor speaks. */
  hello: { versions: numbers },
  /** The successor answers at all addresses that it will serve. */
  serving: {},
};

const TO_SUCCESSOR = {
  /** A descriptor for each key, in the same order. `last`: all has been said. */
  offer: { keys: texts, last: flag },
  /** Another one is being served; worth asking again in a moment. */
  busy: {},
  /** Nothing will be handed over; `reason` is for people. */
  refuse: { reason: text },
};

export type ToPredecessor = MessageOf<typeof TO_PREDECESSOR>;
export type ToSuccessor = MessageOf<typeof TO_SUCCESSOR>;

/** What came, if it is a message for the predecessor; undefined if not. */
export function readToPredecessor(value: unknown): ToPredecessor | undefined {
  return isMessageOf(TO_PREDECESSOR, value) ? value : undefined;
}

/** What came, if it is a message for the successor; undefined if not. */
export function readToSuccessor(value: unknown): ToSuccessor | undefined {
  return isMessageOf(TO_SUCCESSOR, value) ? value : undefined;
}

export const HELLO: ToPredecessor = { say: 'hello', versions: VERSIONS };

/** The version to be spoken with somebody who speaks those; undefined if there is none. */
export function commonVersion(versions: readonly number[]): number | undefined {
  const common = versions.filter((version) => VERSIONS.includes(version));
  return common.length === 0 ? undefined : Math.max(...common);
}

/** The key of a snapshot of the cache (cache/carry/snapshot.ts); all others are those of sockets. */
export const SNAPSHOT_KEY = 'snapshot';

/**
 * The predecessor, with regard to the one successor that it speaks with.
 *
 *   alone --asked--> preparing --prepared--> offered --serves--> succeeded
 *     ^                  |                      |
 *     '----- lost -------'-------- lost --------'
 *
 * `preparing`: the worker writes its snapshot. `offered`: the successor has the sockets, and both serve.
 * `lost`: the successor has ended, said nonsense, or taken too long.
 */
export type PredecessorState = 'alone' | 'preparing' | 'offered' | 'succeeded';
export type PredecessorEvent = 'asked' | 'prepared' | 'serves' | 'lost';

const PREDECESSOR: Readonly<
  Record<PredecessorState, Partial<Record<PredecessorEvent, PredecessorState>>>
> = {
  alone: { asked: 'preparing' },
  preparing: { prepared: 'offered', lost: 'alone' },
  offered: { serves: 'succeeded', lost: 'alone' },
  succeeded: {},
};

/** Undefined if the event cannot come in the state: it is passed over, and the state stays. */
export function nextPredecessorState(
  state: PredecessorState,
  event: PredecessorEvent,
): PredecessorState | undefined {
  return PREDECESSOR[state][event];
}
