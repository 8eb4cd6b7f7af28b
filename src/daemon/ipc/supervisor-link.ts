/**
 * The worker's link to its supervisor: the inheritance, the supervisor's commands, our signs of life.
 *
 * Owns:    the keys under which sockets are held. A socket goes to the supervisor when it is opened,
 *          so that the next worker inherits the very same one, with the queries that are queued in it.
 * Is not:  the acts: `obey` is given them.
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

/** The acts that the supervisor can ask for. */
export interface Commands {
  stop(signal: string): void;
  reload(signal: string): void;
  snapshot(): void;
  retire(): void;
  /** The supervisor is gone, and only we hold the sockets. */
  abandon(): void;
}

export class SupervisorLink implements SocketSource {
  readonly #channel: Channel;
  readonly #sharePorts: boolean;
  /** The inheritance, until a part of ours asks for it. */
  readonly #inheritance = new Map<string, number>();
  /** Commands that came before `obey`. */
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
        this.#commands?.abandon();
      },
    });
  }

  /**
   * Resolves when the whole inheritance is here; rejects if the supervisor is gone before that. With
   * `sharePorts`, newly opened sockets let other processes bind their address too.
   */
  static async connect(fd: number, sharePorts: boolean): Promise<SupervisorLink> {
    const link = new SupervisorLink(fd, sharePorts);
    await link.#greeted;
    link.#beat = setInterval(() => link.#live(), BEAT_MS);
    link.#beat.unref();
    return link;
  }

  /** Whether this is the first worker of its daemon. */
  get isFirst(): boolean {
    return Object.values(this.restarts).every((times) => times === 0);
  }

  /**
   * Whether interface and rules stand as the previous worker, or the incumbent's, has made them, so that
   * the node need not be set up first.
   */
  get nodeIsSetUp(): boolean {
    return this.#hello?.takesOver ?? false;
  }

  /** How often workers of this daemon were replaced so far, by reason. */
  get restarts(): Readonly<Record<string, number>> {
    return this.#hello?.restarts ?? {};
  }

  /** Carries out commands from now on, beginning with those that have come already. */
  obey(commands: Commands): void {
    this.#commands = commands;
    for (const message of this.#waiting.splice(0)) this.#command(message);
    if (this.#isOrphan) commands.abandon();
  }

  #hear(value: unknown, descriptors: readonly number[]): void {
    const message = readToWorker(value);
    if (message?.say === 'hello' && message.keys.length === descriptors.length) {
      message.keys.forEach((key, i) => this.#inheritance.set(key, descriptors[i]!));
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

  /** A supervisor that does not read is stopped, or as busy as we are: it gets no second sign. */
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
    const held = this.#inheritance.get(key);
    let socket: Socket;
    if (held === undefined) {
      socket = open();
      this.#channel.send({ say: 'hold', key } satisfies ToSupervisor, [socket.fd]);
    } else {
      this.#inheritance.delete(key);
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

  /** Passes `text` on to the next worker, in place of an earlier text under this key. */
  passOnText(key: string, text: string): void {
    const octets = Buffer.from(text);
    const fd = createMemoryFile(key, octets.length);
    for (let at = 0; at < octets.length;) at += writeSync(fd, octets, at);
    this.passOnFile(key, fd);
    closeDescriptor(fd);
  }

  /** Like `passOnText`, for a file. The descriptor stays the caller's. */
  passOnFile(key: string, fd: number): void {
    this.#channel.send({ say: 'hold', key } satisfies ToSupervisor, [fd]);
  }

  /** The text inherited under this key; undefined if there is none. The next worker inherits it too. */
  inheritText(key: string): string | undefined {
    const fd = this.inheritFile(key);
    return fd === undefined ? undefined : readFile(fd).toString();
  }

  /** The octets inherited under this key, which no other worker will inherit; undefined if none. */
  inheritOnce(key: string): Uint8Array | undefined {
    const fd = this.inheritFile(key);
    if (fd === undefined) return undefined;
    this.#say({ say: 'drop', key });
    return readFile(fd);
  }

  /** The file inherited under this key, the caller's to close; undefined if there is none. */
  inheritFile(key: string): number | undefined {
    const fd = this.#inheritance.get(key);
    this.#inheritance.delete(key);
    return fd;
  }

  /** All sockets are open and answer. The part of the inheritance that nothing asked for is closed. */
  serving(): void {
    for (const [key, fd] of this.#inheritance) {
      closeDescriptor(fd);
      this.#say({ say: 'drop', key });
    }
    this.#inheritance.clear();
    this.#say({ say: 'serving' });
  }

  /** We end, and the daemon is to end with us, with this exit code. */
  ending(code: number): void {
    clearInterval(this.#beat);
    this.#say({ say: 'ending', code });
  }

  #say(message: ToSupervisor): void {
    this.#channel.send(message);
  }
}

/** The content of a file, which is then closed. */
function readFile(fd: number): Buffer {
  const octets = Buffer.alloc(fstatSync(fd).size);
  for (let at = 0; at < octets.length;) {
    const read = readSync(fd, octets, at, octets.length - at, at);
    if (read === 0) break; // the file has been shortened
    at += read;
  }
  closeDescriptor(fd);
  return octets;
}
