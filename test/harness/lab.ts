/**
 * Where one test file works: a directory and loopback addresses of its own, and the promise that
 * nothing it starts outlives it, even if a test fails.
 */
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

type Closer = () => unknown;

/** An address and port that something listens on. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

export class Lab {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'nodelocald-test-'));
  // 127.0.0.0/8 is all loopback, so each lab has its own addresses and need not look for free ports.
  readonly #network = `127.${randomInt(64, 255)}.${randomInt(0, 256)}`;
  readonly #closers: Closer[] = [];

  /** The lab's own address number `n`, from 1 to 254. */
  address(n: number): string {
    return `${this.#network}.${n}`;
  }

  /** Writes a file into the lab's directory and returns its path. */
  write(name: string, text: string): string {
    const path = join(this.directory, name);
    writeFileSync(path, text);
    return path;
  }

  /** Will be called when the file's tests are over; the last deferred one first. */
  defer(closer: Closer): void {
    this.#closers.push(closer);
  }

  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (const closer of this.#closers.toReversed()) {
      try {
        await closer();
      } catch (error) {
        failures.push(error);
      }
    }
    this.#closers.length = 0;
    rmSync(this.directory, { recursive: true, force: true });
    if (failures.length > 0) throw new AggregateError(failures, 'the lab could not be closed');
  }
}

/** A lab for the test file or suite that calls this, closed when its tests are over. */
export function useLab(): Lab {
  const lab = new Lab();
  afterAll(() => lab.close());
  return lab;
}
