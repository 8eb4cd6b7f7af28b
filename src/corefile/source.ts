/** The files and the environment that a Corefile refers to: the machine's, or a test's own. */
import { readdirSync, readFileSync, statSync } from 'node:fs';

export interface Source {
  /** The text of a file. Throws if it cannot be read. */
  readFile(path: string): string;
  /** The names in a directory, in any order. Throws if it cannot be read. */
  list(directory: string): readonly string[];
  /** The kind of file at a path, symbolic links followed; undefined if there is none. */
  kindOf(path: string): 'file' | 'directory' | undefined;
  env(name: string): string | undefined;
}

export const machineSource: Source = {
  readFile: (path) => readFileSync(path, 'utf8'),
  list: (directory) => readdirSync(directory),
  kindOf(path) {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined) return undefined;
    return found.isDirectory() ? 'directory' : 'file';
  },
  env: (name) => process.env[name],
};
