/**
 * The system calls that Node does not offer, through koffi.
 *
 * Owns:    the import of koffi, an optional dependency; no other file imports it.
 * Callers: expect undefined from `loadLibc` outside of Linux on 64-bit little-endian machines, and
 *          take the portable way then (listen/udp-plain.ts).
 */
import { createRequire } from 'node:module';
import type Koffi from 'koffi';
import { F_DUPFD_CLOEXEC, MAP_SHARED, PROT_READ_WRITE } from './linux.ts';

/** Memory outside of V8's heap that does not move: a struct in it may point to another part of it. */
export interface NativeMemory {
  readonly octets: Uint8Array;
  /** Where it begins; below 2^53 on every Linux, so exact. */
  readonly address: number;
}

export interface PollHandle {
  close(): void;
}

/** Wakes for reading always, and for writing while that is asked for. */
export interface DuplexPollHandle extends PollHandle {
  watchWritable(wanted: boolean): void;
  /** Whether the handle keeps the process alive; at first it does. */
  keepAlive(wanted: boolean): void;
}

/** Calls return what C returns; below 0 is a failure, and `errno` says which. */
export interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array, octets: number): number;
  getsockname(fd: number, address: Uint8Array, octets: Int32Array): number;
  setsockopt(fd: number, level: number, name: number, value: Int32Array, octets: number): number;
  getsockopt(
    fd: number,
    level: number,
    name: number,
    value: Int32Array,
    octets: Int32Array,
  ): number;
  /** `vector` is the address of an array of struct mmsghdr. */
  recvmmsg(fd: number, vector: number, length: number, flags: number, timeout: number): number;
  sendmmsg(fd: number, vector: number, length: number, flags: number): number;
  listen(fd: number, backlog: number): number;
  connect(fd: number, address: Uint8Array, octets: number): number;
  accept4(fd: number, address: null, octets: null, flags: number): number;
  /** `pair` takes the two descriptors. */
  socketpair(domain: number, type: number, protocol: number, pair: Int32Array): number;
  /** `message` is the address of a struct msghdr. */
  sendmsg(fd: number, message: number, flags: number): number;
  recvmsg(fd: number, message: number, flags: number): number;
  /** The descriptor's lowest free number from `from` on, for another one of the same file. */
  duplicate(fd: number, from: number): number;
  flock(fd: number, operation: number): number;
  memfd_create(name: string, flags: number): number;
  ftruncate(fd: number, octets: number): number;
  /** Where the octets of `fd` are from now on, shared with all who map it; -1 if it fails. */
  mapShared(fd: number, octets: number): number;
  close(fd: number): number;
  waitpid(pid: number, status: null, options: number): number;
  errno(): number;
  allocate(octets: number): NativeMemory;
  view(address: number, octets: number): Uint8Array;
  /**
   * Calls back whenever `fd` is readable, level-triggered, on libuv's own poll (uv_poll). A descriptor
   * that cannot be polled, such as a file, ends the process: one that came from elsewhere is looked
   * at first (unix-socket.ts, `internetSocketOf`).
   */
  pollReadable(fd: number, readable: () => void): PollHandle;
  /** Calls back whenever `fd` is readable, has failed, or while that is asked for is writable. */
  pollDuplex(fd: number, ready: () => void): DuplexPollHandle;
}

let loaded: Libc | undefined | 'not tried' = 'not tried';

/** The calls, or undefined where they are unavailable. Loaded once. */
export function loadLibc(): Libc | undefined {
  if (loaded === 'not tried') loaded = isSupported() ? tryLoad() : undefined;
  return loaded;
}

function isSupported(): boolean {
  return process.platform === 'linux' && (process.arch === 'x64' || process.arch === 'arm64');
}

function tryLoad(): Libc | undefined {
  let koffi: typeof Koffi;
  try {
    koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  } catch {
    return undefined; // not installed, or not for this libc
  }
  const library = koffi.load(null);
  const fcntl: (fd: number, command: number, type: 'int', value: number) => number = library.func(
    'int fcntl(int, int, ...)',
  );
  const mmap: (...args: number[]) => number | bigint = library.func(
    'intptr_t mmap(uintptr_t, size_t, int, int, int, int64_t)',
  );
  return {
    socket: library.func('int socket(int, int, int)'),
    bind: library.func('int bind(int, const void *, uint32_t)'),
    getsockname: library.func('int getsockname(int, void *, void *)'),
    setsockopt: library.func('int setsockopt(int, int, int, const void *, uint32_t)'),
    getsockopt: library.func('int getsockopt(int, int, int, void *, void *)'),
    recvmmsg: library.func('int recvmmsg(int, uintptr_t, uint32_t, int, uintptr_t)'),
    sendmmsg: library.func('int sendmmsg(int, uintptr_t, uint32_t, int)'),
    listen: library.func('int listen(int, int)'),
    connect: library.func('int connect(int, const void *, uint32_t)'),
    accept4: library.func('int accept4(int, void *, void *, int)'),
    socketpair: library.func('int socketpair(int, int, int, void *)'),
    sendmsg: library.func('intptr_t sendmsg(int, uintptr_t, int)'),
    recvmsg: library.func('intptr_t recvmsg(int, uintptr_t, int)'),
    duplicate: (fd, from) => fcntl(fd, F_DUPFD_CLOEXEC, 'int', from),
    flock: library.func('int flock(int, int)'),
    memfd_create: library.func('int memfd_create(const char *, uint32_t)'),
    ftruncate: library.func('int ftruncate(int, int64_t)'),
    mapShared: (fd, octets) => Number(mmap(0, octets, PROT_READ_WRITE, MAP_SHARED, fd, 0)),
    close: library.func('int close(int)'),
    waitpid: library.func('int waitpid(int, void *, int)'),
    errno: () => koffi.errno(),
    allocate: (octets) => {
      const pointer: unknown = koffi.alloc('uint8_t', octets);
      return {
        octets: new Uint8Array(koffi.view(pointer, octets)),
        address: Number(koffi.address(pointer)),
      };
    },
    view: (address, octets) => new Uint8Array(koffi.view(BigInt(address), octets)),
    pollReadable: (fd, readable) => koffi.node.poll(fd, { readable: true }, guarded(readable)),
    pollDuplex: (fd, ready) => {
      const callback = guarded(ready);
      const handle = koffi.node.poll(fd, { readable: true }, callback);
      return {
        watchWritable: (writable) => handle.start({ readable: true, writable }, callback),
        keepAlive: (wanted) => (wanted ? handle.ref() : handle.unref()),
        close: () => handle.close(),
      };
    },
  };
}

/**
 * A callback as Node itself would call it. koffi's poll leaves two things out:
 *
 * - Node-API would keep an exception, and abort the process at some later garbage collection without a
 *   word. So it takes the way of any other uncaught exception.
 * - What the callback defers, by `process.nextTick` or a promise, would wait for Node's own next event,
 *   which may be long in coming: on Node 26 always, on Node 20 never. An immediate is such an event,
 *   in this very turn of the loop; one for all callbacks of a turn.
 */
function guarded(action: () => void): () => void {
  return () => {
    try {
      action();
    } catch (error) {
      setImmediate(() => {
        throw error;
      });
    }
    if (turnEnds) return;
    turnEnds = true;
    setImmediate(endTurn);
  };
}

let turnEnds = false;

function endTurn(): void {
  turnEnds = false;
}
