/**
 * The open sockets of the daemon, by address: they outlive generations that serve the same address.
 *
 * Owns:    that a change of addresses opens all the new ones first, and changes nothing if one of
 *          them cannot be had.
 */
import type { HostPort } from '../directives/directive.ts';
import type { Listener } from '../listen/listener.ts';
import { TCP_DEFAULTS, listenTcp } from '../listen/tcp.ts';
import { listenPlainUdp } from '../listen/udp-plain.ts';
import type { Metrics } from '../observe/metrics.ts';
import { Server } from '../server/serve.ts';
import type { Generation, Served } from './generation.ts';

interface Place {
  readonly server: Server;
  readonly listeners: readonly Listener[];
}

export class Listeners {
  readonly #metrics: Metrics;
  readonly #hashSeed: number;
  #places = new Map<string, Place>();

  constructor(metrics: Metrics, hashSeed: number) {
    this.#metrics = metrics;
    this.#hashSeed = hashSeed;
  }

  /**
   * Makes `generation` serve: sockets that it shares with the one before are kept as they are.
   * Rejects with ListenError if an address cannot be had; the one before then goes on.
   */
  async apply(generation: Generation): Promise<void> {
    const places = new Map<string, Place>();
    const opened: Place[] = [];
    try {
      for (const [key, served] of generation.served) {
        const known = this.#places.get(key);
        const place = known ?? (await this.#open(served));
        if (known === undefined) opened.push(place);
        places.set(key, place);
      }
    } catch (error) {
      await Promise.all(opened.map(close));
      throw error;
    }
    for (const [key, { bindings }] of generation.served) places.get(key)!.server.serve(bindings);
    const gone = [...this.#places].filter(([key]) => !places.has(key)).map(([, place]) => place);
    this.#places = places;
    await Promise.all(gone.map(close));
  }

  /** The sockets as they are bound, for the banner. */
  get addresses(): readonly HostPort[] {
    return [...this.#places.values()].map(({ listeners }) => listeners[0]!.address);
  }

  /** Queries that wait for an answer. */
  get outstanding(): number {
    let sum = 0;
    for (const { server } of this.#places.values()) sum += server.outstanding;
    return sum;
  }

  async close(): Promise<void> {
    const places = [...this.#places.values()];
    this.#places = new Map();
    await Promise.all(places.map(close));
  }

  async #open({ address, label, bindings }: Served): Promise<Place> {
    const server = new Server(label, this.#hashSeed, this.#metrics);
    server.serve(bindings); // the first datagram may come before this function ends
    const udp = await listenPlainUdp(address, server);
    try {
      // Port 0 is one of the kernel's choice: the same for both.
      const tcp = await listenTcp({ host: address.host, port: udp.address.port }, server, TCP_DEFAULTS, {
        open: this.#metrics.gauge('nodelocald_tcp_clients', { server: label }),
        refused: this.#metrics.counter('nodelocald_tcp_clients_refused_total', { server: label }),
      });
      return { server, listeners: [udp, tcp] };
    } catch (error) {
      await udp.close();
      throw error;
    }
  }
}

async function close({ server, listeners }: Place): Promise<void> {
  await Promise.all(listeners.map((listener) => listener.close()));
  server.close();
}

/** As CoreDNS prints it at start: `cluster.local.:53 on 169.254.20.10`, `.:53`. */
export function describeListeners(generation: Generation): string[] {
  return [...generation.served.values()].flatMap(({ address, bindings }) =>
    bindings
      .map(({ zone }) => zone)
      .sort()
      .map((zone) => {
        const on = address.host === '' ? '' : ` on ${address.host}`;
        return `${zone}:${address.port}${on}`;
      }),
  );
}
