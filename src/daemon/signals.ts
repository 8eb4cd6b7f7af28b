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
    tell('SIGTERM: Shutting down servers then terminating');
    void worker.stop();
  });
  // A person waits: nothing is drained.
  process.on('SIGINT', () => {
    if (interrupted) exit(EXIT_INTERRUPTED_TWICE);
    interrupted = true;
    tell('SIGINT: Shutting down');
    void worker.stop(0);
  });
  process.on('SIGUSR1', () => worker.reload('SIGUSR1'));
  process.on('SIGHUP', () => worker.reload('SIGHUP'));
}
