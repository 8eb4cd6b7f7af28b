/**
 * One upstream and the connections to it: a small pool of pipelined streams, grown by what waits,
 * shrunk by idleness, and never trusted longer than it answers.
 *
 * Owns:    when a connection is opened, avoided, retired and given up; how long this upstream usually
 *          takes; its health.
 * Is not:  the fate of a query (exchange.ts): that learns that an attempt is slow or has failed.
 *
 * CoreDNS as an upstream answers one connection's queries strictly in turn, closes a connection that
 * sends nothing within 3 s and one that is idle for 10 s. So: least outstanding first, another
 * connection before queueing behind a slow one, none ahead of need, and idle ones closed before 10 s.
 *
 * Behind one address there may be several servers (kube-proxy), one of them gone or mute, and each new
 * connection may lead to it again. So what must be sent a second time goes only over a connection that
 * has answered since; if there is none, new ones are tried, each with a probe, and the queries wait
 * for the first probe that is answered. A connection that has grown old is replaced in the same way.
 */
import type { SecureContext } from 'node:tls';
import type { NormalizedResponse } from '../dns/response.ts';
import { rcodeName } from '../dns/rcode.ts';
import type { Counter, Histogram } from '../observe/counters.ts';
import type { Metrics } from '../observe/metrics.ts';
import { nowMs } from '../sys/clock.ts';
import { randomBelow } from '../sys/random.ts';
import type { Attempt, AttemptOwner, FailureCause } from './attempt.ts';
import { type UpstreamTarget, type UpstreamTerms, formatTarget } from './config.ts';
import { CONNECT_MS, Connection, type ConnectionEvents } from './connection.ts';
import { Health } from './health.ts';
import { secureContextOf } from './tls.ts';
import { UdpQuery } from './udp.ts';

/** Conntrack entries that a node may cost its upstream (the goal is 8 for all of them). */
const CONNECTIONS_MAX = 8;
/** Outstanding queries on the least loaded connection that are worth another one. */
const GROW_AT_OUTSTANDING = 128;
/**
 * Up to so many outstanding queries the first connection that will do is taken, beyond them the least
 * loaded: what leaves together costs one write, and what is not needed becomes idle.
 */
const FILL_OUTSTANDING = 32;
/** A response time that is none: what a first guess goes by. */
const RESPONSE_MS_INITIAL = 20;
/** Weight of the newest response time in the smoothed one (RFC 6298 section 2). */
const SMOOTHING = 1 / 8;
/**
 * A response time counts as at most so many times the smoothed one: one slow name says little of the
 * others, and an upstream that has become slow is still learnt within a few dozen answers.
 */
const SMOOTHED_TIMES_MAX = 3;
/** No answer for 4 usual response times, within these bounds: do not queue behind it. */
const SLOW_MS_MIN = 20;
const SLOW_MS_MAX = 200;
/** No answer for 8 usual response times, within these bounds: perhaps nobody is there. */
const SILENT_MS_MIN = 250;
const SILENT_MS_MAX = 500;
/**
 * The same if the other side has acknowledged the query: it is there, and probably only slow, and a
 * second query would cost it more. A recursive resolver seldom takes that long.
 */
const SILENT_ACKNOWLEDGED_MS = 600;
/** CoreDNS's read timeout: an answer that is later is still taken, but not waited for. */
const LATE_MS = 2000;
/** A connection that owes answers and has sent nothing for so long is dead: nobody waits longer. */
const DEAD_MS = 4000;
/** The same if not even our octets were acknowledged: the kernel has sent them four times by then. */
const DEAD_UNACKNOWLEDGED_MS = 2000;
/** Connections are retired at that age, give or take a fifth, so that new pods get their share. */
const AGE_MAX_MS = 30_000;
/** One that is in use waits so long for its replacement to answer a probe. */
const AGE_GRACE_MS = 5000;
/** An old one that is idle for so long is not in use. */
const AGED_IDLE_MS = 1000;
/** CoreDNS closes idle connections after 10 s: we do it first. */
const IDLE_MS_MAX = 8000;
/** An upstream that took no TCP is tried over TCP again after that (`prefer_tcp`). */
const STREAM_RETRY_MS = 30_000;
/** Between attempts to connect after one that failed, doubled each time that a trial ends in vain. */
const REDIAL_MS = 20;
const REDIAL_MS_MAX = 1000;
/** Connections tried in a round: one at first, then several, since some may lead to nobody. */
const TRIALS_FIRST = 1;
const TRIALS_NEXT = 3;
const TRIALS_MAX = 4;
/** A round waits for answers that long, and each one twice as long as the one before. */
const ROUND_MS_MIN = 40;
const ROUND_MS_MAX = 1000;
/** Rounds in which every connection is refused before those who wait are told. */
const REFUSED_ROUNDS_MAX = 3;
/** An upstream that answers no probe but takes connections is given the queries after all. */
const TRIAL_MS = 500;

export class Upstream {
  readonly target: UpstreamTarget;
  /** `127.0.0.1:53`, as in the label `to`. */
  readonly label: string;
  readonly health: Health;
  readonly #metrics: Metrics;
  readonly #connections: Connection[] = [];
  readonly #datagrams = new Set<UdpQuery>();
  readonly #durations = new Map<number, Histogram>();
  readonly #hits: Counter;
  readonly #misses: Counter;
  readonly #udpMisses: Counter;
  readonly #events: ConnectionEvents;
  readonly #terms: UpstreamTerms[] = [];
  #idleMaxMs = IDLE_MS_MAX;
  #ageMaxMs = AGE_MAX_MS;
  #responseMs = RESPONSE_MS_INITIAL;
  #lastAnswerMs = -Infinity;
  #lastStreamAnswerMs = -Infinity;
  #secure: SecureContext | undefined;
  #session: Buffer | undefined;
  #dialFailure = '';
  #noDialBeforeMs = 0;
  /** `prefer_tcp`: no stream is to be had; when to try one again. */
  #avoidsStreams = false;
  #streamTrialMs = 0;
  /** Attempts that wait for a connection to prove itself. */
  readonly #waiting = new Set<Attempt>();
  /** The round of trials, from 1; 0 if none is under way. */
  #round = 0;
  #roundMs = 0;
  #trialsSinceMs = 0;
  #noTrialBeforeMs = 0;
  #noReplacementBeforeMs = 0;
  #redialMs = REDIAL_MS;
  #closed = false;

  constructor(target: UpstreamTarget, metrics: Metrics) {
    this.target = target;
    this.label = formatTarget(target);
    this.#metrics = metrics;
    this.health = new Health(this, metrics);
    const proto = target.tls === undefined ? 'tcp' : 'tcp-tls';
    const labels = { proxy_name: 'forward', to: this.label };
    this.#hits = metrics.counter('coredns_proxy_conn_cache_hits_total', { ...labels, proto });
    this.#misses = metrics.counter('coredns_proxy_conn_cache_misses_total', { ...labels, proto });
    this.#udpMisses = metrics.counter('coredns_proxy_conn_cache_misses_total', {
      ...labels,
      proto: 'udp',
    });
    const open = metrics.gauge('nodelocald_upstream_connections', { to: this.label, proto });
    open.read = () => this.#connections.length;
    const outstanding = metrics.gauge('nodelocald_upstream_outstanding', { to: this.label });
    outstanding.read = () => this.outstanding;
    this.#events = {
      answered: (connection, attempt, message) => this.#answered(attempt, message, connection),
      disbelieved: (reason) => this.#disbelieved(reason),
      closed: (connection, left, reason, cause) => this.#lost(connection, left, reason, cause),
      session: (session) => {
        this.#session = session;
      },
    };
  }

  /** Somebody uses it, on these terms. */
  join(terms: UpstreamTerms): void {
    this.#terms.push(terms);
    this.#agree();
  }

  /** They use it no more. Returns how many still do; with nobody left it only finishes what it has. */
  leave(terms: UpstreamTerms): number {
    const at = this.#terms.indexOf(terms);
    if (at !== -1) this.#terms.splice(at, 1);
    if (this.#terms.length > 0) {
      this.#agree();
    } else {
      this.health.close();
      this.health.enabled = false;
      this.#idleMaxMs = 0;
      this.#ageMaxMs = 0;
      for (const connection of this.#connections.slice()) connection.retire();
    }
    return this.#terms.length;
  }

  #agree(): void {
    const { health } = this;
    this.#idleMaxMs = Math.min(IDLE_MS_MAX, ...this.#terms.map(({ expireMs }) => expireMs));
    const ages = this.#terms.map(({ ageMaxMs }) => ageMaxMs).filter((ageMs) => ageMs > 0);
    this.#ageMaxMs = ages.length === 0 ? AGE_MAX_MS : Math.min(...ages);
    health.config = this.#terms.at(-1)!.healthCheck;
    health.enabled = this.#terms.some(({ failsMax }) => failsMax > 0);
    health.overStream =
      this.target.tls !== undefined || this.#terms.some(({ checkOverStream }) => checkOverStream);
  }

  /** It takes no TCP, as it seems, unless a stream has answered since: UDP for a while. */
  avoidStreams(sinceMs: number): void {
    if (this.#lastStreamAnswerMs >= sinceMs) return;
    this.#avoidsStreams = true;
    this.#streamTrialMs = nowMs() + STREAM_RETRY_MS;
  }

  /** From time to time a trial finds out whether that is still so. No query waits for it. */
  get avoidsStreams(): boolean {
    if (!this.#avoidsStreams) return false;
    const now = nowMs();
    if (now >= this.#streamTrialMs) {
      this.#streamTrialMs = now + STREAM_RETRY_MS;
      this.#beginTrials(now);
    }
    return true;
  }

  get outstanding(): number {
    let sum = this.#datagrams.size + this.#waiting.size;
    for (const connection of this.#connections) sum += connection.outstanding;
    return sum;
  }

  /** Whether `tick` has anything to watch; whether it must be soon. */
  get busy(): boolean {
    return this.#connections.length > 0 || this.#datagrams.size > 0 || this.urgent;
  }

  get urgent(): boolean {
    return this.outstanding > 0 || this.#round > 0 || this.health.checking;
  }

  /** Sends over UDP: for plain upstreams only. */
  sendDatagram(attempt: Attempt): void {
    if (this.#closed) {
      failLater(attempt, 'upstream removed');
      return;
    }
    this.#udpMisses.value++;
    this.#datagrams.add(
      new UdpQuery(attempt, this.target, this.#datagramEvents, (query) =>
        this.#datagrams.delete(query),
      ),
    );
  }

  readonly #datagramEvents = {
    answered: (attempt: Attempt, message: NormalizedResponse): void =>
      this.#answered(attempt, message, undefined),
    disbelieved: (reason: string): void => this.#disbelieved(reason),
  };

  /** Sends over a stream: the best there is, or a new one. */
  sendStream(attempt: Attempt): void {
    const now = nowMs();
    if (this.#closed) {
      failLater(attempt, 'upstream removed');
      return;
    }
    const proven = attempt.mends && this.#hasRoom();
    const known = proven ? this.#pickProven(now) : this.#pick(now);
    if (known !== undefined) {
      this.#hits.value++;
      known.send(attempt);
      return;
    }
    if (!attempt.isProbe) {
      if (this.#round === 0) {
        // An upstream that takes no connection is left alone for a moment.
        if (now < (attempt.mends ? this.#noTrialBeforeMs : this.#noDialBeforeMs)) {
          failLater(attempt, this.#dialFailure);
          return;
        }
        if (attempt.mends) this.#beginTrials(now);
      }
      if (this.#round > 0) {
        attempt.sentMs = now;
        attempt.withdraw = this.#withdrawWaiting;
        this.#waiting.add(attempt);
        return;
      }
    }
    this.#dial(now).send(attempt);
  }

  readonly #withdrawWaiting = (attempt: Attempt): void => {
    this.#waiting.delete(attempt);
  };

  #dial(now: number): Connection {
    this.#misses.value++;
    if (this.#connections.length >= CONNECTIONS_MAX) this.#giveUpOne(now);
    const { tls } = this.target;
    if (tls !== undefined) this.#secure ??= secureContextOf(tls);
    const spread = this.#ageMaxMs * (0.8 + randomBelow(401) / 1000);
    const connection = new Connection(
      this.target,
      this.#events,
      now + spread,
      this.#secure,
      this.#session,
    );
    this.#connections.push(connection);
    return connection;
  }

  /** Makes room: closes what has been silent for longest, or else what takes no more queries. */
  #giveUpOne(now: number): void {
    let worst: Connection | undefined;
    for (const connection of this.#connections) {
      if (!connection.silent) continue;
      if (worst === undefined || connection.silentMs(now) > worst.silentMs(now)) worst = connection;
    }
    worst ??= this.#connections.find((connection) => !connection.usable);
    if (worst !== undefined) this.#drop(worst, `read tcp ${this.label}: i/o timeout`, 'timeout');
  }

  #drop(connection: Connection, reason: string, cause: FailureCause): void {
    const at = this.#connections.indexOf(connection);
    if (at !== -1) this.#connections.splice(at, 1);
    connection.abort(reason, cause);
  }

  /** The connection to use, or undefined if a new one is better. */
  #pick(now: number): Connection | undefined {
    let best: Connection | undefined;
    let aged: Connection | undefined;
    let fallback: Connection | undefined;
    let filling = false;
    let connecting = false;
    let full = this.#connections.length >= CONNECTIONS_MAX;
    const slowMs = this.#slowMs();
    for (const connection of this.#connections) {
      if (connection.silent) full = false; // it can be given up
      if (!connection.usable || connection.onTrial) continue;
      if (fallback === undefined || connection.outstanding < fallback.outstanding) {
        fallback = connection;
      }
      if (connection.suspected) continue;
      if (connection.isConnecting()) connecting = true;
      if (filling) continue;
      if (now > connection.retireAtMs) {
        if (connection.silentMs(now) < slowMs) aged = connection;
      } else if (connection.outstanding < FILL_OUTSTANDING && connection.silentMs(now) < slowMs) {
        best = connection;
        filling = true;
      } else if (best === undefined || connection.outstanding < best.outstanding) {
        best = connection;
      }
    }
    if (best === undefined && aged !== undefined) {
      // It serves until its replacement has answered.
      if (now >= this.#noReplacementBeforeMs) {
        this.#noReplacementBeforeMs = now + REDIAL_MS_MAX;
        this.#beginTrials(now);
      }
      return aged;
    }
    if (full) return best ?? fallback;
    if (best === undefined) return undefined;
    if (best.outstanding === 0 || connecting) return best;
    if (best.silentMs(now) > slowMs) return undefined;
    return best.outstanding < GROW_AT_OUTSTANDING ? best : undefined;
  }

  /**
   * The least loaded connection that has answered a moment ago: later than anything can have happened
   * for which an attempt is made again, since that shows after `#slowMs` at the earliest.
   */
  #pickProven(now: number): Connection | undefined {
    const sinceMs = now - this.#slowMs() / 2;
    let best: Connection | undefined;
    for (const connection of this.#connections) {
      if (connection.lastAnswerMs < sinceMs || !connection.usable) continue;
      if (connection.onTrial || connection.suspected) continue;
      if (best === undefined || connection.outstanding < best.outstanding) best = connection;
    }
    if (best === undefined || best.outstanding < GROW_AT_OUTSTANDING) return best;
    return this.#hasRoom() ? undefined : best;
  }

  #hasRoom(): boolean {
    return (
      this.#connections.length < CONNECTIONS_MAX ||
      this.#connections.some((connection) => connection.silent)
    );
  }

  /** Begins to look for a connection on which somebody answers, unless that is under way. */
  #beginTrials(now: number): void {
    if (this.#round > 0 || this.#closed || !this.#hasRoom()) return;
    if (now < this.#noTrialBeforeMs) return;
    this.#round = 1;
    this.#trialsSinceMs = now;
    this.#dialTrials(now, TRIALS_FIRST);
  }

  #dialTrials(now: number, count: number): void {
    this.#roundMs = now;
    const trials = this.#connections.filter(({ onTrial }) => onTrial);
    for (let i = 0; i < count; i++) {
      if (trials.length >= TRIALS_MAX) {
        this.#drop(trials.shift()!, `read tcp ${this.label}: i/o timeout`, 'timeout');
      }
      if (!this.#hasRoom()) return;
      const connection = this.#dial(now);
      connection.onTrial = true;
      trials.push(connection);
      connection.send(this.health.probe(this.#probeOwner));
    }
  }

  /** What becomes of probes is seen where it happens to their connections. */
  readonly #probeOwner: AttemptOwner = {
    onAnswer: () => undefined,
    onSlow: () => undefined,
    onFailure: () => undefined,
  };

  /** A trial was answered: the connection may be used, and those who waited use it. */
  #passed(connection: Connection, now: number): void {
    connection.onTrial = false;
    this.#avoidsStreams = false;
    this.#flushWaiting(now);
    if (this.#waiting.size === 0) this.#endTrials();
  }

  #flushWaiting(now: number): void {
    for (const attempt of this.#waiting) {
      const connection = this.#pickProven(now);
      if (connection === undefined) return;
      this.#waiting.delete(attempt);
      attempt.toldSlow = false;
      attempt.toldSilent = false;
      connection.send(attempt);
    }
  }

  #endTrials(): void {
    this.#round = 0;
    for (const connection of this.#connections.slice()) {
      if (connection.onTrial) this.#drop(connection, 'not needed', 'closed');
    }
  }

  /** The next round of trials, or the end of them. */
  #tickTrials(now: number): void {
    if (this.#round === 0) return;
    for (const attempt of this.#waiting) {
      if (attempt.toldSilent || now - attempt.sentMs < SILENT_MS_MIN) continue;
      attempt.toldSilent = true;
      attempt.owner.onSlow(attempt, true);
    }
    this.#flushWaiting(now);
    const trials = this.#connections.filter(({ onTrial }) => onTrial);
    const inVain = this.#waiting.size === 0 && (trials.length === 0 || !this.#wantsTrial(now));
    if (inVain) {
      this.#endTrials();
      return;
    }
    if (trials.length === 0) {
      if (this.#round >= REFUSED_ROUNDS_MAX) this.#giveUpTrials(now);
      else if (now - this.#roundMs >= REDIAL_MS) this.#nextRound(now);
      return;
    }
    if (this.#waiting.size > 0 && now - this.#trialsSinceMs >= TRIAL_MS) {
      const open = trials.find(({ state }) => state === 'open');
      if (open !== undefined) {
        this.#acceptUnproven(open);
        return;
      }
    }
    const roundMs = Math.max(this.#slowMs(), ROUND_MS_MIN) * 2 ** (this.#round - 1);
    if (now - this.#roundMs >= Math.min(roundMs, ROUND_MS_MAX)) this.#nextRound(now);
  }

  /** Whether a trial for which no query waits is still worth its connection. */
  #wantsTrial(now: number): boolean {
    return now - this.#trialsSinceMs < CONNECT_MS;
  }

  #nextRound(now: number): void {
    this.#round++;
    this.#dialTrials(now, this.#waiting.size > 0 ? TRIALS_NEXT : TRIALS_FIRST);
  }

  /** Nobody answers probes, but somebody takes connections: better than nothing. */
  #acceptUnproven(connection: Connection): void {
    connection.onTrial = false;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    this.#endTrials();
    for (const attempt of waiting) {
      attempt.toldSlow = false;
      attempt.toldSilent = false;
      connection.send(attempt);
    }
  }

  /** Nobody takes connections. Those who wait are told, and the next trial begins later each time. */
  #giveUpTrials(now: number): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    this.#endTrials();
    this.#noDialBeforeMs = now + this.#redialMs;
    this.#noTrialBeforeMs = this.#noDialBeforeMs;
    this.#redialMs = Math.min(2 * this.#redialMs, REDIAL_MS_MAX);
    this.health.suspect();
    for (const attempt of waiting)
      attempt.owner.onFailure(attempt, this.#dialFailure, 'unreachable');
  }

  #slowMs(): number {
    return Math.min(Math.max(4 * this.#responseMs, SLOW_MS_MIN), SLOW_MS_MAX);
  }

  #silentMs(): number {
    return Math.min(Math.max(8 * this.#responseMs, SILENT_MS_MIN), SILENT_MS_MAX);
  }

  /** Called every few ms while busy: finds what is slow, silent, idle and old. */
  tick(now: number): void {
    for (const connection of this.#connections.slice()) this.#watch(connection, now);
    this.#tickTrials(now);
    for (const query of this.#datagrams) {
      const waitedMs = now - query.attempt.sentMs;
      if (waitedMs < this.#silentMs()) break; // the rest are younger
      if (waitedMs >= DEAD_MS) {
        query.timeOut();
      } else if (!query.attempt.toldSilent) {
        query.attempt.toldSilent = true;
        this.#doubt(now);
        query.attempt.owner.onSlow(query.attempt, true);
      }
    }
    this.health.tick(now);
  }

  #watch(connection: Connection, now: number): void {
    if (connection.state === 'closed') return;
    if (connection.isConnecting() && now - connection.startedMs > CONNECT_MS) {
      connection.abort(`dial tcp ${this.label}: i/o timeout`, 'unreachable');
      return;
    }
    if (connection.onTrial) return;
    const silentMs = connection.silentMs(now);
    if (silentMs >= DEAD_MS || (silentMs >= DEAD_UNACKNOWLEDGED_MS && !isThere(connection))) {
      connection.abort(`read tcp ${this.label}: i/o timeout`, 'timeout');
      return;
    }
    if (silentMs >= this.#silentMs() && isGone(connection, silentMs)) {
      this.#tellSilent(connection, now);
    } else if (silentMs >= this.#slowMs()) {
      this.#tellSlow(connection);
    } else if (connection.idleMs(now) > this.#idleMaxMs) {
      connection.retire();
    }
    if (now > connection.retireAtMs && this.#isReplaced(connection, now)) connection.retire();
    connection.tellLate(now - LATE_MS);
  }

  /** Whether an old connection may go: nothing needs it, another one is there, or it is too old. */
  #isReplaced(old: Connection, now: number): boolean {
    if (old.idleMs(now) > AGED_IDLE_MS || now > old.retireAtMs + AGE_GRACE_MS) return true;
    return this.#connections.some(
      (connection) =>
        connection !== old &&
        connection.state === 'open' &&
        !connection.onTrial &&
        !connection.suspected &&
        now <= connection.retireAtMs,
    );
  }

  /** Those behind the oldest wait perhaps for it alone; the oldest itself is probably the slow one. */
  #tellSlow(connection: Connection): void {
    connection.suspected = true;
    const [, ...behind] = connection.attempts();
    for (const attempt of behind) {
      if (attempt.toldSlow) continue;
      attempt.toldSlow = true;
      attempt.owner.onSlow(attempt, false);
    }
  }

  /** Perhaps dead: the pod behind it is gone, and nothing says so (kube-proxy drops in silence). */
  #tellSilent(connection: Connection, now: number): void {
    connection.suspected = true;
    connection.silent = true;
    this.#doubt(now);
    for (const attempt of connection.attempts()) {
      if (attempt.toldSilent) continue;
      attempt.toldSilent = true;
      attempt.owner.onSlow(attempt, true);
    }
  }

  /** Something is not answered in time; is anything? */
  #doubt(now: number): void {
    if (now - this.#lastAnswerMs >= this.#silentMs()) this.health.suspect();
  }

  #answered(
    attempt: Attempt,
    message: NormalizedResponse,
    connection: Connection | undefined,
  ): void {
    const now = nowMs();
    const tookMs = now - attempt.sentMs;
    const countedMs = Math.min(tookMs, SMOOTHED_TIMES_MAX * this.#responseMs + 1);
    this.#responseMs += (countedMs - this.#responseMs) * SMOOTHING;
    this.#lastAnswerMs = now;
    this.#redialMs = REDIAL_MS;
    if (!attempt.isProbe) this.#observe(message.rcode, tookMs);
    this.health.answered();
    if (connection !== undefined) {
      this.#lastStreamAnswerMs = now;
      this.#noDialBeforeMs = 0;
      this.#noTrialBeforeMs = 0;
      if (connection.onTrial) this.#passed(connection, now);
    }
    attempt.owner.onAnswer(attempt, message);
  }

  #observe(rcode: number, tookMs: number): void {
    let durations = this.#durations.get(rcode);
    if (durations === undefined) {
      durations = this.#metrics.histogram('coredns_proxy_request_duration_seconds', {
        proxy_name: 'forward',
        to: this.label,
        rcode: rcodeName(rcode),
      });
      this.#durations.set(rcode, durations);
    }
    durations.observe(tookMs / 1000);
  }

  #disbelieved(reason: string): void {
    this.#metrics.counter('nodelocald_upstream_bad_responses_total', {
      to: this.label,
      reason,
    }).value++;
  }

  #lost(
    connection: Connection,
    left: readonly Attempt[],
    reason: string,
    cause: FailureCause,
  ): void {
    const at = this.#connections.indexOf(connection);
    const wasDropped = at === -1;
    if (!wasDropped) this.#connections.splice(at, 1);
    if (cause === 'unreachable') {
      this.#dialFailure = reason;
      this.#session = undefined; // perhaps it was what the upstream did not like
      if (!connection.onTrial) this.#noDialBeforeMs = nowMs() + REDIAL_MS;
    }
    if (connection.onTrial) {
      // One that takes connections and closes them will do so again.
      if (!wasDropped && connection.wasAccepted && this.#round > 0) this.#giveUpTrials(nowMs());
      return;
    }
    if (left.length > 0 && cause !== 'closed') this.health.suspect();
    for (const attempt of left) attempt.owner.onFailure(attempt, reason, cause);
  }

  /** Closes every connection; what is outstanding ends as failed. */
  close(): void {
    this.#closed = true;
    this.health.close();
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    this.#endTrials();
    for (const connection of this.#connections.slice())
      connection.abort('upstream removed', 'closed');
    for (const query of Array.from(this.#datagrams)) query.timeOut();
    for (const attempt of waiting) failLater(attempt, 'upstream removed');
  }
}

/** Told later, so that no caller is called back while it still sends. */
function failLater(attempt: Attempt, reason: string): void {
  queueMicrotask(() => attempt.owner.onFailure(attempt, reason, 'unreachable'));
}

/** Whether a silent connection leads to nobody: nothing is acknowledged, or it is silent too long. */
function isGone(connection: Connection, silentMs: number): boolean {
  return silentMs >= SILENT_ACKNOWLEDGED_MS || !isThere(connection);
}

/** Whether the other side acknowledges what it gets, as far as can be told. */
function isThere(connection: Connection): boolean {
  return connection.isAcknowledged() !== false;
}
