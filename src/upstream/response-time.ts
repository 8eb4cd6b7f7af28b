/**
 * How long one upstream usually takes, and what follows from that: when a connection is slow, and when
 * it is so silent that perhaps nobody is there.
 */

/** A response time that is none: what a first guess goes by. */
const INITIAL_MS = 20;
/** Weight of the newest response time in the smoothed one (RFC 6298 section 2). */
const SMOOTHING = 1 / 8;
/**
 * A response time counts as at most so many times the smoothed one: one slow name says little of the
 * others, and an upstream that has become slow is still learnt within a few dozen answers.
 */
const SMOOTHED_TIMES_MAX = 3;
/** No answer for 4 usual response times, within these bounds: do not queue behind it. */
const SLOW_MS_MIN = 20;
const SLOW_MS_MAX = 200;
/** No answer for 8 usual response times, within these bounds: perhaps nobody is there. */
export const SILENT_MS_MIN = 250;
const SILENT_MS_MAX = 500;

export class ResponseTime {
  #smoothedMs = INITIAL_MS;
  #lastAnswerMs = -Infinity;
  slowMs: number = clamp(4 * INITIAL_MS, SLOW_MS_MIN, SLOW_MS_MAX);
  silentMs: number = clamp(8 * INITIAL_MS, SILENT_MS_MIN, SILENT_MS_MAX);

  /** An answer has come, `tookMs` after its query was sent. */
  observe(now: number, tookMs: number): void {
    this.#lastAnswerMs = now;
    const countedMs = Math.min(tookMs, SMOOTHED_TIMES_MAX * this.#smoothedMs + 1);
    this.#smoothedMs += (countedMs - this.#smoothedMs) * SMOOTHING;
    this.slowMs = clamp(4 * this.#smoothedMs, SLOW_MS_MIN, SLOW_MS_MAX);
    this.silentMs = clamp(8 * this.#smoothedMs, SILENT_MS_MIN, SILENT_MS_MAX);
  }

  /** Whether nothing at all has been answered for so long that perhaps nobody is there. */
  isQuiet(now: number): boolean {
    return now - this.#lastAnswerMs >= this.silentMs;
  }
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(Math.max(value, min), max);
}
