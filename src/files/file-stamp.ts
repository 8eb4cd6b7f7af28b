/** A file's stamp: modification time, size and inode, or that the file is missing. */
import { statSync } from 'node:fs';
import { stat } from 'node:fs/promises';

/** The stamp of a file that is missing or not accessible. */
const MISSING = 'missing';

/** Two stamps of a path differ if its file has changed; kubelet's swap of a link changes the inode. */
export async function fileStamp(path: string): Promise<string> {
  try {
    return stampOf(await stat(path));
  } catch {
    return MISSING;
  }
}

/** Like fileStamp, but synchronous. */
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
