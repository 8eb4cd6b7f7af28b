/**
 * Looks at something again and again: what cannot report a change itself, such as a file.
 *
 * Owns:    that there is one look at a time, however slow the file system is, and that looking keeps
 *          no process alive.
 * Callers: pass a look that never rejects, and check `isStopped` after each `await` in it.
 */

/** Node takes a longer delay for 1 ms. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export class Poll {
  readonly #look: () => void | Promise<void>;
  #looking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(look: () => void | Promise<void>) {
    this.#look = look;
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  /** Looks every `intervalMs` from now on, until `stop`. */
  start(intervalMs: number): void {
    if (this.#stopped) return;
    clearInterval(this.#timer);
    this.#timer = setInterval(() => void this.look(), Math.min(intervalMs, TIMER_MS_MAX));
    this.#timer.unref();
  }

  /** Looks now, or joins the look that is under way. Resolves when that has ended. */
  look(): Promise<void> {
    if (this.#looking !== undefined) return this.#looking;
    const looked = this.#look();
    if (looked === undefined) return Promise.resolve();
    this.#looking = looked.finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /** Ends for good; a look that is under way sees it by `isStopped`. */
  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }
}
