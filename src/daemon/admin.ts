/**
 * The HTTP listeners for operators, metrics and health: one server per address, kept over reloads.
 *
 * Owns:    that a taken port of theirs never stops DNS once we serve; at start that of `health` does,
 *          as in CoreDNS, since kubelet would kill us for it later.
 */
import type { BlockSettings, HostPort } from '../directives/directive.ts';
import { HealthServer } from '../http/health.ts';
import { MetricsPage, metricsServer } from '../http/metrics.ts';
import { type HttpServer, type ListenError, hostPortText } from '../http/server.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { SocketSource } from '../sys/sockets.ts';

export class Admin {
  readonly #metrics: Metrics;
  readonly #log: Log;
  readonly #page: MetricsPage;
  /** By address. */
  #metricsServers = new Map<string, HttpServer>();
  #healthServers = new Map<string, HealthServer>();
  readonly #isServing: () => boolean;
  readonly #sockets: SocketSource | undefined;
  #started = false;

  constructor(
    metrics: Metrics,
    log: Log,
    isServing: () => boolean,
    sockets: SocketSource | undefined,
  ) {
    this.#metrics = metrics;
    this.#sockets = sockets;
    this.#isServing = isServing;
    this.#log = log;
    this.#page = new MetricsPage(metrics);
  }

  /**
   * Listens where the blocks say, and no longer where they do not. Rejects with ListenError if at
   * the first time an address of `health` is taken.
   */
  async apply(settings: readonly Pick<BlockSettings, 'metricsAt' | 'healthAt'>[]): Promise<void> {
    this.#healthServers = await this.#follow(
      this.#healthServers,
      settings.flatMap(({ healthAt }) => healthAt ?? []),
      (at) => this.#openHealth(at),
    );
    this.#metricsServers = await this.#follow(
      this.#metricsServers,
      settings.flatMap(({ metricsAt }) => metricsAt ?? []),
      (at) => this.#openMetrics(at),
    );
    this.#started = true;
  }

  async close(): Promise<void> {
    const servers = [...this.#metricsServers.values(), ...this.#healthServers.values()];
    await Promise.all(servers.map((server) => server.close()));
  }

  async #follow<Server extends { close(): Promise<void> }>(
    before: ReadonlyMap<string, Server>,
    wanted: readonly HostPort[],
    open: (at: HostPort) => Promise<Server>,
  ): Promise<Map<string, Server>> {
    const after = new Map<string, Server>();
    for (const at of wanted) {
      const key = hostPortText(at);
      if (!after.has(key)) after.set(key, before.get(key) ?? (await open(at)));
    }
    const gone = [...before].filter(([key]) => !after.has(key));
    await Promise.all(gone.map(([, server]) => server.close()));
    return after;
  }

  async #openHealth(at: HostPort): Promise<HealthServer> {
    const server = new HealthServer(at, {
      log: this.#log,
      metrics: this.#metrics,
      isServing: this.#isServing,
      sockets: this.#sockets,
    });
    if (this.#started) await server.keepTrying((error) => this.#failed('health', at, error));
    else await server.listen();
    return server;
  }

  async #openMetrics(at: HostPort): Promise<HttpServer> {
    const server = metricsServer(at, this.#page, this.#sockets);
    await server.keepTrying((error) => this.#failed('prometheus', at, error));
    return server;
  }

  #failed(directive: string, at: HostPort, error: ListenError): void {
    const address = hostPortText(at);
    this.#metrics.counter('nodelocald_listener_errors_total', { address }).value++;
    const what = directive === 'prometheus' ? 'metrics handler' : 'health handler';
    this.#log.error(`plugin/${directive}: Failed to start ${what}: ${error.message}`);
  }
}
