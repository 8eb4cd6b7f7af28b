/**
 * Whether an upstream is worth asking: acts on the states of health-state.ts.
 *
 * Owns:    what the end of an attempt says of the upstream, and the checks.
 * Is not:  the order in which upstreams are asked (policy.ts).
 *
 * Checks run only after a failure, as in CoreDNS, and end with the first answer to anything: any
 * response, whatever its RCODE. A suspect is asked after those that are up; one that is down only if
 * all are. (CoreDNS goes on asking it in turn until it is down, 2 s each time.)
 */
import { buildQuery } from '../dns/build-query.ts';
import { RD } from '../dns/header.ts';
import { nameFromText } from '../dns/name.ts';
import { NS } from '../dns/rrtype.ts';
import type { Counter } from '../observe/counters.ts';
import type { Metrics } from '../observe/metrics.ts';
import { nowMs } from '../sys/clock.ts';
import {
  Attempt,
  type AttemptObserver,
  type AttemptOutcome,
  type AttemptOwner,
  type AttemptPurpose,
} from './attempt.ts';
import type { HealthCheckConfig } from './config.ts';
import { type HealthEvent, type HealthState, nextHealthState } from './health-state.ts';

/** A check that is not answered by then has failed. */
const CHECK_MS = 1000;

/** What the end of an attempt says of its upstream; undefined is nothing. */
const MEANING: Readonly<Record<AttemptOutcome, HealthEvent | undefined>> = {
  answered: 'answered',
  unreachable: 'trouble',
  timeout: 'trouble',
  closed: undefined, // its right: the connection had served
  'bad-response': undefined, // somebody is there
  withdrawn: undefined,
};

/** The upstream whose health this is: carries the checks. */
export interface CheckedUpstream extends AttemptObserver {
  /** `127.0.0.1:53`, as in the label `to`. */
  readonly label: string;
  readonly avoidsStreams: boolean;
  retryStreams(): void;
  sendStream(attempt: Attempt): void;
  sendDatagram(attempt: Attempt): void;
}

export class Health implements AttemptOwner {
  readonly #upstream: CheckedUpstream;
  readonly #failures: Counter;
  /** One for each max_fails of the users; all leave `up` and return to it together. */
  #standings: readonly Standing[] = [];
  #check: Attempt | undefined;
  #nextCheckMs = Infinity;
  /** These two follow the terms of who uses the upstream. */
  config: HealthCheckConfig = { intervalMs: 500, recursionDesired: true, domain: '.' };
  overStream = false;

  constructor(upstream: CheckedUpstream, metrics: Metrics) {
    this.#upstream = upstream;
    this.#failures = metrics.counter('coredns_proxy_healthcheck_failures_total', {
      proxy_name: 'forward',
      to: upstream.label,
    });
  }

  /** Follows the upstream's health for users with these max_fails; for a max_fails of 0 it is always up. */
  watch(failsMaxes: readonly number[]): void {
    const before = this.#standings;
    this.#standings = [...new Set(failsMaxes)]
      .filter((failsMax) => failsMax > 0)
      .map(
        (failsMax) =>
          before.find((each) => each.failsMax === failsMax) ?? new Standing(failsMax, before[0]),
      );
    if (this.#standings.length === 0) this.#stopChecks();
  }

  /** Whether any user wants to know. */
  get isWatched(): boolean {
    return this.#standings.length > 0;
  }

  /** As an asker with that max_fails sees it. */
  state(failsMax: number): HealthState {
    for (const standing of this.#standings) {
      if (standing.failsMax === failsMax) return standing.state;
    }
    return 'up';
  }

  get checking(): boolean {
    return this.#standings.length > 0 && this.#standings[0]!.state !== 'up';
  }

  /** Something is wrong: checks begin. */
  suspect(): void {
    this.#on('trouble');
  }

  /** The upstream has answered something. */
  answered(): void {
    this.#on('answered');
  }

  /** Called for every end of every attempt at the upstream. */
  attemptEnded(attempt: Attempt, outcome: AttemptOutcome): void {
    const event = MEANING[outcome];
    // A new connection that leads to nobody says little of the others: connection/trials.ts judges.
    if (event === 'trouble' && attempt.purpose === 'trial') return;
    if (event !== undefined) this.#on(event);
  }

  tick(now: number): void {
    if (this.#check !== undefined) {
      if (now - this.#check.sentMs > CHECK_MS) {
        this.#check.withdraw();
        this.#checkFailed();
      }
    } else if (now >= this.#nextCheckMs) {
      this.#nextCheckMs = Infinity;
      this.#send();
    }
  }

  onAnswered(attempt: Attempt): void {
    if (attempt === this.#check) this.#check = undefined;
  }

  onSlow(): void {
    // Patience ends with CHECK_MS.
  }

  onFailed(attempt: Attempt): void {
    if (attempt === this.#check) this.#checkFailed();
  }

  /** The query that shows whether the upstream answers: `. NS` unless configured. */
  probe(owner: AttemptOwner, purpose: AttemptPurpose): Attempt {
    const domain = nameFromText(this.config.domain) ?? Uint8Array.of(0);
    const flags = this.config.recursionDesired ? RD << 8 : 0;
    const query = buildQuery({ name: domain, qtype: NS, flags });
    return new Attempt(owner, this.#upstream, query, domain.length, purpose);
  }

  #on(event: HealthEvent): void {
    const wasChecking = this.checking;
    for (const standing of this.#standings) standing.on(event);
    if (this.checking === wasChecking) return;
    this.#nextCheckMs = wasChecking ? Infinity : nowMs();
  }

  #send(): void {
    const check = this.probe(this, 'check');
    check.sentMs = nowMs();
    if (this.overStream) this.#upstream.retryStreams();
    check.overStream = this.overStream && !this.#upstream.avoidsStreams;
    this.#check = check;
    if (check.overStream) this.#upstream.sendStream(check);
    else this.#upstream.sendDatagram(check);
  }

  #checkFailed(): void {
    this.#check = undefined;
    if (!this.checking) return;
    this.#failures.value++;
    this.#on('checkFailed');
    this.#nextCheckMs = nowMs() + this.config.intervalMs;
  }

  #stopChecks(): void {
    this.#nextCheckMs = Infinity;
    this.#check?.withdraw();
    this.#check = undefined;
  }
}

/** The upstream's health in the eyes of askers with one max_fails. */
class Standing {
  readonly failsMax: number;
  state: HealthState = 'up';
  /** Checks that failed in a row. */
  #fails = 0;

  /** Begins where `like` is: what another asker has found out holds for this one too. */
  constructor(failsMax: number, like: Standing | undefined) {
    this.failsMax = failsMax;
    if (like === undefined || like.state === 'up') return;
    this.on('trouble');
    for (let i = 0; i < like.#fails; i++) this.on('checkFailed');
  }

  on(event: HealthEvent): void {
    const isExhausted = event === 'checkFailed' && ++this.#fails > this.failsMax;
    this.state = nextHealthState(this.state, isExhausted ? 'exhausted' : event);
    if (this.state === 'up') this.#fails = 0;
  }
}
