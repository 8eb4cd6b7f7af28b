/**
 * `/health`: 200 OK while we serve, with any troubles listed; `/ready` beside it; and a request to
 * itself once a second, as CoreDNS makes it, so that its two metrics show how long one takes.
 *
 * Owns:    the endpoint and the self-request.
 * Is not:  a judge of whether DNS is served: the daemon passes that in.
 */
import { Agent, type ClientRequest, get } from 'node:http';
import { formatDuration } from '../corefile/values.ts';
import { type HostPort, formatHostPort, reachableHost } from '../net/host-port.ts';
import type { Counter, Histogram } from '../observe/counters.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { nowMs } from '../sys/clock.ts';
import type { SocketSource } from '../sys/socket-source.ts';
import type { Endpoint } from './endpoint.ts';
import { type Unready, readyPage } from './ready.ts';
import { HttpServer, type HttpListenError, type Page, text } from './server.ts';

const SELF_REQUEST_EVERY_MS = 1000;
const SELF_REQUEST_MS = 3000;
/** A request to oneself that takes longer is worth a line. */
const SLOW_MS = 1000;

export interface HealthOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  /** Whether DNS queries are being answered; 503 if not. Must be quick, and not throw. */
  readonly isServing?: () => boolean;
  readonly sockets?: SocketSource | undefined;
  /** For `/ready`. */
  readonly unready?: Unready;
  /** Troubles while DNS is served, a line each; a restart would not cure them. */
  readonly troubles?: () => readonly string[];
}

export class HealthServer {
  readonly #server: HttpServer;
  readonly #log: Log;
  readonly #durations: Histogram;
  readonly #failures: Counter;
  /** One connection, kept: a new one each second would be seen in conntrack. */
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  #timer: NodeJS.Timeout | undefined;
  #pending: ClientRequest | undefined;
  #closed = false;

  constructor(at: HostPort, options: HealthOptions) {
    const { log, metrics, unready = () => [] } = options;
    this.#server = new HttpServer(
      at,
      new Map([
        ['/health', () => healthPage(options)],
        ['/ready', () => readyPage(unready)],
      ]),
      options.sockets,
    );
    this.#log = log;
    this.#durations = metrics.histogram('coredns_health_request_duration_seconds', {});
    this.#failures = metrics.counter('coredns_health_request_failures_total', {});
  }

  get port(): number | undefined {
    return this.#server.port;
  }

  /** Listens, and tries again while the port is taken; see {@link HttpServer.keepTrying}. */
  async keepTrying(
    failed: (error: HttpListenError) => void,
    listening?: () => void,
  ): Promise<void> {
    await this.#server.keepTrying(failed, listening);
    this.#watch();
  }

  /** See {@link HttpServer.close}. */
  async close(graceMs: number = 0): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#pending?.destroy();
    this.#agent.destroy();
    await this.#server.close(graceMs);
  }

  #watch(): void {
    if (this.#closed) return;
    this.#timer = setInterval(() => this.#requestSelf(), SELF_REQUEST_EVERY_MS);
    this.#timer.unref();
  }

  #requestSelf(): void {
    const { port } = this.#server;
    if (this.#pending !== undefined || port === undefined) return;
    const startMs = nowMs();
    const request = get({
      host: reachableHost(this.#server.at.host),
      port,
      path: '/health',
      agent: this.#agent,
      timeout: SELF_REQUEST_MS,
    });
    this.#pending = request;
    const end = (failure: string | undefined): void => {
      if (this.#pending !== request) return;
      this.#pending = undefined;
      if (!this.#closed) this.#report(nowMs() - startMs, failure);
    };
    request.on('response', (response) => {
      response.resume();
      if (response.statusCode === 200) end(undefined);
      else end(`status ${response.statusCode}`);
    });
    request.on('timeout', () =>
      request.destroy(new Error(`no answer within ${SELF_REQUEST_MS} ms`)),
    );
    request.on('error', (error) => end(error.message));
  }

  #report(tookMs: number, failure: string | undefined): void {
    this.#durations.observe(tookMs / 1000);
    const url = `http://${formatHostPort(this.#server.at)}/health`;
    if (failure !== undefined) {
      this.#failures.value++;
      this.#log.warning(`plugin/health: Local health request to "${url}" failed: ${failure}`);
    } else if (tookMs > SLOW_MS) {
      const took = formatDuration(tookMs);
      this.#log.warning(
        `plugin/health: Local health request to "${url}" took more than 1s: ${took}`,
      );
    }
  }
}

/** `/health`, and `/ready` beside it. */
export function healthEndpoint(at: HostPort): Endpoint {
  return {
    at,
    kind: 'health',
    directive: 'health',
    alsoServes: ['ready'],
    open: ({ troubles, ...daemon }) =>
      new HealthServer(at, { ...daemon, troubles: () => troubles.lines() }),
  };
}

function healthPage({ isServing = () => true, troubles = () => [] }: HealthOptions): Page {
  if (!isServing()) return text(503, 'Service Unavailable');
  const lines = troubles();
  return text(200, lines.length === 0 ? 'OK' : `OK, degraded\n${lines.join('\n')}\n`);
}
