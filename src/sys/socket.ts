/**
 * Sockets made by ourselves on Linux: with the options that node:dgram and node:net cannot set before
 * they bind, and for datagrams a receive buffer as large as we are allowed.
 *
 * Owns:    the options of our sockets, and the order of the calls that make them.
 */
import { isIPv6 } from 'node:net';
import { type Libc, loadLibc } from './libc.ts';
import {
  AF_INET,
  AF_INET6,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_RECVPKTINFO,
  IPV6_V6ONLY,
  IP_FREEBIND,
  IP_PKTINFO,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
} from './linux.ts';
import { SOCKADDR_OCTETS, socketAddress } from './sockaddr.ts';
import { SystemCallError } from './system-call-error.ts';

export interface BindAddress {
  /** An IP address; `::` is every address of both families. An IPv6 one may carry `%interface`. */
  readonly host: string;
  readonly port: number;
}

export interface BindOptions extends BindAddress {
  /** Others may bind the same address, if they too say so. */
  readonly sharePort: boolean;
}

export interface DatagramSocketOptions extends BindOptions {
  readonly receiveBufferOctets: number;
}

/** A TCP socket that listens, and from which no connection is accepted yet. */
export interface StreamSocket {
  readonly fd: number;
  readonly port: number;
}

export interface DatagramSocket {
  readonly fd: number;
  readonly port: number;
  readonly family: 4 | 6;
  /** Bound to a wildcard: each datagram carries the address it came to, and its answer leaves from there. */
  readonly wildcard: boolean;
  /** As the kernel granted it, its own overhead included. */
  readonly receiveBufferOctets: number;
}

/** Opens and binds; `libc` must be loaded. Throws SystemCallError, and leaves nothing open. */
export function openDatagramSocket(options: DatagramSocketOptions): DatagramSocket {
  const family = familyOfHost(options.host);
  const wildcard = isWildcard(options.host);
  return openBound(SOCK_DGRAM, options, (libc, fd) => {
    // The address may be configured after us (the interface is re-made, the network is late).
    setOption(libc, fd, IPPROTO_IP, IP_FREEBIND, 1);
    if (family === 6 && wildcard) setOption(libc, fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    else if (wildcard) setOption(libc, fd, IPPROTO_IP, IP_PKTINFO, 1);
    bindTo(libc, fd, options);
    const receiveBufferOctets = growBuffers(libc, fd, options.receiveBufferOctets);
    return { fd, port: boundPort(libc, fd), family, wildcard, receiveBufferOctets };
  });
}

/**
 * Opens, binds and listens for TCP; `libc` must be loaded. Throws SystemCallError, and leaves nothing
 * open. The kernel limits `backlog`, the connections that wait to be accepted, to net.core.somaxconn.
 */
export function openStreamSocket(options: BindOptions, backlog: number): StreamSocket {
  return openBound(SOCK_STREAM, options, (libc, fd) => {
    // As node:net does: lingering connections of an earlier process do not keep us from listening.
    setOption(libc, fd, SOL_SOCKET, SO_REUSEADDR, 1);
    bindTo(libc, fd, options);
    if (libc.listen(fd, backlog) < 0) throw new SystemCallError('listen', libc.errno());
    return { fd, port: boundPort(libc, fd) };
  });
}

/**
 * Describes a socket that `openDatagramSocket` opened elsewhere for `host`, as the kernel knows it.
 * Throws SystemCallError, and leaves it open.
 */
export function knownDatagramSocket(fd: number, host: string): DatagramSocket {
  const libc = loadLibc()!;
  return {
    fd,
    port: boundPort(libc, fd),
    family: familyOfHost(host),
    wildcard: isWildcard(host),
    receiveBufferOctets: receiveBuffer(libc, fd),
  };
}

/** Like `knownDatagramSocket`, for a socket from `openStreamSocket`. */
export function knownStreamSocket(fd: number): StreamSocket {
  return { fd, port: boundPort(loadLibc()!, fd) };
}

/** A socket with the options that both kinds have, which `finish` binds. It is closed if that throws. */
function openBound<T>(
  type: number,
  { host, sharePort }: BindOptions,
  finish: (libc: Libc, fd: number) => T,
): T {
  const libc = loadLibc()!;
  const family = familyOfHost(host);
  const domain = family === 6 ? AF_INET6 : AF_INET;
  const fd = libc.socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new SystemCallError('socket', libc.errno());
  try {
    setOption(libc, fd, SOL_SOCKET, SO_REUSEPORT, sharePort ? 1 : 0);
    if (family === 6) setOption(libc, fd, IPPROTO_IPV6, IPV6_V6ONLY, isWildcard(host) ? 0 : 1);
    return finish(libc, fd);
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

function familyOfHost(host: string): 4 | 6 {
  return isIPv6(host.replace(/%.*/, '')) ? 6 : 4;
}

function isWildcard(host: string): boolean {
  return host === '::' || host === '0.0.0.0';
}

function bindTo(libc: Libc, fd: number, { host, port }: BindOptions): void {
  const address = socketAddress(host, port, familyOfHost(host));
  if (libc.bind(fd, address, address.length) < 0) throw new SystemCallError('bind', libc.errno());
}

/**
 * SO_RCVBUFFORCE goes beyond net.core.rmem_max and needs CAP_NET_ADMIN, which a node-local cache has;
 * else as far as rmem_max. At the kernel's default a socket holds 128 lookups of A and AAAA, and each
 * one lost is a stall of 5 s.
 */
function growBuffers(libc: Libc, fd: number, octets: number): number {
  const value = Int32Array.of(octets);
  if (libc.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, value, 4) < 0) {
    libc.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, value, 4);
  }
  if (libc.setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, value, 4) < 0) {
    libc.setsockopt(fd, SOL_SOCKET, SO_SNDBUF, value, 4);
  }
  return receiveBuffer(libc, fd);
}

function receiveBuffer(libc: Libc, fd: number): number {
  const granted = new Int32Array(1);
  return libc.getsockopt(fd, SOL_SOCKET, SO_RCVBUF, granted, Int32Array.of(4)) < 0
    ? 0
    : granted[0]!;
}

function setOption(libc: Libc, fd: number, level: number, name: number, value: number): void {
  if (libc.setsockopt(fd, level, name, Int32Array.of(value), 4) < 0) {
    throw new SystemCallError(`setsockopt ${level} ${name}`, libc.errno());
  }
}

function boundPort(libc: Libc, fd: number): number {
  const address = new Uint8Array(SOCKADDR_OCTETS);
  if (libc.getsockname(fd, address, Int32Array.of(SOCKADDR_OCTETS)) < 0) {
    throw new SystemCallError('getsockname', libc.errno());
  }
  return (address[2]! << 8) | address[3]!;
}
