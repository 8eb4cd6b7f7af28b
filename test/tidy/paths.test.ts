/**
 * Pages for engineers name files and folders that exist.
 *
 * Only what is code in a page (`cache/entry.ts`, `cache/`) is looked at, in the tree and below src/. A name
 * without a folder belongs to a path before it, one with NAME in it is a pattern, and dist/ is built.
 */
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { filesBelow, lineOf, textOf } from './source-files.ts';

const PAGES = [
  'CONTRIBUTING.md',
  'docs/ARCHITECTURE.md',
  'docs/glossary.md',
  ...filesBelow('docs/decisions', '.md'),
];

const PATH = /`((?:[\w.-]+\/)+(?:[\w.-]+\.(?:ts|md|sh|c|yaml|json))?)`/g;

function exists(path: string): boolean {
  return ['', 'src/'].some((root) => existsSync(new URL(`../../${root}${path}`, import.meta.url)));
}

test.each(PAGES)('%s names only files and folders that exist', (page) => {
  const text = textOf(page);
  const missing = [...text.matchAll(PATH)].filter(
    ([, path]) => !/NAME|^dist\//.test(path!) && !exists(path!),
  );
  expect(
    missing.map(({ index, 1: path }) => `${page}:${lineOf(text, index)}: there is no ${path}`),
  ).toEqual([]);
});

test('the pages name files and folders that this rule sees', () => {
  const seen = PAGES.flatMap((page) => [...textOf(page).matchAll(PATH)].map(([, path]) => path));
  expect(seen).toEqual(expect.arrayContaining(['server/chain.ts', 'docs/metrics.md', 'cache/']));
});
