/**
 * One upstream: what its users want of it, how queries reach it, and what it says of itself in metrics.
 *
 * Owns:    when a connection is judged slow, silent, idle or old, and what follows from that.
 * Is not:  the choice of a connection (upstream/connection/pool.ts), the search for one that answers (upstream/connection/trials.ts),
 *          nor the fate of a query (exchange.ts): that learns that an attempt is slow or has failed.
 */
import type { SecureContext } from 'node:tls';
import type { NormalizedResponse } from '../dns/response.ts';
import { rcodeName } from '../dns/rcode.ts';
import { formatHostPort } from '../net/host-port.ts';
import type { Counter, Histogram } from '../observe/counters.ts';
import type { Metrics } from '../observe/metrics.ts';
import { nowMs } from '../sys/clock.ts';
import type { Attempt, FailureCause } from './attempt.ts';
import { type UpstreamTarget, type UpstreamTerms } from './config.ts';
import { CONNECT_MS, Connection, type ConnectionEvents } from './connection/connection.ts';
import { Connections, isThere } from './connection/pool.ts';
import { Health } from './health.ts';
import { AGE_MAX_MS, drawLifespan } from './connection/lifespan.ts';
import { ResponseTime } from './response-time.ts';
import { secureContextOf } from '../tls/secure-context.ts';
import { REDIAL_MS, Trials } from './connection/trials.ts';
import { UdpQuery } from './wire/udp.ts';

/**
 * No answer for so long, although the other side has acknowledged the query: it is there, and probably
 * only slow, and a second query would cost it more. A recursive resolver seldom takes that long.
 */
const SILENT_ACKNOWLEDGED_MS = 600;
/** A connection that owes answers and has sent nothing for so long is dead: nobody waits longer. */
const DEAD_MS = 4000;
/** The same if not even our octets were acknowledged: the kernel has sent them four times by then. */
const DEAD_UNACKNOWLEDGED_MS = 2000;
/** An old one that is in use waits so long for its replacement to answer a probe. */
const AGE_GRACE_MS = 5000;
/** An old one that is idle for so long is not in use. */
const AGED_IDLE_MS = 1000;
/** CoreDNS closes idle connections after 10 s: we do it first. */
const IDLE_MS_MAX = 8000;
/** An upstream that took no TCP is tried over TCP again after that (`prefer_tcp`). */
const STREAM_RETRY_MS = 30_000;

export class Upstream {
  readonly target: UpstreamTarget;
  /** `127.0.0.1:53`, as in the label `to`. */
  readonly label: string;
  readonly health: Health;
  readonly #metrics: Metrics;
  readonly #time = new ResponseTime();
  readonly #connections: Connections;
  readonly #trials: Trials;
  readonly #datagrams = new Set<UdpQuery>();
  readonly #durations = new Map<number, Histogram>();
  readonly #hits: Counter;
  readonly #misses: Counter;
  readonly #udpMisses: Counter;
  readonly #events: ConnectionEvents;
  readonly #terms: UpstreamTerms[] = [];
  #idleMaxMs = IDLE_MS_MAX;
  /** Idle connections that are kept. */
  #idleMax = Infinity;
  #ageMaxMs = AGE_MAX_MS;
  #shares = true;
  #readTimeoutMs = Infinity;
  #lastAnswerMs = -Infinity;
  #lastStreamAnswerMs = -Infinity;
  #secure: SecureContext | undefined;
  #session: Buffer | undefined;
  #dialFailure = '';
  #noDialBeforeMs = 0;
  /** `prefer_tcp`: no stream is to be had; when to try one again. */
  #avoidsStreams = false;
  #streamTrialMs = 0;
  #closed = false;

  constructor(target: UpstreamTarget, metrics: Metrics) {
    this.target = target;
    this.label = formatHostPort(target);
    this.#metrics = metrics;
    this.health = new Health(this, metrics);
    this.#connections = new Connections(this.#time, this.label);
    this.#trials = new Trials({
      connections: this.#connections,
      health: this.health,
      time: this.#time,
      dial: (now) => this.#dial(now),
      dialFailure: () => this.#dialFailure,
    });
    const proto = protocolOf(target);
    const labels = { proxy_name: 'forward', to: this.label };
    this.#hits = metrics.counter('coredns_proxy_conn_cache_hits_total', { ...labels, proto });
    this.#misses = metrics.counter('coredns_proxy_conn_cache_misses_total', { ...labels, proto });
    this.#udpMisses = metrics.counter('coredns_proxy_conn_cache_misses_total', {
      ...labels,
      proto: 'udp',
    });
    const open = metrics.gauge('nodelocald_upstream_connections', { to: this.label, proto });
    open.read = () => this.#connections.all.length;
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
      for (const connection of this.#connections.all.slice()) connection.retire();
    }
    return this.#terms.length;
  }

  #agree(): void {
    const { health } = this;
    this.#idleMaxMs = Math.min(IDLE_MS_MAX, ...this.#terms.map(({ expireMs }) => expireMs));
    this.#readTimeoutMs = Math.min(...this.#terms.map(({ readTimeoutMs }) => readTimeoutMs));
    const limits = this.#terms.map(({ idleMax }) => idleMax).filter((limit) => limit > 0);
    this.#idleMax = Math.min(Infinity, ...limits);
    const ages = this.#terms.map(({ ageMaxMs }) => ageMaxMs).filter((ageMs) => ageMs > 0);
    this.#ageMaxMs = ages.length === 0 ? AGE_MAX_MS : Math.min(...ages);
    // Who says how old they may be has said what counts; and a TLS handshake is dear.
    this.#shares = ages.length === 0 && this.target.tls === undefined;
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
      this.#trials.begin(now);
    }
    return true;
  }

  get outstanding(): number {
    let sum = this.#datagrams.size + this.#trials.waiting;
    for (const connection of this.#connections.all) sum += connection.outstanding;
    return sum;
  }

  /** Whether `tick` has anything to watch; whether it must be soon. */
  get busy(): boolean {
    return this.#connections.all.length > 0 || this.#datagrams.size > 0 || this.urgent;
  }

  get urgent(): boolean {
    return this.outstanding > 0 || this.#trials.underWay || this.health.checking;
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
    const connections = this.#connections;
    const proven = attempt.mends && connections.hasRoom(now);
    const known = proven ? connections.pickProven(now) : connections.pick(now);
    if (known !== undefined) {
      if (known.isOld(now)) this.#trials.replace(now); // it serves until that has answered
      this.#hits.value++;
      known.send(attempt);
      return;
    }
    // A check that opened a connection of its own would only double what trials do.
    const waits = attempt.mends || attempt.isProbe || this.#trials.underWay;
    if (waits ? !this.#trials.mayBegin(now) : now < this.#noDialBeforeMs) {
      failLater(attempt, this.#dialFailure);
    } else if (waits || !connections.hasRoom(now)) {
      this.#trials.await(attempt, now);
    } else {
      this.#dial(now).send(attempt);
    }
  }

  #dial(now: number): Connection {
    this.#misses.value++;
    const { tls } = this.target;
    if (tls !== undefined) this.#secure ??= secureContextOf(tls);
    const lifespan = drawLifespan(this.#ageMaxMs, this.#shares);
    return this.#connections.add(
      now,
      () => new Connection(this.target, this.#events, lifespan, this.#secure, this.#session),
    );
  }

  /** Called every few ms while busy: finds what is slow, silent, idle and old. */
  tick(now: number): void {
    for (const connection of this.#connections.all.slice()) this.#watch(connection, now);
    this.#closeIdle();
    this.#trials.tick(now);
    const silentMs = Math.min(this.#time.silentMs, this.#readTimeoutMs);
    for (const query of this.#datagrams) {
      const waitedMs = now - query.attempt.sentMs;
      if (waitedMs < silentMs) break; // the rest are younger
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
      this.#connections.drop(connection, now, `dial tcp ${this.label}: i/o timeout`, 'unreachable');
      return;
    }
    if (connection.onTrial) return;
    const silentMs = connection.silentMs(now);
    if (silentMs >= DEAD_MS || (silentMs >= DEAD_UNACKNOWLEDGED_MS && !isThere(connection))) {
      this.#connections.drop(connection, now, `read tcp ${this.label}: i/o timeout`, 'timeout');
      return;
    }
    if (silentMs >= this.#time.silentMs && isGone(connection, silentMs)) {
      this.#tellSilent(connection, now);
    } else if (silentMs >= this.#time.slowMs) {
      this.#tellSlow(connection);
    } else if (connection.idleMs(now) > this.#idleMaxMs) {
      connection.retire();
    }
    if (connection.isOld(now) && this.#isReplaced(connection, now)) connection.retire();
    connection.tellLate(now - this.#readTimeoutMs);
  }

  /** Closes those that have been idle for longest, where more are than users want. */
  #closeIdle(): void {
    if (this.#idleMax === Infinity) return;
    const now = nowMs();
    const idle = this.#connections.all
      .filter((connection) => connection.outstanding === 0 && connection.state === 'open')
      .toSorted((a, b) => a.idleMs(now) - b.idleMs(now));
    for (const connection of idle.slice(this.#idleMax)) connection.retire();
  }

  /** Whether an old connection may go: nothing needs it, another one is there, or it is too old. */
  #isReplaced(old: Connection, now: number): boolean {
    if (old.idleMs(now) > AGED_IDLE_MS || old.oldMs(now) > AGE_GRACE_MS) return true;
    return this.#connections.all.some(
      (connection) =>
        connection !== old &&
        connection.state === 'open' &&
        !connection.onTrial &&
        !connection.suspected &&
        !connection.isOld(now),
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
    if (now - this.#lastAnswerMs >= this.#time.silentMs) this.health.suspect();
  }

  #answered(
    attempt: Attempt,
    message: NormalizedResponse,
    connection: Connection | undefined,
  ): void {
    const now = nowMs();
    const tookMs = now - attempt.sentMs;
    this.#time.observe(tookMs);
    this.#lastAnswerMs = now;
    if (!attempt.isProbe) this.#observe(message.rcode, tookMs);
    this.health.answered();
    if (connection !== undefined) {
      this.#lastStreamAnswerMs = now;
      this.#noDialBeforeMs = 0;
      this.#trials.answered();
      if (connection.onTrial) {
        this.#avoidsStreams = false;
        this.#trials.passed(connection, now);
      }
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
    const wasDropped = !this.#connections.remove(connection);
    if (cause === 'unreachable') {
      this.#dialFailure = reason;
      this.#session = undefined; // perhaps it was what the upstream did not like
      if (!connection.onTrial) this.#noDialBeforeMs = nowMs() + REDIAL_MS;
    }
    if (connection.onTrial) {
      if (!wasDropped) this.#trials.lost(connection, nowMs());
      return;
    }
    if (left.length > 0 && cause !== 'closed') this.health.suspect();
    for (const attempt of left) attempt.owner.onFailure(attempt, reason, cause);
  }

  /** Closes every connection; what is outstanding ends as failed. */
  close(): void {
    this.#closed = true;
    this.health.close();
    const now = nowMs();
    this.#trials.close(now, (attempt) => failLater(attempt, 'upstream removed'));
    for (const connection of this.#connections.all.slice()) {
      connection.abort('upstream removed', 'closed');
    }
    for (const query of Array.from(this.#datagrams)) query.timeOut();
  }
}

function protocolOf({ tls, https }: UpstreamTarget): 'tcp' | 'tcp-tls' | 'https' {
  if (https !== undefined) return 'https';
  return tls === undefined ? 'tcp' : 'tcp-tls';
}

/** Told later, so that no caller is called back while it still sends. */
function failLater(attempt: Attempt, reason: string): void {
  queueMicrotask(() => attempt.owner.onFailure(attempt, reason, 'unreachable'));
}

/** Whether a silent connection leads to nobody: nothing is acknowledged, or it is silent too long. */
function isGone(connection: Connection, silentMs: number): boolean {
  return silentMs >= SILENT_ACKNOWLEDGED_MS || !isThere(connection);
}
