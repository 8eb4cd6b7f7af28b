/**
 * When a connection is old, and another one should take its place: behind one address there may be
 * several servers, each connection leads to one of them, and new ones must get their share.
 */
import { randomBelow } from '../../sys/random.ts';

/** The age, give or take a fifth, so that not all come to their end at once. */
export const AGE_MAX_MS = 30_000;
/**
 * And so many queries, give or take a fifth, if it is 2 s old. A busy node so leads its connections to
 * some server of a Service 30 times in a minute, and not twice; and as a connection that was aborted
 * costs conntrack 10 s of an entry, that is 6 entries in all.
 */
const SHARE_QUERIES = 1000;
const SHARE_AGE_MS_MIN = 2000;

export interface Lifespan {
  readonly ageMs: number;
  /** Queries; Infinity if only its age counts. */
  readonly share: number;
}

/** Drawn by chance around the means. With `shares`, queries count too. */
export function drawLifespan(ageMaxMs: number, shares: boolean): Lifespan {
  return { ageMs: spread(ageMaxMs), share: shares ? spread(SHARE_QUERIES) : Infinity };
}

/** Whether it is over, at that age and after that many queries. */
export function isOver(lifespan: Lifespan, ageMs: number, queries: number): boolean {
  if (ageMs > lifespan.ageMs) return true;
  return queries >= lifespan.share && ageMs > SHARE_AGE_MS_MIN;
}

function spread(value: number): number {
  return Math.round(value * (0.8 + randomBelow(401) / 1000));
}
