/**
 * `-handover`: how a daemon takes the place of the one before, and makes room for the next. The
 * supervisor's part of it; loaded where the flag is given.
 *
 *   look for a predecessor (newcomer.ts) -> start the worker with what it hands over -> once that
 *   serves, tell the predecessor, and wait for a successor (incumbent.ts) -> once that serves, retire
 *
 * Owns:    when the node is somebody else's: a predecessor's until we serve, a successor's after that.
 */
import { reasonOf } from '../../observe/reason.ts';
import { HandOver, type HandoverOwner } from './incumbent.ts';
import { HandoverDirectory } from './directory.ts';
import { SNAPSHOT_KEY } from './protocol.ts';
import type { Batch, HeldDescriptors } from '../supervisor/held-descriptors.ts';
import { isSocketKey } from '../ipc/socket-keys.ts';
import type { SupervisorLog } from '../supervisor/supervisor-log.ts';
import { type Inheritance, takeOver } from './newcomer.ts';

/** A worker writes for half a second at most; one that does not answer is not waited for. */
const SNAPSHOT_MS = 1500;
/** When asked to end while a successor is about to serve: how long that is waited for. */
const SETTLE_MS = 10_000;

/** What the supervisor does for us. */
export interface SuccessionHost {
  readonly held: HeldDescriptors;
  readonly log: SupervisorLog;
  /** Whether the worker serves. */
  isServing(): boolean;
  /** Whether the daemon is to end. */
  isEnding(): boolean;
  /** Has the worker write its snapshot, and hold it. */
  askForSnapshot(): void;
  /** A successor serves: has the worker end, and the node left as it is. */
  retire(): void;
}

export class Succession implements HandoverOwner {
  readonly #host: SuccessionHost;
  readonly #directory: HandoverDirectory;
  readonly #handOver = new HandOver(this);
  #predecessor: Inheritance | undefined;
  /** Whether nobody else listens in the directory. */
  #listens = false;
  #hasServed = false;
  #succeeded = false;
  #snapshotHeld: (() => void) | undefined;

  private constructor(path: string, host: SuccessionHost) {
    this.#directory = new HandoverDirectory(path);
    this.#host = host;
  }

  /**
   * Looks for a predecessor; what it hands over is held then. Rejects with HandoverDirectoryError if
   * the directory cannot be used.
   */
  static async begin(path: string, host: SuccessionHost): Promise<Succession> {
    const succession = new Succession(path, host);
    await succession.#begin();
    return succession;
  }

  async #begin(): Promise<void> {
    const { held, log } = this.#host;
    const { inheritance, listener } = await takeOver(this.#directory, (why) =>
      log.error(`handover: a daemon is there, and hands nothing over: ${why}`),
    );
    if (listener !== undefined) {
      this.#handOver.listen(listener);
      this.#listens = true;
    }
    if (inheritance === undefined) return;
    this.#predecessor = inheritance;
    for (const [key, descriptor] of inheritance.descriptors) held.hold(key, descriptor);
    const sockets = [...inheritance.descriptors.keys()].filter(isSocketKey).length;
    const cache = inheritance.descriptors.has(SNAPSHOT_KEY) ? ' and its cache' : '';
    log.info(
      `handover: ${sockets} sockets${cache} from the daemon before, which serves until we do`,
    );
  }

  /** Whether interface and rules are another daemon's, who serves: they are not to be taken out. */
  get sparesNode(): boolean {
    return this.#succeeded || (this.#predecessor !== undefined && !this.#hasServed);
  }

  /** Whether a daemon serves in our place, as it did before us. */
  get hasPredecessor(): boolean {
    return this.#predecessor !== undefined && !this.#hasServed;
  }

  /** Whether a successor is about to serve. */
  get isUnderWay(): boolean {
    return this.#handOver.isUnderWay;
  }

  get hasSuccessor(): boolean {
    return this.#succeeded;
  }

  /** A worker serves. The first time the predecessor is told. */
  async served(): Promise<void> {
    if (this.#hasServed) return;
    this.#hasServed = true;
    if (this.#predecessor !== undefined) this.#predecessor.serving();
    if (this.#listens) return;
    try {
      this.#handOver.listen(await this.#directory.replace());
    } catch (error) {
      const reason = reasonOf(error);
      this.#host.log.error(`handover: no successor will find us: ${reason}`);
    }
  }

  /** Something new is held. */
  holds(key: string): void {
    if (key === SNAPSHOT_KEY) this.#snapshotHeld?.();
  }

  /**
   * Resolves when no successor is about to serve, to whether one does; after a while it is taken for
   * one that never will.
   */
  async settled(): Promise<boolean> {
    this.#host.log.info('handover: a successor is about to serve: we wait for it before we end');
    const patience = new Promise<boolean>((resolve) => {
      setTimeout(() => resolve(false), SETTLE_MS).unref();
    });
    return Promise.race([this.#handOver.settled(), patience]);
  }

  refusal(): string | undefined {
    // One that waits for this very successor still hands over.
    return this.#host.isEnding() && !this.#handOver.isUnderWay ? 'it is ending' : undefined;
  }

  isServing(): boolean {
    return this.#hasServed && this.#host.isServing();
  }

  async prepare(): Promise<void> {
    const { held } = this.#host;
    held.drop(SNAPSHOT_KEY); // of a handover that came to nothing
    await new Promise<void>((resolve) => {
      this.#snapshotHeld = resolve;
      setTimeout(resolve, SNAPSHOT_MS);
      this.#host.askForSnapshot();
    });
    this.#snapshotHeld = undefined;
  }

  batches(): readonly Batch[] {
    return this.#host.held.batches((key) => isSocketKey(key) || key === SNAPSHOT_KEY);
  }

  succeeded(): void {
    this.#succeeded = true;
    this.#host.log.info('handover: our successor serves: we answer what is under way, and no more');
    this.#host.retire();
  }

  /** Nothing is ours any more. */
  close(): void {
    this.#handOver.close();
    this.#directory.close();
  }
}
