/** For the tidy tests: the project's files as text, and where in them something stands. */
import { readFileSync, readdirSync } from 'node:fs';
import { join, posix, relative } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

/** The text of a file; `path` is relative to the project. */
export function textOf(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** Paths below `directory`, relative to the project, of files whose name ends so; sorted. */
export function filesBelow(directory: string, ending: string): string[] {
  return readdirSync(join(ROOT, directory), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .sort();
}

/** Files that are built or run, and no tests: of `directories`, the helpers of tests included. */
export function modulesBelow(...directories: readonly string[]): string[] {
  return directories.flatMap((directory) =>
    filesBelow(directory, '.ts').filter((file) => !file.endsWith('.test.ts')),
  );
}

/** The comment that a module begins with, or ''. */
export function headerOf(file: string): string {
  return /^(?:#![^\n]*\n)?\/\*\*(?:(?!\*\/)[\s\S])*\*\//.exec(textOf(file))?.[0] ?? '';
}

/** The line, from 1, that the offset is in. */
export function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

/** The text with comments blanked out: every offset and line stays. Strings are left alone. */
export function withoutComments(text: string): string {
  return text.replaceAll(
    /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g,
    (found) => (found.startsWith('/') ? found.replaceAll(/[^\n]/g, ' ') : found),
  );
}

export interface Import {
  readonly file: string;
  readonly line: number;
  /** What stands in quotes. */
  readonly from: string;
}

const STATIC_IMPORT = /^(?:import|export)\b(?:[^'";]*?\bfrom)?\s*'([^']+)'/gm;
/** Also `createRequire(import.meta.url)('koffi')`. */
const CALLED_IMPORT = /(?:\bimport|\brequire|\bcreateRequire\([^()]*\))\(\s*'([^']+)'/g;

/** All imports of a file, those of types included. */
export function importsOf(file: string): Import[] {
  const text = withoutComments(textOf(file));
  return [STATIC_IMPORT, CALLED_IMPORT].flatMap((pattern) =>
    [...text.matchAll(pattern)].map(({ index, 1: from }) => ({
      file,
      line: lineOf(text, index),
      from: from!,
    })),
  );
}

/** The path below the project that a relative import names; undefined for a package. */
export function targetOf({ file, from }: Import): string | undefined {
  return from.startsWith('.') ? posix.join(posix.dirname(file), from) : undefined;
}
