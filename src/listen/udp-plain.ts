/**
 * UDP by node:dgram: one datagram, one callback. For systems without the batched form
 * (udp-batch.ts), and as the yardstick to measure that by.
 *
 * Owns:    a socket for each address of a wildcard, since node:dgram does not say where a datagram came to.
 */
import { type RemoteInfo, type Socket, createSocket } from 'node:dgram';
import { isIPv4, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { copyOctets } from '../dns/octets.ts';
import { MESSAGE_OCTETS_MAX, OPT_OCTETS } from '../dns/limits.ts';
import {
  ANSWER_LATER,
  type Client,
  type Family,
  NO_ANSWER,
  type ReplyPath,
  type Responder,
  SendSlot,
  UDP,
} from '../query/responder.ts';
import type { SocketSource } from '../sys/socket-source.ts';
import { SystemCallError } from '../sys/system-call-error.ts';
import { type Listener, type ListenAddress, listenError } from './listener.ts';

/**
 * Holds 26,000 queries, of which the kernel counts 1,280 octets each, while the process is busy or a
 * worker is replaced: more than a second at 20,000 a second. The kernel's default holds 166. Memory is
 * taken as it is filled.
 */
const RECEIVE_BUFFER_OCTETS = 16 << 20;

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

/** A bound socket, and what is to be done when its address is given up. */
interface Bound {
  readonly socket: Socket;
  readonly giveUp: () => void;
}

/**
 * Listens on the address, by sockets of `sockets` or else of node:dgram's own making. Rejects with
 * ListenError if the address is unavailable.
 *
 * node:dgram does not say which address a datagram came to, so the answer from a wildcard socket
 * could leave from another one, and its client would not believe it. A wildcard is therefore a
 * socket for each address that the machine has now.
 */
export async function listenPlainUdp(
  address: ListenAddress,
  responder: Responder,
  sockets?: SocketSource,
): Promise<Listener> {
  const hosts = hostsOf(address.host);
  const bound: Bound[] = [];
  let { port } = address;
  try {
    for (const host of hosts) {
      const opened = await openSocket({ host, port }, responder, sockets);
      bound.push(opened);
      port = opened.socket.address().port; // 0 is a port of the kernel's choice: the same for all
    }
  } catch (error) {
    await Promise.all(bound.map(closeSocket));
    throw error;
  }
  return {
    transport: 'udp',
    address: { host: address.host === '' ? '::' : address.host, port },
    io: 'plain',
    receiveBufferOctets: bound[0]!.socket.getRecvBufferSize(),
    drops: () => 0,
    stop: () => {
      for (const { socket, giveUp } of bound) {
        socket.removeAllListeners('message');
        giveUp();
      }
    },
    close: async () => {
      await Promise.all(bound.map(closeSocket));
    },
  };
}

function hostsOf(host: string): string[] {
  if (host !== '' && host !== '::' && host !== '0.0.0.0') return [host];
  const addresses = Object.entries(networkInterfaces()).flatMap(([name, infos]) =>
    (infos ?? []).map((info) =>
      info.family === 'IPv6' && info.scopeid !== 0 ? `${info.address}%${name}` : info.address,
    ),
  );
  return host === '0.0.0.0' ? addresses.filter((address) => isIPv4(address)) : addresses;
}

async function openSocket(
  local: ListenAddress,
  responder: Responder,
  sockets: SocketSource | undefined,
): Promise<Bound> {
  const { socket, giveUp } = await bindSocket(local, sockets);
  const slot = new SendSlot(new Uint8Array(MESSAGE_OCTETS_MAX + 1 + OPT_OCTETS));
  socket.on('error', ignore); // an ICMP error about some client: Linux reports it on the socket
  try {
    socket.setRecvBufferSize(RECEIVE_BUFFER_OCTETS);
  } catch {
    // The system allows less; what it gave stays.
  }
  const bound: ListenAddress = { host: local.host, port: socket.address().port };
  socket.on('message', (message, remote) => {
    const client = new PlainClient(socket, bound, remote);
    responder.beginBatch();
    const octets = responder.respond(message, 0, message.length, client, slot);
    if (octets !== NO_ANSWER && octets !== ANSWER_LATER) client.send(slot.octets, octets);
    responder.endBatch();
  });
  return { socket, giveUp };
}

async function bindSocket(local: ListenAddress, sockets?: SocketSource): Promise<Bound> {
  const isV6 = isIPv6(local.host.replace(/%.*/, ''));
  const socket = createSocket({ type: isV6 ? 'udp6' : 'udp4', ipv6Only: isV6 });
  let giveUp = ignore;
  await new Promise<void>((resolve, reject) => {
    socket.once('error', (error: NodeJS.ErrnoException) => {
      reject(listenError('udp', local, error));
    });
    if (sockets === undefined) {
      socket.bind({ port: local.port, address: local.host, exclusive: true }, resolve);
      return;
    }
    try {
      const lent = sockets.datagram({
        ...local,
        receiveBufferOctets: RECEIVE_BUFFER_OCTETS,
      });
      giveUp = () => lent.giveUp();
      socket.bind({ fd: lent.socket.fd, exclusive: true }, resolve);
    } catch (error) {
      socket.close();
      reject(error instanceof SystemCallError ? listenError('udp', local, error) : error);
    }
  });
  socket.removeAllListeners('error');
  return { socket, giveUp };
}

function closeSocket({ socket, giveUp }: Bound): Promise<void> {
  giveUp();
  return new Promise((resolve) => {
    socket.close(resolve);
  });
}
