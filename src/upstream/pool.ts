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
 */
import type { NormalizedResponse } from '../dns/response.ts';
import { rcodeName } from '../dns/rcode.ts';
import type { Counter, Histogram } from '../observe/counters.ts';
import type { Metrics } from '../observe/metrics.ts';
import { nowMs } from '../sys/clock.ts';
import { randomBelow } from '../sys/random.ts';
import type { Attempt, FailureCause } from './attempt.ts';
import { type UpstreamTarget, formatTarget } from './config.ts';
import { CONNECT_MS, Connection, type ConnectionEvents } from './connection.ts';
import { Health } from './health.ts';
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
const SILENT_ACKNOWLEDGED_MS = 750;
/** CoreDNS's read timeout: an answer that is later is still taken, but not waited for. */
const LATE_MS = 2000;
/** A connection that owes answers and has sent nothing for so long is dead: nobody waits longer. */
const DEAD_MS = 4000;
/** Connections are retired at that age, give or take a fifth, so that new pods get their share. */
export const AGE_MAX_MS = 30_000;
/** CoreDNS closes idle connections after 10 s: we do it first. */
const IDLE_MS_MAX = 8000;
/** An upstream that took no TCP is tried over TCP again after that (`prefer_tcp`). */
const STREAM_RETRY_MS = 30_000;
/** Between attempts to connect after one that failed. */
const REDIAL_MS = 20;

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
  #responseMs = RESPONSE_MS_INITIAL;
  #session: Buffer | undefined;
  #noDialBeforeMs = 0;
  #dialFailure = '';
  #noStreamBeforeMs = 0;
  /** Lowered by `expire`. */
  idleMaxMs = IDLE_MS_MAX;
  ageMaxMs = AGE_MAX_MS;

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
      closed: (connection, left, reason, cause) => this.#closed(connection, left, reason, cause),
      session: (session) => {
        this.#session = session;
      },
    };
  }

  /** Takes no TCP, as it seems: UDP for a while. */
  avoidStreams(): void {
    this.#noStreamBeforeMs = nowMs() + STREAM_RETRY_MS;
  }

  get avoidsStreams(): boolean {
    return nowMs() < this.#noStreamBeforeMs;
  }

  get outstanding(): number {
    let sum = this.#datagrams.size;
    for (const connection of this.#connections) sum += connection.outstanding;
    return sum;
  }

  /** Whether `tick` has anything to watch. */
  get busy(): boolean {
    return this.#connections.length > 0 || this.#datagrams.size > 0;
  }

  /** Sends over UDP: for plain upstreams only. */
  sendDatagram(attempt: Attempt): void {
    this.#udpMisses.value++;
    const events = {
      answered: (_: Attempt, message: NormalizedResponse): void => {
        this.#answered(attempt, message, undefined);
      },
      disbelieved: (reason: string): void => this.#disbelieved(reason),
    };
    this.#datagrams.add(
      new UdpQuery(attempt, this.target, events, (query) => this.#datagrams.delete(query)),
    );
  }

  /** Sends over a stream: the best there is, or a new one. */
  sendStream(attempt: Attempt): void {
    const now = nowMs();
    const known = this.#pick(now);
    if (known !== undefined) {
      this.#hits.value++;
      known.send(attempt);
      return;
    }
    if (now < this.#noDialBeforeMs) {
      // Told later, so that no caller is called back while it still sends.
      queueMicrotask(() => attempt.owner.onFailure(attempt, this.#dialFailure, 'unreachable'));
      return;
    }
    this.#misses.value++;
    const spread = this.ageMaxMs * (0.8 + randomBelow(401) / 1000);
    const connection = new Connection(this.target, this.#events, now + spread, this.#session);
    this.#connections.push(connection);
    connection.send(attempt);
  }

  /** The connection to use, or undefined if a new one is better. */
  #pick(now: number): Connection | undefined {
    let best: Connection | undefined;
    let filling = false;
    let fallback: Connection | undefined;
    let connecting = false;
    const slowMs = this.#slowMs();
    for (const connection of this.#connections) {
      if (!connection.usable) continue;
      if (connection.isConnecting()) connecting = true;
      if (fallback === undefined || connection.outstanding < fallback.outstanding) {
        fallback = connection;
      }
      if (filling || connection.suspected || now > connection.retireAtMs) continue;
      if (connection.outstanding < FILL_OUTSTANDING && connection.silentMs(now) < slowMs) {
        best = connection;
        filling = true;
      } else if (best === undefined || connection.outstanding < best.outstanding) {
        best = connection;
      }
    }
    if (this.#connections.length >= CONNECTIONS_MAX) return best ?? fallback;
    if (best === undefined) return undefined;
    if (best.outstanding === 0 || connecting) return best;
    if (best.silentMs(now) > slowMs) return undefined;
    return best.outstanding < GROW_AT_OUTSTANDING ? best : undefined;
  }

  #slowMs(): number {
    return Math.min(Math.max(4 * this.#responseMs, SLOW_MS_MIN), SLOW_MS_MAX);
  }

  #silentMs(): number {
    return Math.min(Math.max(8 * this.#responseMs, SILENT_MS_MIN), SILENT_MS_MAX);
  }

  /** Called every few ms while busy: finds what is slow, silent, idle and old. */
  tick(now: number): void {
    for (const connection of [...this.#connections]) this.#watch(connection, now);
    for (const query of this.#datagrams) {
      const waitedMs = now - query.attempt.sentMs;
      if (waitedMs < this.#silentMs()) break; // the rest are younger
      if (waitedMs >= DEAD_MS) {
        query.timeOut();
      } else if (!query.attempt.toldSilent) {
        query.attempt.toldSilent = true;
        this.health.suspect();
        query.attempt.owner.onSlow(query.attempt, true);
      }
    }
    this.health.tick(now);
  }

  #watch(connection: Connection, now: number): void {
    if (connection.isConnecting() && now - connection.startedMs > CONNECT_MS) {
      connection.abort(`dial tcp ${this.label}: i/o timeout`, 'unreachable');
      return;
    }
    const silentMs = connection.silentMs(now);
    if (silentMs >= DEAD_MS) {
      connection.abort(`read tcp ${this.label}: i/o timeout`, 'timeout');
    } else if (silentMs >= this.#silentMs() && isGone(connection, silentMs)) {
      this.#tellSilent(connection);
    } else if (silentMs >= this.#slowMs()) {
      this.#tellSlow(connection);
    } else if (silentMs === 0) {
      const idleMs = connection.idleMs(now);
      if (idleMs > this.idleMaxMs || now > connection.retireAtMs) connection.retire();
    }
    for (const attempt of connection.attempts()) {
      if (now - attempt.sentMs < LATE_MS) break; // the rest are younger
      if (attempt.toldSilent) continue;
      attempt.toldSilent = true;
      attempt.owner.onSlow(attempt, true);
    }
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
  #tellSilent(connection: Connection): void {
    connection.suspected = true;
    if (!this.#answersElsewhere(connection)) this.health.suspect();
    for (const attempt of connection.attempts()) {
      if (attempt.toldSilent) continue;
      attempt.toldSilent = true;
      attempt.owner.onSlow(attempt, true);
    }
  }

  /** Whether another connection has had an answer while this one was silent. */
  #answersElsewhere(silent: Connection): boolean {
    return this.#connections.some(
      (connection) => connection !== silent && connection.progressMs > silent.progressMs,
    );
  }

  #answered(
    attempt: Attempt,
    message: NormalizedResponse,
    connection: Connection | undefined,
  ): void {
    const tookMs = nowMs() - attempt.sentMs;
    this.#responseMs += (tookMs - this.#responseMs) * SMOOTHING;
    let durations = this.#durations.get(message.rcode);
    if (durations === undefined) {
      durations = this.#metrics.histogram('coredns_proxy_request_duration_seconds', {
        proxy_name: 'forward',
        to: this.label,
        rcode: rcodeName(message.rcode),
      });
      this.#durations.set(message.rcode, durations);
    }
    durations.observe(tookMs / 1000);
    this.health.answered();
    if (connection !== undefined && nowMs() > connection.retireAtMs) connection.retire();
    attempt.owner.onAnswer(attempt, message);
  }

  #disbelieved(reason: string): void {
    this.#metrics.counter('nodelocald_upstream_bad_responses_total', {
      to: this.label,
      reason,
    }).value++;
  }

  #closed(
    connection: Connection,
    left: readonly Attempt[],
    reason: string,
    cause: FailureCause,
  ): void {
    const at = this.#connections.indexOf(connection);
    if (at !== -1) this.#connections.splice(at, 1);
    if (cause === 'unreachable') {
      this.#dialFailure = reason;
      this.#noDialBeforeMs = nowMs() + REDIAL_MS;
      this.#session = undefined; // perhaps it was what the upstream did not like
    }
    if (left.length > 0 && cause !== 'closed') this.health.suspect();
    for (const attempt of left) attempt.owner.onFailure(attempt, reason, cause);
  }

  /** Closes every connection; what is outstanding ends as failed. */
  close(): void {
    this.health.close();
    for (const connection of [...this.#connections]) connection.abort('upstream removed', 'closed');
    for (const query of [...this.#datagrams]) query.timeOut();
  }
}

/** Whether a silent connection leads to nobody: nothing is acknowledged, or it is silent too long. */
function isGone(connection: Connection, silentMs: number): boolean {
  return silentMs >= SILENT_ACKNOWLEDGED_MS || connection.isAcknowledged() === false;
}
