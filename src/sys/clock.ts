/**
 * Monotonic time. Nothing in nodelocald that measures an age or a deadline uses the wall clock,
 * which NTP and suspended virtual machines move.
 */

/** Milliseconds since the process began, with a fraction. */
export function nowMs(): number {
  return performance.now();
}

/**
 * Tenths of a second since the process began, whole. What the cache counts ages in: a small integer
 * for 3.4 years (2^30), where milliseconds outgrow one, and cost a heap number each, after 12 days.
 */
export function toDs(ms: number): number {
  return Math.floor(ms / 100);
}
