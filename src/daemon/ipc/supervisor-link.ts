/**
 * The worker's side of its supervisor: what that holds for us, its commands, our signs of life.
 *
 * Owns:    the keys under which sockets are held. A socket goes to the supervisor when it is opened,
 *          so that a successor gets the very same one, with the queries that are queued in it.
 * Is not:  the acts: `obey` is handed them.
 */
import { fstatSync, readSync, writeSync } from 'node:fs';
import { Channel } from '../../sys/channel.ts';
import { createMemoryFile } from '../../sys/shared-memory.ts';
import {
  type BindAddress,
  type DatagramSocket,
  type StreamSocket,
  knownDatagramSocket,
  knownStreamSocket,
  openDatagramSocket,
  openStreamSocket,
} from '../../sys/socket.ts';
import type { DatagramWish, Lent, SocketSource } from '../../sys/socket-source.ts';
import { closeDescriptor } from '../../sys/unix-socket.ts';
import { BEAT_MS, type ToSupervisor, type ToWorker, readToWorker } from './protocol.ts';
import { socketKey } from './socket-keys.ts';

type Hello = Extract<ToWorker, { say: 'hello' }>;

/** What the supervisor asks for. */
export interface Commands {
  stop(signal: string): void;
  reload(signal: string): void;
  snapshot(): void;
  retire(): void;
  /** The supervisor is gone: nobody holds the sockets but us. */
  orphaned(): void;
}

export class Supervision implements SocketSource {
  readonly #channel: Channel;
  readonly #sharePorts: boolean;
  /** What a predecessor left, until somebody asks for it. */
  readonly #held = new Map<string, number>();
  /** What came before anybody obeyed. */
  readonly #waiting: ToWorker[] = [];
  readonly #greeted: Promise<void>;
  #hello: Hello | undefined;
  #beat: NodeJS.Timeout | undefined;
  #commands: Commands | undefined;
  #isOrphan = false;

  private constructor(fd: number, sharePorts: boolean) {
    this.#sharePorts = sharePorts;
    let resolve: () => void;
    let reject: (reason: Error) => void;
    this.#greeted = new Promise((greeted, failed) => {
      resolve = greeted;
      reject = failed;
    });
    this.#channel = new Channel(fd, {
      message: (value, descriptors) => {
        this.#hear(value, descriptors);
        if (this.#hello !== undefined) resolve();
      },
      closed: (reason) => {
        reject(reason ?? new Error('the supervisor is gone'));
        this.#isOrphan = true;
        this.#commands?.orphaned();
      },
    });
  }

  /**
   * Resolves when the supervisor has said what it holds; rejects if it is gone before. With
   * `sharePorts`, sockets that are opened anew let other processes bind their address too.
   */
  static async connect(fd: number, sharePorts: boolean): Promise<Supervision> {
    const supervision = new Supervision(fd, sharePorts);
    await supervision.#greeted;
    supervision.#beat = setInterval(() => supervision.#live(), BEAT_MS);
    supervision.#beat.unref();
    return supervision;
  }

  /** Whether no worker of this daemon came before us. */
  get isFirst(): boolean {
    return Object.values(this.restarts).every((times) => times === 0);
  }

  /** Whether a predecessor served, and the node's interface and rules are as it left them. */
  get takesOver(): boolean {
    return this.#hello?.takesOver ?? false;
  }

  /** How often workers were replaced so far, by reason. */
  get restarts(): Readonly<Record<string, number>> {
    return this.#hello?.restarts ?? {};
  }

  /** Takes commands from now on, and those that came before first of all. */
  obey(commands: Commands): void {
    this.#commands = commands;
    for (const message of this.#waiting.splice(0)) this.#command(message);
    if (this.#isOrphan) commands.orphaned();
  }

  #hear(value: unknown, descriptors: readonly number[]): void {
    const message = readToWorker(value);
    if (message?.say === 'hello' && message.keys.length === descriptors.length) {
      message.keys.forEach((key, i) => this.#held.set(key, descriptors[i]!));
      if (message.last) this.#hello = message;
      return;
    }
    for (const descriptor of descriptors) closeDescriptor(descriptor);
    if (message !== undefined) this.#command(message);
  }

  #command(message: ToWorker): void {
    if (this.#commands === undefined) this.#waiting.push(message);
    else if (message.say === 'stop') this.#commands.stop(message.signal);
    else if (message.say === 'reload') this.#commands.reload(message.signal);
    else if (message.say === 'snapshot') this.#commands.snapshot();
    else if (message.say === 'retire') this.#commands.retire();
  }

  /** A supervisor that does not read is stopped, or as busy as we are; it is not told twice. */
  #live(): void {
    if (this.#channel.unsent === 0) this.#say({ say: 'alive' });
  }

  datagram(wish: DatagramWish): Lent<DatagramSocket> {
    const sharePort = this.#sharePorts;
    return this.#lend(
      socketKey('udp', wish.host, wish.port),
      (fd) => knownDatagramSocket(fd, wish.host),
      () => openDatagramSocket({ ...wish, sharePort }),
    );
  }

  stream(address: BindAddress, backlog: number): Lent<StreamSocket> {
    const sharePort = this.#sharePorts;
    return this.#lend(socketKey('tcp', address.host, address.port), knownStreamSocket, () =>
      openStreamSocket({ ...address, sharePort }, backlog),
    );
  }

  #lend<Socket extends { readonly fd: number }>(
    key: string,
    known: (fd: number) => Socket,
    open: () => Socket,
  ): Lent<Socket> {
    const held = this.#held.get(key);
    let socket: Socket;
    if (held === undefined) {
      socket = open();
      this.#channel.send({ say: 'hold', key } satisfies ToSupervisor, [socket.fd]);
    } else {
      this.#held.delete(key);
      socket = known(held);
    }
    let isGivenUp = false;
    return {
      socket,
      giveUp: () => {
        if (!isGivenUp) this.#say({ say: 'drop', key });
        isGivenUp = true;
      },
    };
  }

  /** Leaves `text` to successors, in the place of what was left under this key before. */
  leaveText(key: string, text: string): void {
    const octets = Buffer.from(text);
    const fd = createMemoryFile(key, octets.length);
    for (let at = 0; at < octets.length;) at += writeSync(fd, octets, at);
    this.leaveFile(key, fd);
    closeDescriptor(fd);
  }

  /** The same of a file, whose descriptor stays the caller's. */
  leaveFile(key: string, fd: number): void {
    this.#channel.send({ say: 'hold', key } satisfies ToSupervisor, [fd]);
  }

  /** What a predecessor left under this key; undefined if nothing. */
  leftText(key: string): string | undefined {
    const fd = this.leftFile(key);
    return fd === undefined ? undefined : readFile(fd).toString();
  }

  /** What a predecessor left once, for whoever comes first; undefined if nothing. */
  leftOnce(key: string): Uint8Array | undefined {
    const fd = this.leftFile(key);
    if (fd === undefined) return undefined;
    this.#say({ say: 'drop', key });
    return readFile(fd);
  }

  /** The file that a predecessor left under this key, the caller's to close; undefined if none. */
  leftFile(key: string): number | undefined {
    const fd = this.#held.get(key);
    this.#held.delete(key);
    return fd;
  }

  /** All is open and answers. Sockets that a predecessor left and nobody asked for are closed. */
  serving(): void {
    for (const [key, fd] of this.#held) {
      closeDescriptor(fd);
      this.#say({ say: 'drop', key });
    }
    this.#held.clear();
    this.#say({ say: 'serving' });
  }

  /** We end, and the daemon with us, which gives this exit code. */
  ending(code: number): void {
    clearInterval(this.#beat);
    this.#say({ say: 'ending', code });
  }

  #say(message: ToSupervisor): void {
    this.#channel.send(message);
  }
}

/** All that is in a file, which is closed. */
function readFile(fd: number): Buffer {
  const octets = Buffer.alloc(fstatSync(fd).size);
  for (let at = 0; at < octets.length;) {
    const read = readSync(fd, octets, at, octets.length - at, at);
    if (read === 0) break; // somebody has shortened it
    at += read;
  }
  closeDescriptor(fd);
  return octets;
}
