/**
 * The life of a query that is not answered at once, and the promise of exactly one answer.
 *
 *   waiting --answer--> answered     the usual end
 *      '------expire--> expired      the deadline passed first: the server answers SERVFAIL
 *
 * Both ends are final: a second answer, or one that comes after the deadline, leads nowhere and changes
 * nothing.
 */
export type LifeState = 'waiting' | 'answered' | 'expired';
export type LifeEvent = 'answer' | 'expire';

const NEXT: Record<LifeState, Partial<Record<LifeEvent, LifeState>>> = {
  waiting: { answer: 'answered', expire: 'expired' },
  answered: {},
  expired: {},
};

/** The next state; the same one where the event comes too late. */
export function nextLifeState(state: LifeState, event: LifeEvent): LifeState {
  return NEXT[state][event] ?? state;
}

/**
 * How long a query may wait. Stub resolvers give up after 5 s (RES_TIMEOUT in glibc; musl likewise), so
 * an answer must be there before, the way back included.
 */
export const PATIENCE_MS = 4000;
