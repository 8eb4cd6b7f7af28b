/** Both tables of a connection's states, every pair. */
import { describe, expect, test } from 'vitest';
import {
  type ConnectionEvent,
  type ConnectionStanding,
  type ConnectionState,
  type StandingEvent,
  nextConnectionState,
  nextStanding,
} from './connection-state.ts';

const STATES: readonly ConnectionState[] = ['connecting', 'accepted', 'open', 'draining', 'closed'];
const STANDINGS: readonly ConnectionStanding[] = ['onTrial', 'trusted', 'slow', 'silent'];

describe('the life of a connection', () => {
  test.each<{ event: ConnectionEvent; to: readonly ConnectionState[] }>([
    { event: 'accepted', to: ['accepted', 'accepted', 'open', 'draining', 'closed'] },
    { event: 'connected', to: ['open', 'open', 'open', 'draining', 'closed'] },
    { event: 'retire', to: ['closed', 'closed', 'draining', 'draining', 'closed'] },
    { event: 'emptied', to: ['closed', 'closed', 'closed', 'closed', 'closed'] },
    { event: 'lost', to: ['closed', 'closed', 'closed', 'closed', 'closed'] },
  ])(`the event $event leads from ${STATES.join(', ')} to $to`, ({ event, to }) => {
    expect(STATES.map((state) => nextConnectionState(state, event))).toEqual(to);
  });
});

describe('the standing of a connection', () => {
  test.each<{ event: StandingEvent; to: readonly ConnectionStanding[] }>([
    { event: 'proven', to: ['trusted', 'trusted', 'slow', 'silent'] },
    { event: 'lag', to: ['onTrial', 'slow', 'slow', 'silent'] },
    { event: 'mute', to: ['onTrial', 'silent', 'silent', 'silent'] },
    { event: 'answered', to: ['onTrial', 'trusted', 'trusted', 'trusted'] },
  ])(`the event $event leads from ${STANDINGS.join(', ')} to $to`, ({ event, to }) => {
    expect(STANDINGS.map((standing) => nextStanding(standing, event))).toEqual(to);
  });
});
