/**
 * What signals mean, as in CoreDNS; a second SIGTERM ends the grace of the first; SIGHUP reloads too, since that is
 * what operators try.
 */
import type { Worker } from './worker.ts';

const EXIT_INTERRUPTED_TWICE = 2;

export function obeySignals(
  worker: Worker,
  exit: (code: number) => void,
  tell: (line: string) => void,
): void {
  let interrupted = false;
  process.on('SIGTERM', () => {
    tell(stopLine('SIGTERM'));
    void worker.stop();
  });
  // A person waits: nothing is drained.
  process.on('SIGINT', () => {
    if (interrupted) exit(EXIT_INTERRUPTED_TWICE);
    interrupted = true;
    tell(stopLine('SIGINT'));
    void worker.stop(0);
  });
  process.on('SIGUSR1', () => worker.reload('SIGUSR1'));
  process.on('SIGHUP', () => worker.reload('SIGHUP'));
}

/** What the log says when a signal ends the daemon. */
export function stopLine(signal: string): string {
  return signal === 'SIGINT'
    ? 'SIGINT: Shutting down'
    : `${signal}: Shutting down servers then terminating`;
}

/** Of a supervised worker: what is sent to all processes of the daemon, its supervisor passes on. */
export function ignoreSignals(): void {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGUSR1', 'SIGHUP'] as const) {
    process.on(signal, () => undefined);
  }
}
