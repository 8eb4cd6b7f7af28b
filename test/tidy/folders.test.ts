/** A folder holds as many files as a reader can look over. */
import { posix } from 'node:path';
import { expect, test } from 'vitest';
import { modulesBelow } from './source-files.ts';

const FILES_MAX = 17;

test(`a folder has at most ${FILES_MAX} modules of its own`, () => {
  const counts = new Map<string, number>();
  for (const file of modulesBelow('src', 'test', 'bench', 'lab')) {
    const folder = posix.dirname(file);
    counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  const faults = [...counts].filter(([, count]) => count > FILES_MAX);
  const cure = 'give those that belong together a folder, named for what they are about';
  expect(faults.map(([folder, count]) => `${folder}: has ${count} modules: ${cure}`)).toEqual([]);
});
