/** The pages for operators agree with the files, figures, flags and Corefiles that they speak of. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseCorefile } from '../../src/corefile/blocks.ts';
import { DIRECTIVES } from '../../src/directives/index.ts';
import { DEPLOY } from './render.ts';

const ROOT = join(DEPLOY, '..');

describe.each(['README.md', 'deploy/README.md', 'docs/migration.md', 'docs/local.md'])(
  '%s',
  (name) => {
    const text = readFileSync(join(ROOT, name), 'utf8');

    test('every link of the page leads to a file', () => {
      const targets = [...text.matchAll(/\]\(([^)#:]+)(#[^)]*)?\)/g)].map((match) => match[1]!);
      const missing = targets.filter((target) => !existsSync(join(ROOT, name, '..', target)));
      expect(missing).toEqual([]);
    });

    test('every Corefile of the page loads', () => {
      const known = new Set(DIRECTIVES.map((directive) => directive.name));
      for (const [, corefile] of text.matchAll(/```corefile\n(.*?)```/gs)) {
        expect(parseCorefile(corefile!, { file: name, known }).blocks).not.toEqual([]);
      }
    });
  },
);

test('deploy/README.md has a row for each overlay and component', () => {
  const text = readFileSync(join(DEPLOY, 'README.md'), 'utf8');
  const folders = ['overlays', 'components'].flatMap((kind) =>
    readdirSync(join(DEPLOY, kind)).map((folder) => `${kind}/${folder}`),
  );
  expect(folders.filter((folder) => !text.includes(`| \`${folder}\``))).toEqual([]);
});

describe('README.md', () => {
  const text = readFileSync(join(ROOT, 'README.md'), 'utf8');

  test('the README has at most 120 lines', () => {
    expect(text.split('\n').length - 1).toBeLessThanOrEqual(120);
  });

  test.each(['npm ci && npm start', 'npm ci && npm test'])(
    'the README shows the command %s as it is run',
    (command) => {
      expect(text).toContain(`\n${command} `);
    },
  );

  test('every overlay that a command of the README names exists', () => {
    const named = [...text.matchAll(/deploy\/overlays\/[\w-]+/g)].map(([overlay]) => overlay);
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((overlay) => !existsSync(join(ROOT, overlay)))).toEqual([]);
  });

  test('the figure of the README and its caption have the figures of the lab', () => {
    const lab = readFileSync(join(ROOT, 'docs/lab.md'), 'utf8');
    const measured = /lookups of 5 s and more +\| +(\d+) +\| +(\d+) +\| +(\d+)-(\d+) /.exec(lab);
    const [, direct, daemon, fewest, most] = measured ?? [];
    const nodeCache = `${fewest} to ${most}`;
    expect(text).toContain(
      `kube-dns directly ${direct}, node-cache ${nodeCache}, nodelocald ${daemon}`,
    );
    const figure = readFileSync(join(ROOT, 'docs/stalls.svg'), 'utf8');
    for (const shown of [direct, daemon, nodeCache]) expect(figure).toContain(`>${shown}</text>`);
  });
});
