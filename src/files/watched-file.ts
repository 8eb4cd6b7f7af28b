/**
 * A file that is read at start, and again whenever its time or size has changed.
 *
 * Owns:    the polling, which never blocks the event loop, and the limit of what is read.
 * Is not:  a judge of the content. A file that is missing, or cannot be read, keeps what was read
 *          last: an editor that replaces a file removes it for a moment.
 */
import { readFileSync, statSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';

/** 16 MiB are some 500,000 hosts: the longest block lists. Reading one takes a second's tenth. */
const FILE_OCTETS_MAX: number = 16 * 1024 * 1024;

/** Node takes a longer delay for 1 ms. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export interface FileVersion {
  readonly text: string;
  readonly modifiedMs: number;
}

/** What is told of a file version: its time and size. */
interface FileStamp {
  readonly mtimeMs: number;
  readonly size: number;
  isFile(): boolean;
}

export class WatchedFile {
  readonly #path: string;
  readonly #changed: (version: FileVersion) => void;
  readonly #tooLarge: (octets: number) => void;
  #modifiedMs = -1;
  #octets = -1;
  #timer: NodeJS.Timeout | undefined;
  #polling = false;
  #stopped = false;

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
      // Missing or unreadable: whoever reads the Corefile has told the operator.
    }
  }

  /** Looks every `intervalMs` from now on, until `stop`. */
  watch(intervalMs: number): void {
    if (this.#stopped) return;
    const delayMs = Math.min(intervalMs, TIMER_MS_MAX);
    this.#timer = setInterval(() => void this.#poll(), delayMs);
    this.#timer.unref();
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  async #poll(): Promise<void> {
    if (this.#polling) return; // a slow file system: one look at a time
    this.#polling = true;
    try {
      const found = await stat(this.#path);
      if (this.#isNews(found)) {
        const text = await readFile(this.#path, 'utf8');
        if (!this.#stopped) this.#took(found, text);
      }
    } catch {
      // See readNow.
    } finally {
      this.#polling = false;
    }
  }

  #isNews(found: FileStamp): boolean {
    if (!found.isFile()) return false;
    if (found.mtimeMs === this.#modifiedMs && found.size === this.#octets) return false;
    if (found.size <= FILE_OCTETS_MAX) return true;
    this.#modifiedMs = found.mtimeMs;
    this.#octets = found.size;
    this.#tooLarge(found.size);
    return false;
  }

  #took(found: FileStamp, text: string): void {
    this.#modifiedMs = found.mtimeMs;
    this.#octets = found.size;
    this.#changed({ text, modifiedMs: found.mtimeMs });
  }
}
