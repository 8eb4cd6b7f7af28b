/**
 * Circles of files that import each other, for the tidy tests.
 *
 * Owns:   the search. It finds at least one circle if there is any.
 * Is not: a list of all circles: two that share an import may be found as one.
 */
import { type Import, targetOf } from './source-files.ts';

/** Each circle as its imports in order: the last one leads back to the file of the first. */
export function circlesIn(imports: readonly Import[]): Import[][] {
  const importsOfFile = new Map<string, Import[]>();
  for (const found of imports) {
    const others = importsOfFile.get(found.file);
    if (others === undefined) importsOfFile.set(found.file, [found]);
    else others.push(found);
  }
  const circles: Import[][] = [];
  const finished = new Set<string>();

  /** Goes depth first; `path` leads to `file`. */
  function visit(file: string, path: readonly Import[]): void {
    const start = path.findIndex((step) => step.file === file);
    if (start !== -1) {
      circles.push(path.slice(start));
      return;
    }
    if (finished.has(file)) return;
    for (const step of importsOfFile.get(file) ?? []) {
      const target = targetOf(step);
      if (target !== undefined) visit(target, [...path, step]);
    }
    finished.add(file);
  }

  for (const file of importsOfFile.keys()) visit(file, []);
  return circles;
}
