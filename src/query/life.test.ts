import { describe, expect, test } from 'vitest';
import { type LifeEvent, type LifeState, nextLifeState } from './life.ts';

const EVENTS: readonly LifeEvent[] = ['answer', 'expire'];

describe('the life of a query', () => {
  test.each<{ state: LifeState; next: readonly LifeState[]; because: string }>([
    { state: 'waiting', next: ['answered', 'expired'], because: 'the first event decides' },
    { state: 'answered', next: ['answered', 'answered'], because: 'it has had its one answer' },
    { state: 'expired', next: ['expired', 'expired'], because: 'SERVFAIL was its one answer' },
  ])('from $state, answer and expire lead to $next: $because', ({ state, next }) => {
    expect(EVENTS.map((event) => nextLifeState(state, event))).toEqual(next);
  });
});
