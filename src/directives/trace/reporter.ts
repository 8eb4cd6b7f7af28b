/**
 * Sends spans to a collector, in batches, as Zipkin's JSON (POST /api/v2/spans).
 *
 * Owns:    that a collector which is slow, or is not there, costs bounded memory and nothing else: spans wait
 *          in a backlog whose oldest are dropped, one request is under way at a time, and it ends in time.
 */
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Counter } from '../../observe/counters.ts';
import type { Log } from '../../observe/log.ts';
import type { Span } from '../../query/trace.ts';

/** Zipkin's own client waits as long. */
const REQUEST_MS = 5000;
/** The shortest time between two log lines about failures. */
const LOGGED_EVERY_MS = 60_000;
const ACCEPTED = 300;

export interface ReporterSettings {
  readonly url: URL;
  /** Spans that wait; beyond them the oldest are dropped. */
  readonly backlogMax: number;
  /** Spans of one request; as many are sent at once. */
  readonly batchMax: number;
  /** How long spans wait for more. */
  readonly intervalMs: number;
  /** Who we are, in each span. */
  readonly localEndpoint: Readonly<Record<string, string | number>>;
}

export class Reporter {
  readonly #settings: ReporterSettings;
  readonly #log: Log;
  readonly #dropped: Counter;
  #backlog: Span[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sending = false;
  #toldMs = -Infinity;

  constructor(settings: ReporterSettings, log: Log, dropped: Counter) {
    this.#settings = settings;
    this.#log = log;
    this.#dropped = dropped;
  }

  add(spans: readonly Span[]): void {
    this.#backlog.push(...spans);
    const { backlogMax, batchMax, intervalMs } = this.#settings;
    const excess = this.#backlog.length - backlogMax;
    if (excess > 0) {
      this.#backlog.splice(0, excess);
      this.#dropped.value += excess;
    }
    if (this.#backlog.length >= batchMax) {
      void this.flush();
    } else {
      this.#timer ??= setTimeout(() => void this.flush(), intervalMs).unref();
    }
  }

  /** Sends what waits. Never rejects; resolves when that has succeeded or failed. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#sending) return;
    this.#sending = true;
    while (this.#backlog.length > 0) {
      const batch = this.#backlog.splice(0, this.#settings.batchMax);
      const failure = await this.#post(batch);
      if (failure !== undefined) {
        this.#dropped.value += batch.length;
        this.#tell(failure);
        break; // the next spans try again
      }
    }
    this.#sending = false;
  }

  /** Resolves to what went wrong, or undefined. */
  #post(batch: readonly Span[]): Promise<string | undefined> {
    const { url, localEndpoint } = this.#settings;
    const body = JSON.stringify(batch.map((span) => ({ ...span, localEndpoint })));
    const send = url.protocol === 'https:' ? requestHttps : requestHttp;
    return new Promise((resolve) => {
      const headers = {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
      };
      const signal = AbortSignal.timeout(REQUEST_MS);
      const request = send(url, { method: 'POST', headers, signal }, (response) => {
        response.resume();
        const status = response.statusCode ?? 0;
        response.once('close', () => {
          resolve(status < ACCEPTED ? undefined : `the collector answered ${status}`);
        });
      });
      request.once('error', (error) => {
        resolve(signal.aborted ? `no answer within ${REQUEST_MS / 1000} s` : error.message);
      });
      // It must not keep the process up: the socket is the collector's to close.
      request.once('socket', (socket) => socket.unref());
      request.end(body);
    });
  }

  #tell(failure: string): void {
    const now = performance.now();
    if (now - this.#toldMs < LOGGED_EVERY_MS) return;
    this.#toldMs = now;
    const { url } = this.#settings;
    this.#log.warning(`plugin/trace: failed to send spans to ${url.href}: ${failure}`);
  }
}
