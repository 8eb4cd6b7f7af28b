/**
 * The states of a connection to an upstream.
 *
 *   connecting --connected--> open --retire--> draining --emptied--> closed
 *       |                      |                  |
 *       |                      '-----emptied------|------------------> closed
 *       '-------- retire ------- lost ------------'------------------> closed
 *
 * open takes queries; draining only waits for the answers of those it has; `emptied` is told when
 * nothing is outstanding and the connection is not wanted any more.
 */
export type ConnectionState = 'connecting' | 'open' | 'draining' | 'closed';
export type ConnectionEvent = 'connected' | 'retire' | 'emptied' | 'lost';

const NEXT: Record<ConnectionState, Partial<Record<ConnectionEvent, ConnectionState>>> = {
  connecting: { connected: 'open', retire: 'closed', lost: 'closed', emptied: 'closed' },
  open: { retire: 'draining', emptied: 'closed', lost: 'closed' },
  draining: { retire: 'draining', emptied: 'closed', lost: 'closed' },
  closed: { retire: 'closed', emptied: 'closed', lost: 'closed' },
};

/** The next state; the same one where the event means nothing. */
export function nextConnectionState(
  state: ConnectionState,
  event: ConnectionEvent,
): ConnectionState {
  return NEXT[state][event] ?? state;
}
