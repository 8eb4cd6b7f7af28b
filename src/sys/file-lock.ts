/**
 * Locks on files that end with whoever holds them (flock(2)): between daemons that share a directory.
 */
import { loadLibc } from './libc.ts';
import { SystemCallError } from './socket.ts';

const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;
const EWOULDBLOCK = 11;

/** Whether the lock on an open file or directory is ours now. Never waits. Throws SystemCallError. */
export function tryLock(fd: number): boolean {
  const libc = loadLibc()!;
  if (libc.flock(fd, LOCK_EX | LOCK_NB) === 0) return true;
  const errno = libc.errno();
  if (errno === EWOULDBLOCK) return false;
  throw new SystemCallError('flock', errno);
}

export function unlock(fd: number): void {
  loadLibc()!.flock(fd, LOCK_UN);
}
