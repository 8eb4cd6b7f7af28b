/**
 * The open sockets of the daemon, by address: they outlive generations that serve the same address.
 *
 * Owns:    that a change of addresses opens all the new ones first, and changes nothing if one of
 *          them is unavailable.
 */
import type { TlsServing } from '../../directives/contributions.ts';
import type { HostPort } from '../../net/host-port.ts';
import { ListenError, type Listener } from '../../listen/listener.ts';
import type { QueryJournal } from '../../listen/query-journal.ts';
import { TCP_DEFAULTS, type TcpSettings, listenTcp } from '../../listen/tcp.ts';
import type { Secured } from '../../listen/tls.ts';
import { canBatch, listenBatchUdp } from '../../listen/udp-batch.ts';
import { listenPlainUdp } from '../../listen/udp-plain.ts';
import type { Log } from '../../observe/log.ts';
import type { Metrics } from '../../observe/metrics.ts';
import { Server } from '../../server/server.ts';
import { nowMs } from '../../sys/clock.ts';
import type { SocketSource } from '../../sys/socket-source.ts';
import type { Generation, Served } from './generation.ts';
import { TlsPlace } from './tls-place.ts';

/** How datagrams are read; `auto` is batches where the system has them. */
export type UdpIo = 'auto' | 'batch' | 'plain';

const DROPS_CHECK_MS = 5000;
/** Longer than any query waits for its answer. */
const RETIRE_MS = 5000;
const RETIRE_STEP_MS = 20;

interface Place {
  readonly server: Server;
  /** UDP and TCP; or TLS alone. */
  readonly listeners: readonly Listener[];
  readonly tls: TlsPlace | undefined;
  /** The listener's own, changed in place by a reload. */
  readonly tcp: TcpSettings;
  dropsTold: number;
}

/** Means by which sockets and queries outlive this process. */
export interface SocketKeepers {
  readonly sockets: SocketSource | undefined;
  readonly journal: QueryJournal | undefined;
}

export class Listeners {
  readonly #metrics: Metrics;
  readonly #log: Log;
  readonly #hashSeed: number;
  readonly #io: 'batch' | 'plain';
  readonly #sockets: SocketSource | undefined;
  readonly #journal: QueryJournal | undefined;
  readonly #dropsCheck: NodeJS.Timeout;
  #places = new Map<string, Place>();

  /**
   * Without `sockets` Node opens them, and batches are unavailable. `journal` keeps the queries that
   * are under way for the next worker. Throws ListenError if `io` is `batch` and the system has none.
   */
  constructor(
    metrics: Metrics,
    log: Log,
    hashSeed: number,
    io: UdpIo,
    { sockets, journal }: SocketKeepers,
  ) {
    this.#sockets = sockets;
    this.#journal = journal;
    this.#metrics = metrics;
    this.#log = log;
    this.#hashSeed = hashSeed;
    if (io === 'batch' && !canBatch()) {
      throw new ListenError('-udp-io batch needs Linux on x64 or arm64, and koffi', 'ENOSYS');
    }
    this.#io = io !== 'plain' && canBatch() ? 'batch' : 'plain';
    this.#dropsCheck = setInterval(() => this.#checkDrops(), DROPS_CHECK_MS);
    this.#dropsCheck.unref();
  }

  /**
   * Makes `generation` serve: sockets that it shares with the previous one are kept as they are.
   * Rejects with ListenError if an address is unavailable; the previous one then serves on.
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
    for (const [key, { bindings, tls, timeouts }] of generation.served) {
      const place = places.get(key)!;
      Object.assign(place.tcp, TCP_DEFAULTS, timeouts);
      place.server.serve(bindings);
      if (tls !== undefined) place.tls?.follow(tls);
    }
    const gone = [...this.#places].filter(([key]) => !places.has(key)).map(([, place]) => place);
    this.#places = places;
    for (const place of gone) void retire(place);
  }

  /** As CoreDNS prints it at start: `cluster.local.:53 on 169.254.20.10`, `.:53`. */
  describe(generation: Generation): string[] {
    return [...generation.served].flatMap(([key, { address, bindings }]) => {
      const port = this.#places.get(key)?.listeners[0]?.address.port ?? address.port;
      const on = address.host === '' ? '' : ` on ${address.host}`;
      const scheme = address.scheme === 'dns' ? '' : `${address.scheme}://`;
      return bindings.map(({ zone }) => `${scheme}${zone}:${port}${on}`).sort();
    });
  }

  /** The sockets of plain DNS, as they are bound. */
  get addresses(): readonly HostPort[] {
    return [...this.#places.values()]
      .filter(({ tls }) => tls === undefined)
      .map(({ listeners }) => listeners[0]!.address);
  }

  /** Queries that wait for an answer. */
  get outstanding(): number {
    let sum = 0;
    for (const { server } of this.#places.values()) sum += server.outstanding;
    return sum;
  }

  /** Stops reading; outstanding queries are still answered. */
  stop(): void {
    for (const { listeners } of this.#places.values()) {
      for (const listener of listeners) listener.stop();
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#dropsCheck);
    const places = [...this.#places.values()];
    this.#places = new Map();
    await Promise.all(places.map(close));
  }

  /** A full receive buffer costs clients 5 s each: the operator must know. */
  #checkDrops(): void {
    for (const place of this.#places.values()) {
      const drops = place.listeners[0]!.drops();
      if (drops > place.dropsTold) {
        this.#log.warning(
          `${drops - place.dropsTold} datagrams to ${place.server.label} were dropped: its receive ` +
            `buffer (${place.listeners[0]!.receiveBufferOctets} octets) was full`,
        );
        place.dropsTold = drops;
      }
    }
  }

  async #openUdp(address: HostPort, server: string, responder: Server): Promise<Listener> {
    const metrics = this.#metrics;
    const sendErrors = metrics.counter('nodelocald_udp_send_errors_total', { server });
    const sockets = this.#sockets;
    const journal = this.#journal;
    const udp =
      sockets !== undefined && this.#io === 'batch'
        ? listenBatchUdp(address, responder, { sendErrors }, sockets, journal)
        : await listenPlainUdp(address, responder, sockets);
    metrics.gauge('nodelocald_udp_io', { server, io: this.#io }).value = 1;
    metrics.gauge('nodelocald_udp_receive_buffer_bytes', { server }).value =
      udp.receiveBufferOctets;
    metrics.gauge('nodelocald_udp_receive_drops', { server }).read = () => udp.drops();
    return udp;
  }

  async #open(served: Served): Promise<Place> {
    const { address, label, bindings, timeouts } = served;
    const settings: TcpSettings = { ...TCP_DEFAULTS, ...timeouts };
    const server = new Server(label, this.#hashSeed, this.#metrics);
    server.serve(bindings); // the first datagram may come before this function ends
    if (served.tls !== undefined) return this.#openTls(served, served.tls, server, settings);
    const udp = await this.#openUdp(address, label, server);
    try {
      // Port 0 is one of the kernel's choice: the same for both.
      const tcp = await this.#openTcp(
        { host: address.host, port: udp.address.port },
        label,
        server,
        settings,
      );
      return { server, listeners: [udp, tcp], tls: undefined, tcp: settings, dropsTold: 0 };
    } catch (error) {
      await udp.close();
      throw error;
    }
  }

  async #openTls(
    { address, label }: Served,
    serving: TlsServing,
    server: Server,
    settings: TcpSettings,
  ): Promise<Place> {
    const tls = new TlsPlace(label, serving, settings, this.#metrics, this.#log);
    try {
      const listener = await this.#openTcp(address, label, server, settings, tls.streams);
      return { server, listeners: [listener], tls, tcp: settings, dropsTold: 0 };
    } catch (error) {
      tls.close();
      throw error;
    }
  }

  #openTcp(
    address: HostPort,
    label: string,
    server: Server,
    settings: TcpSettings,
    tls?: Secured,
  ): Promise<Listener> {
    const counters = {
      open: this.#metrics.gauge('nodelocald_tcp_clients', { server: label }),
      refused: this.#metrics.counter('nodelocald_tcp_clients_refused_total', { server: label }),
    };
    return listenTcp(address, server, { settings, counters, sockets: this.#sockets, tls });
  }
}

/** Closes an address after the queries that came there are answered. */
async function retire(place: Place): Promise<void> {
  for (const listener of place.listeners) listener.stop();
  const untilMs = nowMs() + RETIRE_MS;
  while (place.server.outstanding > 0 && nowMs() < untilMs) {
    await new Promise((resolve) => setTimeout(resolve, RETIRE_STEP_MS));
  }
  await close(place);
}

async function close({ server, listeners, tls }: Place): Promise<void> {
  tls?.close();
  await Promise.all(listeners.map((listener) => listener.close()));
  server.close();
}
