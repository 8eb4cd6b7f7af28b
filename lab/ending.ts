/**
 * Processes, namespaces and files that a run of the lab has made, and the promise that none of them
 * stays.
 *
 * Callers: await `close` on every way out. If they cannot, the process's own end does what can be done
 *          without waiting.
 */
import { spawn, type ChildProcess } from 'node:child_process';

type Undo = () => unknown;

/** How long a process may take to end after SIGTERM, in ms. */
const GRACE_MS = 8000;

export class Ending {
  readonly #undos: Undo[] = [];
  readonly #children = new Set<ChildProcess>();
  #closing = false;

  constructor() {
    process.once('exit', () => this.#now());
  }

  /** To be undone at the end, the last first. `undo` must work without waiting. */
  undo(undo: Undo): void {
    this.#undos.push(undo);
  }

  /** Starts a process with pipes. Throws after `close`. */
  start(argv: readonly string[], environment: NodeJS.ProcessEnv = process.env): ChildProcess {
    if (this.#closing) throw new Error(`${argv.join(' ')}: not started, the lab is ending`);
    const child = spawn(argv[0]!, argv.slice(1), {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: environment,
    });
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    child.on('error', () => this.#children.delete(child));
    child.stdin.on('error', () => undefined); // it ended before it read all
    return child;
  }

  /** Ends all processes and undoes all. May be called again. */
  async close(): Promise<void> {
    this.#closing = true;
    await Promise.all([...this.#children].map((child) => stop(child)));
    this.#now();
  }

  #now(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    for (const undo of this.#undos.splice(0).toReversed()) {
      try {
        undo();
      } catch (error) {
        process.stderr.write(`lab: not undone: ${String(error)}\n`);
      }
    }
  }
}

/** Ends a process with SIGTERM, or with SIGKILL after GRACE_MS. */
export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = new Promise((resolve) => {
    child.once('close', resolve);
  });
  child.kill('SIGCONT'); // one that was stopped hears nothing else
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
  await ended;
  clearTimeout(timer);
}
