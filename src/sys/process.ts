/** Child processes that no code of ours waits for. */
import { loadLibc } from './libc.ts';
import { WNOHANG } from './linux.ts';

const ANY_CHILD = -1;

/**
 * Waits for children that have ended. The first process of a container gets those of its children that
 * have ended before them, and each would stay as a zombie.
 *
 * Callers: have no child of Node's own at that moment, whose end would be taken from under it.
 */
export function reapOrphans(): void {
  const libc = loadLibc()!;
  while (libc.waitpid(ANY_CHILD, null, WNOHANG) > 0);
}
