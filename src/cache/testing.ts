/** For tests: what `cache` says without options, but for what is given. */
import type { CacheConfig, CutZone, StaleConfig, StoreConfig } from './config.ts';

export interface CacheOptions {
  readonly success?: Partial<StoreConfig>;
  readonly denial?: Partial<StoreConfig>;
  readonly servfailSec?: number;
  readonly stale?: Partial<StaleConfig>;
  readonly cutZones?: readonly CutZone[];
}

const STORE: StoreConfig = { entriesMax: 10_000, ttlMaxSec: 3600, ttlMinSec: 5, disabledZones: [] };
const STALE: StaleConfig = {
  durationSec: 3600,
  mode: 'immediate',
  verifyTimeoutMs: 0,
  ttlSec: 0,
  recheckMs: 0,
  preferPositive: false,
};

export function cacheConfig(options: CacheOptions = {}): CacheConfig {
  const { success, denial, servfailSec = 5, stale, cutZones = [] } = options;
  return {
    zones: ['.'],
    success: { ...STORE, ...success },
    denial: { ...STORE, ttlMaxSec: 1800, ...denial },
    servfailSec,
    prefetch: undefined,
    stale: stale === undefined ? undefined : { ...STALE, ...stale },
    keepTtl: false,
    cutZones,
  };
}
