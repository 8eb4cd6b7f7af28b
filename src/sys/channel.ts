/**
 * A conversation with another process of this machine: JSON messages that may carry descriptors, over
 * a socket of unix-socket.ts.
 *
 * Owns:    its socket; the queue of messages that wait for room; closing descriptors that were not taken.
 * Is not:  a judge of what a message means: `message` gets an unknown value, and validates it.
 */
import { Buffer } from 'node:buffer';
import { type DuplexPollHandle, loadLibc } from './libc.ts';
import { SystemCallError } from './system-call-error.ts';
import {
  MESSAGE_OCTETS_MAX,
  closeDescriptor,
  duplicate,
  receiveMessage,
  sendMessage,
} from './unix-socket.ts';

/** Messages per wake-up; then the others of the event loop have their turn. */
const ROUNDS_MAX = 16;
/**
 * Messages that wait for room. The kernel holds some 200 KB for a peer that does not read; one that
 * falls further behind is stuck, and the conversation ends.
 */
const UNSENT_MAX = 256;

export interface ChannelEvents {
  /** The descriptors are the receiver's: to use, or to close. Must not throw. */
  message(message: unknown, descriptors: readonly number[], channel: Channel): void;
  /** Once, and nothing after it. `reason` is undefined if the other side closed in good order. */
  closed(reason: Error | undefined): void;
}

/** A message that arrived is malformed, or the other side does not read ours. */
class ChannelError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ChannelError';
  }
}

interface Unsent {
  readonly octets: Uint8Array;
  /** Our own copies, to be closed once they are sent. */
  readonly descriptors: readonly number[];
}

export class Channel {
  readonly #fd: number;
  readonly #events: ChannelEvents;
  readonly #poll: DuplexPollHandle;
  #unsent: Unsent[] = [];
  #closed = false;
  #closing = false;

  /** Takes the socket over: it is closed with the channel. */
  constructor(fd: number, events: ChannelEvents) {
    this.#fd = fd;
    this.#events = events;
    this.#poll = loadLibc()!.pollDuplex(fd, () => this.#ready());
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Messages that the other side has no room for yet. */
  get unsent(): number {
    return this.#unsent.length;
  }

  /** Whether the channel keeps the process alive; at first it does. */
  keepAlive(wanted: boolean): void {
    if (!this.#closed) this.#poll.keepAlive(wanted);
  }

  /**
   * Sends, now or when there is room; the other end gets its own descriptors of the same files, and
   * the caller keeps these, which it may close at once. Does nothing once the channel is closed.
   * Throws RangeError if the message is too long, or takes too many along.
   */
  send(message: unknown, descriptors: readonly number[] = []): void {
    if (this.#closed || this.#closing) return;
    const octets = Buffer.from(JSON.stringify(message));
    if (octets.length > MESSAGE_OCTETS_MAX) {
      throw new RangeError(`a message of ${octets.length} octets`);
    }
    try {
      if (this.#unsent.length === 0 && sendMessage(this.#fd, octets, descriptors)) return;
      if (this.#unsent.length >= UNSENT_MAX) {
        throw new ChannelError('the other side does not read');
      }
      const copies: number[] = [];
      this.#unsent.push({ octets, descriptors: copies });
      for (const descriptor of descriptors) copies.push(duplicate(descriptor));
      this.#poll.watchWritable(true);
    } catch (error) {
      if (error instanceof RangeError) throw error;
      this.#failLater(asError(error));
    }
  }

  /** Closes without a word to `events`; what is not sent yet is not sent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#poll.close();
    for (const { descriptors } of this.#unsent.splice(0)) descriptors.forEach(closeDescriptor);
    closeDescriptor(this.#fd);
  }

  #ready(): void {
    try {
      this.#flush();
      for (let round = 0; round < ROUNDS_MAX && !this.#closed; round++) {
        if (!this.#receive()) return;
      }
    } catch (error) {
      this.#fail(asError(error));
    }
  }

  /** Whether there may be more. */
  #receive(): boolean {
    const received = receiveMessage(this.#fd);
    if (received === undefined) return false;
    if (received === 'ended') {
      this.#fail(undefined);
      return false;
    }
    if (received.truncated) throw new ChannelError('a message is longer than allowed');
    let message: unknown;
    try {
      message = JSON.parse(Buffer.from(received.octets).toString());
    } catch {
      received.descriptors.forEach(closeDescriptor);
      throw new ChannelError('a message is no JSON');
    }
    this.#events.message(message, received.descriptors, this);
    return true;
  }

  #flush(): void {
    if (this.#unsent.length === 0) return;
    for (;;) {
      const next = this.#unsent[0];
      if (next === undefined) break;
      if (!sendMessage(this.#fd, next.octets, next.descriptors)) return;
      this.#unsent.shift();
      next.descriptors.forEach(closeDescriptor);
    }
    this.#poll.watchWritable(false);
  }

  /** Reported in a later turn, so a caller is never re-entered while sending. */
  #failLater(reason: Error): void {
    this.#closing = true;
    setImmediate(() => this.#fail(reason));
  }

  #fail(reason: Error | undefined): void {
    if (this.#closed) return;
    this.close();
    this.#events.closed(reason);
  }
}

function asError(error: unknown): Error {
  if (error instanceof SystemCallError || error instanceof ChannelError) return error;
  throw error; // a bug of ours
}
