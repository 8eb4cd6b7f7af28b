/**
 * One pipelined connection to an upstream (RFC 7766 section 6.2.1.1): queries leave with IDs of our
 * own, answers come in any order.
 *
 * Owns:    IDs, what is outstanding, for how long the upstream has been silent, how old it is.
 * Is not:  the octets on the wire (upstream/wire/wire.ts), the choice of a connection (pool.ts), nor what
 *          becomes of a query whose connection is lost.
 */
import type { SecureContext } from 'node:tls';
import { type NormalizedResponse, lowerTtls } from '../../dns/response.ts';
import { formatHostPort } from '../../net/host-port.ts';
import { nowMs } from '../../sys/clock.ts';
import { random16 } from '../../sys/random.ts';
import { acceptResponse } from '../accept.ts';
import type { Attempt, FailureCause } from '../attempt.ts';
import { type UpstreamTarget } from '../config.ts';
import { type ConnectionState, nextConnectionState } from './connection-state.ts';
import { HttpsWire } from '../wire/https.ts';
import { type Lifespan, isOver } from './lifespan.ts';
import { StreamWire } from '../wire/stream.ts';
import type { Wire, WireEvents } from '../wire/wire.ts';

/** IDs are drawn until a free one is found: half of the space free makes that two draws on average. */
const OUTSTANDING_MAX = 32768;
/** A connection attempt must succeed within that time (the whole query has 4 s). */
export const CONNECT_MS = 1000;

export interface ConnectionEvents {
  /** An answer arrived for an attempt. */
  answered(connection: Connection, attempt: Attempt, message: NormalizedResponse): void;
  disbelieved(reason: string): void;
  /** The connection is gone; `left` waited for answers. */
  closed(
    connection: Connection,
    left: readonly Attempt[],
    reason: string,
    cause: FailureCause,
  ): void;
  /** A TLS session to resume the next connection with. */
  session(session: Buffer): void;
}

export class Connection implements WireEvents {
  readonly #target: UpstreamTarget;
  readonly #events: ConnectionEvents;
  readonly #lifespan: Lifespan;
  readonly #wire: Wire;
  /** By ID, in the order of sending. */
  readonly #outstanding = new Map<number, Attempt>();
  #state: ConnectionState = 'connecting';
  readonly startedMs: number = nowMs();
  #progressMs: number = this.startedMs;
  /** When nothing was outstanding any more. */
  #idleSinceMs: number = this.startedMs;
  #sent = 0;
  #oldSinceMs = Infinity;
  #withdrawnCount = 0;
  #lastAnswerMs = -Infinity;
  #wasOpen = false;
  #wasAccepted = false;
  #closeReason: { text: string; cause: FailureCause } | undefined;
  /** Set by the pool, until the next answer: slow, to be avoided; so silent that it may be dead. */
  suspected = false;
  silent = false;
  /** Set by the pool: must answer a probe before it is given queries. */
  onTrial = false;

  constructor(
    target: UpstreamTarget,
    events: ConnectionEvents,
    lifespan: Lifespan,
    secure: SecureContext | undefined,
    session: Buffer | undefined,
  ) {
    this.#target = target;
    this.#events = events;
    this.#lifespan = lifespan;
    const Kind = target.https === undefined ? StreamWire : HttpsWire;
    this.#wire = new Kind(target, this, secure, session);
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

  /** Whether it is of its full age, or has carried its share of the queries. */
  isOld(now: number): boolean {
    if (this.#oldSinceMs !== Infinity) return true;
    if (!isOver(this.#lifespan, now - this.startedMs, this.#sent)) return false;
    this.#oldSinceMs = now;
    return true;
  }

  /** Since it was first found to be old; 0 if it is not. */
  oldMs(now: number): number {
    return this.isOld(now) ? now - this.#oldSinceMs : 0;
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
    this.#sent++;
    this.#outstanding.set(id, attempt);
    this.#wire.send(attempt, id);
  }

  /** Whether the other side's kernel takes what is sent; undefined if that is not known. */
  isAcknowledged(): boolean | undefined {
    return this.#wire.isAcknowledged();
  }

  /** Takes no more queries, and closes when the last answer has come. */
  retire(): void {
    this.#state = nextConnectionState(this.#state, 'retire');
    if (this.#state === 'closed') this.#wire.destroy(false);
    else this.#settle();
  }

  /** Closes at once; what is outstanding fails with that reason. */
  abort(reason: string, cause: FailureCause): void {
    this.#closeReason ??= { text: reason, cause };
    this.#state = nextConnectionState(this.#state, 'lost'); // at once: it must not be chosen again
    this.#wire.destroy(false);
  }

  onAccepted(): void {
    this.#wasAccepted = true;
  }

  onOpen(): void {
    this.#state = nextConnectionState(this.#state, 'connected');
    this.#wasOpen = true;
    this.#progressMs = nowMs();
  }

  onMessage(id: number, data: Uint8Array, at: number, end: number, ageSec: number): void {
    const attempt = this.#took(id);
    if (attempt === undefined) return;
    const found = acceptResponse(attempt.query, attempt.nameOctets, data, at, end, true);
    if (typeof found === 'string') {
      this.#distrust(found);
      attempt.owner.onFailure(attempt, `bad response (${found})`, 'bad-response');
      return;
    }
    this.#events.answered(this, attempt, ageSec === 0 ? found : lowerTtls(found, ageSec));
  }

  onNoMessage(id: number, reason: string): void {
    const attempt = this.#took(id);
    if (attempt === undefined) return;
    this.#events.disbelieved('malformed');
    attempt.owner.onFailure(attempt, reason, 'bad-response');
  }

  onGarbled(): void {
    this.#distrust('malformed');
  }

  onUnwanted(): void {
    this.#state = nextConnectionState(this.#state, 'retire');
  }

  onRead(): void {
    this.#settle();
  }

  onSession(session: Buffer): void {
    this.#events.session(session);
  }

  onError(error: NodeJS.ErrnoException): void {
    this.#closeReason ??= { text: this.#describe(error), cause: this.#causeOfEnd };
  }

  onClosed(): void {
    this.#state = nextConnectionState(this.#state, 'lost');
    const left = this.attempts();
    this.#outstanding.clear();
    const reason = this.#closeReason ?? {
      text: `read tcp ${formatHostPort(this.#target)}: EOF`,
      cause: this.#causeOfEnd,
    };
    this.#events.closed(this, left, reason.text, reason.cause);
  }

  get #causeOfEnd(): FailureCause {
    return this.#lastAnswerMs === -Infinity ? 'unreachable' : 'closed';
  }

  /** What was outstanding under that ID, and no longer is; undefined if nobody waits for it. */
  #took(id: number): Attempt | undefined {
    const attempt = this.#outstanding.get(id);
    if (attempt === undefined) {
      this.#events.disbelieved('unknown-id'); // a second answer, or one that nobody asked for
      return undefined;
    }
    this.#outstanding.delete(id);
    this.#progressMs = nowMs();
    this.#lastAnswerMs = this.#progressMs;
    this.suspected = false;
    this.silent = false;
    if (attempt !== withdrawn) return attempt;
    this.#withdrawnCount--;
    return undefined;
  }

  /** The attempt's owner has its answer from elsewhere; ours will be a stray. */
  readonly #withdraw = (attempt: Attempt): void => {
    if (this.#outstanding.get(attempt.id) !== attempt) return;
    // Its ID stays taken until the answer comes, or another query could be given that answer.
    this.#outstanding.set(attempt.id, withdrawn);
    this.#withdrawnCount++;
    this.#settle();
  };

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
      this.#wire.destroy(true);
    }
  }

  #describe(error: NodeJS.ErrnoException): string {
    const to = formatHostPort(this.#target);
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
