/** The two ways to run a worker: by itself, as the whole daemon, or for a supervisor. */
import type { Flags } from '../cli/flags.ts';
import { StreamLog } from '../observe/log.ts';
import { ownSockets } from '../sys/sockets.ts';
import { CHANNEL_FD } from './protocol.ts';
import { ignoreSignals, obeySignals, stopLine } from './signals.ts';
import { Supervision } from './supervised.ts';
import { Worker } from './worker.ts';

/** The daemon is this process alone. Rejects as `Worker.start` does. */
export async function serveAlone(flags: Flags): Promise<void> {
  const log = new StreamLog(flags.logFormat);
  const worker = new Worker(flags, log, ownSockets(), (code) => process.exit(code));
  obeySignals(
    worker,
    (code) => process.exit(code),
    (line) => log.info(line),
  );
  await worker.start();
}

/** The daemon is our supervisor, who gets the signals and writes the pidfile. Rejects likewise. */
export async function serveSupervised(flags: Flags): Promise<void> {
  ignoreSignals();
  const supervision = await Supervision.connect(CHANNEL_FD);
  const log = new StreamLog(flags.logFormat);
  const worker = new Worker(
    { ...flags, pidFile: '' },
    log,
    supervision,
    (code) => {
      supervision.ending(code);
      process.exit(code);
    },
    supervision,
  );
  supervision.obey({
    stop: (signal) => {
      log.info(stopLine(signal));
      void worker.stop(signal === 'SIGINT' ? 0 : undefined);
    },
    reload: (signal) => worker.reload(signal),
    orphaned: () => void worker.abandon(),
  });
  await worker.start();
}
