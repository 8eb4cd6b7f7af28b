import { describe, expect, test } from 'vitest';
import { type WorkerEvent, type WorkerState, nextState } from './worker-life.ts';

const STATES: readonly WorkerState[] = [
  'waiting',
  'starting',
  'serving',
  'killed',
  'stopping',
  'gone',
  'idle',
];
const EVENTS: readonly WorkerEvent[] = [
  'due',
  'served',
  'late',
  'silent',
  'ended',
  'refused',
  'stop',
  'replaced',
];

/** Every pair that can occur; all others cannot. */
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
  'gone replaced': 'idle',
  'idle stop': 'gone',
};

describe("a worker's life", () => {
  test.each(STATES.flatMap((state) => EVENTS.map((event) => ({ state, event }))))(
    'a worker that is $state goes on as the table says when the event is $event',
    ({ state, event }) => {
      expect(nextState(state, event)).toBe(LEADS[`${state} ${event}`]);
    },
  );

  test('a worker ends from every state when the daemon stops', () => {
    for (const state of STATES) {
      let at = state;
      for (const event of ['stop', 'ended'] as const) at = nextState(at, event) ?? at;
      expect(at).toBe('gone');
    }
  });
});
