/** `nodelocald fmt FILE`: a Corefile, or a file that one imports, in canonical form. */
import { formErrors, formatCorefile } from '../corefile/format.ts';
import { EXIT_FAULTS, EXIT_FINE, type Terminal } from './terminal.ts';
import { readText } from './corefile-text.ts';

/** Prints it, or with `write` replaces the file if it changes, and returns the exit code. */
export function format(file: string, write: boolean, terminal: Terminal): number {
  const text = readText(file, terminal);
  const errors = formErrors(text, file);
  if (errors.length > 0) {
    for (const error of errors) terminal.err(`${error.message}\n`);
    return EXIT_FAULTS;
  }
  const formatted = formatCorefile(text);
  if (!write || file === '-' || file === 'stdin') {
    terminal.out(formatted);
  } else if (formatted !== text) {
    terminal.writeFile(file, formatted);
  }
  return EXIT_FINE;
}
