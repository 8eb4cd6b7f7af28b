/**
 * The meaning of signals, as in CoreDNS; a second SIGTERM ends the grace of the first; SIGHUP reloads too,
 * since operators try it.
 */
import type { Worker } from './worker.ts';

const EXIT_INTERRUPTED_TWICE = 2;

export function obeySignals(
  worker: Worker,
  exit: (code: number) => void,
  log: (line: string) => void,
): void {
  let interrupted = false;
  process.on('SIGTERM', () => {
    log(stopLine('SIGTERM'));
    void worker.stop();
  });
  // A person waits: nothing is drained.
  process.on('SIGINT', () => {
    if (interrupted) exit(EXIT_INTERRUPTED_TWICE);
    interrupted = true;
    log(stopLine('SIGINT'));
    void worker.stop(0);
  });
  process.on('SIGUSR1', () => worker.reload('SIGUSR1'));
  process.on('SIGHUP', () => worker.reload('SIGHUP'));
}

/** The line that is logged when a signal ends the daemon. */
export function stopLine(signal: string): string {
  return signal === 'SIGINT'
    ? 'SIGINT: Shutting down'
    : `${signal}: Shutting down servers then terminating`;
}

/** For a supervised worker: its supervisor passes on the signals that all processes of the daemon get. */
export function ignoreSignals(): void {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGUSR1', 'SIGHUP'] as const) {
    process.on(signal, () => undefined);
  }
}
