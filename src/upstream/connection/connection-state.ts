/**
 * The states of a connection to an upstream, in two tables: its life, and its standing.
 *
 *   connecting --accepted--> accepted --connected--> open --retire--> draining --emptied--> closed
 *       |                       |                      |                  |
 *       '------ retire, lost ---'-------- lost --------'------ lost ------'--------------> closed
 *
 * accepted: somebody has taken the TCP connection; over TLS the handshake follows. open takes queries;
 * draining only waits for the answers of those it has; `emptied`: nothing is outstanding.
 *
 *   onTrial --proven--> trusted --lag--> slow --mute--> silent
 *                          ^-- answered ---'-- answered --'
 *
 * onTrial: it must answer a probe before it is given queries. slow: no answer for longer than usual,
 * to be avoided. silent: for so long that perhaps nobody is there.
 *
 * Owns:    which event leads from which state to which.
 * Is not:  the judgement that an event has come (connection.ts, watch.ts, trials.ts).
 */
export type ConnectionState = 'connecting' | 'accepted' | 'open' | 'draining' | 'closed';
export type ConnectionEvent = 'accepted' | 'connected' | 'retire' | 'emptied' | 'lost';

export type ConnectionStanding = 'onTrial' | 'trusted' | 'slow' | 'silent';
export type StandingEvent = 'proven' | 'lag' | 'mute' | 'answered';

const NEXT: Record<ConnectionState, Partial<Record<ConnectionEvent, ConnectionState>>> = {
  connecting: {
    accepted: 'accepted',
    connected: 'open',
    retire: 'closed',
    emptied: 'closed',
    lost: 'closed',
  },
  accepted: { connected: 'open', retire: 'closed', emptied: 'closed', lost: 'closed' },
  open: { retire: 'draining', emptied: 'closed', lost: 'closed' },
  draining: { emptied: 'closed', lost: 'closed' },
  closed: {},
};

const NEXT_STANDING: Record<
  ConnectionStanding,
  Partial<Record<StandingEvent, ConnectionStanding>>
> = {
  onTrial: { proven: 'trusted' },
  trusted: { lag: 'slow', mute: 'silent' },
  slow: { mute: 'silent', answered: 'trusted' },
  silent: { answered: 'trusted' },
};

/** The next state; the same one where the event means nothing. */
export function nextConnectionState(
  state: ConnectionState,
  event: ConnectionEvent,
): ConnectionState {
  return NEXT[state][event] ?? state;
}

/** The next standing; the same one where the event means nothing. */
export function nextStanding(
  standing: ConnectionStanding,
  event: StandingEvent,
): ConnectionStanding {
  return NEXT_STANDING[standing][event] ?? standing;
}
