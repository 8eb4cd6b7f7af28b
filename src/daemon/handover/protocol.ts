/**
 * The messages between newcomer and incumbent (docs/ARCHITECTURE.md, "The handover").
 *
 *   newcomer                       incumbent
 *     hello (versions)      ->
 *                           <-     busy: a handover is under way, or refuse: another version, or ending
 *                           <-     offer (keys, with a descriptor each), as often as needed
 *     serving               ->
 *                           <-     closes, when it has stopped reading
 *
 * Either side may end at any time. Until the newcomer says `serving`, nothing has changed for the
 * incumbent; and the newcomer keeps what it was offered, even if the incumbent dies.
 *
 * Owns:    the messages of both sides, and the states of the incumbent.
 * Is not:  the acts: newcomer.ts, incumbent.ts.
 */
import { type MessageOf, flag, isMessageOf, numbers, text, texts } from '../ipc/message-table.ts';

/**
 * Raised when a message changes its meaning. A daemon may speak several versions; the two sides use the
 * highest one that both speak.
 */
const VERSIONS: readonly number[] = [1];

const TO_INCUMBENT = {
  /** The first message: the versions that the newcomer speaks. */
  hello: { versions: numbers },
  /** The newcomer answers at all addresses that it will serve. */
  serving: {},
};

const TO_NEWCOMER = {
  /** A descriptor for each key, in the same order. `last`: no other offer follows. */
  offer: { keys: texts, last: flag },
  /** Another newcomer is being served; worth asking again in a moment. */
  busy: {},
  /** Nothing will be handed over; `reason` is for people. */
  refuse: { reason: text },
};

export type ToIncumbent = MessageOf<typeof TO_INCUMBENT>;
export type ToNewcomer = MessageOf<typeof TO_NEWCOMER>;

/** The value received, if it is a message for the incumbent; undefined if not. */
export function readToIncumbent(value: unknown): ToIncumbent | undefined {
  return isMessageOf(TO_INCUMBENT, value) ? value : undefined;
}

/** The value received, if it is a message for the newcomer; undefined if not. */
export function readToNewcomer(value: unknown): ToNewcomer | undefined {
  return isMessageOf(TO_NEWCOMER, value) ? value : undefined;
}

export const HELLO: ToIncumbent = { say: 'hello', versions: VERSIONS };

/** The version to use with a peer that speaks these; undefined if there is none in common. */
export function commonVersion(versions: readonly number[]): number | undefined {
  const common = versions.filter((version) => VERSIONS.includes(version));
  return common.length === 0 ? undefined : Math.max(...common);
}

/** The key of a snapshot of the cache (cache/carry/snapshot.ts); all others are those of sockets. */
export const SNAPSHOT_KEY = 'snapshot';

/**
 * The incumbent, with regard to the one newcomer that it speaks with.
 *
 *   alone --asked--> preparing --prepared--> offered --serves--> replaced
 *     ^                  |                      |
 *     '----- lost -------'-------- lost --------'
 *
 * `preparing`: the worker writes its snapshot. `offered`: the newcomer has the sockets, and both serve.
 * `lost`: the newcomer has ended, said nonsense, or taken too long.
 */
export type IncumbentState = 'alone' | 'preparing' | 'offered' | 'replaced';
export type IncumbentEvent = 'asked' | 'prepared' | 'serves' | 'lost';

const NEXT: Readonly<Record<IncumbentState, Partial<Record<IncumbentEvent, IncumbentState>>>> = {
  alone: { asked: 'preparing' },
  preparing: { prepared: 'offered', lost: 'alone' },
  offered: { serves: 'replaced', lost: 'alone' },
  replaced: {},
};

/** The next state; undefined if the event is not expected: it is ignored, and the state stays. */
export function nextIncumbentState(
  state: IncumbentState,
  event: IncumbentEvent,
): IncumbentState | undefined {
  return NEXT[state][event];
}
