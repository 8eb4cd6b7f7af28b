/**
 * Where listening sockets come from: opened here, or lent by whoever keeps them while we come and go
 * (daemon/supervised.ts).
 *
 * Is not:  a keeper of descriptors: each that is handed out is the caller's to close.
 */
import { loadLibc } from './libc.ts';
import {
  type BindOptions,
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
   * The address is not wanted any more: nobody else keeps the socket open after that. The caller's
   * own descriptor stays, to be closed when the last answer has left.
   */
  giveUp(): void;
}

export interface SocketSource {
  /** Bound. Throws SystemCallError if the address cannot be had. */
  datagram(options: DatagramSocketOptions): Lent<DatagramSocket>;
  /** Listening. Throws SystemCallError likewise. */
  stream(options: BindOptions, backlog: number): Lent<StreamSocket>;
}

const OWN: SocketSource = {
  datagram: (options) => ({ socket: openDatagramSocket(options), giveUp: () => undefined }),
  stream: (options, backlog) => ({
    socket: openStreamSocket(options, backlog),
    giveUp: () => undefined,
  }),
};

/** Sockets that are opened here and end with this process; undefined where Node must open them. */
export function ownSockets(): SocketSource | undefined {
  return loadLibc() === undefined ? undefined : OWN;
}
