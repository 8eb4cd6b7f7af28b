/** The time for which a worker that is to stop still answers: lameduck (`health`) and `-drain`. */
import { LAMEDUCK_MS } from '../../directives/contributions.ts';
import type { Log } from '../../observe/log.ts';
import type { CurrentGeneration } from '../serving/current-generation.ts';

export class Grace {
  readonly #current: CurrentGeneration;
  readonly #log: Log;
  #drainMs = 0;
  #end = (): void => undefined;

  constructor(current: CurrentGeneration, log: Log) {
    this.#current = current;
    this.#log = log;
  }

  /** How long `-drain` asks for; to be set before `pass`. */
  set drainMs(ms: number) {
    this.#drainMs = ms;
  }

  /** Resolves when the longer of both has passed, or at once if we do not serve yet: nobody asks us. */
  async pass(): Promise<void> {
    const { generation } = this.#current;
    if (generation === undefined) return;
    const drainMs = this.#drainMs;
    const lameduckMs = Math.max(0, ...generation.contributed(LAMEDUCK_MS));
    if (lameduckMs > 0) {
      this.#log.info(`plugin/health: Going into lameduck mode for ${lameduckMs / 1000}s`);
    }
    if (drainMs > lameduckMs) this.#log.info(`Answering on for ${drainMs / 1000}s (-drain)`);
    const graceMs = Math.max(lameduckMs, drainMs);
    if (graceMs === 0) return;
    await new Promise<void>((resolve) => {
      this.#end = resolve;
      setTimeout(resolve, graceMs);
    });
  }

  /** Ends the wait, if it has begun. */
  end(): void {
    this.#end();
  }
}
