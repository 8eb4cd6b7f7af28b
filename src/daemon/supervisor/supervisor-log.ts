/**
 * The supervisor's few lines, in the form of the worker's log (observe/log.ts), which is not loaded
 * here for its size.
 *
 * Owns:    that it never blocks: the reader of the log may have stopped.
 */
import { write } from 'node:fs';
import type { LogFormat } from '../../observe/log.ts';

/** Lines on their way; beyond that, the lines of a crash loop that nobody reads are dropped. */
const UNWRITTEN_MAX = 100;

export class SupervisorLog {
  readonly #format: LogFormat;
  readonly #descriptor: number;
  /** The first is being written. */
  readonly #unwritten: string[] = [];

  constructor(format: LogFormat, descriptor: number = 1) {
    this.#format = format;
    this.#descriptor = descriptor;
  }

  info(message: string): void {
    this.#write('info', message);
  }

  error(message: string): void {
    this.#write('error', message);
  }

  #write(level: 'info' | 'error', message: string): void {
    if (this.#unwritten.length >= UNWRITTEN_MAX) return;
    const line =
      this.#format === 'json'
        ? JSON.stringify({ level, time: new Date().toISOString(), msg: message })
        : `[${level.toUpperCase()}] ${message}`;
    this.#unwritten.push(`${line}\n`);
    if (this.#unwritten.length === 1) this.#writeFirst();
  }

  #writeFirst(): void {
    const [first] = this.#unwritten;
    if (first === undefined) return;
    // A line that cannot be written has no reader.
    write(this.#descriptor, first, () => {
      this.#unwritten.shift();
      this.#writeFirst();
    });
  }
}
