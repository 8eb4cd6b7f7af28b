/**
 * `/ready`: 200 OK, or 503 and what is missing, a line each.
 *
 * Is not:  the judge, which is daemon/serving/readiness.ts.
 */
import type { HostPort } from '../net/host-port.ts';
import type { Endpoint } from './endpoint.ts';
import { HttpServer, type Page, text } from './server.ts';

/** Reasons, for people, why we are not ready; empty if we are. Must be quick. */
export type Unready = () => readonly string[];

export function readyPage(unready: Unready): Page {
  const reasons = unready();
  return reasons.length === 0 ? text(200, 'OK') : text(503, `${reasons.join('\n')}\n`);
}

/** `/ready` at an address of its own; `/health` brings one along (health.ts). */
export function readyEndpoint(at: HostPort): Endpoint {
  return {
    at,
    kind: 'ready',
    directive: 'ready',
    open: ({ unready, sockets }) =>
      new HttpServer(at, new Map([['/ready', () => readyPage(unready)]]), sockets),
  };
}
