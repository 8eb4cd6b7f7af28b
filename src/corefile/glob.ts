/**
 * File patterns of `import`, as Go's filepath.Match and filepath.Glob read them on Unix.
 *
 * `*` is any run of characters except `/`, `?` is one of them, and a backslash makes the next character
 * literal. Classes (`[a-z]`) are not supported, since `import` refuses them. A leading dot is not
 * special, so `*` also finds the `..data` of a mounted ConfigMap.
 *
 * Owns:    the syntax of patterns, and the order of the paths found.
 * Callers: pass absolute patterns, and read the files themselves.
 */
import { posix } from 'node:path';
import type { Source } from './source.ts';

/** Whether `pattern` can match anything other than the path that it spells. */
export function hasWildcard(pattern: string): boolean {
  return /[*?[\\]/.test(pattern);
}

/**
 * The paths that match the absolute `pattern`, sorted by name within each directory. Directories that
 * cannot be read count as empty. Undefined if the pattern is malformed.
 */
export function glob(pattern: string, source: Source): string[] | undefined {
  if (!hasWildcard(pattern)) return exists(pattern, source) ? [pattern] : [];
  const directory = posix.dirname(pattern);
  const name = matcher(posix.basename(pattern));
  if (name === undefined) return undefined;
  const directories = glob(directory, source);
  return directories?.flatMap((found) =>
    namesIn(found, source)
      .filter((entry) => name.test(entry))
      .map((entry) => posix.join(found, entry)),
  );
}

function exists(path: string, source: Source): boolean {
  try {
    return source.kindOf(path) !== undefined;
  } catch {
    return true; // it exists but is not accessible: reading it gives the reason
  }
}

function namesIn(directory: string, source: Source): string[] {
  try {
    return [...source.list(directory)].sort((a, b) =>
      Buffer.compare(Buffer.from(a), Buffer.from(b)),
    );
  } catch {
    return [];
  }
}

/** One component of a pattern as a regular expression; undefined if malformed. */
function matcher(pattern: string): RegExp | undefined {
  // A class needs both brackets, and imports.ts refuses a pattern that has both.
  if (/^(?:[^\\]|\\.)*?\[/su.test(pattern)) return undefined;
  if (/^(?:[^\\]|\\.)*\\$/su.test(pattern)) return undefined; // nothing after a backslash
  const source = pattern.replaceAll(/\\.|./gsu, (part) => {
    if (part === '*') return '[^/]*';
    if (part === '?') return '[^/]';
    const character = part.length > 1 && part.startsWith('\\') ? part.slice(1) : part;
    return character.replace(/[$^.*+?()[\]{}|/\\]/u, String.raw`\$&`);
  });
  return new RegExp(`^${source}$`, 'su');
}
