/** What changes when a file does: modification time, size and inode, or that it is not there. */
import { statSync } from 'node:fs';
import { stat } from 'node:fs/promises';

/** Of a file that was not found, or may not be looked at. */
const MISSING = 'missing';

/** Two stamps of a path differ if its file has changed; kubelet's swap of a link changes the inode. */
export async function fileStamp(path: string): Promise<string> {
  try {
    return stampOf(await stat(path));
  } catch {
    return MISSING;
  }
}

/** The same at once: it blocks while the file system is asked. */
export function fileStampNow(path: string): string {
  try {
    return stampOf(statSync(path));
  } catch {
    return MISSING;
  }
}

/** The stamp of a file whose status is known. */
export function stampOf(status: {
  readonly mtimeMs: number;
  readonly size: number;
  readonly ino: number;
}): string {
  return `${status.mtimeMs} ${status.size} ${status.ino}`;
}
