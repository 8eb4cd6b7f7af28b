/**
 * One query sent to one upstream once, over any transport, and the one way back for what becomes of it.
 *
 * Owns:    that an attempt ends exactly once (attempt-state.ts), and that its upstream hears of the end
 *          before its owner does: health and counters see every end, wherever it was noticed.
 * Is not:  the decision what follows: that is the owner's (exchange.ts for queries, health.ts for
 *          checks, connection/trials.ts for probes of new connections).
 * Callers: a transport calls `sent`, and then `answer` or `fail`; the owner may `withdraw` before.
 */
import type { NormalizedResponse } from '../dns/response.ts';
import { type AttemptEvent, type AttemptState, nextAttemptState } from './attempt-state.ts';

/**
 * `closed`: the upstream closed a connection that had served before, which is its right and not a
 * failure. `bad-response`: it answered, but not what we asked.
 */
export type FailureCause = 'closed' | 'unreachable' | 'timeout' | 'bad-response';

/** How an attempt ends: the label `outcome`. `withdrawn`: its owner no longer needs an answer. */
export type AttemptOutcome = 'answered' | 'withdrawn' | FailureCause;

/** `query`: for a client. `check`: of an upstream's health. `trial`: of a new connection. */
export type AttemptPurpose = 'query' | 'check' | 'trial';

/** The owner of an attempt: hears how it ends, exactly once unless the owner withdraws it. */
export interface AttemptOwner {
  onAnswered(attempt: Attempt, message: NormalizedResponse): void;
  /** `reason` appears in the log, in Go's words where Go has some. */
  onFailed(attempt: Attempt, reason: string, cause: FailureCause): void;
  /**
   * No answer yet, and reason to doubt that one comes soon: the owner may try elsewhere, and still
   * takes an answer from here. If not `doubted`, it perhaps only waits behind another query.
   */
  onSlow(attempt: Attempt, doubted: boolean): void;
}

/** The upstream that attempts are made at: hears of the end of each, before the owner. */
export interface AttemptObserver {
  /** `rcode` is -1 unless the attempt was answered. */
  attemptEnded(attempt: Attempt, outcome: AttemptOutcome, rcode: number): void;
}

/** Where an attempt waits for its answer: a connection, a UDP socket, the queue for a connection. */
export interface AttemptCarrier {
  /** The answer is no longer wanted. */
  withdrawn(attempt: Attempt): void;
}

export class Attempt {
  readonly owner: AttemptOwner;
  readonly #observer: AttemptObserver;
  /** The message to send; its ID is replaced. */
  readonly query: Uint8Array;
  readonly nameOctets: number;
  readonly purpose: AttemptPurpose;
  /** Sent with AD set, whatever the query has (RFC 6840 section 5.7). */
  askAuthentic = false;
  /** Over TCP, TLS or HTTPS, and not UDP. */
  overStream = false;
  /**
   * The second one at its upstream, which must not fail for the reason that the first one did: over a
   * stream it goes only over a connection that has answered something since.
   */
  mends = false;
  /** The owner's: which of its upstreams this is, and the owner's attempt before it still under way. */
  at = 0;
  before: Attempt | undefined = undefined;
  /** On the monotonic clock. */
  sentMs = 0;
  id = 0;
  #carrier: AttemptCarrier | undefined = undefined;
  #state: AttemptState = 'underWay';

  constructor(
    owner: AttemptOwner,
    observer: AttemptObserver,
    query: Uint8Array,
    nameOctets: number,
    purpose: AttemptPurpose,
  ) {
    this.owner = owner;
    this.#observer = observer;
    this.query = query;
    this.nameOctets = nameOctets;
    this.purpose = purpose;
  }

  get state(): AttemptState {
    return this.#state;
  }

  get isDoubted(): boolean {
    return this.#state === 'doubted';
  }

  /** Where it waits; undefined before it is sent. */
  get carrier(): AttemptCarrier | undefined {
    return this.#carrier;
  }

  /** It waits there from now on. Whatever was held against an earlier place is forgotten. */
  sent(carrier: AttemptCarrier, now: number): void {
    this.#carrier = carrier;
    this.sentMs = now;
    this.#moves('resend');
  }

  answer(message: NormalizedResponse): void {
    if (!this.#moves('answer')) return;
    this.#observer.attemptEnded(this, 'answered', message.rcode);
    this.owner.onAnswered(this, message);
  }

  fail(reason: string, cause: FailureCause): void {
    if (!this.#moves('fail')) return;
    this.#observer.attemptEnded(this, cause, -1);
    this.owner.onFailed(this, reason, cause);
  }

  /** Fails in the next microtask, so that an owner is never called back while it still sends. */
  failSoon(reason: string, cause: FailureCause): void {
    queueMicrotask(() => this.fail(reason, cause));
  }

  /** It waits too long, perhaps only behind another query. */
  lag(): void {
    if (this.#moves('lag')) this.owner.onSlow(this, false);
  }

  /** It waits too long for its owner to count on it. */
  doubt(): void {
    if (this.#moves('doubt')) this.owner.onSlow(this, true);
  }

  /** For the owner: it has its answer from elsewhere, or gives up. The owner is not called back. */
  withdraw(): void {
    if (!this.#moves('withdraw')) return;
    this.#carrier?.withdrawn(this);
    this.#observer.attemptEnded(this, 'withdrawn', -1);
  }

  /** Whether that changes anything: nothing does after the end. */
  #moves(event: AttemptEvent): boolean {
    const next = nextAttemptState(this.#state, event);
    if (next === this.#state) return false;
    this.#state = next;
    return true;
  }
}
