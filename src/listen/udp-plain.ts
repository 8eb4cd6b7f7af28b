/**
 * UDP by node:dgram: one datagram, one callback. For systems without the batched form
 * (udp-batch.ts), and as the yardstick to measure that by.
 */
import { type RemoteInfo, type Socket, createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { copyOctets } from '../dns/octets.ts';
import { OPT_OCTETS } from '../dns/frame.ts';
import {
  ANSWER_LATER,
  type Client,
  type Family,
  NO_ANSWER,
  type ReplyPath,
  type Responder,
  UDP,
} from '../query/responder.ts';
import { type Listener, type ListenAddress, listenError } from './listener.ts';

const MESSAGE_OCTETS_MAX = 0xffff;
/** Holds 10,000 lookups while the process is busy; the kernel's default holds 128 (A and AAAA). */
const RECEIVE_BUFFER_OCTETS = 4 << 20;

class PlainClient implements Client, ReplyPath {
  readonly transport = UDP;
  readonly family: Family;
  readonly #socket: Socket;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;

  constructor(socket: Socket, local: ListenAddress, remote: RemoteInfo) {
    this.#socket = socket;
    this.family = remote.family === 'IPv6' ? 2 : 1;
    this.remoteAddress = remote.address;
    this.remotePort = remote.port;
    this.localAddress = local.host;
    this.localPort = local.port;
  }

  keep(): ReplyPath {
    return this;
  }

  send(message: Uint8Array, octets: number): void {
    try {
      // A copy, since the kernel may take it after this returns.
      this.#socket.send(
        copyOctets(message, 0, octets),
        this.remotePort,
        this.remoteAddress,
        ignore,
      );
    } catch {
      // The socket is closed: a reload has taken the address away.
    }
  }
}

/** A client that cannot be reached is not our error; it will ask again. */
function ignore(): void {}

/** Listens on the address. Rejects with ListenError if it cannot be had. */
export async function listenPlainUdp(
  address: ListenAddress,
  responder: Responder,
): Promise<Listener> {
  const wildcard = address.host === '';
  const host = wildcard ? '::' : address.host;
  const socket = createSocket({
    type: isIPv6(host) ? 'udp6' : 'udp4',
    ipv6Only: false,
    reuseAddr: false,
  });
  const out = new Uint8Array(MESSAGE_OCTETS_MAX + 1 + OPT_OCTETS);
  await new Promise<void>((resolve, reject) => {
    socket.once('error', (error: NodeJS.ErrnoException) => {
      reject(listenError('udp', address, error));
    });
    socket.bind({ port: address.port, address: host, exclusive: true }, resolve);
  });
  socket.removeAllListeners('error');
  socket.on('error', ignore); // an ICMP error about some client: Linux reports it on the socket
  try {
    socket.setRecvBufferSize(RECEIVE_BUFFER_OCTETS);
  } catch {
    // The system allows less; what it gave stays.
  }
  const local: ListenAddress = { host, port: socket.address().port };
  socket.on('message', (message, remote) => {
    const client = new PlainClient(socket, local, remote);
    responder.beginBatch();
    const octets = responder.respond(message, 0, message.length, client, out, 0, out.length);
    if (octets !== NO_ANSWER && octets !== ANSWER_LATER) client.send(out, octets);
    responder.endBatch();
  });
  return {
    transport: 'udp',
    address: local,
    io: 'plain',
    receiveBufferOctets: socket.getRecvBufferSize(),
    drops: () => 0,
    close: () =>
      new Promise<void>((resolve) => {
        socket.close(resolve);
      }),
  };
}
