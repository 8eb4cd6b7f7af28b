/**
 * TCP for clients (RFC 1035 section 4.2.2, RFC 7766): pipelined queries, answered as they become
 * ready, in any order.
 *
 * Owns:    the limits that keep one client from costing the others anything: open
 *          connections, time to send a message, outstanding queries, octets not yet taken.
 * CoreDNS answers one connection's queries strictly in turn, so there one slow miss blocks the hits
 * behind it.
 */
import { type AddressInfo, type Server as NetServer, type Socket, createServer } from 'node:net';
import { HEADER_OCTETS, readU16 } from '../dns/header.ts';
import { MESSAGE_OCTETS_MAX, OPT_OCTETS } from '../dns/limits.ts';
import { LENGTH_OCTETS, joined, messageEnd, writeLength } from '../net/framing.ts';
import type { Counter, Gauge } from '../observe/counters.ts';
import {
  ANSWER_LATER,
  type Client,
  type Family,
  NO_ANSWER,
  type ReplyPath,
  type Responder,
  SendSlot,
  TCP,
} from '../query/responder.ts';
import { nowMs } from '../sys/clock.ts';
import type { SocketSource } from '../sys/socket-source.ts';
import { SystemCallError } from '../sys/system-call-error.ts';
import { type ListenAddress, type Listener, listenError } from './listener.ts';
import type { Secured } from './tls.ts';

export interface TcpSettings {
  /** From the connection's start to its first whole message. */
  readonly firstMs: number;
  /** From one message to the next. */
  readonly idleMs: number;
  /** A client that reads no answers for this long is cut off. */
  readonly writeMs: number;
  /** Open connections of one listener. */
  readonly connectionsMax: number;
  /** Queries that one connection may bring before it is closed; 0 for as many as come. */
  readonly queriesMax: number;
  /** Queries of one connection that wait for their answer; beyond them it is not read. */
  readonly outstandingMax: number;
}

/** CoreDNS's times; the limits are ours, since CoreDNS has none. */
export const TCP_DEFAULTS: TcpSettings = {
  firstMs: 3000,
  idleMs: 10_000,
  writeMs: 5000,
  connectionsMax: 2000,
  queriesMax: 0,
  outstandingMax: 128,
};

export interface TcpCounters {
  readonly open: Gauge;
  readonly refused: Counter;
}

/** A longest answer, its length, and an OPT's room. */
const ANSWER_ROOM = LENGTH_OCTETS + MESSAGE_OCTETS_MAX + OPT_OCTETS;
/** Answers of one read are gathered here and written at once; one connection at a time uses it. */
const gathered = Buffer.allocUnsafeSlow(2 * ANSWER_ROOM);
/** The room for the next answer in `gathered`. */
const sendSlot = new SendSlot(gathered);
/** Octets that a client has not taken yet; beyond them it is not read. */
const UNSENT_OCTETS_MAX = 256 * 1024;
const SWEEP_INTERVAL_MS = 250;
/** Connections that wait to be accepted, while we are busy or are being replaced. */
const BACKLOG = 1024;

class TcpClient implements Client, ReplyPath {
  readonly transport = TCP;
  readonly family: Family;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly #socket: Socket;
  readonly #responder: Responder;
  readonly #settings: TcpSettings;
  /** The beginning of a message whose end has not come yet. */
  #partial: Buffer | undefined;
  #outstanding = 0;
  /** Messages taken in. */
  #queries = 0;
  #corked = false;
  #closing = false;
  /** When the connection is closed for want of a message. */
  #deadlineMs: number;
  /** When the client last took something, or had nothing left to take. */
  #takenMs: number;
  #takenOctets = 0;

  constructor(socket: Socket, responder: Responder, settings: TcpSettings) {
    this.#socket = socket;
    this.#responder = responder;
    this.#settings = settings;
    const mapped = socket.remoteAddress?.startsWith('::ffff:') ?? false;
    this.family = socket.remoteFamily === 'IPv6' && !mapped ? 2 : 1;
    this.remoteAddress = withoutMapping(socket.remoteAddress);
    this.remotePort = socket.remotePort ?? 0;
    this.localAddress = withoutMapping(socket.localAddress);
    this.localPort = socket.localPort ?? 0;
    this.#takenMs = nowMs();
    this.#deadlineMs = this.#takenMs + settings.firstMs;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#read(chunk));
    socket.on('drain', () => this.#resume());
    socket.on('end', () => this.#finish());
  }

  keep(): ReplyPath {
    return this;
  }

  send(message: Uint8Array, octets: number): void {
    this.#outstanding--;
    if (this.#socket.destroyed) return;
    const framed = Buffer.allocUnsafe(LENGTH_OCTETS + octets);
    writeLength(framed, 0, octets);
    framed.set(message.subarray(0, octets), LENGTH_OCTETS);
    this.#cork();
    this.#socket.write(framed);
    this.#resume();
    if (this.#closing) this.#finish();
  }

  /** Whether the connection has outstayed its welcome at `now`. */
  isOverdue(now: number): boolean {
    const { writableLength, bytesWritten } = this.#socket;
    const taken = bytesWritten - writableLength;
    if (writableLength === 0 || taken !== this.#takenOctets) {
      this.#takenOctets = taken;
      this.#takenMs = now;
    }
    if (now - this.#takenMs > this.#settings.writeMs) return true;
    if (this.#outstanding > 0 || writableLength > 0) return false;
    return this.#closing || now > this.#deadlineMs;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /**
   * Answers what is outstanding and reads nothing more, then ends the stream. The connection is
   * overdue then: a client that does not end its side is not waited for.
   */
  finish(): void {
    this.#partial = undefined;
    this.#finish();
  }

  #read(chunk: Buffer): void {
    if (this.#closing) return;
    const data = joined(this.#partial, chunk);
    this.#partial = undefined;
    this.#responder.beginBatch();
    const at = this.#serve(data);
    this.#responder.endBatch();
    if (at > 0) this.#deadlineMs = nowMs() + this.#settings.idleMs;
    if (this.#isUsedUp()) {
      this.#finish();
      this.#socket.resume(); // what is never read would make the end a reset, which loses answers
      return;
    }
    if (at < data.length) this.#partial = at === 0 ? data : Buffer.from(data.subarray(at));
    if (this.#isFull()) this.#socket.pause();
  }

  /** Serves the whole messages in `data`, as far as the limits allow. Returns where it stopped. */
  #serve(data: Buffer): number {
    let at = 0;
    let ready = 0; // octets gathered
    for (;;) {
      if (data.length - at >= LENGTH_OCTETS && readU16(data, at) < HEADER_OCTETS) {
        this.destroy(); // no DNS message: the sender has lost the framing
        break;
      }
      const end = messageEnd(data, at);
      if (end === 0) break;
      sendSlot.at = ready + LENGTH_OCTETS;
      sendSlot.end = ready + ANSWER_ROOM;
      const answered = this.#responder.respond(data, at + LENGTH_OCTETS, end, this, sendSlot);
      at = end;
      this.#queries++;
      if (answered === ANSWER_LATER) {
        this.#outstanding++;
      } else if (answered !== NO_ANSWER) {
        writeLength(gathered, ready, answered);
        ready += LENGTH_OCTETS + answered;
        if (gathered.length - ready < ANSWER_ROOM) ready = this.#flush(ready);
      }
      if (this.#isUsedUp()) break;
      if (this.#isFull()) break; // the rest waits until the client has taken something
    }
    this.#flush(ready);
    return at;
  }

  /** Writes what was gathered. Returns 0, the octets that are gathered then. */
  #flush(ready: number): number {
    if (ready > 0 && !this.#socket.destroyed) {
      this.#socket.write(Buffer.from(gathered.subarray(0, ready)));
    }
    return 0;
  }

  /** Answers that become ready in one turn of the event loop leave in one write. */
  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#socket.cork();
    process.nextTick(() => {
      this.#corked = false;
      this.#socket.uncork();
    });
  }

  #isUsedUp(): boolean {
    const { queriesMax } = this.#settings;
    return queriesMax > 0 && this.#queries >= queriesMax;
  }

  #isFull(): boolean {
    return (
      this.#outstanding >= this.#settings.outstandingMax ||
      this.#socket.writableLength > UNSENT_OCTETS_MAX
    );
  }

  /** Goes on with what was read before the limits stopped it, then reads on. */
  #resume(): void {
    if (!this.#socket.isPaused() || this.#isFull() || this.#socket.destroyed) return;
    const waiting = this.#partial;
    if (waiting !== undefined) {
      this.#partial = undefined;
      this.#read(waiting);
      if (this.#isFull()) return;
    }
    this.#socket.resume();
  }

  /** The client has sent all it will; it still gets its answers (RFC 7766 section 6.2.4). */
  #finish(): void {
    this.#closing = true;
    if (this.#outstanding <= 0) this.#socket.end();
  }
}

function withoutMapping(address: string | undefined): string {
  return (address ?? '').replace(/^::ffff:(?=\d+\.)/, '');
}

/** The needs of a listener besides its address and responder. */
export interface TcpOptions {
  readonly settings: TcpSettings;
  readonly counters: TcpCounters;
  /** Where the socket comes from; node:net opens it otherwise. */
  readonly sockets?: SocketSource | undefined;
  /** Makes the streams of connections that are read; without it the connections themselves are. */
  readonly tls?: Secured | undefined;
}

/** Listens on the address. Rejects with ListenError if the address is unavailable. */
export async function listenTcp(
  address: ListenAddress,
  responder: Responder,
  options: TcpOptions,
): Promise<Listener> {
  const acceptor = new TcpAcceptor(responder, options);
  const host = address.host === '' ? '::' : address.host;
  const giveUp = await listenAt(acceptor.server, address, options.sockets);
  const closed = acceptor.begin();
  const stop = (): void => {
    if (!acceptor.server.listening) return;
    giveUp();
    acceptor.stop();
  };
  return {
    transport: 'tcp',
    address: { host, port: (acceptor.server.address() as AddressInfo).port },
    io: 'stream',
    receiveBufferOctets: 0,
    drops: () => 0,
    stop,
    close: () => {
      stop();
      return closed;
    },
  };
}

/** The connections of one address, and the clients that they became. */
class TcpAcceptor {
  readonly server: NetServer;
  readonly #responder: Responder;
  readonly #options: TcpOptions;
  readonly #clients = new Set<TcpClient>();
  /** Handshakes count too. */
  #connections = 0;

  constructor(responder: Responder, options: TcpOptions) {
    this.#responder = responder;
    this.#options = options;
    options.tls?.onStream((stream) => this.#take(stream));
    this.server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#accept(socket),
    );
  }

  /** Watches over the clients, once it listens. Resolves when all is closed. */
  begin(): Promise<void> {
    this.server.on('error', () => undefined); // accept() failed, e.g. out of descriptors: tried again
    const sweep = setInterval(() => {
      const now = nowMs();
      for (const client of this.#clients) if (client.isOverdue(now)) client.destroy();
    }, SWEEP_INTERVAL_MS);
    sweep.unref();
    return new Promise((resolve) => {
      this.server.once('close', () => {
        clearInterval(sweep);
        resolve();
      });
    });
  }

  stop(): void {
    this.server.close();
    for (const client of this.#clients) client.finish();
  }

  #accept(socket: Socket): void {
    const { counters, settings, tls } = this.#options;
    socket.on('error', () => socket.destroy()); // a reset: the client's own affair
    if (this.#connections >= settings.connectionsMax) {
      counters.refused.value++;
      socket.destroy();
      return;
    }
    this.#connections++;
    socket.on('close', () => this.#connections--);
    if (tls === undefined) this.#take(socket);
    else tls.secure(socket);
  }

  #take(stream: Socket): void {
    const { counters, settings } = this.#options;
    const client = new TcpClient(stream, this.#responder, settings);
    this.#clients.add(client);
    counters.open.value = this.#clients.size;
    stream.on('close', () => {
      this.#clients.delete(client);
      counters.open.value = this.#clients.size;
    });
    if (!this.server.listening) client.finish(); // its handshake ended after our stop
  }
}

/** Resolves when `server` listens, to what is to be done when the address is given up. */
async function listenAt(
  server: NetServer,
  address: ListenAddress,
  sockets: SocketSource | undefined,
): Promise<() => void> {
  const host = address.host === '' ? '::' : address.host;
  let giveUp = (): void => undefined;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(listenError('tcp', address, error));
    });
    if (sockets === undefined) {
      server.listen({ host, port: address.port, exclusive: true, backlog: BACKLOG }, resolve);
      return;
    }
    try {
      const lent = sockets.stream({ host, port: address.port }, BACKLOG);
      giveUp = () => lent.giveUp();
      server.listen({ fd: lent.socket.fd, exclusive: true, backlog: BACKLOG }, resolve);
    } catch (error) {
      reject(error instanceof SystemCallError ? listenError('tcp', address, error) : error);
    }
  });
  server.removeAllListeners('error');
  return giveUp;
}
