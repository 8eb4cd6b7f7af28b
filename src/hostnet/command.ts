/**
 * Running `ip`, `iptables` and `nft`: argument lists, never a shell, always a deadline.
 *
 * Owns:    what a failure of theirs means. Their exit codes do not say (iptables ends with 4 both
 *          for the lock and for a missing capability), so their messages are read, in English.
 * Callers: take a Run as parameter, so that tests need no root, or run in a network namespace.
 */
import { execFile, spawn } from 'node:child_process';

/**
 * The kind of a failure, by what can be done about it: `missing` (the program is not installed),
 * `forbidden` (no NET_ADMIN, which does not change while the process lives), `locked` (another
 * holds the xtables lock: try again), `aborted` (by our own signal), `timeout`, and `failed`.
 */
export type HostnetCode = 'missing' | 'forbidden' | 'locked' | 'aborted' | 'timeout' | 'failed';

export class HostnetError extends Error {
  readonly code: HostnetCode;
  /** The command line, without what went to its standard input. */
  readonly command: string;
  /** Its message, in one line; empty if it had none. */
  readonly said: string;

  constructor(code: HostnetCode, command: string, said: string, cause?: unknown) {
    const what = said === '' ? '' : `: ${said}`;
    super(`${command}: ${MEANINGS[code]}${what}`, cause === undefined ? undefined : { cause });
    this.name = 'HostnetError';
    this.code = code;
    this.command = command;
    this.said = said;
  }
}

const MEANINGS: Record<HostnetCode, string> = {
  missing: 'the program is not installed',
  forbidden: 'not permitted (the NET_ADMIN capability is missing)',
  locked: 'another process is holding the xtables lock',
  aborted: 'broken off',
  timeout: 'no end after its deadline',
  failed: 'failed',
};

/**
 * Runs a program to its end and resolves to its standard output; rejects with HostnetError. `stdin`
 * is written to its standard input, which is empty otherwise. `signal` kills it.
 */
export type Run = (
  command: string,
  args: readonly string[],
  stdin?: string,
  signal?: AbortSignal,
) => Promise<string>;

/** Above iptables' own wait for the lock. */
const DEADLINE_MS = 10_000;

/** kube-proxy's rules on a node of a large cluster: some 100,000 lines of 150 octets. */
const OUTPUT_OCTETS_MAX = 64 << 20;

/**
 * The environment of the programs: where to look, and that messages be in English. An
 * interactive nft would leave its history at home.
 */
function environment(): Record<string, string> {
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin`;
  return { PATH: path, LC_ALL: 'C', HOME: '/nonexistent' };
}

/** The Run of the daemon. */
export const runCommand: Run = (command, args, stdin = '', signal) =>
  new Promise((resolve, reject) => {
    const child = execFile(
      command,
      args,
      {
        timeout: DEADLINE_MS,
        killSignal: 'SIGKILL',
        maxBuffer: OUTPUT_OCTETS_MAX,
        env: environment(),
        ...(signal === undefined ? {} : { signal }),
      },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(commandError([command, ...args].join(' '), error, stderr));
      },
    );
    // A program that ends before it has read everything says why with its exit.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(stdin);
  });

interface ExecFailure {
  readonly code?: unknown;
  readonly killed?: unknown;
}

/** The meaning of a failed execFile. */
export function commandError(command: string, error: Error, stderr: string): HostnetError {
  const { code, killed }: Error & ExecFailure = error;
  const said = stderr.trim().replaceAll(/\s*\n\s*/g, '; ');
  return new HostnetError(codeOf(code, killed, said), command, said, error);
}

function codeOf(code: unknown, killed: unknown, said: string): HostnetCode {
  if (code === 'ENOENT') return 'missing';
  if (code === 'ABORT_ERR') return 'aborted';
  if (said.includes('xtables lock')) return 'locked';
  // Not "Permission denied" alone: that is also an IPv6 address where IPv6 is switched off.
  if (/Operation not permitted|you must be root/.test(said)) return 'forbidden';
  return killed === true ? 'timeout' : 'failed';
}

/** A program that is kept running for what the kernel ties to its life. */
export interface HeldProcess {
  write(text: string): void;
  /** Calls `said` with all that it prints, and whether to standard error. */
  onOutput(said: (text: string, isError: boolean) => void): void;
  /** Calls `ended` once, also if the program could not be started. */
  onEnd(ended: (error: HostnetError) => void): void;
  kill(): void;
}

export type Hold = (command: string, args: readonly string[]) => HeldProcess;

/** The Hold of the daemon. The child does not keep it alive, and ends with it. */
export const holdCommand: Hold = (command, args) => {
  const child = spawn(command, args, { stdio: 'pipe', env: environment() });
  const line = [command, ...args].join(' ');
  child.stdin.on('error', () => undefined);
  child.unref();
  for (const stream of [child.stdin, child.stdout, child.stderr]) {
    if ('unref' in stream && typeof stream.unref === 'function') stream.unref();
  }
  return {
    write: (text) => child.stdin.write(text),
    onOutput: (said) => {
      child.stdout.on('data', (text) => said(String(text), false));
      child.stderr.on('data', (text) => said(String(text), true));
    },
    onEnd: (ended) => {
      child.on('error', (error) => ended(commandError(line, error, '')));
      child.on('exit', () => ended(new HostnetError('failed', line, 'it has ended')));
    },
    kill: () => {
      child.ref(); // A caller that waits for the end must see it.
      child.kill('SIGKILL');
    },
  };
};
