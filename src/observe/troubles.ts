/**
 * Troubles of the moment, while DNS is served: an upstream that is unknown, a Corefile that was
 * refused, an address that another owns. `/health` and `/ready` list them, and a gauge counts them.
 *
 * Owns:    one line for each subject, for as long as it lasts.
 * Is not:  the log: the finder of a trouble logs it as well, once.
 */
import type { Metrics } from './metrics.ts';

/**
 * `configuration`: a Corefile or ConfigMap was refused, or does not say all. `upstream`: a block has
 * nobody to forward to. `loop`: what a block forwards comes back. `network`: the interface, rules, or
 * an address that is not ours. `listener`: an HTTP port is taken.
 */
export type TroubleKind = 'configuration' | 'upstream' | 'loop' | 'network' | 'listener';

const KINDS: readonly TroubleKind[] = ['configuration', 'upstream', 'loop', 'network', 'listener'];

export class Troubles {
  /** By kind, then by subject: as many as there are files, blocks and addresses. */
  readonly #byKind = new Map<TroubleKind, Map<string, string>>(
    KINDS.map((kind) => [kind, new Map()]),
  );

  constructor(metrics: Metrics) {
    for (const kind of KINDS) {
      metrics.gauge('nodelocald_troubles', { kind }).read = () => this.#byKind.get(kind)!.size;
    }
  }

  /** `text` is a line for people. A subject that is in trouble already gets the new text. */
  begin(kind: TroubleKind, subject: string, text: string): void {
    this.#byKind.get(kind)!.set(subject, text);
  }

  /** Ends the trouble of `subject`, if it had one. */
  end(kind: TroubleKind, subject: string): void {
    this.#byKind.get(kind)!.delete(subject);
  }

  /** The troubles of a kind, or all; empty if all is well. */
  lines(kind?: TroubleKind): string[] {
    const kinds = kind === undefined ? KINDS : [kind];
    return kinds.flatMap((each) => [...this.#byKind.get(each)!.values()]);
  }
}
