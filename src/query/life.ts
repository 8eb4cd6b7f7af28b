/**
 * The life of a query that is not answered at once, and the promise of exactly one answer.
 *
 *   waiting --answer--> answered          the usual end
 *      '------expire--> expired           its deadline passed: the server answered SERVFAIL
 *                          '--answer-->   an answer that comes too late changes nothing
 */
export type LifeState = 'waiting' | 'answered' | 'expired';
export type LifeEvent = 'answer' | 'expire';

const NEXT: Record<LifeState, Record<LifeEvent, LifeState>> = {
  waiting: { answer: 'answered', expire: 'expired' },
  answered: { answer: 'answered', expire: 'answered' },
  expired: { answer: 'expired', expire: 'expired' },
};

export function nextLifeState(state: LifeState, event: LifeEvent): LifeState {
  return NEXT[state][event];
}

/**
 * Stub resolvers give up after 5 s (RES_TIMEOUT in glibc, musl alike): an answer must be there
 * before, the way back included.
 */
export const PATIENCE_MS = 4000;
