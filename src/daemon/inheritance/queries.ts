/** The queries that the next worker inherits: they are in memory that the supervisor holds. */
import { fstatSync } from 'node:fs';
import { QUERY_JOURNAL_OCTETS, QueryJournal } from '../../listen/query-journal.ts';
import type { Log } from '../../observe/log.ts';
import { SHARED_CLOCK_OFFSET_MS, nowMs, toDs } from '../../sys/clock.ts';
import { loadLibc } from '../../sys/libc.ts';
import { createMemoryFile, mapNativeMemory } from '../../sys/shared-memory.ts';
import { SystemCallError } from '../../sys/system-call-error.ts';
import { closeDescriptor } from '../../sys/unix-socket.ts';
import type { SupervisorLink } from '../ipc/supervisor-link.ts';

/** The key under which the supervisor holds the memory. */
const KEY = 'queries';

/** The journal, with the queries of the previous worker; undefined, which is logged, without memory. */
export function queryJournal(supervisor: SupervisorLink, log: Log): QueryJournal | undefined {
  try {
    const fd = memoryFile(supervisor);
    const memory = mapNativeMemory(fd, QUERY_JOURNAL_OCTETS);
    closeDescriptor(fd);
    return new QueryJournal(loadLibc()!, memory, toDs(nowMs()), toDs(SHARED_CLOCK_OFFSET_MS));
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    log.warning(`queries under way will not survive a crash: ${error.message}`);
    return undefined;
  }
}

function memoryFile(supervisor: SupervisorLink): number {
  const inherited = supervisor.inheritFile(KEY);
  if (inherited !== undefined) {
    // Another size means another version.
    if (fstatSync(inherited).size === QUERY_JOURNAL_OCTETS) return inherited;
    closeDescriptor(inherited);
  }
  const fd = createMemoryFile(KEY, QUERY_JOURNAL_OCTETS);
  supervisor.passOnFile(KEY, fd);
  return fd;
}
