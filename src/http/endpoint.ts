/**
 * Something that is served over HTTP at an address: what a directive asks for, and the daemon opens.
 *
 * Is not:  a server (server.ts), nor the decision when one listens (daemon/serving/admin.ts).
 */
import type { HostPort } from '../net/host-port.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Troubles } from '../observe/troubles.ts';
import type { SocketSource } from '../sys/socket-source.ts';
import type { HttpListenError, Page } from './server.ts';

export interface Endpoint {
  readonly at: HostPort;
  /** In one word, for the log: `metrics`. Two endpoints of one kind and address are the same one. */
  readonly kind: string;
  /** The directive that lines in the log begin with. */
  readonly directive: string;
  /** A setting that the server is made with, in words: one with another setting takes its place. */
  readonly variant?: string;
  /** Kinds that this server serves as well: one of them at the same address needs no server. */
  readonly alsoServes?: readonly string[];
  /** Makes the server, which does not listen yet. */
  open(daemon: DaemonView): EndpointServer;
}

/** The daemon, as the pages about it see it. */
export interface DaemonView {
  readonly log: Log;
  readonly metrics: Metrics;
  /** Every metric of the process, as Prometheus reads them. Never rejects. */
  readonly metricsPage: { page(): Promise<Page> };
  /** Whether DNS queries are being answered. */
  readonly isServing: () => boolean;
  /** Reasons why the daemon is not ready, a line each. */
  readonly unready: () => readonly string[];
  readonly troubles: Troubles;
  /** Opens listening sockets; without it Node does. */
  readonly sockets: SocketSource | undefined;
}

/** As {@link HttpServer} has these methods. */
export interface EndpointServer {
  /** Listens, and tries again while the port is taken. Resolves after the first try. */
  keepTrying(failed: (error: HttpListenError) => void, listening: () => void): Promise<void>;
  /** Clients that are being answered have `graceMs` for that. */
  close(graceMs?: number): Promise<void>;
}
