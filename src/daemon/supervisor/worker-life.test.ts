import { describe, expect, test } from 'vitest';
import { type WorkerEvent, type WorkerState, nextState } from './worker-life.ts';

const STATES: readonly WorkerState[] = [
  'waiting',
  'starting',
  'serving',
  'killed',
  'stopping',
  'gone',
];
const EVENTS: readonly WorkerEvent[] = [
  'due',
  'served',
  'late',
  'silent',
  'ended',
  'refused',
  'stop',
];

/** Every pair; what is not here cannot be. */
const LEADS: Readonly<Record<string, WorkerState>> = {
  'waiting due': 'starting',
  'waiting stop': 'gone',
  'starting served': 'serving',
  'starting late': 'killed',
  'starting ended': 'waiting',
  'starting refused': 'gone',
  'starting stop': 'stopping',
  'serving silent': 'killed',
  'serving ended': 'waiting',
  'serving stop': 'stopping',
  'killed served': 'killed',
  'killed ended': 'waiting',
  'killed stop': 'stopping',
  'stopping served': 'stopping',
  'stopping silent': 'stopping',
  'stopping late': 'stopping',
  'stopping stop': 'stopping',
  'stopping ended': 'gone',
};

describe("a worker's life", () => {
  test.each(STATES.flatMap((state) => EVENTS.map((event) => ({ state, event }))))(
    '$state, $event',
    ({ state, event }) => {
      expect(nextState(state, event)).toBe(LEADS[`${state} ${event}`]);
    },
  );

  test('ends from every state, however it is told to stop', () => {
    for (const state of STATES) {
      let at = state;
      for (const event of ['stop', 'ended'] as const) at = nextState(at, event) ?? at;
      expect(at).toBe('gone');
    }
  });
});
