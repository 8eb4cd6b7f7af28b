/**
 * The incumbent's side of a handover: it listens for a newcomer, and gives it the sockets and the
 * cache.
 *
 * Owns:    that it speaks with one newcomer at a time, and that nothing changes for us until that says
 *          that it serves.
 */
import { Channel } from '../../sys/channel.ts';
import { type PollHandle, loadLibc } from '../../sys/libc.ts';
import { SystemCallError } from '../../sys/system-call-error.ts';
import { acceptUnix, closeDescriptor } from '../../sys/unix-socket.ts';
import type { Batch } from '../supervisor/held-descriptors.ts';
import { isOwnUser } from './directory.ts';
import {
  type IncumbentEvent,
  type IncumbentState,
  type ToIncumbent,
  type ToNewcomer,
  commonVersion,
  nextIncumbentState,
  readToIncumbent,
} from './protocol.ts';

/** From the connection to `hello`. */
const HELLO_MS = 1000;
/** Several newcomers may come at once, of which one is served. */
const DISMISSED_MAX = 16;
/** From the offer to `serving`: three starts of a worker that is late each time. */
const OFFERED_MS = 60_000;

export interface IncumbentOwner {
  /** Why nothing can ever be handed over; undefined if it can. */
  refusal(): string | undefined;
  /** Whether the worker serves: before that, there is nothing to hand over yet. */
  isServing(): boolean;
  /** Has the worker write its cache down. Resolves when it has, or is too late. Never rejects. */
  prepare(): Promise<void>;
  /** Everything to hand over. The descriptors stay the owner's. */
  batches(): readonly Batch[];
  /** The newcomer serves in our place: we must stop. */
  replaced(): void;
}

export class Incumbent {
  readonly #owner: IncumbentOwner;
  #state: IncumbentState = 'alone';
  #listener: { readonly fd: number; readonly poll: PollHandle } | undefined;
  #channel: Channel | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #dismissed = new Set<Channel>();
  /** Called when no newcomer is about to serve any longer. */
  #waiters: (() => void)[] = [];

  constructor(owner: IncumbentOwner) {
    this.#owner = owner;
  }

  /** Whether a newcomer is about to serve. */
  get isUnderWay(): boolean {
    return this.#state === 'preparing' || this.#state === 'offered';
  }

  /** Resolves once no newcomer is about to serve, to whether one serves in our place. */
  async settled(): Promise<boolean> {
    if (this.isUnderWay) {
      await new Promise<void>((resolve) => {
        this.#waiters.push(resolve);
      });
    }
    return this.#state === 'replaced';
  }

  /** Takes ownership of the listening socket, and waits for newcomers at it. */
  listen(fd: number): void {
    this.#stopListening();
    this.#listener = { fd, poll: loadLibc()!.pollReadable(fd, () => this.#accept(fd)) };
  }

  /** Closes all sockets. A newcomer that does not serve yet learns of our end by that. */
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
      if (error instanceof SystemCallError) return; // out of descriptors: the newcomer asks again
      throw error;
    }
    if (connection === undefined || !isOwnUser(connection)) return;
    const channel = new Channel(connection, {
      message: (value, descriptors, from) => {
        descriptors.forEach(closeDescriptor); // a newcomer has nothing to give
        this.#hear(from, readToIncumbent(value));
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

  /** Sends the message and lets the newcomer close: a reset could overtake what we have sent. */
  #dismiss(channel: Channel, message: ToNewcomer): void {
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

  #hear(channel: Channel, message: ToIncumbent | undefined): void {
    if (message === undefined || channel !== this.#channel) return;
    if (message.say === 'serving') {
      if (this.#enter('serves')) this.#stepAside();
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
      channel.send({ say: 'offer', keys, last } satisfies ToNewcomer, descriptors);
    }
    this.#enter('prepared');
    this.#expect(OFFERED_MS);
  }

  #stepAside(): void {
    clearTimeout(this.#timer);
    this.#stopListening();
    this.#wake();
    this.#owner.replaced();
  }

  /** Gives the newcomer `ms` for its next message. */
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

  /** Whether the event was expected; an unexpected one changes nothing. */
  #enter(event: IncumbentEvent): boolean {
    const next = nextIncumbentState(this.#state, event);
    if (next !== undefined) this.#state = next;
    return next !== undefined;
  }

  #wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }
}
