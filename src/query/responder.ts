/**
 * Between listeners and the server: a listener hands over octets and a client, the server hands back
 * octets, at once or later.
 *
 * So a listener knows nothing of blocks and directives, and can be tested alone; and the server
 * knows nothing of sockets.
 *
 * Owns:    the interface between the two, and its codes for "no answer" and "later".
 */
export type Transport = typeof UDP | typeof TCP;
export const UDP = 0;
export const TCP = 1;

/** 1 or 2, as CoreDNS's `family` label counts them. */
export type Family = 1 | 2;

/** The sender of a message. A listener may reuse one object: it is valid during the call only. */
export interface Client {
  readonly transport: Transport;
  readonly family: Family;
  /** A path that outlives the call, for an answer that comes later. */
  keep(): ReplyPath;
}

/** The way of an answer that comes later. Addresses are text, IPv6 without brackets. */
export interface ReplyPath {
  readonly transport: Transport;
  readonly family: Family;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** The address that the query came to; `::` or `0.0.0.0` where only the wildcard is known. */
  readonly localAddress: string;
  readonly localPort: number;
  /**
   * Sends `octets` octets of `message` and may keep no reference to it after it returns. An answer to
   * a client that has gone is dropped. Never throws.
   */
  send(message: Uint8Array, octets: number): void;
}

/** No answer, now or ever: the message deserved silence. */
export const NO_ANSWER = 0;
/** The answer will come through {@link ReplyPath.send}. */
export const ANSWER_LATER = -1;

/**
 * The room for an answer that is ready now. A listener owns one for each of its send buffers, and
 * moves it to the room for the next answer.
 */
export class SendSlot {
  readonly octets: Uint8Array;
  /** Where the answer begins. */
  at: number;
  /** The offset just past the room for it. */
  end: number;

  /** All of `octets`, until it is moved. */
  constructor(octets: Uint8Array) {
    this.octets = octets;
    this.at = 0;
    this.end = octets.length;
  }
}

/** The server, as a listener calls it for each message. */
export interface Responder {
  /**
   * Answers the message in `msg` from `at` to `end`. An answer that is ready now and fits is written
   * to `slot`, and its length returned; otherwise NO_ANSWER or ANSWER_LATER. Never throws. The message
   * may be overwritten once this returns.
   */
  respond(msg: Uint8Array, at: number, end: number, client: Client, slot: SendSlot): number;

  /** Called before the messages of one wake-up, and after them: where time is read and counted. */
  beginBatch(): void;
  endBatch(): void;
}
