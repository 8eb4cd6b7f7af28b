/**
 * An upstream that behaves as a test tells it, over UDP and TCP on one port, and remembers what it
 * was asked.
 */
import { type RemoteInfo, type Socket as DatagramSocket, createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type Server, type Socket, createServer } from 'node:net';
import type { Endpoint, Lab } from './lab.ts';
import { type ResponseOptions, TYPES, nameAt, questionOf, responseTo, u16 } from './message.ts';

/** A query as the upstream sees it. */
export class Asked {
  readonly message: Buffer;
  readonly transport: 'udp' | 'tcp';
  /** As spelled. */
  readonly name: string;
  readonly type: number;
  /** Which of the upstream's connections it came over, from 0; -1 is UDP. */
  readonly connection: number;
  readonly atMs: number = performance.now();
  readonly #send: (octets: Buffer) => void;
  readonly #close: () => void;

  constructor(
    message: Buffer,
    connection: number,
    send: (octets: Buffer) => void,
    close: () => void,
  ) {
    this.message = message;
    this.connection = connection;
    this.transport = connection === -1 ? 'udp' : 'tcp';
    this.name = nameAt(message, 12);
    const question = questionOf(message);
    this.type = question.readUInt16BE(question.length - 4);
    this.#send = send;
    this.#close = close;
  }

  answer(options: ResponseOptions = {}): void {
    this.raw(responseTo(this.message, options));
  }

  /** Sends octets as one message: over TCP with their length before them, or with `length`. */
  raw(octets: Buffer, length: number = octets.length): void {
    this.#send(this.transport === 'udp' ? octets : Buffer.concat([u16(length), octets]));
  }

  /** Sends octets as they are, length or not: a piece of a stream. */
  part(octets: Buffer): void {
    this.#send(octets);
  }

  /** Closes the connection; over UDP nothing. */
  close(): void {
    this.#close();
  }
}

export type Behaviour = (asked: Asked) => void;

export class FakeUpstream {
  readonly endpoint: Endpoint;
  /** The questions that it was asked, without health checks. */
  readonly asked: Asked[] = [];
  /** Connections accepted, ever and now. */
  accepted = 0;
  behaviour: Behaviour;
  /** Health checks (`.` NS) are answered unless this is off, so that `behaviour` sees queries only. */
  answersHealthChecks = true;
  /** Called for each connection: to close it at once. */
  onConnection: ((socket: Socket) => void) | undefined;
  readonly #sockets = new Set<Socket>();
  #datagrams: DatagramSocket | undefined;
  #server: Server | undefined;

  private constructor(endpoint: Endpoint, behaviour: Behaviour) {
    this.endpoint = endpoint;
    this.behaviour = behaviour;
  }

  static async start(lab: Lab, endpoint: Endpoint, behaviour: Behaviour): Promise<FakeUpstream> {
    const upstream = new FakeUpstream(endpoint, behaviour);
    lab.defer(() => upstream.close());
    await upstream.open();
    return upstream;
  }

  /** `HOST:PORT`, for a Corefile. */
  get to(): string {
    return `${this.endpoint.host}:${this.endpoint.port}`;
  }

  get connected(): number {
    return this.#sockets.size;
  }

  /** The questions that it was asked about one name, in any spelling. */
  about(name: string): Asked[] {
    return this.asked.filter((asked) => asked.name.toLowerCase() === name.toLowerCase());
  }

  /** Listens, the first time or again after `close`. */
  async open(): Promise<void> {
    const { host, port } = this.endpoint;
    const datagrams = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
    datagrams.on('message', (message, from) => this.#datagram(datagrams, message, from));
    datagrams.bind(port, host);
    await once(datagrams, 'listening');
    this.#datagrams = datagrams;
    this.#server = createServer((socket) => this.#accept(socket));
    this.#server.listen({ host, port, backlog: 1024 });
    await once(this.#server, 'listening');
  }

  /** As if it had died: connections are reset, and nobody listens. */
  async close(): Promise<void> {
    this.#datagrams?.close();
    this.#datagrams = undefined;
    for (const socket of this.#sockets) socket.destroy();
    const server = this.#server;
    this.#server = undefined;
    if (server !== undefined) {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    }
  }

  #datagram(socket: DatagramSocket, message: Buffer, from: RemoteInfo): void {
    const send = (octets: Buffer): void => {
      if (this.#datagrams === socket) socket.send(octets, from.port, from.address);
    };
    this.#take(new Asked(message, -1, send, () => undefined));
  }

  #accept(socket: Socket): void {
    const connection = this.accepted++;
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
    this.onConnection?.(socket);
    let partial: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      partial = Buffer.concat([partial, chunk]);
      while (partial.length >= 2 && partial.length >= 2 + partial.readUInt16BE(0)) {
        const end = 2 + partial.readUInt16BE(0);
        const message = Buffer.from(partial.subarray(2, end));
        partial = partial.subarray(end);
        const send = (octets: Buffer): void => {
          if (!socket.destroyed) socket.write(octets);
        };
        this.#take(new Asked(message, connection, send, () => socket.end()));
      }
    });
  }

  #take(asked: Asked): void {
    if (asked.name === '' && asked.type === TYPES.NS) {
      if (this.answersHealthChecks) asked.answer();
      return;
    }
    this.asked.push(asked);
    this.behaviour(asked);
  }
}
