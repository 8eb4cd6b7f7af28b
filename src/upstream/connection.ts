/**
 * One pipelined stream to an upstream, TCP or TLS (RFC 7766 section 6.2.1.1, RFC 7858): queries leave
 * with IDs of our own, answers come in any order.
 *
 * Owns:    framing, IDs, what is outstanding, and how long the upstream has been silent.
 * Is not:  the choice of a connection, nor what becomes of a query whose connection is lost.
 */
import { type Socket, connect as connectTcp } from 'node:net';
import { type SecureContext, type TLSSocket, connect as connectTls } from 'node:tls';
import { AD, HEADER_OCTETS, readU16, writeU16 } from '../dns/header.ts';
import type { NormalizedResponse } from '../dns/response.ts';
import { nowMs } from '../sys/clock.ts';
import { random16 } from '../sys/random.ts';
import { isAcknowledged, setUserTimeout } from '../sys/tcp-info.ts';
import { acceptResponse } from './accept.ts';
import type { Attempt, FailureCause } from './attempt.ts';
import { type UpstreamTarget, formatTarget } from './config.ts';
import { type ConnectionState, nextConnectionState } from './connection-state.ts';

const LENGTH_OCTETS = 2;
/** IDs are drawn until a free one is found: half of the space free makes that two draws on average. */
const OUTSTANDING_MAX = 32768;
/** A connection attempt must succeed within that time (the whole query has 4 s). */
export const CONNECT_MS = 1000;

/** Frames are written into slabs, never overwritten: the kernel may take them later. */
const SLAB_OCTETS = 64 * 1024;
let slab: Buffer = Buffer.alloc(0);
let slabNext = 0;
/** Whose frames stand at the end of the slab. */
let slabUser: Connection | undefined;

/** What arrives is read into one buffer for all connections, and used before the next read. */
const READ_OCTETS = 64 * 1024;
let readBuffer: Buffer | undefined;

/** The kernel gives up on octets that nobody acknowledges for so long. */
const USER_TIMEOUT_MS = 4000;

export interface ConnectionEvents {
  /** An answer arrived for an attempt. `silent` attempts count nothing. */
  answered(connection: Connection, attempt: Attempt, message: NormalizedResponse): void;
  disbelieved(reason: string): void;
  /** The connection is gone; `left` waited for answers. */
  closed(
    connection: Connection,
    left: readonly Attempt[],
    reason: string,
    cause: FailureCause,
  ): void;
  /** A TLS session to resume the next connection with (RFC 8446 section 2.2). */
  session(session: Buffer): void;
}

export class Connection {
  readonly #target: UpstreamTarget;
  readonly #events: ConnectionEvents;
  readonly #socket: Socket | TLSSocket;
  /** By ID, in the order of sending. */
  readonly #outstanding = new Map<number, Attempt>();
  #state: ConnectionState = 'connecting';
  #partial: Buffer | undefined;
  /** Frames of this turn of the event loop stand in the slab from here, and leave at its end. */
  #framesAt = -1;
  readonly startedMs: number = nowMs();
  #progressMs: number = this.startedMs;
  /** When nothing was outstanding any more. */
  #idleSinceMs: number = this.startedMs;
  #answers = 0;
  #lastAnswerMs = -Infinity;
  #wasOpen = false;
  #wasAccepted = false;
  /** When the pool retires it. */
  readonly retireAtMs: number;
  #closeReason: { text: string; cause: FailureCause } | undefined;
  /** Set by the pool, until the next answer: slow, to be avoided; so silent that it may be dead. */
  suspected = false;
  silent = false;
  /** Set by the pool: must answer a probe before it is given queries. */
  onTrial = false;

  constructor(
    target: UpstreamTarget,
    events: ConnectionEvents,
    retireAtMs: number,
    secure: SecureContext | undefined,
    session: Buffer | undefined,
  ) {
    this.#target = target;
    this.#events = events;
    this.retireAtMs = retireAtMs;
    this.#socket = openSocket(target, secure, session, (chunk) => this.#read(chunk));
    this.#socket.setNoDelay(true);
    this.#socket.once('connect', () => {
      this.#wasAccepted = true;
    });
    this.#socket.once(target.tls === undefined ? 'connect' : 'secureConnect', () => {
      this.#state = nextConnectionState(this.#state, 'connected');
      this.#wasOpen = true;
      setUserTimeout(this.#socket, USER_TIMEOUT_MS);
      this.#progressMs = nowMs();
    });
    this.#socket.on('session', (session: Buffer) => this.#events.session(session));
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#closeReason ??= {
        text: this.#describe(error),
        cause: this.#answers > 0 ? 'closed' : 'unreachable',
      };
    });
    // Nothing comes any more, so nothing is worth sending: what is outstanding is sent again at once.
    this.#socket.on('end', () => this.#socket.destroy());
    this.#socket.on('close', () => this.#lost());
  }

  get state(): ConnectionState {
    return this.#state;
  }

  get outstanding(): number {
    return this.#outstanding.size;
  }

  /** Whether queries may be given to it. */
  get usable(): boolean {
    return (
      (this.#state === 'open' || this.#state === 'connecting') &&
      this.#outstanding.size < OUTSTANDING_MAX
    );
  }

  /** Whether somebody has taken the connection, if only to close it or to fail the TLS handshake. */
  get wasAccepted(): boolean {
    return this.#wasAccepted;
  }

  /** When the last answer came; -Infinity if none has. */
  get lastAnswerMs(): number {
    return this.#lastAnswerMs;
  }

  /** For how long the upstream owes an answer and has sent none; 0 if it owes none. */
  silentMs(now: number): number {
    return this.#outstanding.size === 0 ? 0 : now - this.#progressMs;
  }

  idleMs(now: number): number {
    return this.#outstanding.size === 0 ? now - this.#idleSinceMs : 0;
  }

  isConnecting(): boolean {
    return this.#state === 'connecting';
  }

  /** What is outstanding and still wanted, oldest first. A copy: its owners may send and withdraw. */
  attempts(): Attempt[] {
    return [...this.#outstanding.values()].filter((attempt) => attempt !== withdrawn);
  }

  /** Calls back for each attempt sent before `beforeMs` and not told yet, and notes that it is. */
  tellLate(beforeMs: number): void {
    // What an owner sends meanwhile is visited last, and younger.
    for (const attempt of this.#outstanding.values()) {
      if (attempt === withdrawn || attempt.toldSilent) continue;
      if (attempt.sentMs >= beforeMs) break;
      attempt.toldSilent = true;
      attempt.owner.onSlow(attempt, true);
    }
  }

  send(attempt: Attempt): void {
    const now = nowMs();
    if (this.#outstanding.size === 0) this.#progressMs = now;
    let id = random16();
    while (this.#outstanding.has(id)) id = random16();
    attempt.id = id;
    attempt.sentMs = now;
    attempt.withdraw = this.#withdraw;
    this.#outstanding.set(id, attempt);
    this.#frame(attempt);
  }

  /** Appends the message to what leaves at the end of this turn of the event loop. */
  #frame({ query, id, askAuthentic }: Attempt): void {
    const octets = LENGTH_OCTETS + query.length;
    if (slab.length - slabNext < octets || (slabUser !== this && slabUser !== undefined)) {
      slabUser?.flush();
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
    writeU16(slab, slabNext, query.length);
    slab.set(query, slabNext + LENGTH_OCTETS);
    writeU16(slab, slabNext + LENGTH_OCTETS, id);
    if (askAuthentic) {
      const flagsAt = slabNext + LENGTH_OCTETS + 3;
      slab[flagsAt] = slab[flagsAt]! | AD;
    }
    slabNext += octets;
  }

  /** Writes what was framed. */
  flush(): void {
    if (slabUser === this) slabUser = undefined;
    if (this.#framesAt === -1) return;
    const frames = slab.subarray(this.#framesAt, slabNext);
    this.#framesAt = -1;
    if (!this.#socket.destroyed) this.#socket.write(frames);
  }

  /** Whether the other side's kernel has taken all that was sent; undefined if that is not known. */
  isAcknowledged(): boolean | undefined {
    return isAcknowledged(this.#socket);
  }

  /** Takes no more queries, and closes when the last answer has come. */
  retire(): void {
    this.#state = nextConnectionState(this.#state, 'retire');
    if (this.#state === 'closed') this.#socket.destroy();
    else this.#settle();
  }

  /** Closes at once; what is outstanding fails with that reason. */
  abort(reason: string, cause: FailureCause): void {
    this.#closeReason ??= { text: reason, cause };
    this.#state = nextConnectionState(this.#state, 'lost'); // at once: it must not be chosen again
    this.#socket.destroy();
  }

  readonly #flushLater = (): void => this.flush();

  /** The attempt's owner has its answer from elsewhere; ours will be a stray. */
  readonly #withdraw = (attempt: Attempt): void => {
    if (this.#outstanding.get(attempt.id) !== attempt) return;
    // Its ID stays taken until the answer comes, or another query could be given that answer.
    this.#outstanding.set(attempt.id, withdrawn);
    this.#withdrawnCount++;
    this.#settle();
  };
  #withdrawnCount = 0;

  #read(chunk: Buffer): void {
    const data = this.#partial === undefined ? chunk : Buffer.concat([this.#partial, chunk]);
    this.#partial = undefined;
    let at = 0;
    while (data.length - at >= LENGTH_OCTETS) {
      const octets = readU16(data, at);
      const end = at + LENGTH_OCTETS + octets;
      if (end > data.length) break;
      if (octets >= HEADER_OCTETS) this.#receive(data, at + LENGTH_OCTETS, end);
      else this.#distrust('malformed');
      at = end;
    }
    if (at < data.length) this.#partial = Buffer.from(data.subarray(at));
    this.#settle();
  }

  #receive(data: Buffer, at: number, end: number): void {
    const id = readU16(data, at);
    const attempt = this.#outstanding.get(id);
    if (attempt === undefined) {
      this.#events.disbelieved('unknown-id'); // a second answer, or one that nobody asked for
      return;
    }
    this.#outstanding.delete(id);
    this.#progressMs = nowMs();
    this.#lastAnswerMs = this.#progressMs;
    this.#answers++;
    this.suspected = false;
    this.silent = false;
    if (attempt === withdrawn) {
      this.#withdrawnCount--;
      return;
    }
    const message = acceptResponse(attempt.query, attempt.nameOctets, data, at, end, true);
    if (typeof message === 'string') {
      this.#distrust(message);
      attempt.owner.onFailure(attempt, `bad response (${message})`, 'bad-response');
      return;
    }
    this.#events.answered(this, attempt, message);
  }

  /** What else comes this way may be out of step: it finishes what it has and takes nothing more. */
  #distrust(reason: string): void {
    this.#events.disbelieved(reason);
    this.#state = nextConnectionState(this.#state, 'retire');
  }

  /** Notes when it becomes idle, and closes a draining connection that has nothing left to wait for. */
  #settle(): void {
    if (this.#outstanding.size > this.#withdrawnCount) return;
    if (this.#outstanding.size === 0) this.#idleSinceMs = nowMs();
    if (this.#state === 'draining') {
      this.#state = nextConnectionState(this.#state, 'emptied');
      this.#socket.destroy();
    }
  }

  #lost(): void {
    this.#state = nextConnectionState(this.#state, 'lost');
    const left = this.attempts();
    this.#outstanding.clear();
    const reason = this.#closeReason ?? {
      text: `read tcp ${formatTarget(this.#target)}: EOF`,
      cause: this.#answers > 0 ? ('closed' as const) : ('unreachable' as const),
    };
    this.#events.closed(this, left, reason.text, reason.cause);
  }

  #describe(error: NodeJS.ErrnoException): string {
    const to = formatTarget(this.#target);
    const words = GO_WORDS[error.code ?? ''];
    if (this.#wasOpen) return `read tcp ${to}: ${words ?? error.message}`;
    if (words !== undefined) return `dial tcp ${to}: connect: ${words}`;
    return this.#target.tls === undefined
      ? `dial tcp ${to}: ${error.message}`
      : `dial tcp ${to}: tls: handshake failed: ${error.message}`;
  }
}

/** Stands where an attempt was that nobody waits for any more. */
const withdrawn = Object.freeze({}) as Attempt;

const GO_WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset by peer',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  ETIMEDOUT: 'connection timed out',
  EPIPE: 'broken pipe',
  EMFILE: 'too many open files',
  ENFILE: 'too many open files in system',
  ENOBUFS: 'no buffer space available',
  ENOMEM: 'cannot allocate memory',
  EADDRNOTAVAIL: 'cannot assign requested address',
};

/** Begins to connect. `read` gets what arrives, in memory that is only lent. */
function openSocket(
  target: UpstreamTarget,
  secure: SecureContext | undefined,
  session: Buffer | undefined,
  read: (chunk: Buffer) => void,
): Socket | TLSSocket {
  const { host, port, tls } = target;
  if (tls === undefined) {
    readBuffer ??= Buffer.allocUnsafeSlow(READ_OCTETS);
    const buffer = readBuffer;
    const callback = (octets: number): boolean => {
      read(buffer.subarray(0, octets));
      return true;
    };
    return connectTcp({ host, port, noDelay: true, onread: { buffer, callback } });
  }
  const socket = connectTls({
    host,
    port,
    secureContext: secure,
    ALPNProtocols: ['dot'],
    ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
    ...(session === undefined ? {} : { session }),
  });
  socket.on('data', read);
  return socket;
}
