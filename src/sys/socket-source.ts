/**
 * Where listening sockets come from: opened here, or lent by the supervisor, which keeps them while
 * workers come and go (daemon/ipc/supervisor-link.ts).
 *
 * Is not:  a keeper of descriptors: each that is handed out is the caller's to close.
 */
import { loadLibc } from './libc.ts';
import {
  type BindAddress,
  type DatagramSocket,
  type DatagramSocketOptions,
  type StreamSocket,
  openDatagramSocket,
  openStreamSocket,
} from './socket.ts';

/** A socket of the caller's own. */
export interface Lent<Socket> {
  readonly socket: Socket;
  /**
   * Gives the address up: after this no other process keeps the socket open. The caller's own
   * descriptor stays, to be closed when the last answer has been sent.
   */
  giveUp(): void;
}

/** The source decides whether ports are shared (`sharePort`). */
export type DatagramWish = Omit<DatagramSocketOptions, 'sharePort'>;

export interface SocketSource {
  /** Bound. Throws SystemCallError if the address is unavailable. */
  datagram(wish: DatagramWish): Lent<DatagramSocket>;
  /** Listening. Throws SystemCallError if the address is unavailable. */
  stream(address: BindAddress, backlog: number): Lent<StreamSocket>;
}

/** Sockets that are opened here and end with this process; undefined where Node must open them. */
export function ownSockets(sharePort: boolean): SocketSource | undefined {
  if (loadLibc() === undefined) return undefined;
  const giveUp = (): void => undefined;
  return {
    datagram: (wish) => ({ socket: openDatagramSocket({ ...wish, sharePort }), giveUp }),
    stream: (address, backlog) => ({
      socket: openStreamSocket({ ...address, sharePort }, backlog),
      giveUp,
    }),
  };
}
