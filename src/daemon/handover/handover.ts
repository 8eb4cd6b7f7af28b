/**
 * `-handover`: a daemon hands over to its replacement without losing a query. The supervisor's part of
 * it, loaded only where the flag is given. A daemon is the newcomer first, and the incumbent later:
 *
 *   ask for an incumbent (newcomer.ts) -> start the worker with what it hands over -> once that serves,
 *   tell the incumbent, and listen for a newcomer (incumbent.ts) -> once that serves, retire
 *
 * Owns:    whose the node is: the incumbent's until we serve, our replacement's after it serves.
 */
import { reasonOf } from '../../observe/reason.ts';
import { isSocketKey } from '../ipc/socket-keys.ts';
import type { Batch, HeldDescriptors } from '../supervisor/held-descriptors.ts';
import type { SupervisorLog } from '../supervisor/supervisor-log.ts';
import { HandoverDirectory } from './directory.ts';
import { Incumbent, type IncumbentOwner } from './incumbent.ts';
import { type HandedOver, askIncumbent } from './newcomer.ts';
import { SNAPSHOT_KEY } from './protocol.ts';

/** A worker writes for half a second at most; one that does not answer is not waited for. */
const SNAPSHOT_MS = 1500;
/** How long a daemon that is asked to end waits for a newcomer that is about to serve. */
const SETTLE_MS = 10_000;

/** The supervisor, as the handover sees it. */
export interface HandoverHost {
  readonly held: HeldDescriptors;
  readonly log: SupervisorLog;
  /** Whether the worker serves. */
  isServing(): boolean;
  /** Whether the daemon is ending. */
  isEnding(): boolean;
  /** Has the worker write its snapshot and pass it on to us. */
  askForSnapshot(): void;
  /** Our replacement serves: ends the worker and leaves the node as it is. */
  retire(): void;
}

/**
 * `newcomer`: another daemon serves until we do. `incumbent`: the node is ours, whether we serve yet or
 * not. `replaced`: the newcomer serves.
 */
type Side = 'newcomer' | 'incumbent' | 'replaced';

export class Handover implements IncumbentOwner {
  readonly #host: HandoverHost;
  readonly #directory: HandoverDirectory;
  readonly #incumbent = new Incumbent(this);
  #side: Side = 'incumbent';
  #handedOver: HandedOver | undefined;
  /** Whether we listen in the directory, or have tried to. */
  #listens = false;
  #onSnapshotHeld: (() => void) | undefined;

  private constructor(path: string, host: HandoverHost) {
    this.#directory = new HandoverDirectory(path);
    this.#host = host;
  }

  /**
   * Asks for an incumbent, and holds what it hands over. Rejects with HandoverDirectoryError if the
   * directory cannot be used.
   */
  static async begin(path: string, host: HandoverHost): Promise<Handover> {
    const handover = new Handover(path, host);
    await handover.#begin();
    return handover;
  }

  async #begin(): Promise<void> {
    const { held, log } = this.#host;
    const { handedOver, listener } = await askIncumbent(this.#directory, (why) =>
      log.error(`handover: a daemon is there, and hands nothing over: ${why}`),
    );
    if (listener !== undefined) {
      this.#incumbent.listen(listener);
      this.#listens = true;
    }
    if (handedOver === undefined) return;
    this.#side = 'newcomer';
    this.#handedOver = handedOver;
    for (const [key, descriptor] of handedOver.descriptors) held.hold(key, descriptor);
    const sockets = [...handedOver.descriptors.keys()].filter(isSocketKey).length;
    const cache = handedOver.descriptors.has(SNAPSHOT_KEY) ? ' and its cache' : '';
    log.info(`handover: ${sockets} sockets${cache} from the incumbent, which serves until we do`);
  }

  /** Whether interface and rules belong to another daemon that serves, so that we must leave them. */
  get sparesNode(): boolean {
    return this.#side !== 'incumbent';
  }

  /** Whether the incumbent serves, as it will go on to do if we end now. */
  get isNewcomer(): boolean {
    return this.#side === 'newcomer';
  }

  /** Whether a newcomer is about to serve. */
  get isUnderWay(): boolean {
    return this.#incumbent.isUnderWay;
  }

  get isReplaced(): boolean {
    return this.#side === 'replaced';
  }

  /** A worker serves. The first time, the incumbent learns of it, and newcomers find us. */
  async served(): Promise<void> {
    if (this.#side === 'newcomer') {
      this.#side = 'incumbent';
      this.#handedOver?.serving();
    }
    if (this.#listens) return;
    this.#listens = true;
    try {
      this.#incumbent.listen(await this.#directory.replace());
    } catch (error) {
      this.#host.log.error(`handover: no newcomer will find us: ${reasonOf(error)}`);
    }
  }

  /** The supervisor holds a new descriptor. */
  holds(key: string): void {
    if (key === SNAPSHOT_KEY) this.#onSnapshotHeld?.();
  }

  /**
   * Resolves once no newcomer is about to serve, or after 10 s, to whether one serves in our place.
   */
  async settled(): Promise<boolean> {
    this.#host.log.info(
      'handover: our replacement is about to serve: we wait for it before we end',
    );
    const patience = new Promise<boolean>((resolve) => {
      setTimeout(() => resolve(false), SETTLE_MS).unref();
    });
    return Promise.race([this.#incumbent.settled(), patience]);
  }

  refusal(): string | undefined {
    // A daemon whose end waits for this very newcomer still hands over.
    return this.#host.isEnding() && !this.#incumbent.isUnderWay ? 'it is ending' : undefined;
  }

  isServing(): boolean {
    return this.#host.isServing();
  }

  async prepare(): Promise<void> {
    const { held } = this.#host;
    held.drop(SNAPSHOT_KEY); // from a handover that failed
    await new Promise<void>((resolve) => {
      this.#onSnapshotHeld = resolve;
      setTimeout(resolve, SNAPSHOT_MS);
      this.#host.askForSnapshot();
    });
    this.#onSnapshotHeld = undefined;
  }

  batches(): readonly Batch[] {
    return this.#host.held.batches((key) => isSocketKey(key) || key === SNAPSHOT_KEY);
  }

  replaced(): void {
    this.#side = 'replaced';
    this.#host.log.info('handover: our replacement serves: we answer what is under way, and end');
    this.#host.retire();
  }

  /** Stops listening and gives the directory up. */
  close(): void {
    this.#incumbent.close();
    this.#directory.close();
  }
}
