/**
 * Sockets between processes of one machine that keep the boundaries of messages and carry descriptors
 * (unix(7): AF_UNIX, SOCK_SEQPACKET, SCM_RIGHTS).
 *
 * Owns:    the layout of struct msghdr and cmsghdr on 64-bit little-endian Linux; that no descriptor
 *          that came along is lost.
 * Is not:  a queue: what cannot be sent now is the caller's (channel.ts).
 * Callers: have seen that `loadLibc()` gives something.
 */
import { Buffer } from 'node:buffer';
import { type Libc, type NativeMemory, loadLibc } from './libc.ts';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  EAGAIN,
  EINTR,
  ENOTCONN,
  MSG_CMSG_CLOEXEC,
  MSG_CTRUNC,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  MSG_TRUNC,
  SCM_RIGHTS,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  SOCK_STREAM,
  SOL_SOCKET,
  SO_ACCEPTCONN,
  SO_DOMAIN,
  SO_PEERCRED,
  SO_TYPE,
} from './linux.ts';
import { SOCKADDR_OCTETS, addressText, portOf } from './sockaddr.ts';
import { SystemCallError } from './system-call-error.ts';

/** A path and its end in a struct sockaddr_un. */
const PATH_OCTETS_MAX = 107;

/** Of one message; a longer one has no place in a conversation of a few words. */
export const MESSAGE_OCTETS_MAX = 64 * 1024;
/** Of one message: all sockets of a daemon that serves 16 addresses over UDP and TCP, and some more. */
export const DESCRIPTORS_MAX = 64;

/** Connections that wait to be accepted: one newcomer, and another who came at the same time. */
const BACKLOG = 8;

//  struct msghdr, 56 octets     struct iovec      struct cmsghdr, 16 octets, and its data
//   0 name   8 name length       0 base            0 length   8 level   12 type   16 descriptors
//  16 iovec 24 iovecs            8 length
//  32 control 40 its length
//  48 flags
const IOVEC_AT = 56;
const CONTROL_AT = 72;
const CMSG_HEADER_OCTETS = 16;
/** 8-aligned; room for exactly the greatest number, so that more are seen as cut off. */
const CONTROL_OCTETS = CMSG_HEADER_OCTETS + 4 * DESCRIPTORS_MAX;
const DATA_AT = CONTROL_AT + CONTROL_OCTETS;

interface MessageMemory extends NativeMemory {
  /** A view of `octets`. */
  readonly words: DataView;
}

/** One message is sent or received at a time, so the memory is shared. */
let shared: MessageMemory | undefined;

function messageMemory(libc: Libc): MessageMemory {
  if (shared === undefined) {
    const { octets, address } = libc.allocate(DATA_AT + MESSAGE_OCTETS_MAX + 1);
    const words = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
    shared = { octets, address, words };
  }
  return shared;
}

/** Who is at the other end: as it was when the connection was made. */
export interface PeerCredentials {
  /** 0 if it is in another PID namespace. */
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export interface BoundSocket {
  readonly transport: 'udp' | 'tcp';
  /** As text, in the form of RFC 5952; that of a wildcard is `0.0.0.0` or `::`. */
  readonly address: string;
  readonly port: number;
}

/** Two sockets that are connected to each other. Throws SystemCallError. */
export function socketPair(): readonly [number, number] {
  const libc = loadLibc()!;
  const pair = new Int32Array(2);
  if (libc.socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0) {
    throw new SystemCallError('socketpair', libc.errno());
  }
  return [pair[0]!, pair[1]!];
}

/**
 * Listens at a path, which must not exist; its permissions are those of the umask. Returns the
 * descriptor. Throws SystemCallError, EADDRINUSE if the path is there.
 */
export function listenUnix(path: string): number {
  const libc = loadLibc()!;
  const address = pathAddress(path);
  const fd = open(libc);
  let failed = '';
  if (libc.bind(fd, address, address.length) < 0) failed = 'bind';
  else if (libc.listen(fd, BACKLOG) < 0) failed = 'listen';
  if (failed !== '') throw closing(libc, fd, failed);
  return fd;
}

/** The next connection, or undefined if none waits. Throws SystemCallError. */
export function acceptUnix(listener: number): number | undefined {
  const libc = loadLibc()!;
  for (;;) {
    const fd = libc.accept4(listener, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) return fd;
    const errno = libc.errno();
    if (errno === EAGAIN) return undefined;
    if (errno !== EINTR) throw new SystemCallError('accept', errno);
  }
}

/**
 * Connects at once to the listener at the path. Throws SystemCallError: ENOENT if there is no such
 * path, ECONNREFUSED if its listener has gone, EAGAIN if too many wait already.
 */
export function connectUnix(path: string): number {
  const libc = loadLibc()!;
  const address = pathAddress(path);
  const fd = open(libc);
  if (libc.connect(fd, address, address.length) < 0) throw closing(libc, fd, 'connect');
  return fd;
}

/** Throws SystemCallError. */
export function peerCredentials(fd: number): PeerCredentials {
  const libc = loadLibc()!;
  const ucred = new Int32Array(3);
  if (libc.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ucred, Int32Array.of(12)) < 0) {
    throw new SystemCallError('getsockopt SO_PEERCRED', libc.errno());
  }
  return { pid: ucred[0]!, uid: ucred[1]!, gid: ucred[2]! };
}

/**
 * The kind of internet socket that a descriptor from elsewhere is: `udp` bound to a port, or `tcp`
 * listening; undefined for all else.
 */
export function internetSocketOf(fd: number): BoundSocket | undefined {
  const type = socketOption(fd, SO_TYPE);
  if (type !== SOCK_STREAM && type !== SOCK_DGRAM) return undefined;
  const domain = socketOption(fd, SO_DOMAIN);
  if (domain !== AF_INET && domain !== AF_INET6) return undefined;
  if (type === SOCK_STREAM && socketOption(fd, SO_ACCEPTCONN) !== 1) return undefined;
  const name = new Uint8Array(SOCKADDR_OCTETS);
  if (loadLibc()!.getsockname(fd, name, Int32Array.of(SOCKADDR_OCTETS)) < 0) return undefined;
  return {
    transport: type === SOCK_STREAM ? 'tcp' : 'udp',
    address: addressText(name),
    port: portOf(name),
  };
}

/** Undefined if it is no socket. */
function socketOption(fd: number, name: number): number | undefined {
  const value = new Int32Array(1);
  const result = loadLibc()!.getsockopt(fd, SOL_SOCKET, name, value, Int32Array.of(4));
  return result < 0 ? undefined : value[0];
}

/** Another descriptor of the same file. Throws SystemCallError. */
export function duplicate(fd: number): number {
  const libc = loadLibc()!;
  const copy = libc.duplicate(fd, 3); // 0 to 2 have a meaning, even where they are closed
  if (copy < 0) throw new SystemCallError('fcntl F_DUPFD_CLOEXEC', libc.errno());
  return copy;
}

export function closeDescriptor(fd: number): void {
  loadLibc()!.close(fd);
}

/**
 * Sends one message, of 1 to MESSAGE_OCTETS_MAX octets, with up to DESCRIPTORS_MAX descriptors: the
 * other end gets its own of the same files. False if there is no room now. Throws SystemCallError:
 * EPIPE or ECONNRESET if the other end is closed.
 */
export function sendMessage(
  fd: number,
  octets: Uint8Array,
  descriptors: readonly number[] = [],
): boolean {
  if (octets.length === 0 || octets.length > MESSAGE_OCTETS_MAX) {
    throw new RangeError(`a message of ${octets.length} octets`);
  }
  if (descriptors.length > DESCRIPTORS_MAX) throw new RangeError(`${descriptors.length} files`);
  const libc = loadLibc()!;
  const memory = messageMemory(libc);
  const { words: header } = memory;
  const rights = CMSG_HEADER_OCTETS + 4 * descriptors.length;
  layOut(memory, octets.length, descriptors.length === 0 ? 0 : rights);
  header.setUint32(CONTROL_AT, rights, true);
  header.setUint32(CONTROL_AT + 8, SOL_SOCKET, true);
  header.setUint32(CONTROL_AT + 12, SCM_RIGHTS, true);
  descriptors.forEach((descriptor, i) => {
    header.setInt32(CONTROL_AT + CMSG_HEADER_OCTETS + 4 * i, descriptor, true);
  });
  memory.octets.set(octets, DATA_AT);
  for (;;) {
    if (libc.sendmsg(fd, memory.address, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
      return true;
    }
    const errno = libc.errno();
    if (errno === EAGAIN) return false;
    if (errno !== EINTR) throw new SystemCallError('sendmsg', errno);
  }
}

export interface ReceivedMessage {
  readonly octets: Uint8Array;
  /** The receiver's to close, or to use. */
  readonly descriptors: readonly number[];
  /** The message, or what came with it, was longer than allowed: the descriptors are closed. */
  readonly truncated: boolean;
}

/** The next message; undefined if none waits, `ended` if none will come. Throws SystemCallError. */
export function receiveMessage(fd: number): ReceivedMessage | 'ended' | undefined {
  const libc = loadLibc()!;
  const memory = messageMemory(libc);
  const { words: header } = memory;
  for (;;) {
    layOut(memory, MESSAGE_OCTETS_MAX + 1, CONTROL_OCTETS);
    const flags = MSG_DONTWAIT | MSG_CMSG_CLOEXEC;
    const received = libc.recvmsg(fd, memory.address, flags);
    if (received < 0) {
      const errno = libc.errno();
      if (errno === EAGAIN) return undefined;
      if (errno === EINTR) continue;
      if (errno === ENOTCONN) return 'ended';
      throw new SystemCallError('recvmsg', errno);
    }
    const descriptors = receivedDescriptors(header);
    // An empty message and the end look the same; we never send empty ones.
    if (received === 0 && descriptors.length === 0) return 'ended';
    const cut = header.getUint32(48, true) & (MSG_CTRUNC | MSG_TRUNC);
    const truncated = cut !== 0 || received > MESSAGE_OCTETS_MAX || received === 0;
    if (truncated) for (const descriptor of descriptors) libc.close(descriptor);
    return {
      octets: memory.octets.slice(DATA_AT, DATA_AT + received),
      descriptors: truncated ? [] : descriptors,
      truncated,
    };
  }
}

function receivedDescriptors(header: DataView): number[] {
  const controlOctets = header.getUint32(40, true);
  const descriptors: number[] = [];
  let at = CONTROL_AT;
  while (at + CMSG_HEADER_OCTETS <= CONTROL_AT + controlOctets) {
    const octets = header.getUint32(at, true);
    if (octets < CMSG_HEADER_OCTETS) break;
    const isRights =
      header.getUint32(at + 8, true) === SOL_SOCKET &&
      header.getUint32(at + 12, true) === SCM_RIGHTS;
    const end = isRights ? at + octets : at;
    for (let from = at + CMSG_HEADER_OCTETS; from + 4 <= end; from += 4) {
      descriptors.push(header.getInt32(from, true));
    }
    at += (octets + 7) & ~7;
  }
  return descriptors;
}

/** A msghdr with one iovec; without control data if that has no octets. */
function layOut(memory: MessageMemory, dataOctets: number, controlOctets: number): void {
  const { octets, address, words } = memory;
  octets.fill(0, 0, CONTROL_AT + CMSG_HEADER_OCTETS);
  setAddress(words, 16, address + IOVEC_AT, 1);
  if (controlOctets > 0) setAddress(words, 32, address + CONTROL_AT, controlOctets);
  setAddress(words, IOVEC_AT, address + DATA_AT, dataOctets);
}

/** A pointer, and the size_t behind it. */
function setAddress(header: DataView, at: number, address: number, size: number): void {
  header.setBigUint64(at, BigInt(address), true);
  header.setBigUint64(at + 8, BigInt(size), true);
}

function open(libc: Libc): number {
  const fd = libc.socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new SystemCallError('socket', libc.errno());
  return fd;
}

function closing(libc: Libc, fd: number, call: string): SystemCallError {
  const error = new SystemCallError(call, libc.errno());
  libc.close(fd);
  return error;
}

/** A struct sockaddr_un. Throws RangeError if the path is too long for one. */
function pathAddress(path: string): Uint8Array {
  const text = Buffer.from(path);
  if (text.length > PATH_OCTETS_MAX || text.length === 0) {
    throw new RangeError(`a socket's path has 1 to ${PATH_OCTETS_MAX} octets: ${path}`);
  }
  const address = new Uint8Array(2 + text.length + 1);
  address[0] = AF_UNIX;
  address.set(text, 2);
  return address;
}
