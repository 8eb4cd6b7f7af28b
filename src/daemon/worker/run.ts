/**
 * The two ways to run a worker: by itself, as the whole daemon, or for a supervisor.
 *
 * Owns:    how the two ways differ: signals, sockets, log and end.
 */
import type { Flags } from '../../cli/flags.ts';
import { StreamLog } from '../../observe/log.ts';
import { ownSockets } from '../../sys/socket-source.ts';
import { CHANNEL_FD } from '../ipc/protocol.ts';
import { ignoreSignals, obeySignals, stopLine } from './signals.ts';
import { SupervisorLink } from '../ipc/supervisor-link.ts';
import { Worker } from './worker.ts';

/** The daemon is this process alone. Rejects as `Worker.start` does. */
export async function serveAlone(flags: Flags): Promise<void> {
  const log = new StreamLog(flags.logFormat);
  const sockets = ownSockets(sharesPorts(flags));
  const worker = new Worker({ flags, log, sockets, exit: (code) => process.exit(code) });
  obeySignals(
    worker,
    (code) => process.exit(code),
    (line) => log.info(line),
  );
  await worker.start();
}

/** The daemon is our supervisor, which gets the signals and writes the pidfile. Rejects likewise. */
export async function serveSupervised(flags: Flags): Promise<void> {
  ignoreSignals();
  const supervisor = await SupervisorLink.connect(CHANNEL_FD, sharesPorts(flags));
  const log = new StreamLog(flags.logFormat);
  const worker = new Worker({
    flags: { ...flags, pidFile: '' },
    log,
    sockets: supervisor,
    exit: (code) => {
      supervisor.ending(code);
      process.exit(code);
    },
    supervisor,
  });
  supervisor.obey({
    stop: (signal) => {
      log.info(stopLine(signal));
      void worker.stop(signal === 'SIGINT' ? 0 : undefined);
    },
    reload: (signal) => worker.reload(signal),
    snapshot: () => void worker.writeSnapshot(),
    retire: () => void worker.retire(),
    abandon: () => void worker.abandon(),
  });
  await worker.start();
}

/**
 * Whether another daemon may serve beside us: on a node, as node-cache lets it, so that a second
 * DaemonSet can take over; and where a handover that fails must leave the newcomer a way. Elsewhere a
 * second start is a mistake, which must be reported.
 */
function sharesPorts({ localIps, handover }: Flags): boolean {
  return localIps.length > 0 || handover !== '';
}
