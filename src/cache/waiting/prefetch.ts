/** When an entry that is asked for often is refreshed before its end (`prefetch`). */
import type { PrefetchConfig } from '../config.ts';
import type { CacheEntry } from '../entry.ts';

/** Counts a hit of a live entry, and returns whether the entry is now due for a refresh. */
export function countHitForPrefetch(
  entry: CacheEntry,
  config: PrefetchConfig,
  nowDs: number,
): boolean {
  const followed = (nowDs - entry.lastHitDs) * 100 <= config.windowMs;
  entry.hits = followed ? entry.hits + 1 : 1;
  entry.lastHitDs = nowDs;
  if (entry.hits < config.hits) return false;
  return entry.remainingSec(nowDs) <= Math.ceil((config.percent / 100) * entry.lifetimeSec);
}
