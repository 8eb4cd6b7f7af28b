/**
 * The configuration of upstreams and of `forward`, in values.
 *
 * Owns:    the types and units. Syntax and defaults are in directives/forward/.
 */
import type { TlsTarget } from '../tls/secure-context.ts';

/** One upstream of a forward. */
export interface UpstreamTarget {
  /** An IP address, IPv6 without brackets, perhaps with `%zone`. */
  readonly host: string;
  readonly port: number;
  /** DNS over TLS (RFC 7858), or what is below HTTPS. */
  readonly tls: TlsTarget | undefined;
  /** DNS over HTTPS (RFC 8484) with this method; then `tls` is there too. */
  readonly https?: 'GET' | 'POST' | undefined;
  /** The address to send from; undefined leaves the choice to the kernel. */
  readonly source?: string | undefined;
}

export interface ForwardConfig {
  /** Zone whose names are forwarded, normalized. */
  readonly from: string;
  /** Zones below it that are not. */
  readonly except: readonly string[];
  readonly targets: readonly UpstreamTarget[];
  readonly transport: 'client' | 'tcp' | 'udp';
  /** Idle connections are closed after that long. */
  readonly expireMs: number;
  /** Failed health checks in a row that an upstream may have and still count as up; 0: never down. */
  readonly failsMax: number;
  readonly healthCheck: HealthCheckConfig;
  readonly policy: 'random' | 'round_robin' | 'sequential';
  /** Queries in progress at once; 0 is no limit. */
  readonly concurrentMax: number;
  /** RCODEs with which the next `forward` of the block is asked. */
  readonly next: readonly number[];
  /** Whether it is asked too after an empty answer: NOERROR and no records. */
  readonly nextOnNodata: boolean;
  /** RCODEs with which the next upstream is asked; undefined is SERVFAIL and REFUSED. */
  readonly failover: readonly number[] | undefined;
  /** Upstreams that take no TCP are asked over UDP for a while, then tried again. */
  readonly tcpOptional: boolean;
  /** SERVFAIL at once when every upstream is down, instead of trying one all the same. */
  readonly failFast: boolean;
  /** Connections live no longer than that; 0 is the default of the pool. */
  readonly ageMaxMs: number;
  /** Idle connections that are kept for each upstream; 0 is no limit. */
  readonly idleMax: number;
  /** An attempt without answer for so long is followed by another one. */
  readonly readTimeoutMs: number;
  /** Attempts per query; 0 is two for each upstream. */
  readonly attemptsMax: number;
}

/** What one `forward` asks of upstreams that it perhaps shares with others. */
export interface UpstreamTerms {
  /** The lowest of all users' counts. */
  readonly expireMs: number;
  /** The lowest that is not 0. */
  readonly ageMaxMs: number;
  /** The lowest that is not 0. */
  readonly idleMax: number;
  /** The lowest of all users' counts. */
  readonly readTimeoutMs: number;
  /** If 0 for all users, there are no health checks. */
  readonly failsMax: number;
  /** The last user's counts. */
  readonly healthCheck: HealthCheckConfig;
  /** Whether health checks go over a stream, for one user at least: force_tcp. */
  readonly checkOverStream: boolean;
}

export interface HealthCheckConfig {
  readonly intervalMs: number;
  readonly recursionDesired: boolean;
  /** Normalized. */
  readonly domain: string;
}
