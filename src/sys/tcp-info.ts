/**
 * The kernel's facts about a TCP connection (tcp(7): TCP_INFO, TCP_USER_TIMEOUT): whether the other
 * side has acknowledged what we sent, which distinguishes a slow server from one that is gone.
 */
import type { Socket } from 'node:net';
import { loadLibc } from './libc.ts';
import { IPPROTO_TCP, TCP_INFO, TCP_USER_TIMEOUT } from './linux.ts';

/** struct tcp_info up to and with what is read: 32-bit numbers at octets 24 and 56. */
const INFO_OCTETS = 104;
const UNACKED_WORD = 24 / 4;
const LAST_ACK_RECEIVED_MS_WORD = 56 / 4;
/** An acknowledgement is delayed by at most so long (TCP_DELACK_MAX in Linux). */
const ACK_DELAY_MS = 200;

const info = new Int32Array(INFO_OCTETS / 4);

/**
 * Whether the other side takes what is sent: all of it is acknowledged, or something was a moment ago.
 * Undefined where the kernel cannot be asked. Octets still in Node's own queue do not count.
 */
export function isAcknowledged(socket: Socket): boolean | undefined {
  const fd = descriptorOf(socket);
  const libc = loadLibc();
  if (fd === undefined || libc === undefined) return undefined;
  if (libc.getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, Int32Array.of(INFO_OCTETS)) < 0) {
    return undefined;
  }
  return info[UNACKED_WORD] === 0 || info[LAST_ACK_RECEIVED_MS_WORD]! < ACK_DELAY_MS;
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
