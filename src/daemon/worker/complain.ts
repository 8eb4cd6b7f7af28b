/** The last words of a daemon that cannot start. */
import { readFileSync } from 'node:fs';
import { CorefileError, type Place } from '../../corefile/error.ts';
import { reasonOf } from '../../observe/reason.ts';

const EXIT_FAILED = 1;

/** One line; for a person at a terminal, with the line of the Corefile that it is about. */
export function complain(error: unknown): never {
  const place = error instanceof CorefileError && process.stderr.isTTY ? error.place : undefined;
  const text =
    place === undefined ? reasonOf(error) : (error as CorefileError).render(lineAt(place));
  process.stderr.write(`${text}\n`);
  process.exit(EXIT_FAILED);
}

function lineAt({ file, line }: Place): string | undefined {
  try {
    return readFileSync(file, 'utf8').split('\n')[line - 1];
  } catch {
    return undefined; // it came from standard input, or has gone since
  }
}
