/**
 * The predecessor's side of a handover: it listens for a successor, and gives it the sockets and the
 * cache.
 *
 * Owns:    that one successor is spoken with at a time, and that nothing has changed for us until it
 *          says that it serves.
 */
import { Channel } from '../../sys/channel.ts';
import { type PollHandle, loadLibc } from '../../sys/libc.ts';
import { SystemCallError } from '../../sys/system-call-error.ts';
import { acceptUnix, closeDescriptor } from '../../sys/unix-socket.ts';
import { isOwnUser } from './directory.ts';
import {
  type PredecessorEvent,
  type PredecessorState,
  type ToPredecessor,
  type ToSuccessor,
  commonVersion,
  nextPredecessorState,
  readToPredecessor,
} from './protocol.ts';
import type { Batch } from '../supervisor/held-descriptors.ts';

/** From the connection to `hello`. */
const HELLO_MS = 1000;
/** Some may come at once, of which one is served. */
const DISMISSED_MAX = 16;
/** From the offer to `serving`: three starts of a worker that is late each time. */
const OFFERED_MS = 60_000;

export interface HandoverOwner {
  /** Why nothing can be handed over for good; undefined if it can. */
  refusal(): string | undefined;
  /** Whether the worker serves: what does not serve yet cannot be handed over yet. */
  isServing(): boolean;
  /** Has the worker's cache written down. Resolves when that is done, or is given up. Never rejects. */
  prepare(): Promise<void>;
  /** What there is to hand over. The descriptors stay the owner's. */
  batches(): readonly Batch[];
  /** The successor serves: we must not. */
  succeeded(): void;
}

export class HandOver {
  readonly #owner: HandoverOwner;
  #state: PredecessorState = 'alone';
  #listener: { readonly fd: number; readonly poll: PollHandle } | undefined;
  #channel: Channel | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #dismissed = new Set<Channel>();
  #settled: (() => void)[] = [];

  constructor(owner: HandoverOwner) {
    this.#owner = owner;
  }

  /** Whether a successor is about to take over. */
  get isUnderWay(): boolean {
    return this.#state === 'preparing' || this.#state === 'offered';
  }

  /** Resolves when no successor is about to take over, to whether one has. */
  async settled(): Promise<boolean> {
    if (this.isUnderWay) {
      await new Promise<void>((resolve) => {
        this.#settled.push(resolve);
      });
    }
    return this.#state === 'succeeded';
  }

  /** Takes the listening socket over, and waits for successors at it. */
  listen(fd: number): void {
    this.#stopListening();
    this.#listener = { fd, poll: loadLibc()!.pollReadable(fd, () => this.#accept(fd)) };
  }

  /** Closes all that is ours to close. A successor that does not serve yet is told by that. */
  close(): void {
    this.#stopListening();
    for (const channel of this.#dismissed) channel.close();
    const channel = this.#channel;
    if (channel === undefined) return;
    channel.close();
    this.#lose(channel);
  }

  #stopListening(): void {
    this.#listener?.poll.close();
    if (this.#listener !== undefined) closeDescriptor(this.#listener.fd);
    this.#listener = undefined;
  }

  #accept(listener: number): void {
    let connection: number | undefined;
    try {
      connection = acceptUnix(listener);
    } catch (error) {
      if (error instanceof SystemCallError) return; // out of descriptors: it asks again
      throw error;
    }
    if (connection === undefined || !isOwnUser(connection)) return;
    const channel = new Channel(connection, {
      message: (value, descriptors, from) => {
        descriptors.forEach(closeDescriptor); // nothing is taken from a successor
        this.#hear(from, readToPredecessor(value));
      },
      closed: () => this.#lose(channel),
    });
    const refusal = this.#owner.refusal();
    if (refusal !== undefined) this.#dismiss(channel, { say: 'refuse', reason: refusal });
    else if (this.#channel !== undefined || !this.#owner.isServing()) {
      this.#dismiss(channel, { say: 'busy' });
    } else {
      this.#channel = channel;
      this.#expect(HELLO_MS);
    }
  }

  /** Says so, and leaves it to the other to close: a reset could overtake what we have said. */
  #dismiss(channel: Channel, message: ToSuccessor): void {
    channel.send(message);
    this.#lose(channel);
    if (this.#dismissed.size >= DISMISSED_MAX) {
      channel.close();
      return;
    }
    this.#dismissed.add(channel);
    setTimeout(() => {
      channel.close();
      this.#dismissed.delete(channel);
    }, HELLO_MS).unref();
  }

  #hear(channel: Channel, message: ToPredecessor | undefined): void {
    if (message === undefined || channel !== this.#channel) return;
    if (message.say === 'serving') {
      if (this.#enter('serves')) this.#succeed();
    } else if (commonVersion(message.versions) === undefined) {
      this.#dismiss(channel, { say: 'refuse', reason: 'it speaks no version that we speak' });
    } else if (this.#enter('asked')) {
      clearTimeout(this.#timer);
      void this.#offer(channel);
    }
  }

  async #offer(channel: Channel): Promise<void> {
    await this.#owner.prepare();
    if (channel !== this.#channel || this.#owner.refusal() !== undefined) {
      if (channel === this.#channel) this.#lose(channel);
      channel.close();
      return;
    }
    for (const { keys, descriptors, last } of this.#owner.batches()) {
      channel.send({ say: 'offer', keys, last } satisfies ToSuccessor, descriptors);
    }
    this.#enter('prepared');
    this.#expect(OFFERED_MS);
  }

  #succeed(): void {
    clearTimeout(this.#timer);
    this.#stopListening();
    this.#wake();
    this.#owner.succeeded();
  }

  /** The successor has `ms` for its next word. */
  #expect(ms: number): void {
    clearTimeout(this.#timer);
    const channel = this.#channel!;
    this.#timer = setTimeout(() => {
      channel.close();
      this.#lose(channel);
    }, ms);
  }

  #lose(channel: Channel): void {
    if (channel !== this.#channel) return;
    clearTimeout(this.#timer);
    this.#channel = undefined;
    this.#enter('lost');
    this.#wake();
  }

  /** Whether the event could come; one that could not is passed over. */
  #enter(event: PredecessorEvent): boolean {
    const next = nextPredecessorState(this.#state, event);
    if (next !== undefined) this.#state = next;
    return next !== undefined;
  }

  #wake(): void {
    for (const settled of this.#settled.splice(0)) settled();
  }
}
