/**
 * Errors of one kind, counted instead of logged: `N errors like 'REGEXP' occurred in last DURATION`.
 *
 *   quiet --error--> counting --DURATION after the first--> (a line) quiet
 *
 * Owns:    the count of one pattern's errors, and the line about them.
 */
import type { GoRegexp } from '../../corefile/go-regexp.ts';
import { formatDuration } from '../../corefile/values.ts';
import type { Level, Log } from '../../observe/log.ts';

export interface ConsolidateConfig {
  readonly pattern: GoRegexp;
  readonly periodMs: number;
  readonly level: Level;
  /** Whether the first error of a period is logged in full. */
  readonly showFirst: boolean;
}

/** Node takes a longer delay for 1 ms. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export class Consolidation {
  readonly #config: ConsolidateConfig;
  readonly #log: Log;
  #count = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(config: ConsolidateConfig, log: Log) {
    this.#config = config;
    this.#log = log;
  }

  matches(message: string): boolean {
    return this.#config.pattern.test(message);
  }

  /** Counts an error; `line` is what would have been logged of it. */
  count(line: string): void {
    this.#count++;
    if (this.#count > 1) return;
    const { periodMs, showFirst, level } = this.#config;
    if (showFirst) this.#log.log(level, line);
    this.#timer = setTimeout(() => this.flush(), Math.min(Math.max(0, periodMs), TIMER_MS_MAX));
    this.#timer.unref();
  }

  /** Logs what has been counted, and starts counting again. */
  flush(): void {
    clearTimeout(this.#timer);
    const { pattern, periodMs, level, showFirst } = this.#config;
    const count = this.#count;
    this.#count = 0;
    if (count === 0 || (showFirst && count === 1)) return;
    const period = formatDuration(periodMs);
    this.#log.log(
      level,
      `plugin/errors: ${count} errors like '${pattern.source}' occurred in last ${period}`,
    );
  }
}
