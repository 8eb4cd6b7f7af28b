/**
 * Locks on files that end with their holder (flock(2)): between daemons that share a directory.
 */
import { loadLibc } from './libc.ts';
import { EAGAIN, LOCK_EX, LOCK_NB, LOCK_UN } from './linux.ts';
import { SystemCallError } from './system-call-error.ts';

/** Whether the lock on an open file or directory is ours now. Never waits. Throws SystemCallError. */
export function tryLock(fd: number): boolean {
  const libc = loadLibc()!;
  if (libc.flock(fd, LOCK_EX | LOCK_NB) === 0) return true;
  const errno = libc.errno();
  if (errno === EAGAIN) return false;
  throw new SystemCallError('flock', errno);
}

export function unlock(fd: number): void {
  loadLibc()!.flock(fd, LOCK_UN);
}
