/**
 * An open listener as the daemon holds it, and the error when one could not be opened.
 *
 * Owns:    the words of that error, with the process that has the port.
 */
import { formatHostPort } from '../net/host-port.ts';
import { type Holder, boundPorts, holderOf } from '../sys/bound-sockets.ts';

export interface ListenAddress {
  /** An IP address; empty for every address of the machine. */
  readonly host: string;
  readonly port: number;
}

export interface Listener {
  readonly transport: 'udp' | 'tcp';
  /** As bound: the port is the real one where 0 was asked for. */
  readonly address: ListenAddress;
  /** How datagrams are read and written; `stream` for TCP. */
  readonly io: 'batch' | 'plain' | 'stream';
  /** UDP: what the kernel granted, 0 if that is not known. */
  readonly receiveBufferOctets: number;
  /** UDP: datagrams dropped since the start because that was full; 0 where they are not counted. */
  drops(): number;
  /** Stops reading and accepting; outstanding queries can still be answered. */
  stop(): void;
  /** Stops, and resolves when the socket is closed. */
  close(): Promise<void>;
}

/** An address that cannot be listened on; the operator can fix it. */
export class ListenError extends Error {
  readonly code: string;
  constructor(message: string, code: string) {
    super(message);
    this.name = 'ListenError';
    this.code = code;
  }
}

const CURES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'address already in use: another DNS server listens there (see: ss -lunpt)',
  EADDRNOTAVAIL: 'cannot assign requested address: no interface of this machine has it',
  EACCES: 'permission denied: ports below 1024 need root or CAP_NET_BIND_SERVICE',
};

/** In CoreDNS's words, and what to do. */
export function listenError(
  transport: 'udp' | 'tcp',
  address: ListenAddress,
  error: NodeJS.ErrnoException,
): ListenError {
  const code = error.code ?? 'UNKNOWN';
  const holder = code === 'EADDRINUSE' ? holderOfPort(transport, address) : undefined;
  const reason =
    holder === undefined
      ? (CURES[code] ?? error.message)
      : `address already in use: ${holder.command} (process ${holder.pid}) listens there`;
  return new ListenError(`listen ${transport} ${formatHostPort(address)}: bind: ${reason}`, code);
}

/** The process that has the port, preferably on this very address. */
function holderOfPort(transport: 'udp' | 'tcp', { host, port }: ListenAddress): Holder | undefined {
  const bound = boundPorts(port).filter((each) => each.transport === transport);
  const { inode } = bound.find(({ address }) => address === host) ?? bound[0] ?? {};
  return inode === undefined ? undefined : holderOf(inode);
}
