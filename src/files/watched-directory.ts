/**
 * Directories that kubelet mounts ConfigMaps into: reading one, and following it.
 *
 * kubelet never changes a file in place. `..data` is a symbolic link to a directory of the present
 * version, each key a symbolic link through it, and an update is one rename of `..data`. So a
 * directory is read twice and taken only when both readings agree.
 *
 * Owns:    that a version is whole: no file of it is from another one.
 * Is not:  a judge of the content (node-cache/kube-dns-config.ts).
 * Callers: keep what they had when a reading throws; watchDirectory does not report it again.
 */
import { createHash } from 'node:crypto';
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { reasonOf } from '../observe/reason.ts';
import { Poll } from './poll.ts';

const DIRECTORY_CODES = {
  CONFIGMAP_UNREADABLE: 'The directory or one of its files cannot be read, or is too large.',
  CONFIGMAP_NOT_UTF8: 'A file is not UTF-8 text.',
} as const;

export type DirectoryCode = keyof typeof DIRECTORY_CODES;

/** An unreadable directory, for the operator to mend. */
export class DirectoryError extends Error {
  readonly code: DirectoryCode;

  /** `at` is the directory, or the name or path of the file at fault. */
  constructor(code: DirectoryCode, at: string, what: string, cause?: unknown) {
    super(`${at}: ${what}`, cause === undefined ? undefined : { cause });
    this.name = 'DirectoryError';
    this.code = code;
  }
}

/** One version of a directory: its files by name, and a hash to compare versions by. */
export interface DirectoryVersion {
  readonly files: ReadonlyMap<string, string>;
  /** Of names and contents; empty if there are no files. */
  readonly hash: string;
}

/** The API server holds a ConfigMap to 1 MiB; twice that is no ConfigMap. */
const DIRECTORY_OCTETS_MAX = 2 << 20;

/** A swap in the middle of a reading is over by the next; more of them are no ConfigMap. */
const READINGS_MAX = 5;

/**
 * The files of `directory`, without hidden ones and subdirectories, symbolic links followed. A
 * directory that does not exist is an empty one: the ConfigMap is optional. Throws DirectoryError.
 */
export async function readConfigDirectory(directory: string): Promise<DirectoryVersion> {
  let before = await readOnce(directory);
  for (let reading = 1; reading < READINGS_MAX; reading++) {
    const after = await readOnce(directory);
    if (before !== undefined && before.hash === after?.hash) return before;
    before = after;
  }
  throw unreadable(directory, 'it changes while it is read');
}

/** Undefined if a file vanished, as it does in a swap. */
async function readOnce(directory: string): Promise<DirectoryVersion | undefined> {
  const files = new Map<string, string>();
  const hash = createHash('sha256');
  let octets = 0;
  for (const name of await namesOf(directory)) {
    if (name.startsWith('.')) continue;
    const file = join(directory, name);
    let content: Buffer;
    try {
      const status = await stat(file);
      if (status.isDirectory()) continue;
      octets += status.size;
      if (octets > DIRECTORY_OCTETS_MAX) break;
      content = await readFile(file);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw unreadable(file, reasonOf(error), error);
    }
    const text = content.toString('utf8');
    if (!Buffer.from(text).equals(content)) {
      throw new DirectoryError('CONFIGMAP_NOT_UTF8', name, 'the file is not UTF-8 text');
    }
    files.set(name, text);
    hash.update(`${name}\0`).update(content).update('\0');
  }
  if (octets > DIRECTORY_OCTETS_MAX) {
    throw unreadable(directory, `it holds more than ${DIRECTORY_OCTETS_MAX} octets`);
  }
  return { files, hash: files.size === 0 ? '' : hash.digest('hex') };
}

async function namesOf(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw unreadable(directory, reasonOf(error), error);
  }
}

function unreadable(at: string, what: string, cause?: unknown): DirectoryError {
  return new DirectoryError('CONFIGMAP_UNREADABLE', at, what, cause);
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

export interface DirectoryWatch {
  /** Reads now; resolves when the watcher has been called. For tests, and for a reload by signal. */
  look(): Promise<void>;
  close(): void;
}

export interface DirectoryWatcher {
  /** Called with the first version, and with each that differs from the one before. */
  changed(version: DirectoryVersion): void;
  /** Called once when a reading fails, and again only when the reason changes. */
  failed(error: DirectoryError): void;
}

/** One reading of a ConfigMap's few files takes well under a millisecond. */
const POLL_INTERVAL_MS = 1000;

/**
 * Polls `directory`, which need not exist yet. A change is reported once, at most `intervalMs` and one
 * reading later. The timer does not keep the process alive.
 */
export function watchDirectory(
  directory: string,
  watcher: DirectoryWatcher,
  intervalMs: number = POLL_INTERVAL_MS,
): DirectoryWatch {
  let known: string | undefined;
  let complaint: string | undefined;
  const poll = new Poll(async () => {
    let version: DirectoryVersion;
    try {
      version = await readConfigDirectory(directory);
    } catch (error) {
      const failure =
        error instanceof DirectoryError ? error : unreadable(directory, reasonOf(error), error);
      if (poll.isStopped || failure.message === complaint) return;
      complaint = failure.message;
      watcher.failed(failure);
      return;
    }
    complaint = undefined;
    if (poll.isStopped || version.hash === known) return;
    known = version.hash;
    watcher.changed(version);
  });
  poll.start(intervalMs);
  void poll.look();
  return { look: () => poll.look(), close: () => poll.stop() };
}
