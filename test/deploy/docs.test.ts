/** What the papers for operators say of files, flags and Corefiles, held against those. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseCorefile } from '../../src/corefile/blocks.ts';
import { DIRECTIVES } from '../../src/directives/index.ts';
import { DEPLOY } from './render.ts';

const ROOT = join(DEPLOY, '..');

describe.each(['deploy/README.md', 'docs/migration.md', 'docs/local.md'])('%s', (name) => {
  const text = readFileSync(join(ROOT, name), 'utf8');

  test('links to files that there are', () => {
    const targets = [...text.matchAll(/\]\(([^)#:]+)(#[^)]*)?\)/g)].map((match) => match[1]!);
    const missing = targets.filter((target) => !existsSync(join(ROOT, name, '..', target)));
    expect(missing).toEqual([]);
  });

  test('shows Corefiles that load', () => {
    const known = new Set(DIRECTIVES.map((directive) => directive.name));
    for (const [, corefile] of text.matchAll(/```corefile\n(.*?)```/gs)) {
      expect(parseCorefile(corefile!, { file: name, known }).blocks).not.toEqual([]);
    }
  });
});

test('deploy/README.md has a row for each overlay and component', () => {
  const text = readFileSync(join(DEPLOY, 'README.md'), 'utf8');
  const folders = ['overlays', 'components'].flatMap((kind) =>
    readdirSync(join(DEPLOY, kind)).map((folder) => `${kind}/${folder}`),
  );
  expect(folders.filter((folder) => !text.includes(`| \`${folder}\``))).toEqual([]);
});
