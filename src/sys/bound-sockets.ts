/**
 * The UDP and TCP ports bound in our network namespace, and by whom: /proc/net and /proc/PID/fd.
 *
 * Owns:    the form of the kernel's tables.
 * Callers: take an empty result for a free port; where /proc cannot be read it is empty too.
 */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { ipToText } from '../net/ip.ts';

export interface BoundPort {
  readonly transport: 'udp' | 'tcp';
  /** In the form of RFC 5952; a wildcard is `0.0.0.0` or `::`. */
  readonly address: string;
  readonly port: number;
  /** The socket's inode, which all its descriptors share. */
  readonly inode: number;
}

/** A process that holds a socket. */
export interface Holder {
  readonly pid: number;
  /** As in /proc/PID/comm. */
  readonly command: string;
}

const TABLES = [
  { path: '/proc/net/udp', transport: 'udp' },
  { path: '/proc/net/udp6', transport: 'udp' },
  { path: '/proc/net/tcp', transport: 'tcp' },
  { path: '/proc/net/tcp6', transport: 'tcp' },
] as const;
/** In the column st: a UDP socket that is bound, a TCP socket that listens. */
const STATE = { udp: '07', tcp: '0A' } as const;

/** All that are bound to that port now. */
export function boundPorts(port: number): BoundPort[] {
  return TABLES.flatMap(({ path, transport }) => {
    let table: string;
    try {
      table = readFileSync(path, 'utf8');
    } catch {
      return []; // no Linux, or no IPv6
    }
    return readTable(table, transport).filter((bound) => bound.port === port);
  });
}

/** The lines of one of the kernel's tables. */
export function readTable(table: string, transport: 'udp' | 'tcp'): BoundPort[] {
  return table.split('\n').flatMap((line) => {
    const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/);
    const [, hex, port] = /^([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/.exec(local) ?? [];
    if (hex === undefined || state !== STATE[transport]) return [];
    return [
      {
        transport,
        address: addressOf(hex),
        port: Number.parseInt(port!, 16),
        inode: Number(inode),
      },
    ];
  });
}

/** The kernel prints each 32 bits as its own machine reads them: little-endian. */
function addressOf(hex: string): string {
  const octets = Buffer.from(hex, 'hex');
  octets.swap32();
  return ipToText(octets);
}

/** The inodes of all sockets that this process has open. */
export function ownInodes(): Set<number> {
  const links = listed('/proc/self/fd').map((fd) => linked(`/proc/self/fd/${fd}`));
  return new Set(
    links.flatMap((link) => {
      const inode = /^socket:\[(\d+)\]$/.exec(link ?? '')?.[1];
      return inode === undefined ? [] : [Number(inode)];
    }),
  );
}

/** A process that holds the socket, if there is one that we may look into. */
export function holderOf(inode: number): Holder | undefined {
  const link = `socket:[${inode}]`;
  for (const pid of listed('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const holds = listed(`/proc/${pid}/fd`).some((fd) => linked(`/proc/${pid}/fd/${fd}`) === link);
    if (!holds) continue;
    try {
      const command = readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
      return { pid: Number(pid), command };
    } catch {
      continue; // it has ended
    }
  }
  return undefined;
}

function listed(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function linked(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
