/** The memory in which queries under way outlive the worker: the supervisor holds it. */
import { fstatSync } from 'node:fs';
import { QUERY_JOURNAL_OCTETS, QueryJournal } from '../../listen/query-journal.ts';
import type { Log } from '../../observe/log.ts';
import { SHARED_CLOCK_OFFSET_MS, nowMs, toDs } from '../../sys/clock.ts';
import { loadLibc } from '../../sys/libc.ts';
import { createMemoryFile, mapNativeMemory } from '../../sys/shared-memory.ts';
import { SystemCallError } from '../../sys/system-call-error.ts';
import { closeDescriptor } from '../../sys/unix-socket.ts';
import type { Supervision } from '../ipc/supervisor-link.ts';

const KEY = 'queries';

/** With what a predecessor has left in it; undefined, which is logged, if there is no memory. */
export function queryJournal(supervision: Supervision, log: Log): QueryJournal | undefined {
  try {
    const fd = memoryFile(supervision);
    const memory = mapNativeMemory(fd, QUERY_JOURNAL_OCTETS);
    closeDescriptor(fd);
    return new QueryJournal(loadLibc()!, memory, toDs(nowMs()), toDs(SHARED_CLOCK_OFFSET_MS));
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    log.warning(`queries under way do not outlive a crash: ${error.message}`);
    return undefined;
  }
}

function memoryFile(supervision: Supervision): number {
  const left = supervision.leftFile(KEY);
  if (left !== undefined) {
    // Of another size it is another version's.
    if (fstatSync(left).size === QUERY_JOURNAL_OCTETS) return left;
    closeDescriptor(left);
  }
  const fd = createMemoryFile(KEY, QUERY_JOURNAL_OCTETS);
  supervision.leaveFile(KEY, fd);
  return fd;
}
