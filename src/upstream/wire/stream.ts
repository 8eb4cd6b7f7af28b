/**
 * DNS over TCP and TLS: messages with their length before them (RFC 1035 section 4.2.2, RFC 7858).
 *
 * Owns:    that what is sent within one turn of the event loop leaves in one write.
 */
import { type Socket, connect as connectTcp } from 'node:net';
import {
  type ConnectionOptions,
  type SecureContext,
  type TLSSocket,
  connect as connectTls,
} from 'node:tls';
import { AD, HEADER_OCTETS, readU16, writeU16 } from '../../dns/header.ts';
import { LENGTH_OCTETS, joined, messageEnd, writeLength } from '../../net/framing.ts';
import { isAcknowledged, setUserTimeout } from '../../sys/tcp-info.ts';
import type { Attempt } from '../attempt.ts';
import type { UpstreamTarget } from '../config.ts';
import type { Wire, WireEvents } from './wire.ts';

/** The kernel gives up on octets that nobody acknowledges for so long. */
export const USER_TIMEOUT_MS = 4000;

/** Frames are written into slabs, never overwritten: the kernel may take them later. */
const SLAB_OCTETS = 64 * 1024;
let slab: Buffer = Buffer.alloc(0);
let slabNext = 0;
/** Whose frames stand at the end of the slab. */
let slabUser: StreamWire | undefined;

/** What arrives is read into one buffer for all connections, and used before the next read. */
const READ_OCTETS = 64 * 1024;
let readBuffer: Buffer | undefined;

export class StreamWire implements Wire {
  readonly #events: WireEvents;
  readonly #socket: Socket | TLSSocket;
  #partial: Buffer | undefined;
  /** Frames of this turn of the event loop stand in the slab from here, and leave at its end. */
  #framesAt = -1;

  constructor(
    target: UpstreamTarget,
    events: WireEvents,
    secure: SecureContext | undefined,
    session: Buffer | undefined,
  ) {
    this.#events = events;
    const socket =
      target.tls === undefined
        ? this.#openTcp(target)
        : connectTls({
            ...tlsOptions(target, secure, session),
            ALPNProtocols: ['dot'],
          }).on('data', (chunk: Buffer) => this.#read(chunk));
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.once('connect', () => events.onAccepted());
    socket.once(target.tls === undefined ? 'connect' : 'secureConnect', () => {
      setUserTimeout(socket, USER_TIMEOUT_MS);
      events.onOpen();
    });
    socket.on('session', (next: Buffer) => events.onSession(next));
    socket.on('error', (error: NodeJS.ErrnoException) => events.onError(error));
    // Nothing comes any more, so nothing is worth sending: what is outstanding is sent again at once.
    socket.on('end', () => socket.destroy());
    socket.on('close', () => events.onClosed());
  }

  /** `onread` gets what arrives in memory that is only lent. */
  #openTcp({ host, port, source }: UpstreamTarget): Socket {
    readBuffer ??= Buffer.allocUnsafeSlow(READ_OCTETS);
    const buffer = readBuffer;
    const callback = (octets: number): boolean => {
      this.#read(buffer.subarray(0, octets));
      return true;
    };
    return connectTcp({
      host,
      port,
      noDelay: true,
      onread: { buffer, callback },
      ...(source === undefined ? {} : { localAddress: source }),
    });
  }

  send({ query, askAuthentic }: Attempt, id: number): void {
    const octets = LENGTH_OCTETS + query.length;
    if (slab.length - slabNext < octets || (slabUser !== this && slabUser !== undefined)) {
      if (slabUser !== undefined) slabUser.#flush();
      if (slab.length - slabNext < octets) {
        slab = Buffer.allocUnsafeSlow(Math.max(SLAB_OCTETS, octets));
        slabNext = 0;
      }
    }
    slabUser = this;
    if (this.#framesAt === -1) {
      this.#framesAt = slabNext;
      process.nextTick(this.#flushLater);
    }
    writeLength(slab, slabNext, query.length);
    slab.set(query, slabNext + LENGTH_OCTETS);
    writeU16(slab, slabNext + LENGTH_OCTETS, id);
    if (askAuthentic) {
      const flagsAt = slabNext + LENGTH_OCTETS + 3;
      slab[flagsAt] = slab[flagsAt]! | AD;
    }
    slabNext += octets;
  }

  readonly #flushLater = (): void => this.#flush();

  /** Writes what was framed. */
  #flush(): void {
    if (slabUser === this) slabUser = undefined;
    if (this.#framesAt === -1) return;
    const frames = slab.subarray(this.#framesAt, slabNext);
    this.#framesAt = -1;
    if (!this.#socket.destroyed) this.#socket.write(frames);
  }

  isAcknowledged(): boolean | undefined {
    return isAcknowledged(this.#socket);
  }

  destroy(aborts: boolean): void {
    // Node resets plain sockets only, and throws where it cannot.
    if (aborts && !('encrypted' in this.#socket)) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    const data = joined(this.#partial, chunk);
    this.#partial = undefined;
    let at = 0;
    for (let end = messageEnd(data, at); end !== 0; end = messageEnd(data, at)) {
      const from = at + LENGTH_OCTETS;
      if (end - from >= HEADER_OCTETS)
        this.#events.onMessage(readU16(data, from), data, from, end, 0);
      else this.#events.onGarbled();
      at = end;
    }
    if (at < data.length) this.#partial = Buffer.from(data.subarray(at));
    this.#events.onRead();
  }
}

/** What all TLS connections to an upstream are opened with. */
export function tlsOptions(
  { host, port, tls, source }: UpstreamTarget,
  secure: SecureContext | undefined,
  session: Buffer | undefined,
): ConnectionOptions {
  return {
    host,
    port,
    ...(secure === undefined ? {} : { secureContext: secure }),
    ...(tls?.serverName === undefined ? {} : { servername: tls.serverName }),
    ...(session === undefined ? {} : { session }),
    ...(source === undefined ? {} : { localAddress: source }),
  };
}
