/** The daemon under test, as an operator runs it: dist/main.js with a Corefile. */
import { join } from 'node:path';
import type { Lab } from './lab.ts';
import { Child, childrenOf, residentOctets } from './process.ts';

const ROOT = join(import.meta.dirname, '..', '..');
/** `NODELOCALD_MAIN` names another build. */
export const MAIN: string = process.env['NODELOCALD_MAIN'] ?? join(ROOT, 'dist', 'main.js');

/** The last line of the banner but two: sockets are open then. */
const SERVING = /^nodelocald-\d/m;

let corefiles = 0;

export class Daemon {
  readonly child: Child;
  /** Path of its Corefile. */
  readonly corefile: string;

  private constructor(child: Child, corefile: string) {
    this.child = child;
    this.corefile = corefile;
  }

  /** Starts it and waits until it serves. Throws with its output if it does not. */
  static async start(
    lab: Lab,
    corefile: string,
    flags: readonly string[] = [],
    nodeFlags: readonly string[] = [],
  ): Promise<Daemon> {
    const path = lab.write(`Corefile-${++corefiles}`, corefile);
    const child = launchMain(lab, ['-conf', path, ...flags], nodeFlags);
    const daemon = new Daemon(child, path);
    await daemon.child.ready(() => SERVING.test(daemon.child.stdout));
    return daemon;
  }

  /** Of the process that was started: the supervisor. */
  get pid(): number {
    return this.child.pid;
  }

  /** Of the worker that there is now; undefined between two. */
  get workerPid(): number | undefined {
    return childrenOf(this.pid)[0];
  }

  /** Its log lines of the levels that mean trouble. */
  get complaints(): string[] {
    return `${this.child.stdout}${this.child.stderr}`
      .split('\n')
      .filter((line) => /^\[(WARNING|ERROR|FATAL)\]|Error|^\s+at /.test(line));
  }

  residentOctets(): number {
    return residentOctets(this.pid);
  }
}

/** Starts the program with exactly these arguments, and does not wait: for starts that should fail. */
export function launchMain(
  lab: Lab,
  args: readonly string[],
  nodeFlags: readonly string[] = [],
): Child {
  return new Child(lab, 'nodelocald', [process.execPath, ...nodeFlags, MAIN, ...args]);
}
