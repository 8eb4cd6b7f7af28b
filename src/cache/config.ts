/** The options of the `cache` directive, in numbers. Its syntax and defaults: directives/cache. */
export interface CacheConfig {
  /** Zones that are cached, lower-cased with final dot. */
  readonly zones: readonly string[];
  readonly success: StoreConfig;
  readonly denial: StoreConfig;
  /** How long a server error is kept; 0 is not at all. */
  readonly servfailSec: number;
  readonly prefetch: PrefetchConfig | undefined;
  readonly stale: StaleConfig | undefined;
  /** Whether clients see the TTLs of the upstream, not counted down. */
  readonly keepTtl: boolean;
  /** Where an NXDOMAIN denies the names below it too (denial/cut.ts); empty is nowhere. */
  readonly cutZones: readonly CutZone[];
}

export interface CutZone {
  /** Lower-cased with final dot. */
  readonly zone: string;
  readonly kind: 'kubernetes' | 'plain' | 'search';
}

export interface StoreConfig {
  readonly entriesMax: number;
  readonly ttlMaxSec: number;
  readonly ttlMinSec: number;
  /** Zones of which nothing is kept in this store. */
  readonly disabledZones: readonly string[];
}

export interface PrefetchConfig {
  /** Hits, no further apart than the window, that make an entry worth a refresh. */
  readonly hits: number;
  readonly windowMs: number;
  /** The last part of the lifetime in which a refresh is made, 10 to 90. */
  readonly percent: number;
}

export interface StaleConfig {
  readonly durationSec: number;
  readonly mode: 'immediate' | 'verify';
  /** How long `verify` waits before it answers stale; 0 is as long as the upstream takes. */
  readonly verifyTimeoutMs: number;
  readonly ttlSec: number;
  /** Pause after a refresh that failed. */
  readonly recheckMs: number;
  /** Whether a positive answer, even a stale one, wins over denials. */
  readonly preferPositive: boolean;
}
