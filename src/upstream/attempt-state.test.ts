import { describe, expect, test } from 'vitest';
import { type AttemptEvent, type AttemptState, nextAttemptState } from './attempt-state.ts';

const ENDED: readonly AttemptState[] = ['answered', 'failed', 'withdrawn'];
const STATES: readonly AttemptState[] = ['underWay', 'slow', 'doubted', ...ENDED];

describe('the states of an attempt', () => {
  test.each<{ event: AttemptEvent; to: readonly AttemptState[] }>([
    { event: 'lag', to: ['slow', 'slow', 'doubted', ...ENDED] },
    { event: 'doubt', to: ['doubted', 'doubted', 'doubted', ...ENDED] },
    { event: 'resend', to: ['underWay', 'underWay', 'underWay', ...ENDED] },
    { event: 'answer', to: ['answered', 'answered', 'answered', ...ENDED] },
    { event: 'fail', to: ['failed', 'failed', 'failed', ...ENDED] },
    { event: 'withdraw', to: ['withdrawn', 'withdrawn', 'withdrawn', ...ENDED] },
  ])(`the event $event leads from ${STATES.join(', ')} to $to`, ({ event, to }) => {
    expect(STATES.map((state) => nextAttemptState(state, event))).toEqual(to);
  });
});
