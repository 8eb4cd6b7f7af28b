import { getSystemErrorName } from 'node:util';

/** A system call that failed; `code` is like `EADDRINUSE`. */
export class SystemCallError extends Error {
  readonly code: string;
  constructor(call: string, errno: number) {
    const code = getSystemErrorName(-errno);
    super(`${call}: ${code}`);
    this.name = 'SystemCallError';
    this.code = code;
  }
}
