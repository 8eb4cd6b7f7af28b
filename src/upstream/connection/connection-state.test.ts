import { describe, expect, test } from 'vitest';
import {
  type ConnectionEvent,
  type ConnectionState,
  nextConnectionState,
} from './connection-state.ts';

const STATES: readonly ConnectionState[] = ['connecting', 'open', 'draining', 'closed'];

describe('the states of a connection', () => {
  test.each<{ event: ConnectionEvent; to: readonly ConnectionState[] }>([
    { event: 'connected', to: ['open', 'open', 'draining', 'closed'] },
    { event: 'retire', to: ['closed', 'draining', 'draining', 'closed'] },
    { event: 'emptied', to: ['closed', 'closed', 'closed', 'closed'] },
    { event: 'lost', to: ['closed', 'closed', 'closed', 'closed'] },
  ])(`$event leads from ${STATES.join(', ')} to $to`, ({ event, to }) => {
    expect(STATES.map((state) => nextConnectionState(state, event))).toEqual(to);
  });
});
