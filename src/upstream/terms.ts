/**
 * The terms that hold for one upstream, from those of all its users.
 *
 * Owns:    which user prevails for each term.
 */
import type { HealthCheckConfig, UpstreamTerms } from './config.ts';
import { AGE_MAX_MS } from './connection/lifespan.ts';

/** CoreDNS closes idle connections after 10 s: we do it first. */
const IDLE_MS_MAX = 8000;

export interface AgreedTerms {
  readonly idleMaxMs: number;
  /** Idle connections that are kept; Infinity is no limit. */
  readonly idleMax: number;
  readonly ageMaxMs: number;
  /** Whether connections are replaced after their share of the queries too. */
  readonly shares: boolean;
  /** Infinity is no limit. */
  readonly readTimeoutMs: number;
  /** Of each user; 0 is a user for whom the upstream is never down. */
  readonly failsMaxes: readonly number[];
  readonly healthCheck: HealthCheckConfig;
  readonly checkOverStream: boolean;
}

/** Without users: nothing is kept, and health is not followed. */
export const NO_TERMS: AgreedTerms = {
  idleMaxMs: 0,
  idleMax: Infinity,
  ageMaxMs: 0,
  shares: false,
  readTimeoutMs: Infinity,
  failsMaxes: [],
  healthCheck: { intervalMs: 500, recursionDesired: true, domain: '.' },
  checkOverStream: false,
};

/** `isSecure`: over TLS, whose handshakes are expensive. */
export function agree(terms: readonly UpstreamTerms[], isSecure: boolean): AgreedTerms {
  const last = terms.at(-1);
  if (last === undefined) return NO_TERMS;
  const ages = terms.map(({ ageMaxMs }) => ageMaxMs).filter((ageMs) => ageMs > 0);
  return {
    idleMaxMs: Math.min(IDLE_MS_MAX, ...terms.map(({ expireMs }) => expireMs)),
    idleMax: Math.min(Infinity, ...terms.map(({ idleMax }) => idleMax).filter((max) => max > 0)),
    ageMaxMs: ages.length === 0 ? AGE_MAX_MS : Math.min(...ages),
    // A user who says how old connections may be has said what counts.
    shares: ages.length === 0 && !isSecure,
    readTimeoutMs: Math.min(...terms.map(({ readTimeoutMs }) => readTimeoutMs)),
    failsMaxes: terms.map(({ failsMax }) => failsMax),
    healthCheck: last.healthCheck,
    checkOverStream: isSecure || terms.some(({ checkOverStream }) => checkOverStream),
  };
}
