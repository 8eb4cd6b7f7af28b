/**
 * Memory that outlives a process and is shared with others: a file without a name (memfd_create(2)),
 * passed on as a descriptor, and mapped by its writers.
 *
 * Callers: map only what they have made themselves, or were handed by the process that started them:
 *          a file that another shortens while it is mapped ends us (SIGBUS).
 */
import { type NativeMemory, loadLibc } from './libc.ts';
import { MFD_CLOEXEC } from './linux.ts';
import { SystemCallError } from './system-call-error.ts';

/**
 * A file in memory of so many octets, all 0, that take up room once they are written to. Returns its
 * descriptor. `name` is for those who look into /proc/PID/fd. Throws SystemCallError.
 */
export function createMemoryFile(name: string, octets: number): number {
  const libc = loadLibc()!;
  const fd = libc.memfd_create(name, MFD_CLOEXEC);
  if (fd < 0) throw new SystemCallError('memfd_create', libc.errno());
  if (libc.ftruncate(fd, octets) < 0) {
    const error = new SystemCallError('ftruncate', libc.errno());
    libc.close(fd);
    throw error;
  }
  return fd;
}

/**
 * The octets of such a file, from its beginning, as memory: for as long as the process lives, also
 * once the descriptor is closed. Throws SystemCallError.
 */
export function mapMemoryFile(fd: number, octets: number): Uint8Array {
  return mapNativeMemory(fd, octets).octets;
}

/** Like `mapMemoryFile`, with the address, for a system call to write to. */
export function mapNativeMemory(fd: number, octets: number): NativeMemory {
  const libc = loadLibc()!;
  const address = libc.mapShared(fd, octets);
  if (address === -1) throw new SystemCallError('mmap', libc.errno());
  return { octets: libc.view(address, octets), address };
}
