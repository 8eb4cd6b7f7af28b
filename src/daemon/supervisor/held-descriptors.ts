/**
 * The descriptors that the supervisor holds for the worker, by key. It opens none of them, and reads
 * none: they are listening sockets, and files in memory, whose meaning is the worker's
 * (daemon/ipc/supervisor-link.ts).
 *
 * Owns:    that each is closed once: when its key is dropped or given another one.
 */
import { DESCRIPTORS_MAX, closeDescriptor } from '../../sys/unix-socket.ts';

/** Two for each address, of which a Corefile has a handful; more are a worker gone wrong. */
export const HELD_MAX = 1024;

/** As many descriptors as one message can carry. */
export interface Batch {
  readonly keys: readonly string[];
  readonly descriptors: readonly number[];
  /** Whether no other batch follows. */
  readonly last: boolean;
}

export class HeldDescriptors {
  readonly #byKey = new Map<string, number>();

  get size(): number {
    return this.#byKey.size;
  }

  /** Takes the descriptor over. Returns false, and has closed it, if there are too many. */
  hold(key: string, descriptor: number): boolean {
    this.drop(key);
    if (this.#byKey.size >= HELD_MAX) {
      closeDescriptor(descriptor);
      return false;
    }
    this.#byKey.set(key, descriptor);
    return true;
  }

  has(key: string): boolean {
    return this.#byKey.has(key);
  }

  drop(key: string): void {
    const held = this.#byKey.get(key);
    if (held === undefined) return;
    this.#byKey.delete(key);
    closeDescriptor(held);
  }

  /** Drops the descriptors whose key satisfies `isGone`. */
  dropWhere(isGone: (key: string) => boolean): void {
    for (const key of [...this.#byKey.keys()]) if (isGone(key)) this.drop(key);
  }

  /** All descriptors, or those whose key is `wanted`, in messages' sizes; one batch if there are none. */
  batches(wanted: (key: string) => boolean = () => true): Batch[] {
    const all = [...this.#byKey].filter(([key]) => wanted(key));
    const batches: Batch[] = [];
    for (let at = 0; at === 0 || at < all.length; at += DESCRIPTORS_MAX) {
      const some = all.slice(at, at + DESCRIPTORS_MAX);
      batches.push({
        keys: some.map(([key]) => key),
        descriptors: some.map(([, descriptor]) => descriptor),
        last: at + DESCRIPTORS_MAX >= all.length,
      });
    }
    return batches;
  }
}
