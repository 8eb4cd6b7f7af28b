/** Clients over real sockets, that send whatever octets they are given. */
import { type Socket as DatagramSocket, createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type Socket, connect, isIPv6 } from 'node:net';
import type { Endpoint, Lab } from './lab.ts';
import { Reply, u16 } from './message.ts';
import { sleep, within } from './timing.ts';

/** glibc's patience. */
const PATIENCE_MS = 5000;

/** One UDP socket, connected to a server, with any number of queries outstanding. */
export class DatagramClient {
  readonly #socket: DatagramSocket;
  readonly #replies: Buffer[] = [];
  #wake: (() => void) | undefined;

  private constructor(socket: DatagramSocket) {
    this.#socket = socket;
    socket.on('message', (message) => {
      this.#replies.push(message);
      this.#wake?.();
    });
    socket.on('error', () => undefined); // nobody listens: the test sees that no answer comes
  }

  static async open(lab: Lab, to: Endpoint): Promise<DatagramClient> {
    const socket = createSocket(isIPv6(to.host) ? 'udp6' : 'udp4');
    const client = new DatagramClient(socket);
    lab.defer(() => client.close());
    socket.connect(to.port, to.host);
    await once(socket, 'connect');
    return client;
  }

  send(message: Buffer): void {
    this.#socket.send(message);
  }

  /** The next datagram that arrives, or undefined if none does within the time. */
  async nextOctets(withinMs: number = PATIENCE_MS): Promise<Buffer | undefined> {
    if (this.#replies.length === 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, withinMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
    return this.#replies.shift();
  }

  #open = true;
  close(): void {
    if (this.#open) this.#socket.close();
    this.#open = false;
  }
}

/** The reply to one datagram from a socket of its own; undefined is silence. */
export async function askOrSilence(
  lab: Lab,
  to: Endpoint,
  message: Buffer,
  withinMs: number = PATIENCE_MS,
): Promise<Reply | undefined> {
  const client = await DatagramClient.open(lab, to);
  try {
    client.send(message);
    const octets = await client.nextOctets(withinMs);
    return octets === undefined ? undefined : new Reply(octets);
  } finally {
    client.close();
  }
}

/** The reply over UDP. Throws if there is none. */
export async function ask(lab: Lab, to: Endpoint, message: Buffer): Promise<Reply> {
  const reply = await askOrSilence(lab, to, message);
  if (reply === undefined) throw new Error(`no answer from ${to.host} within ${PATIENCE_MS} ms`);
  return reply;
}

/** The reply over a TCP connection of its own. */
export async function askStream(lab: Lab, to: Endpoint, message: Buffer): Promise<Reply> {
  const client = await StreamClient.open(lab, to);
  try {
    client.send(message);
    return await client.next();
  } finally {
    client.destroy();
  }
}

export function framed(message: Buffer): Buffer {
  return Buffer.concat([u16(message.length), message]);
}

/** One TCP connection to a server. */
export class StreamClient {
  readonly #socket: Socket;
  readonly #openedMs = performance.now();
  readonly #replies: Buffer[] = [];
  #partial: Buffer = Buffer.alloc(0);
  #wake: (() => void) | undefined;
  /** Resolves when the server has ended its side: the ms since the connection was opened. */
  readonly ended: Promise<number>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', () => undefined); // a reset is an end as well
    this.ended = new Promise((resolve) => {
      const end = (): void => resolve(performance.now() - this.#openedMs);
      socket.once('end', end);
      socket.once('close', end);
    });
  }

  static async open(lab: Lab, to: Endpoint): Promise<StreamClient> {
    const socket = connect({ host: to.host, port: to.port, allowHalfOpen: true, noDelay: true });
    await once(socket, 'connect');
    lab.defer(() => socket.destroy());
    return new StreamClient(socket);
  }

  /** Sends messages, each with its length, in one write. */
  send(...messages: readonly Buffer[]): void {
    this.write(Buffer.concat(messages.map(framed)));
  }

  write(octets: Buffer): void {
    if (!this.#socket.destroyed) this.#socket.write(octets);
  }

  /** Ends our side only. */
  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Takes nothing more of what the server sends. */
  pause(): void {
    this.#socket.pause();
  }

  /** Resolves when what we send meets a reset: a paused stream would not hear of an end. */
  async closedByPeer(): Promise<void> {
    while (!this.#socket.destroyed) {
      this.write(Buffer.of(0));
      await sleep(100);
    }
  }

  /** The next reply. Throws if none comes in time. */
  async next(withinMs: number = PATIENCE_MS): Promise<Reply> {
    if (this.#replies.length === 0) {
      const arrived = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await within('a reply over TCP', Promise.race([arrived, this.ended]), withinMs);
      this.#wake = undefined;
    }
    const octets = this.#replies.shift();
    if (octets === undefined) throw new Error('the server closed the connection without an answer');
    return new Reply(octets);
  }

  #read(chunk: Buffer): void {
    this.#partial = Buffer.concat([this.#partial, chunk]);
    while (this.#partial.length >= 2) {
      const end = 2 + this.#partial.readUInt16BE(0);
      if (end > this.#partial.length) break;
      this.#replies.push(this.#partial.subarray(2, end));
      this.#partial = this.#partial.subarray(end);
    }
    if (this.#replies.length > 0) this.#wake?.();
  }
}
