/**
 * Processes and the directory of one run, and the promise that none outlives it.
 *
 * Owns:    each process that the benchmark starts, pinned to a core, in a process group of its own;
 *          one temporary directory.
 * Callers: await stopAll() on every way out.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';

/** How long a process may take to end by itself before it is killed, in ms. */
const GRACE_MS = 2000;
/** Octets of a process's output shown when it fails. */
const SHOWN_OF_OUTPUT = 4000;

export interface Child {
  readonly name: string;
  readonly pid: number;
  /** File that takes stdout and stderr. */
  readonly outputFile: string;
  readonly process: ChildProcess;
}

export class Children {
  /** Removed by stopAll(). */
  readonly directory: string = mkdtempSync(join(tmpdir(), 'nodelocald-bench-'));
  readonly #running = new Set<Child>();
  #started = 0;
  #closing = false;

  constructor() {
    process.once('exit', () => this.#killAll()); // the last resort, if stopAll() was not reached
  }

  /** Starts `argv` on `core`. Throws if it cannot be executed at all, and after stopAll(). */
  start(name: string, core: number, argv: readonly string[]): Child {
    if (this.#closing) throw new Error(`${name}: not started, the benchmark is ending`);
    const outputFile = join(this.directory, `${name}-${this.#started++}.out`);
    const output = openSync(outputFile, 'w');
    const process = spawn('taskset', ['-c', String(core), ...argv], {
      stdio: ['ignore', output, output],
      detached: true, // a group of its own, so that its children can be killed with it
      cwd: this.directory,
    });
    closeSync(output);
    process.on('error', () => {}); // a missing program shows as a missing pid just below
    if (process.pid === undefined) throw new Error(`${name}: cannot start ${argv.join(' ')}`);
    const child = { name, pid: process.pid, outputFile, process };
    this.#running.add(child);
    process.once('exit', () => this.#running.delete(child));
    return child;
  }

  /** Runs `argv` on `core` to its end and returns its output. Throws if its status is not 0. */
  async run(name: string, core: number, argv: readonly string[]): Promise<string> {
    const child = this.start(name, core, argv);
    await once(child.process, 'exit');
    const output = readFileSync(child.outputFile, 'utf8');
    rmSync(child.outputFile);
    if (child.process.exitCode !== 0) {
      const how = child.process.signalCode ?? `status ${child.process.exitCode}`;
      throw new Error(`${argv.join(' ')}: ${how}\n${output.slice(-SHOWN_OF_OUTPUT)}`);
    }
    return output;
  }

  /** Ends a process with SIGTERM, or with SIGKILL after GRACE_MS, and what is left of its group. */
  async stop(child: Child): Promise<void> {
    if (hasEnded(child)) return;
    const ended = once(child.process, 'exit');
    child.process.kill('SIGTERM');
    const timer = setTimeout(() => killGroup(child), GRACE_MS);
    await ended;
    clearTimeout(timer);
    killGroup(child);
  }

  /** Ends all, removes the directory. May be called again. */
  async stopAll(): Promise<void> {
    this.#closing = true;
    await Promise.all([...this.#running].map((child) => this.stop(child)));
    rmSync(this.directory, { recursive: true, force: true });
  }

  #killAll(): void {
    for (const child of this.#running) killGroup(child);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export function hasEnded(child: Child): boolean {
  return child.process.exitCode !== null || child.process.signalCode !== null;
}

/** The last that a process said, for a message about its failure. */
export function lastWords(child: Child): string {
  return readFileSync(child.outputFile, 'utf8').slice(-SHOWN_OF_OUTPUT).trim();
}

function killGroup(child: Child): void {
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // ESRCH: nobody is left in the group, which is what we want.
  }
}
