/**
 * The HTTP listeners for operators: one server for each endpoint that a block asks for, kept over reloads.
 *
 * Owns:    that a taken port of theirs never stops DNS: the failure is logged, and the port is tried
 *          again until it is free. In CoreDNS a taken port of `health` is fatal at start; but a node
 *          without DNS is worse than one without probes, which kubelet reports soon enough.
 * Is not:  aware of what is served: each endpoint brings its server along (http/endpoint.ts).
 */
import type { DaemonView, Endpoint, EndpointServer } from '../../http/endpoint.ts';
import { MetricsPage } from '../../http/metrics.ts';
import type { HttpListenError } from '../../http/server.ts';
import { formatHostPort } from '../../net/host-port.ts';

interface Served {
  readonly endpoint: Endpoint;
  readonly server: EndpointServer;
}

export class Admin {
  readonly #daemon: DaemonView;
  /** By kind, address and variant. */
  #served: ReadonlyMap<string, Served> = new Map();
  #closed: Promise<unknown> = Promise.resolve();

  constructor(daemon: Omit<DaemonView, 'metricsPage'>) {
    this.#daemon = { ...daemon, metricsPage: new MetricsPage(daemon.metrics) };
  }

  /** Listens where the endpoints say, and no longer where they do not. Never rejects. */
  async apply(endpoints: readonly Endpoint[]): Promise<void> {
    const wanted = new Map(ownServers(endpoints).map((each) => [keyOf(each), each]));
    // The ones that go are closed first: another endpoint may take their address.
    const gone = [...this.#served].filter(([key]) => !wanted.has(key)).map(([, each]) => each);
    for (const { endpoint } of gone) {
      this.#daemon.troubles.end('listener', formatHostPort(endpoint.at));
    }
    await Promise.all(gone.map(({ server }) => server.close()));
    const served = new Map<string, Served>();
    for (const [key, endpoint] of wanted) {
      served.set(key, this.#served.get(key) ?? (await this.#open(endpoint)));
    }
    this.#served = served;
  }

  /** One line for the log: what is served where. Empty if nothing is. */
  describe(): string {
    const placesOf = new Map<string, string[]>();
    for (const { endpoint } of this.#served.values()) {
      const { kind } = endpoint;
      placesOf.set(kind, [...(placesOf.get(kind) ?? []), placeText(endpoint)]);
    }
    const parts = [...placesOf].map(([kind, places]) => `${kind} on ${places.join(', ')}`);
    // Metrics, which every node has, stand first: the directive is the lowest in the chain.
    return parts.length === 0 ? '' : `HTTP: ${parts.toReversed().join('; ')}`;
  }

  /** Stops listening. Clients that are being answered have `graceMs` for that. */
  async close(graceMs: number = 0): Promise<void> {
    this.#closed = Promise.all(
      [...this.#served.values()].map(({ server }) => server.close(graceMs)),
    );
    await this.#closed;
  }

  /** Resolves when the last `close` is done; at once if there was none. */
  async closed(): Promise<void> {
    await this.#closed;
  }

  async #open(endpoint: Endpoint): Promise<Served> {
    const server = endpoint.open(this.#daemon);
    await server.keepTrying(
      (error) => this.#failed(endpoint, error),
      () => this.#daemon.troubles.end('listener', formatHostPort(endpoint.at)),
    );
    return { endpoint, server };
  }

  #failed({ at, kind, directive }: Endpoint, error: HttpListenError): void {
    const { log, metrics, troubles } = this.#daemon;
    const address = formatHostPort(at);
    metrics.counter('nodelocald_listener_errors_total', { address }).value++;
    troubles.begin('listener', address, `no ${kind} there yet: ${error.message}`);
    log.error(`plugin/${directive}: Failed to start ${kind} handler: ${error.message}`);
  }
}

/** Without those that the server of another endpoint at their address serves as well. */
function ownServers(endpoints: readonly Endpoint[]): Endpoint[] {
  const besides = new Set(
    endpoints.flatMap(({ at, alsoServes = [] }) =>
      alsoServes.map((kind) => `${kind} ${formatHostPort(at)}`),
    ),
  );
  return endpoints.filter(({ at, kind }) => !besides.has(`${kind} ${formatHostPort(at)}`));
}

function keyOf(endpoint: Endpoint): string {
  return `${endpoint.kind} ${placeText(endpoint)}`;
}

function placeText({ at, variant }: Endpoint): string {
  return variant === undefined ? formatHostPort(at) : `${formatHostPort(at)} (${variant})`;
}
