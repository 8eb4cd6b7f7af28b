/**
 * The directory of `-handover`, where a newcomer finds the incumbent.
 *
 * Owns:    the one socket in it, and a lock on the directory while a daemon looks for the socket or
 *          replaces it: of two daemons that start at the same instant, one finds the other.
 *
 * A process that can write to the directory can obtain the sockets and impersonate the daemon. So only
 * our own user may write to it, and each peer must run as our own user too.
 */
import { closeSync, constants, fstatSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { reasonOf } from '../../observe/reason.ts';
import { tryLock, unlock } from '../../sys/file-lock.ts';
import { SystemCallError } from '../../sys/system-call-error.ts';
import {
  closeDescriptor,
  connectUnix,
  listenUnix,
  peerCredentials,
} from '../../sys/unix-socket.ts';

const SOCKET_NAME = 'handover.sock';
/** The lock is held only for as long as a few system calls take. */
const LOCK_STEP_MS = 10;
const LOCK_TRIES_MAX = 100;

/** The directory cannot be used, which the operator must correct. */
export class HandoverDirectoryError extends Error {
  constructor(path: string, reason: string) {
    super(`-handover ${path}: ${reason}`);
    this.name = 'HandoverDirectoryError';
  }
}

export class HandoverDirectory {
  readonly #path: string;
  readonly #fd: number;

  /** Creates the directory if its parent exists. Throws HandoverDirectoryError. */
  constructor(path: string) {
    this.#path = path;
    this.#fd = openDirectory(path);
  }

  /**
   * Connects to the daemon that listens here, or listens itself if there is none. Rejects with
   * HandoverDirectoryError.
   */
  find(): Promise<{ readonly connection: number } | { readonly listener: number }> {
    return this.#locked(() => {
      const path = join(this.#path, SOCKET_NAME);
      try {
        return { connection: connectUnix(path) };
      } catch (error) {
        const code = error instanceof SystemCallError ? error.code : '';
        // The daemon has ended, or is stuck and accepts nothing.
        if (code !== 'ENOENT' && code !== 'ECONNREFUSED' && code !== 'EAGAIN') throw error;
        return { listener: this.#listen() };
      }
    });
  }

  /** Listens in place of the daemon that has listened here. Rejects with HandoverDirectoryError. */
  replace(): Promise<number> {
    return this.#locked(() => this.#listen());
  }

  #listen(): number {
    const path = join(this.#path, SOCKET_NAME);
    rmSync(path, { force: true });
    return listenUnix(path);
  }

  async #locked<T>(action: () => T): Promise<T> {
    for (let i = 0; !tryLock(this.#fd); i++) {
      if (i === LOCK_TRIES_MAX) throw new HandoverDirectoryError(this.#path, 'it stays locked');
      await new Promise((resolve) => setTimeout(resolve, LOCK_STEP_MS));
    }
    try {
      return action();
    } catch (error) {
      const reason = reasonOf(error);
      throw new HandoverDirectoryError(this.#path, reason);
    } finally {
      unlock(this.#fd);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** The descriptor of the directory, checked: only our own user may write to it. */
function openDirectory(path: string): number {
  let fd: number;
  try {
    fd = openOrMake(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOTDIR' ? 'it is no directory' : message;
    throw new HandoverDirectoryError(path, reason);
  }
  const { uid, mode } = fstatSync(fd);
  const own = process.getuid!();
  let reason: string | undefined;
  if (uid !== own) reason = `it belongs to user ${uid}, and we are user ${own}`;
  else if ((mode & 0o022) !== 0) {
    reason = `others may write to it (mode ${(mode & 0o7777).toString(8)}): chmod 700`;
  }
  if (reason === undefined) return fd;
  closeSync(fd);
  throw new HandoverDirectoryError(path, reason);
}

function openOrMake(path: string): number {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY;
  try {
    return openSync(path, flags);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    mkdirSync(path, { mode: 0o700 });
    return openSync(path, flags);
  }
}

/** Whether the peer runs as our own user; if not, the connection is closed. */
export function isOwnUser(connection: number): boolean {
  const { uid } = peerCredentials(connection);
  if (uid === process.getuid!()) return true;
  closeDescriptor(connection);
  return false;
}
