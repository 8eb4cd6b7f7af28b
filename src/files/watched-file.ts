/**
 * A file that is read at start, and again whenever its time, size or inode has changed.
 *
 * Owns:    reading without blocking the event loop, and the limit of what is read.
 * Is not:  a judge of the content. A file that is missing, or cannot be read, keeps what was read
 *          last: an editor that replaces a file removes it for a moment.
 */
import { type Stats, readFileSync, statSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { stampOf } from './file-stamp.ts';
import { Poll } from './poll.ts';

/** 16 MiB are some 500,000 hosts: the longest block lists. Reading one takes a second's tenth. */
const FILE_OCTETS_MAX: number = 16 * 1024 * 1024;

export interface FileVersion {
  readonly text: string;
  readonly modifiedMs: number;
}

export class WatchedFile {
  readonly #path: string;
  readonly #changed: (version: FileVersion) => void;
  readonly #tooLarge: (octets: number) => void;
  /** Of the version that was read last, or found too large. */
  #stamp = '';
  readonly #poll: Poll = new Poll(() => this.#look());

  /** `changed` is called for each version; `tooLarge` for each that is too large to be read. */
  constructor(
    path: string,
    changed: (version: FileVersion) => void,
    tooLarge: (octets: number) => void,
  ) {
    this.#path = path;
    this.#changed = changed;
    this.#tooLarge = tooLarge;
  }

  /** Reads the file before it returns: for the start, when nothing is served yet. */
  readNow(): void {
    try {
      const found = statSync(this.#path);
      if (this.#isNews(found)) this.#took(found, readFileSync(this.#path, 'utf8'));
    } catch {
      // Missing or unreadable: the reader of the Corefile has reported it.
    }
  }

  /** Looks every `intervalMs` from now on, until `stop`. */
  watch(intervalMs: number): void {
    this.#poll.start(intervalMs);
  }

  stop(): void {
    this.#poll.stop();
  }

  async #look(): Promise<void> {
    try {
      const found = await stat(this.#path);
      if (this.#isNews(found)) {
        const text = await readFile(this.#path, 'utf8');
        if (!this.#poll.isStopped) this.#took(found, text);
      }
    } catch {
      // See readNow.
    }
  }

  #isNews(found: Stats): boolean {
    if (!found.isFile()) return false;
    if (stampOf(found) === this.#stamp) return false;
    if (found.size <= FILE_OCTETS_MAX) return true;
    this.#stamp = stampOf(found);
    this.#tooLarge(found.size);
    return false;
  }

  #took(found: Stats, text: string): void {
    this.#stamp = stampOf(found);
    this.#changed({ text, modifiedMs: found.mtimeMs });
  }
}
