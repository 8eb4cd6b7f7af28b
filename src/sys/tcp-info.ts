/**
 * What the kernel knows of a TCP connection (tcp(7): TCP_INFO, TCP_USER_TIMEOUT): whether the other
 * side has acknowledged what we sent. That tells a slow server from one that is gone.
 */
import type { Socket } from 'node:net';
import { loadLibc } from './libc.ts';

const IPPROTO_TCP = 6;
const TCP_INFO = 11;
const TCP_USER_TIMEOUT = 18;
/** struct tcp_info up to and with tcpi_unacked, a 32-bit number at octet 24. */
const INFO_OCTETS = 104;
const UNACKED_WORD = 24 / 4;

const info = new Int32Array(INFO_OCTETS / 4);

/**
 * Whether all that was sent has been acknowledged; undefined where the kernel cannot be asked. What
 * is still in Node's own queue does not count.
 */
export function isAcknowledged(socket: Socket): boolean | undefined {
  const fd = descriptorOf(socket);
  const libc = loadLibc();
  if (fd === undefined || libc === undefined) return undefined;
  if (libc.getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, Int32Array.of(INFO_OCTETS)) < 0) {
    return undefined;
  }
  return info[UNACKED_WORD] === 0;
}

/** Makes the kernel give the connection up when something stays unacknowledged for so long. */
export function setUserTimeout(socket: Socket, ms: number): void {
  const fd = descriptorOf(socket);
  if (fd !== undefined) {
    loadLibc()?.setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, Int32Array.of(ms), 4);
  }
}

/** Node shows a socket's descriptor nowhere but here. */
function descriptorOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as Socket & { readonly _handle?: { readonly fd?: number } };
  const fd = handle?.fd;
  return fd === undefined || fd < 0 ? undefined : fd;
}
