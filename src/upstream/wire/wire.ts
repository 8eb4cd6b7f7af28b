/** What carries queries to an upstream and answers back: a stream of frames, or HTTP/2. */
import type { Attempt } from '../attempt.ts';

export interface Wire {
  /** Sends the attempt's message, to be answered under that ID. Attempts of one turn leave together. */
  send(attempt: Attempt, id: number): void;
  /** Whether the other side's kernel takes what is sent; undefined if that is not known. */
  isAcknowledged(): boolean | undefined;
  /** Closes at once. `aborts` is for what is idle: no TIME_WAIT stays behind, here or in conntrack. */
  destroy(aborts: boolean): void;
}

/** What a wire tells its connection. `onClosed` is told once, and last. */
export interface WireEvents {
  /** Somebody has taken the connection, if only to close it or to fail the TLS handshake. */
  onAccepted(): void;
  onOpen(): void;
  /**
   * A message under that ID, in memory that is only lent. Its TTLs count from `ageSec` seconds ago
   * (RFC 8484 section 5.1).
   */
  onMessage(id: number, data: Uint8Array, at: number, end: number, ageSec: number): void;
  /** There is none for that ID, and there will be none. */
  onNoMessage(id: number, reason: string): void;
  /** What comes makes no sense. */
  onGarbled(): void;
  /** The other side takes nothing more. */
  onUnwanted(): void;
  /** All that had arrived is handed over. */
  onRead(): void;
  /** A TLS session to resume the next connection with (RFC 8446 section 2.2). */
  onSession(session: Buffer): void;
  onError(error: NodeJS.ErrnoException): void;
  onClosed(): void;
}
