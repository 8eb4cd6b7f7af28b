/**
 * The log: CoreDNS's own lines (`[INFO] plugin/reload: ...`) by default, since log pipelines parse
 * them, or JSON by pino.
 *
 * Owns:    levels, and never blocking: lines are written by a buffered writer off the query's path,
 *          and dropped, with a count, if they are not read.
 */
import { writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import type pino from 'pino';
import type { SonicBoom } from 'sonic-boom';
import { Counter } from './counters.ts';

export type Level = 'debug' | 'info' | 'warning' | 'error' | 'fatal';
export type LogFormat = 'text' | 'json';

/** The log as all below the daemon see it. Directives begin their lines `plugin/NAME: `. */
export interface Log {
  log(level: Level, message: string): void;
  debug(message: string): void;
  info(message: string): void;
  warning(message: string): void;
  error(message: string): void;
  /** A line as it is, at level info: the query log. */
  query(line: string): void;
}

/** Lines waiting to be written: about a second of the query log at 10,000 lines a second. */
const BUFFERED_OCTETS_MAX = 1 << 20;
const STANDARD_OUTPUT = 1;
/** At the end of the process: for a write that another thread is at. */
const PARTING_MS = 10;

/** CommonJS both, whose names an import does not see; and pino is not for every start. */
const require = createRequire(import.meta.url);
const { SonicBoom: Writer } = require('sonic-boom') as { SonicBoom: typeof SonicBoom };

/** pino costs a start 30 ms and 6 MB, so it is loaded for JSON alone. */
function jsonLogger(destination: pino.DestinationStream): pino.Logger {
  const load = require('pino') as typeof pino;
  return load(
    {
      level: 'debug',
      base: null,
      timestamp: load.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
}

export class StreamLog implements Log {
  /** Lines that were not read in time; replaced by the metric of them. */
  dropped: Counter = new Counter();
  /** Switched by the `debug` directive, for the whole process. */
  debugging: boolean = false;
  readonly #descriptor: number;
  readonly #writer: SonicBoom;
  readonly #json: pino.Logger | undefined;
  /** The lines of this turn of the event loop. */
  #pending = '';
  /** Whether the writer has lines that are not written yet. */
  #isWriting = false;

  /** Writes to a file descriptor: 1 for the daemon. */
  constructor(format: LogFormat, descriptor: number = STANDARD_OUTPUT) {
    this.#descriptor = descriptor;
    this.#writer = new Writer({
      fd: descriptor,
      sync: false,
      maxLength: BUFFERED_OCTETS_MAX,
    });
    // The last lines before an unexpected end are worth reading.
    if (descriptor === STANDARD_OUTPUT) process.once('exit', () => this.flush());
    this.#writer.on('drop', (lines: string) => this.#drop(lines));
    this.#writer.on('drain', () => {
      this.#isWriting = false;
    });
    // A reader that has gone (EPIPE) must not end the daemon: it serves on without its log.
    this.#writer.on('error', () => {
      this.dropped.value++;
    });
    this.#json = format === 'json' ? jsonLogger({ write: (line) => this.#write(line) }) : undefined;
  }

  log(level: Level, message: string): void {
    if (level === 'debug' && !this.debugging) return;
    if (this.#json !== undefined) this.#json[level === 'warning' ? 'warn' : level](message);
    else this.#write(`[${level.toUpperCase()}] ${message}\n`);
  }

  debug(message: string): void {
    this.log('debug', message);
  }

  info(message: string): void {
    this.log('info', message);
  }

  warning(message: string): void {
    this.log('warning', message);
  }

  error(message: string): void {
    this.log('error', message);
  }

  query(line: string): void {
    this.log('info', line);
  }

  /** A line without level, as CoreDNS prints its listeners at start. */
  banner(line: string): void {
    if (this.#json !== undefined) this.#json.info(line);
    else this.#write(`${line}\n`);
  }

  /**
   * Writes what is buffered; for the end of the process. In order, but for lines that another thread
   * has not written 10 ms from now, since they are not being read.
   */
  flush(): void {
    try {
      if (this.#isWriting) {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PARTING_MS);
        this.#writer.flushSync();
      }
      for (let octets = Buffer.from(this.#take()); octets.length > 0;) {
        octets = octets.subarray(writeSync(this.#descriptor, octets));
      }
    } catch {
      // The reader has gone, so there is nowhere to report it.
    }
  }

  /** Lines of one turn leave together: one write for a burst of them. */
  #write(line: string): void {
    if (this.#pending.length + line.length > BUFFERED_OCTETS_MAX) {
      this.#drop(line);
      return;
    }
    if (this.#pending === '') setImmediate(() => this.#handOver());
    this.#pending += line;
  }

  #handOver(): void {
    const lines = this.#take();
    if (lines === '') return; // flushed meanwhile
    this.#isWriting = true;
    this.#writer.write(lines);
  }

  #take(): string {
    const lines = this.#pending;
    this.#pending = '';
    return lines;
  }

  #drop(lines: string): void {
    for (let at = lines.indexOf('\n'); at >= 0; at = lines.indexOf('\n', at + 1)) {
      this.dropped.value++;
    }
  }
}
