/**
 * One pipelined connection to an upstream (RFC 7766 section 6.2.1.1): queries leave with IDs of our
 * own, answers come in any order.
 *
 * Owns:    IDs, what is outstanding, for how long the upstream has been silent, how old it is.
 * Is not:  the octets on the wire (upstream/wire/wire.ts), the choice of a connection (pool.ts), the
 *          judgement of its silence (watch.ts), nor what becomes of a query whose connection is lost.
 */
import type { SecureContext } from 'node:tls';
import { lowerTtls } from '../../dns/response.ts';
import { formatHostPort } from '../../net/host-port.ts';
import { nowMs } from '../../sys/clock.ts';
import { random16 } from '../../sys/random.ts';
import { acceptResponse } from '../accept.ts';
import type { Attempt, AttemptCarrier, FailureCause } from '../attempt.ts';
import type { UpstreamTarget } from '../config.ts';
import {
  type ConnectionStanding,
  type ConnectionState,
  nextConnectionState,
  nextStanding,
} from './connection-state.ts';
import { HttpsWire } from '../wire/https.ts';
import { type Lifespan, isOver } from './lifespan.ts';
import { StreamWire } from '../wire/stream.ts';
import type { Wire, WireEvents } from '../wire/wire.ts';

/** IDs are drawn until a free one is found: half of the space free makes that two draws on average. */
const OUTSTANDING_MAX = 32768;
/** A connection attempt must succeed within that time (the whole query has 4 s). */
export const CONNECT_MS = 1000;

/** The owner of connections hears of what concerns more than one attempt. */
export interface ConnectionEvents {
  /** A message answers nothing that was asked, or not what was asked. */
  disbelieved(reason: string): void;
  /**
   * The connection is gone; attempts that still wait on it fail next. `wasAccepted`: somebody had
   * taken it, if only to close it or to fail the TLS handshake.
   */
  closed(connection: Connection, end: ConnectionEnd, wasAccepted: boolean): void;
  /** A TLS session to resume the next connection with. */
  session(session: Buffer): void;
}

/** Why a connection ended. */
export interface ConnectionEnd {
  readonly reason: string;
  readonly cause: FailureCause;
}

export class Connection implements WireEvents, AttemptCarrier {
  readonly #target: UpstreamTarget;
  readonly #events: ConnectionEvents;
  readonly #lifespan: Lifespan;
  readonly #wire: Wire;
  /**
   * By ID, in the order of sending. Undefined once the attempt is withdrawn: its ID stays taken until
   * the answer comes, or another query could be given that answer.
   */
  readonly #outstanding = new Map<number, Attempt | undefined>();
  #state: ConnectionState = 'connecting';
  #standing: ConnectionStanding = 'trusted';
  readonly startedMs: number = nowMs();
  #progressMs: number = this.startedMs;
  /** When nothing was outstanding any more. */
  #idleSinceMs: number = this.startedMs;
  #sent = 0;
  #oldSinceMs = Infinity;
  #withdrawnCount = 0;
  #lastAnswerMs = -Infinity;
  #end: ConnectionEnd | undefined;

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

  get standing(): ConnectionStanding {
    return this.#standing;
  }

  get outstanding(): number {
    return this.#outstanding.size;
  }

  get isConnecting(): boolean {
    return this.#state === 'connecting' || this.#state === 'accepted';
  }

  /** Whether it has room for another query. Whether it should be given one is its standing's to say. */
  get takesMore(): boolean {
    return (
      (this.#state === 'open' || this.isConnecting) && this.#outstanding.size < OUTSTANDING_MAX
    );
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

  /** What is outstanding and still wanted, oldest first. A copy: its owners may send and withdraw. */
  attempts(): Attempt[] {
    return [...this.#outstanding.values()].filter((attempt) => attempt !== undefined);
  }

  /** It must answer a probe before it is given queries. For new connections. */
  putOnTrial(): void {
    this.#standing = 'onTrial';
  }

  /** The trial is over: it may be given queries. */
  trust(): void {
    this.#standing = nextStanding(this.#standing, 'proven');
  }

  /** Those behind the oldest perhaps wait for it alone; the oldest itself is probably the slow one. */
  lag(): void {
    this.#standing = nextStanding(this.#standing, 'lag');
    const [, ...behind] = this.attempts();
    for (const attempt of behind) attempt.lag();
  }

  /** Perhaps dead: the pod behind it is gone, and nothing says so (kube-proxy drops in silence). */
  mute(): void {
    this.#standing = nextStanding(this.#standing, 'mute');
    for (const attempt of this.attempts()) attempt.doubt();
  }

  /** Attempts sent before `beforeMs` are doubted, however lively the connection is. */
  doubtLate(beforeMs: number): void {
    // What an owner sends meanwhile is visited last, and younger.
    for (const attempt of this.#outstanding.values()) {
      if (attempt === undefined || attempt.isDoubted) continue;
      if (attempt.sentMs >= beforeMs) break;
      attempt.doubt();
    }
  }

  send(attempt: Attempt): void {
    const now = nowMs();
    if (this.#outstanding.size === 0) this.#progressMs = now;
    let id = random16();
    while (this.#outstanding.has(id)) id = random16();
    attempt.id = id;
    attempt.sent(this, now);
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
    this.#end ??= { reason, cause };
    this.#state = nextConnectionState(this.#state, 'lost'); // at once: it must not be chosen again
    this.#wire.destroy(false);
  }

  onAccepted(): void {
    this.#state = nextConnectionState(this.#state, 'accepted');
  }

  onOpen(): void {
    this.#state = nextConnectionState(this.#state, 'connected');
    this.#progressMs = nowMs();
  }

  onMessage(id: number, data: Uint8Array, at: number, end: number, ageSec: number): void {
    const attempt = this.#took(id);
    if (attempt === undefined) return;
    const found = acceptResponse(attempt, data, at, end, true);
    if (typeof found === 'string') {
      this.#distrust(found);
      attempt.fail(`bad response (${found})`, 'bad-response');
      return;
    }
    attempt.answer(ageSec === 0 ? found : lowerTtls(found, ageSec));
  }

  onNoMessage(id: number, reason: string): void {
    const attempt = this.#took(id);
    if (attempt === undefined) return;
    this.#events.disbelieved('malformed');
    attempt.fail(reason, 'bad-response');
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
    this.#end ??= { reason: this.#describe(error), cause: this.#causeOfEnd };
  }

  onClosed(): void {
    const wasAccepted = this.#state !== 'connecting' && this.#state !== 'closed';
    this.#state = nextConnectionState(this.#state, 'lost');
    const left = this.attempts();
    this.#outstanding.clear();
    const end = this.#end ?? {
      reason: `read tcp ${formatHostPort(this.#target)}: EOF`,
      cause: this.#causeOfEnd,
    };
    this.#events.closed(this, end, wasAccepted);
    for (const attempt of left) attempt.fail(end.reason, end.cause);
  }

  get #causeOfEnd(): FailureCause {
    return this.#lastAnswerMs === -Infinity ? 'unreachable' : 'closed';
  }

  /** Takes out what is outstanding under that ID; undefined if its answer is not wanted. */
  #took(id: number): Attempt | undefined {
    const attempt = this.#outstanding.get(id);
    if (!this.#outstanding.delete(id)) {
      this.#events.disbelieved('unknown-id'); // a second answer, or one that nobody asked for
      return undefined;
    }
    this.#progressMs = nowMs();
    this.#lastAnswerMs = this.#progressMs;
    this.#standing = nextStanding(this.#standing, 'answered');
    if (attempt === undefined) this.#withdrawnCount--;
    return attempt;
  }

  /** The attempt's owner has its answer from elsewhere; ours will be a stray. */
  withdrawn(attempt: Attempt): void {
    if (this.#outstanding.get(attempt.id) !== attempt) return;
    this.#outstanding.set(attempt.id, undefined);
    this.#withdrawnCount++;
    this.#settle();
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
      this.#wire.destroy(true);
    }
  }

  #describe(error: NodeJS.ErrnoException): string {
    const to = formatHostPort(this.#target);
    const words = GO_WORDS[error.code ?? ''];
    if (!this.isConnecting) return `read tcp ${to}: ${words ?? error.message}`;
    if (words !== undefined) return `dial tcp ${to}: connect: ${words}`;
    return this.#target.tls === undefined
      ? `dial tcp ${to}: ${error.message}`
      : `dial tcp ${to}: tls: handshake failed: ${error.message}`;
  }
}

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
