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
import { Attempt, type AttemptOwner, type FailureCause } from './attempt.ts';
import type { Upstream } from './pool.ts';
import type { Upstreams } from './registry.ts';

const ATTEMPTS_PER_UPSTREAM = 2;

/** How it ended: an answer, or why there is none, in the words of the last failure. */
export type Outcome = NormalizedResponse | string;

export interface ExchangeOptions {
  /** The message to send; its ID does not matter. */
  readonly query: Uint8Array;
  readonly nameOctets: number;
  readonly askAuthentic: boolean;
  /** In the order in which they are tried; at least one. */
  readonly upstreams: readonly Upstream[];
  readonly overStream: boolean;
  /** Whether an upstream that takes no TCP may be asked over UDP instead. */
  readonly tcpOptional: boolean;
  /** RCODEs that are answers only if no other upstream has a better one. */
  readonly failover: readonly number[];
  /** 0 is two for each upstream. */
  readonly attemptsMax: number;
  /** On the monotonic clock. */
  readonly deadlineMs: number;
  /** Called once. */
  readonly done: (outcome: Outcome) => void;
}

export class Exchange implements AttemptOwner {
  readonly deadlineMs: number;
  readonly #options: ExchangeOptions;
  readonly #registry: Upstreams;
  readonly #live: Attempt[] = [];
  /** Attempts made, by position in the order. */
  readonly #made: number[];
  #attempts = 0;
  #lastFailure = 'no healthy proxies';
  /** Poor, but an answer: truncated, or with an RCODE for failover. */
  #lastAnswer: NormalizedResponse | undefined;
  #truncated = false;
  #ended = false;
  /** Whoever answered, or was asked last. */
  #lastAsked: Upstream | undefined;

  constructor(options: ExchangeOptions, registry: Upstreams) {
    this.#options = options;
    this.#registry = registry;
    this.deadlineMs = options.deadlineMs;
    this.#made = options.upstreams.map(() => 0);
  }

  /** The upstream that the outcome is of: that answered, or was asked last. */
  get lastAsked(): Upstream | undefined {
    return this.#lastAsked;
  }

  start(): void {
    this.#registry.began(this);
    this.#tryNext();
  }

  onAnswer(attempt: Attempt, message: NormalizedResponse): void {
    if (this.#ended) return;
    this.#forget(attempt);
    this.#lastAsked = attempt.upstream;
    if (!attempt.overStream && (message.wire[2]! & TC) !== 0) {
      // The whole answer is to be had over TCP (RFC 7766 section 5). It is not another attempt.
      this.#lastAnswer = message;
      this.#truncated = true;
      this.#send(attempt.upstream, true, false);
      return;
    }
    if (this.#options.failover.includes(message.rcode)) {
      this.#lastAnswer = message;
      // It has said what it knows, and is not asked again.
      this.#made[this.#options.upstreams.indexOf(attempt.upstream)] = ATTEMPTS_PER_UPSTREAM;
      if (this.#tryAnother() || this.#hopes()) return;
    }
    this.#end(message);
  }

  onSlow(attempt: Attempt, silent: boolean): void {
    // What was sent after it, to mend that, has its own time.
    if (this.#ended || attempt !== this.#live.at(-1)) return;
    if (silent) {
      if (attempt.overStream && this.#mayFallBack(attempt.upstream)) {
        attempt.upstream.avoidStreams(attempt.sentMs);
        this.#send(attempt.upstream, false, false);
      } else {
        this.#tryNext();
      }
      return;
    }
    // Only its connection is busy: the same upstream, over another one.
    const at = this.#options.upstreams.indexOf(attempt.upstream);
    if (this.#mayTry(at)) this.#try(at);
  }

  onFailure(attempt: Attempt, reason: string, cause: FailureCause): void {
    if (this.#ended) return;
    this.#forget(attempt);
    this.#lastFailure = reason;
    const at = this.#options.upstreams.indexOf(attempt.upstream);
    const replaced = attempt.toldSilent; // and UDP tried then
    if (
      cause === 'unreachable' &&
      attempt.overStream &&
      !replaced &&
      this.#mayFallBack(attempt.upstream)
    ) {
      attempt.upstream.avoidStreams(attempt.sentMs);
      this.#send(attempt.upstream, false, false);
      return;
    }
    // A connection that had served was closed: nothing is wrong with the upstream.
    if (cause === 'closed' && this.#mayTry(at)) {
      this.#try(at);
      return;
    }
    if (!this.#hopes()) this.#tryNext();
  }

  /** The deadline has passed. */
  expire(): void {
    if (this.#ended) return;
    const waiting = this.#live[0];
    if (waiting !== undefined) {
      const proto = waiting.overStream ? 'tcp' : 'udp';
      this.#lastFailure = `read ${proto} ${waiting.upstream.label}: i/o timeout`;
    }
    this.#end(this.#lastAnswer ?? this.#lastFailure);
  }

  /** Another attempt, or the end if there is neither one left nor one under way. */
  #tryNext(): void {
    if (this.#tryAnother() || this.#hopes()) return;
    // With an answer in hand, however poor, nobody waits for the silent.
    if (this.#live.length === 0 || this.#lastAnswer !== undefined) {
      this.#end(this.#lastAnswer ?? this.#lastFailure);
    }
  }

  /** At the upstream with the fewest attempts, the first in order among equals; false if none is left. */
  #tryAnother(): boolean {
    let best = -1;
    for (let at = 0; at < this.#made.length; at++) {
      if (this.#mayTry(at) && (best === -1 || this.#made[at]! < this.#made[best]!)) best = at;
    }
    if (best === -1) return false;
    this.#try(best);
    return true;
  }

  /** Whether an attempt is under way of which nothing bad is known. */
  #hopes(): boolean {
    for (const attempt of this.#live) if (!attempt.toldSilent) return true;
    return false;
  }

  #mayTry(at: number): boolean {
    const { attemptsMax } = this.#options;
    if (attemptsMax > 0 && this.#attempts >= attemptsMax) return false;
    return this.#made[at]! < ATTEMPTS_PER_UPSTREAM;
  }

  #try(at: number): void {
    this.#made[at]!++;
    this.#attempts++;
    const upstream = this.#options.upstreams[at]!;
    const overStream = this.#options.overStream || upstream.target.tls !== undefined;
    const avoids = this.#mayFallBack(upstream) && upstream.avoidsStreams;
    this.#send(upstream, overStream && !avoids, this.#made[at]! > 1);
  }

  /**
   * UDP in place of TCP that is not to be had: not another attempt, the first was none. Never after a
   * truncated answer over UDP, which would only come again.
   */
  #mayFallBack(upstream: Upstream): boolean {
    return this.#options.tcpOptional && !this.#truncated && upstream.target.tls === undefined;
  }

  #send(upstream: Upstream, overStream: boolean, mends: boolean): void {
    const { query, nameOctets, askAuthentic } = this.#options;
    const attempt = new Attempt(this, upstream, query, nameOctets, askAuthentic);
    attempt.overStream = overStream;
    attempt.mends = mends;
    this.#live.push(attempt);
    this.#lastAsked = upstream;
    if (overStream) upstream.sendStream(attempt);
    else upstream.sendDatagram(attempt);
  }

  #forget(attempt: Attempt): void {
    const at = this.#live.indexOf(attempt);
    if (at !== -1) this.#live.splice(at, 1);
  }

  #end(outcome: Outcome): void {
    this.#ended = true;
    this.#registry.ended(this);
    for (const attempt of this.#live) attempt.withdraw?.(attempt);
    this.#live.length = 0;
    this.#options.done(outcome);
  }
}
