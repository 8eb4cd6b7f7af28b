/**
 * Monotonic time. Nothing in nodelocald that measures an age or a deadline uses the wall clock,
 * which NTP and suspended virtual machines move.
 */

import { readFileSync, readlinkSync } from 'node:fs';

/** Milliseconds since the process began, with a fraction. */
export function nowMs(): number {
  return performance.now();
}

/**
 * Whole tenths of a second since the process began, the cache's unit of age: a small integer for
 * 3.4 years (2^30), where milliseconds outgrow one, and cost a heap number each, after 12 days.
 */
export function toDs(ms: number): number {
  return Math.floor(ms / 100);
}

/**
 * The difference between `nowMs` and the clock that all processes with the same `clockIdentity`
 * share; added to `nowMs` it gives milliseconds since the machine started, as CLOCK_MONOTONIC counts.
 */
export const SHARED_CLOCK_OFFSET_MS: number =
  Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** Which boot of which machine, and which time namespace; the same text means the same clock. */
export function clockIdentity(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot} ${readlinkSync('/proc/self/ns/time')}`;
  } catch {
    return `process ${process.pid}`; // not on Linux: the clock is not shared
  }
}
