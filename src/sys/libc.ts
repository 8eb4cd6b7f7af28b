/**
 * The system calls that Node has no word for, through koffi: the only file that imports it.
 *
 * koffi is an optional dependency, and what stands here is Linux on 64-bit little-endian machines;
 * elsewhere `loadLibc` gives undefined, and the portable ways are taken (listen/udp-plain.ts).
 */
import { createRequire } from 'node:module';
import type Koffi from 'koffi';

/** Memory outside of V8's heap that does not move: a struct in it may point to another part of it. */
export interface NativeMemory {
  readonly octets: Uint8Array;
  /** Where it begins; below 2^53 on every Linux, so exact. */
  readonly address: number;
}

export interface PollHandle {
  close(): void;
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
  close(fd: number): number;
  errno(): number;
  allocate(octets: number): NativeMemory;
  /** Calls back whenever `fd` is readable, level-triggered, on libuv's own poll (uv_poll). */
  pollReadable(fd: number, readable: () => void): PollHandle;
}

export const EAGAIN = 11;
export const EINTR = 4;
export const ENOBUFS = 105;

let loaded: Libc | undefined | 'not tried' = 'not tried';

/** The calls, or undefined where they are not to be had. Loaded once. */
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
  return {
    socket: library.func('int socket(int, int, int)'),
    bind: library.func('int bind(int, const void *, uint32_t)'),
    getsockname: library.func('int getsockname(int, void *, void *)'),
    setsockopt: library.func('int setsockopt(int, int, int, const void *, uint32_t)'),
    getsockopt: library.func('int getsockopt(int, int, int, void *, void *)'),
    recvmmsg: library.func('int recvmmsg(int, uintptr_t, uint32_t, int, uintptr_t)'),
    sendmmsg: library.func('int sendmmsg(int, uintptr_t, uint32_t, int)'),
    close: library.func('int close(int)'),
    errno: () => koffi.errno(),
    allocate: (octets) => {
      const pointer: unknown = koffi.alloc('uint8_t', octets);
      return {
        octets: new Uint8Array(koffi.view(pointer, octets)),
        address: Number(koffi.address(pointer)),
      };
    },
    pollReadable: (fd, readable) =>
      koffi.node.poll(fd, { readable: true }, () => {
        try {
          readable();
        } catch (error) {
          // Node-API would keep it, and abort the process at some later garbage collection without
          // a word. So it takes the way of any other exception that nobody catches.
          setImmediate(() => {
            throw error;
          });
        }
      }),
  };
}
