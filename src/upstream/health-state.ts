/**
 * The states of an upstream's health, for an asker with a max_fails of its own.
 *
 *   up --trouble--> suspect --exhausted--> down
 *    ^                 |                     |
 *    '---- answered ---'----- answered ------'
 *
 * trouble: an attempt failed, or waits too long. exhausted: more than max_fails checks have failed in
 * a row; a check that fails before (checkFailed) changes nothing. answered: any response to anything.
 */
export type HealthState = 'up' | 'suspect' | 'down';
export type HealthEvent = 'trouble' | 'checkFailed' | 'exhausted' | 'answered';

const NEXT: Record<HealthState, Partial<Record<HealthEvent, HealthState>>> = {
  up: { trouble: 'suspect' },
  suspect: { exhausted: 'down', answered: 'up' },
  down: { answered: 'up' },
};

/** The next state; the same one where the event means nothing. */
export function nextHealthState(state: HealthState, event: HealthEvent): HealthState {
  return NEXT[state][event] ?? state;
}
