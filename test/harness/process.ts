/** Processes that a lab starts: their output kept, their end awaited, killed with the lab. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Lab } from './lab.ts';
import { until } from './timing.ts';

/** How long a process may take to end after SIGTERM before it is killed. */
const GRACE_MS = 8000;

export interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const running = new Set<ChildProcess>();
// The last resort, if a lab was not closed: vitest gave up on the file.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class Child {
  readonly name: string;
  readonly ended: Promise<End>;
  readonly #process: ChildProcess;
  readonly #stdout: Buffer[] = [];
  readonly #stderr: Buffer[] = [];
  #end: End | undefined;

  constructor(lab: Lab, name: string, argv: readonly string[]) {
    this.name = name;
    this.#process = spawn(argv[0]!, argv.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: lab.directory,
    });
    running.add(this.#process);
    this.#process.stdout!.on('data', (chunk: Buffer) => this.#stdout.push(chunk));
    this.#process.stderr!.on('data', (chunk: Buffer) => this.#stderr.push(chunk));
    this.ended = new Promise((resolve) => {
      const end = (code: number | null, signal: NodeJS.Signals | null): void => {
        running.delete(this.#process);
        this.#end = { code, signal };
        resolve(this.#end);
      };
      this.#process.once('error', (error) => {
        this.#stderr.push(Buffer.from(String(error)));
        end(null, null);
      });
      this.#process.once('close', end);
    });
    lab.defer(() => this.stop());
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  get hasEnded(): boolean {
    return this.#end !== undefined;
  }

  /** Both streams as text, so far. */
  get stdout(): string {
    return Buffer.concat(this.#stdout).toString();
  }

  get stderr(): string {
    return Buffer.concat(this.#stderr).toString();
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Ends it with SIGTERM, or with SIGKILL if it does not. */
  async stop(): Promise<End> {
    if (this.#end !== undefined) return this.#end;
    this.kill('SIGTERM');
    const timer = setTimeout(() => this.kill('SIGKILL'), GRACE_MS);
    const end = await this.ended;
    clearTimeout(timer);
    return end;
  }

  /** Waits until `ready` holds. Throws with the output if the process ends before, or is late. */
  async ready(ready: () => boolean | Promise<boolean>, withinMs: number = 10_000): Promise<void> {
    try {
      await until(`${this.name} is ready`, async () => this.hasEnded || (await ready()), withinMs);
    } catch (error) {
      throw new Error(`${String(error)}\n${this.stdout}${this.stderr}`, { cause: error });
    }
    if (this.#end === undefined) return;
    throw new Error(
      `${this.name} ended with ${JSON.stringify(this.#end)}\n${this.stdout}${this.stderr}`,
    );
  }
}

/** Runs a program to its end. */
export async function run(
  lab: Lab,
  argv: readonly string[],
): Promise<End & { stdout: string; stderr: string }> {
  const child = new Child(lab, argv[0]!, argv);
  const end = await child.ended;
  return { ...end, stdout: child.stdout, stderr: child.stderr };
}

/** Resident memory of the process and of all below it, in octets. */
export function residentOctets(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const own = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  return childrenOf(pid).reduce((sum, child) => sum + residentOctets(child), own);
}

/** Processes directly below `pid`; none if it has ended. */
export function childrenOf(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return children.split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
