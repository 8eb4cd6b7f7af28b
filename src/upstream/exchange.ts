/**
 * What one query goes through upstream, from the first attempt to the answer that is believed.
 *
 * Owns:    that a query costs each upstream two attempts at most, that a slow or failed attempt is
 *          followed by one elsewhere, and that it ends in time.
 *
 * (CoreDNS asks an upstream that accepts and closes connections up to 26,000 times for one query,
 * and takes 6 s to give up on a mute one.)
 */
import { TC } from '../dns/header.ts';
import type { NormalizedResponse } from '../dns/response.ts';
import type { Query } from '../query/query.ts';
import { nowMs } from '../sys/clock.ts';
import { Attempt, type AttemptOwner, type FailureCause } from './attempt.ts';
import type { Upstream } from './upstream.ts';
import type { Upstreams } from './upstreams.ts';

const ATTEMPTS_PER_UPSTREAM = 2;
/** Two bits count them; with both set nothing is left either. */
const MADE_ALL = 3;

/** How it ended: an answer, or why there is none, in the words of the last failure. */
export type Outcome = NormalizedResponse | string;

/** What one `forward` wants of all its exchanges. */
export interface ExchangeTerms {
  /** Whether an upstream that takes no TCP may be asked over UDP instead. */
  readonly tcpOptional: boolean;
  /** RCODEs that are answers only if no other upstream has a better one. */
  readonly failover: readonly number[];
  /** 0 is two for each upstream. */
  readonly attemptsMax: number;
  /**
   * Called once for each exchange. `upstream` is the one that answered, or was asked last; `beganMs`,
   * on the monotonic clock, is known for queries that are traced.
   */
  readonly ended: (
    query: Query,
    outcome: Outcome,
    upstream: Upstream | undefined,
    beganMs: number,
  ) => void;
}

/** The way that one query takes. */
export interface Route {
  /** In the order in which they are tried; at least one, and at most 15. */
  readonly upstreams: readonly Upstream[];
  readonly overStream: boolean;
  /** On the monotonic clock. */
  readonly deadlineMs: number;
}

export class Exchange implements AttemptOwner {
  /** On the monotonic clock. */
  readonly deadlineMs: number;
  readonly #terms: ExchangeTerms;
  readonly #query: Query;
  /** The message to send; its ID does not matter. */
  readonly #message: Uint8Array;
  /** In the order in which they are tried; at least one, and at most 15. */
  readonly #upstreams: readonly Upstream[];
  readonly #overStream: boolean;
  readonly #registry: Upstreams;
  readonly #beganMs: number;
  /** The newest attempt under way; each knows the one before it. */
  #newest: Attempt | undefined;
  /** Attempts made: two bits for each upstream, in their order. */
  #made = 0;
  #attempts = 0;
  /** Upstreams asked over UDP because a stream did not answer: a bit for each, in their order. */
  #fellBack = 0;
  #lastFailure = 'no healthy proxies';
  /** Poor, but an answer: truncated, or with an RCODE for failover. */
  #lastAnswer: NormalizedResponse | undefined;
  #truncated = false;
  #ended = false;
  #lastAsked: Upstream | undefined;

  constructor(
    terms: ExchangeTerms,
    query: Query,
    { upstreams, overStream, deadlineMs }: Route,
    registry: Upstreams,
  ) {
    this.#terms = terms;
    this.#query = query;
    this.#message = query.toForward();
    this.#upstreams = upstreams;
    this.#overStream = overStream;
    this.deadlineMs = deadlineMs;
    this.#registry = registry;
    this.#beganMs = query.trace === undefined ? 0 : nowMs();
  }

  start(): void {
    this.#registry.began(this);
    this.#tryNext();
  }

  onAnswered(attempt: Attempt, message: NormalizedResponse): void {
    if (this.#ended) return;
    this.#forget(attempt);
    const upstream = this.#upstreams[attempt.at]!;
    this.#lastAsked = upstream;
    if (!attempt.overStream && (message.wire[2]! & TC) !== 0) {
      // The whole answer is to be had over TCP (RFC 7766 section 5). It is not another attempt.
      this.#lastAnswer = message;
      this.#truncated = true;
      this.#send(attempt.at, true, false);
      return;
    }
    if (this.#terms.failover.includes(message.rcode)) {
      this.#lastAnswer = message;
      // It has said what it knows, and is not asked again.
      this.#made |= MADE_ALL << (2 * attempt.at);
      if (this.#tryAnother() || this.#hopes()) return;
    }
    this.#end(message);
  }

  onSlow(attempt: Attempt, doubted: boolean): void {
    // What was sent after it, to mend that, has its own time.
    if (this.#ended || attempt !== this.#newest) return;
    if (doubted) {
      if (!this.#fallsBack(attempt)) this.#tryNext();
      return;
    }
    // Only its connection is busy: the same upstream, over another one.
    if (this.#mayTry(attempt.at)) this.#try(attempt.at);
  }

  onFailed(attempt: Attempt, reason: string, cause: FailureCause): void {
    if (this.#ended) return;
    this.#forget(attempt);
    this.#lastFailure = reason;
    if (cause === 'unreachable' && this.#fallsBack(attempt)) return;
    // A connection that had served was closed: nothing is wrong with the upstream.
    if (cause === 'closed' && this.#mayTry(attempt.at)) {
      this.#try(attempt.at);
      return;
    }
    if (!this.#hopes()) this.#tryNext();
  }

  /** The deadline has passed. */
  expire(): void {
    if (this.#ended) return;
    let waiting = this.#newest;
    while (waiting?.before !== undefined) waiting = waiting.before; // the oldest
    if (waiting !== undefined) {
      const proto = waiting.overStream ? 'tcp' : 'udp';
      this.#lastFailure = `read ${proto} ${this.#upstreams[waiting.at]!.label}: i/o timeout`;
    }
    this.#end(this.#lastAnswer ?? this.#lastFailure);
  }

  /** Another attempt, or the end if there is neither one left nor one under way. */
  #tryNext(): void {
    if (this.#tryAnother() || this.#hopes()) return;
    // With an answer in hand, however poor, nobody waits for the silent.
    if (this.#newest === undefined || this.#lastAnswer !== undefined) {
      this.#end(this.#lastAnswer ?? this.#lastFailure);
    }
  }

  /** At the upstream with the fewest attempts, the first in order among equals; false if none is left. */
  #tryAnother(): boolean {
    let best = -1;
    for (let at = 0; at < this.#upstreams.length; at++) {
      if (this.#mayTry(at) && (best === -1 || this.#madeAt(at) < this.#madeAt(best))) best = at;
    }
    if (best === -1) return false;
    this.#try(best);
    return true;
  }

  /** Whether an attempt is under way of which nothing bad is known. */
  #hopes(): boolean {
    let attempt = this.#newest;
    while (attempt !== undefined && attempt.isDoubted) attempt = attempt.before;
    return attempt !== undefined;
  }

  #mayTry(at: number): boolean {
    const { attemptsMax } = this.#terms;
    if (attemptsMax > 0 && this.#attempts >= attemptsMax) return false;
    return this.#madeAt(at) < ATTEMPTS_PER_UPSTREAM;
  }

  #madeAt(at: number): number {
    return (this.#made >> (2 * at)) & MADE_ALL;
  }

  #try(at: number): void {
    this.#made += 1 << (2 * at);
    this.#attempts++;
    const upstream = this.#upstreams[at]!;
    const overStream = this.#overStream || upstream.target.tls !== undefined;
    this.#send(at, overStream && !this.#avoidsStreams(upstream), this.#madeAt(at) > 1);
  }

  /** Whether UDP takes the place of TCP, because the upstream appears not to accept TCP. */
  #avoidsStreams(upstream: Upstream): boolean {
    if (!this.#mayFallBack(upstream)) return false;
    upstream.retryStreams();
    return upstream.avoidsStreams;
  }

  /**
   * Sends over UDP in the place of a stream that does not answer, once for each upstream; false if it
   * may not. It is not another attempt: the first was none.
   */
  #fallsBack({ at, overStream, sentMs }: Attempt): boolean {
    const upstream = this.#upstreams[at]!;
    const isDone = ((this.#fellBack >> at) & 1) !== 0;
    if (!overStream || isDone || !this.#mayFallBack(upstream)) return false;
    this.#fellBack |= 1 << at;
    upstream.avoidStreams(sentMs);
    this.#send(at, false, false);
    return true;
  }

  /** Never after a truncated answer over UDP, which would only come again. */
  #mayFallBack(upstream: Upstream): boolean {
    return this.#terms.tcpOptional && !this.#truncated && upstream.target.tls === undefined;
  }

  #send(at: number, overStream: boolean, mends: boolean): void {
    const { nameOctets, viaCache } = this.#query;
    const upstream = this.#upstreams[at]!;
    const attempt = new Attempt(this, upstream, this.#message, nameOctets, 'query');
    // What a cache will keep is asked for with AD, so that later clients who ask get the truth.
    attempt.askAuthentic = viaCache;
    attempt.overStream = overStream;
    attempt.mends = mends;
    attempt.at = at;
    attempt.before = this.#newest;
    this.#newest = attempt;
    this.#lastAsked = upstream;
    if (overStream) upstream.sendStream(attempt);
    else upstream.sendDatagram(attempt);
  }

  #forget(attempt: Attempt): void {
    if (this.#newest === attempt) {
      this.#newest = attempt.before;
      return;
    }
    for (let later = this.#newest; later !== undefined; later = later.before) {
      if (later.before === attempt) later.before = attempt.before;
    }
  }

  #end(outcome: Outcome): void {
    this.#ended = true;
    this.#registry.ended(this);
    for (let attempt = this.#newest; attempt !== undefined; attempt = attempt.before) {
      attempt.withdraw();
    }
    this.#newest = undefined;
    this.#terms.ended(this.#query, outcome, this.#lastAsked, this.#beganMs);
  }
}
