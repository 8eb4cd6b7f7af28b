/**
 * The HTTP listeners for operators, metrics, health and readiness: one server per address, kept over
 * reloads.
 *
 * Owns:    that a taken port of theirs never stops DNS: it is told, and tried again until it is free.
 *          In CoreDNS that of `health` is fatal at start; but a node without DNS is worse than one
 *          without probes, which kubelet tells soon enough.
 */
import type { BlockSettings, MetricsPlace } from '../../directives/directive.ts';
import { type HostPort, formatHostPort } from '../../net/host-port.ts';
import { HealthServer } from '../../http/health.ts';
import { MetricsPage, metricsServer } from '../../http/metrics.ts';
import { pprofServer } from '../../http/pprof.ts';
import { readyServer } from '../../http/ready.ts';
import type { HttpServer, HttpTls, ListenError } from '../../http/server.ts';
import { readWebConfig } from '../../http/web-config.ts';
import type { Log } from '../../observe/log.ts';
import type { Metrics } from '../../observe/metrics.ts';
import type { Troubles } from '../../observe/troubles.ts';
import type { SocketSource } from '../../sys/socket-source.ts';

/** What the pages tell. */
export interface AdminState {
  readonly isServing: () => boolean;
  readonly unready: () => readonly string[];
  readonly troubles: Troubles;
}

/** Where a block wants what. */
export type AdminSettings = Pick<BlockSettings, 'metricsAt' | 'healthAt' | 'ready' | 'pprofAt'>;

type Kind = 'metrics' | 'health' | 'ready' | 'pprof';
const DIRECTIVES: Readonly<Record<Kind, string>> = {
  metrics: 'prometheus',
  health: 'health',
  ready: 'ready',
  pprof: 'pprof',
};

/** By address. */
type Servers<Server> = ReadonlyMap<string, Server>;

export class Admin {
  readonly #metrics: Metrics;
  readonly #log: Log;
  readonly #page: MetricsPage;
  readonly #state: AdminState;
  readonly #sockets: SocketSource | undefined;
  #metricsServers: Servers<HttpServer> = new Map();
  #healthServers: Servers<HealthServer> = new Map();
  #readyServers: Servers<HttpServer> = new Map();
  #pprofServers: Servers<HttpServer> = new Map();

  constructor(metrics: Metrics, log: Log, state: AdminState, sockets?: SocketSource) {
    this.#metrics = metrics;
    this.#sockets = sockets;
    this.#log = log;
    this.#state = state;
    this.#page = new MetricsPage(metrics);
  }

  /** Listens where the blocks say, and no longer where they do not. Never rejects. */
  async apply(settings: readonly AdminSettings[]): Promise<void> {
    this.#healthServers = await this.#follow(
      this.#healthServers,
      settings.flatMap(({ healthAt }) => healthAt ?? []),
      (at) => this.#openHealth(at),
    );
    this.#readyServers = await this.#follow(
      this.#readyServers,
      settings
        .flatMap(({ ready }) => ready?.address ?? [])
        // `/ready` is there already.
        .filter((at) => !this.#healthServers.has(formatHostPort(at))),
      (at) => this.#open('ready', at, readyServer(at, this.#state.unready, this.#sockets)),
    );
    this.#metricsServers = await this.#follow(
      this.#metricsServers,
      settings.flatMap(({ metricsAt }) => metricsAt ?? []),
      (at) => this.#openMetrics(at),
    );
    this.#pprofServers = await this.#follow(
      this.#pprofServers,
      settings.flatMap(({ pprofAt }) => pprofAt ?? []),
      (at) => this.#open('pprof', at, pprofServer(at, this.#sockets)),
    );
  }

  /** One line for the log: what is served where. */
  describe(): string {
    const parts = [
      ['metrics', this.#metricsServers],
      ['health', this.#healthServers],
      ['ready', this.#readyServers],
      ['pprof', this.#pprofServers],
    ] as const;
    const told = parts
      .filter(([, servers]) => servers.size > 0)
      .map(([kind, servers]) => `${kind} on ${[...servers.keys()].join(', ')}`);
    return told.length === 0 ? '' : `HTTP: ${told.join('; ')}`;
  }

  /** Listens no more. Those who are being answered have `graceMs` for that. */
  async close(graceMs: number = 0): Promise<void> {
    const servers = [
      ...this.#metricsServers.values(),
      ...this.#healthServers.values(),
      ...this.#readyServers.values(),
      ...this.#pprofServers.values(),
    ];
    await Promise.all(servers.map((server) => server.close(graceMs)));
  }

  async #follow<Server extends { close(): Promise<void> }>(
    before: Servers<Server>,
    wanted: readonly MetricsPlace[],
    open: (at: MetricsPlace) => Promise<Server>,
  ): Promise<Map<string, Server>> {
    const places = new Set(wanted.map(placeText));
    // First those that go: an address may stay, and speak TLS from now on.
    const gone = [...before].filter(([key]) => !places.has(key));
    for (const [key] of gone) this.#state.troubles.end('listener', key);
    await Promise.all(gone.map(([, server]) => server.close()));
    const after = new Map<string, Server>();
    for (const at of wanted) {
      const key = placeText(at);
      if (!after.has(key)) after.set(key, before.get(key) ?? (await open(at)));
    }
    return after;
  }

  async #openMetrics(at: MetricsPlace): Promise<HttpServer> {
    const { tlsConfigFile: file } = at;
    const tls = file === undefined ? undefined : this.#tlsBy(file);
    return this.#open('metrics', at, metricsServer(at, this.#page, this.#sockets, tls));
  }

  #tlsBy(file: string): HttpTls {
    return {
      read: () => readWebConfig(file),
      failed: (reason) =>
        this.#log.error(`plugin/prometheus: the certificate of ${file} stays as it was: ${reason}`),
    };
  }

  async #openHealth(at: HostPort): Promise<HealthServer> {
    const { isServing, unready, troubles } = this.#state;
    const server = new HealthServer(at, {
      log: this.#log,
      metrics: this.#metrics,
      isServing,
      unready,
      troubles: () => troubles.lines(),
      sockets: this.#sockets,
    });
    return this.#open('health', at, server);
  }

  async #open<
    Server extends {
      keepTrying(failed: (error: ListenError) => void, listening: () => void): Promise<void>;
    },
  >(kind: Kind, at: HostPort, server: Server): Promise<Server> {
    const address = formatHostPort(at);
    await server.keepTrying(
      (error) => this.#failed(kind, address, error),
      () => this.#state.troubles.end('listener', address),
    );
    return server;
  }

  #failed(kind: Kind, address: string, error: ListenError): void {
    this.#metrics.counter('nodelocald_listener_errors_total', { address }).value++;
    this.#state.troubles.begin('listener', address, `no ${kind} there yet: ${error.message}`);
    this.#log.error(
      `plugin/${DIRECTIVES[kind]}: Failed to start ${kind} handler: ${error.message}`,
    );
  }
}

/** What tells one listener from another, and what the log says of it. */
function placeText(at: MetricsPlace): string {
  const { tlsConfigFile: file } = at;
  return file === undefined ? formatHostPort(at) : `${formatHostPort(at)} (TLS by ${file})`;
}
