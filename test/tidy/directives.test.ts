/** Every directive has its manual page, complete, and is in the list of docs/corefile.md. */
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { FOREIGN_DIRECTIVES } from '../../src/corefile/foreign.ts';
import { parseUse } from '../../src/corefile/blocks.ts';
import type { Repeat } from '../../src/directives/directive.ts';
import { DIRECTIVES } from '../../src/directives/index.ts';
import { formatDuration } from '../../src/corefile/values.ts';
import { testParsing } from '../../src/directives/testing.ts';
import { TCP_DEFAULTS } from '../../src/listen/tcp.ts';
import { METRICS } from '../../src/observe/metrics.ts';
import { FIRST } from '../harness/certificates.ts';
import { filesBelow, textOf } from './source-files.ts';

const NAMES = DIRECTIVES.map(({ name }) => name);
/** Their pages stand in docs/directives alone; each is to move to its directive's README.md. */
const PAGE_OWED: readonly string[] = [];
const SECTIONS = ['## Syntax', '## Differences from CoreDNS'];

/** The keys of the option tables of a directive's folder. */
function optionsOf(name: string): string[] {
  return filesBelow(`src/directives/${name}`, '.ts')
    .filter((file) => !file.endsWith('.test.ts'))
    .flatMap((file) => [...textOf(file).matchAll(/: OptionTable<[\s\S]*?^};/gm)])
    .flatMap(([table]) => [...table.matchAll(/^ {2}(\w+): /gm)].map(([, option]) => option!));
}

/** The rows of the tables of options, without their heads. */
function optionRows(page: string): string[][] {
  const tables = page.matchAll(/^\| (?:argument or )?option +\|.*\n\|[- |]+\|\n((?:\|.*\n?)+)/gm);
  return [...tables].flatMap(([, rows]) =>
    rows!
      .trimEnd()
      .split('\n')
      .map((row) =>
        row
          .split(/(?<!\\)\|/)
          .slice(1, -1)
          .map((cell) => cell.trim()),
      ),
  );
}

/** What stands in the place of a default, and is none. */
const PROSE: readonly string[] = [
  'off',
  'none',
  'as',
  'the',
  'one',
  'port',
  'every',
  'counted',
  'names',
];

/** Options whose default is not one of the parser's, but of what comes after it; each with a reason. */
const OTHERWISE_SAID: readonly string[] = [
  'forward max_age', // the pool's own, and more than a time
  'loop action', // another one with -localip
  'prometheus tls', // without it there is no TLS
  ...['read', 'write', 'idle', 'maxtcpqueries'].map((option) => `timeouts ${option}`), // see below
];

/** The least that each directive can be given; those that are not here need nothing. */
const LEAST: Readonly<Record<string, string>> = {
  forward: 'forward . 192.0.2.1',
  template: 'template IN A',
  rewrite: 'rewrite stop',
  loadbalance: `loadbalance weighted ${placed('weights', 'a.test\n192.0.2.1 2\n')}`,
  tls: `tls ${placed('cert.pem', FIRST.cert)} ${placed('key.pem', FIRST.key)}`,
};

function placed(name: string, text: string): string {
  const path = join(mkdtempSync(join(tmpdir(), 'tidy-')), name);
  writeFileSync(path, text);
  return path;
}

/** What the directive makes of one option, or of none, as text. */
function configOf(name: string, option: string): string {
  const directive = DIRECTIVES.find((candidate) => candidate.name === name)!;
  const use = parseUse(`${LEAST[name] ?? name} {\n${option}\n}`);
  return inspect(directive.parse(use, testParsing()), { depth: 10 });
}

function exists(path: string): boolean {
  return existsSync(new URL(`../../${path}`, import.meta.url));
}

function pageOf(name: string): string {
  const page = PAGE_OWED.includes(name)
    ? `docs/directives/${name}.md`
    : `src/directives/${name}/README.md`;
  const cure = `write ${page}: syntax, options with defaults and ranges, example, differences`;
  expect(exists(page), cure).toBe(true);
  return textOf(page);
}

describe.each(NAMES)('the directive %s', (name) => {
  test('has a manual page with its sections', () => {
    const page = pageOf(name);
    const cure = `src/directives/${name}/README.md: add`;
    expect(page.startsWith(`# ${name}\n`), `${cure} the title "# ${name}"`).toBe(true);
    const missing = SECTIONS.filter((section) => !page.includes(`\n${section}`));
    expect(missing.map((section) => `${cure} "${section}"`)).toEqual([]);
  });

  test('has the same page in docs/directives', () => {
    const copy = `docs/directives/${name}.md`;
    const same = exists(copy) && textOf(copy) === pageOf(name);
    expect(same, `${copy} is not the directive's README.md: npm run docs`).toBe(true);
  });

  test('has each of its options on the page', () => {
    const page = pageOf(name);
    const missing = optionsOf(name).filter((option) => !page.includes(`\`${option}\``));
    const cure = `src/directives/${name}/README.md: a row for the option`;
    expect(missing.map((option) => `${cure} \`${option}\``)).toEqual([]);
  });

  test('has no option on the page that its parser does not know', () => {
    const sources = filesBelow(`src/directives/${name}`, '.ts').filter(
      (file) => !file.endsWith('.test.ts'),
    );
    const words = new Set(sources.flatMap((file) => textOf(file).match(/[\w{}]+/g) ?? []));
    const unknown = optionRows(pageOf(name))
      .flatMap(([cell]) => [...cell!.matchAll(/`(\w+)`/g)].map(([, word]) => word!))
      .filter((word) => !words.has(word));
    const cure = `src/directives/${name}/README.md: the parser has no`;
    expect(unknown.map((word) => `${cure} \`${word}\``)).toEqual([]);
  });

  test('has the defaults that its page gives', () => {
    const wrong = optionRows(pageOf(name)).flatMap((cells) => {
      const [, option] = /^`(\w+)`$/.exec(cells[0]!) ?? [];
      const [, literal] = /^`?(-?\d[\w.]*%?|[a-z_]+|[A-Z]+)`?(?:,|;|$)/.exec(cells[2] ?? '') ?? [];
      if (option === undefined || literal === undefined || PROSE.includes(literal)) return [];
      if (!optionsOf(name).includes(option) || OTHERWISE_SAID.includes(`${name} ${option}`))
        return [];
      const said = configOf(name, `${option} ${literal}`);
      const unsaid = configOf(name, '');
      return said === unsaid
        ? []
        : [`src/directives/${name}/README.md: ${option} is not ${literal}`];
    });
    expect(wrong).toEqual([]);
  });

  test('names only metrics that there are', () => {
    const known = Object.keys(METRICS);
    const named = [...pageOf(name).matchAll(/`((?:coredns|nodelocald)_\w+)/g)].map((m) => m[1]!);
    const wrong = named.filter((metric) => !known.includes(metric));
    const cure = `src/directives/${name}/README.md: there is no metric`;
    expect(wrong.map((metric) => `${cure} ${metric}`)).toEqual([]);
  });

  test('is no foreign directive', () => {
    const cure = `src/corefile/foreign.ts: take ${name} out`;
    expect(FOREIGN_DIRECTIVES.has(name), cure).toBe(false);
  });
});

test('timeouts has the defaults of the listener', () => {
  const { firstMs, writeMs, idleMs } = TCP_DEFAULTS;
  const page = pageOf('timeouts').replaceAll(/ {2,}/g, ' ');
  for (const [option, ms] of Object.entries({ read: firstMs, write: writeMs, idle: idleMs })) {
    const row = page.split('\n').find((line) => line.startsWith(`| \`${option}\` |`));
    expect(row, option).toContain(`| \`${formatDuration(ms)}\` |`);
  }
});

describe('the directives as a whole', () => {
  test('a page that was owed is in its place', () => {
    const moved = PAGE_OWED.filter((name) => exists(`src/directives/${name}/README.md`));
    const cure = 'has its README.md: take it out of PAGE_OWED in this test';
    expect(moved.map((name) => `${name} ${cure}`)).toEqual([]);
  });

  test('docs/corefile.md lists them, in the order of the chain', () => {
    const rows = [
      ...textOf('docs/corefile.md').matchAll(/^\| \[(\w+)\]\(directives\/(\w+)\.md\)/gm),
    ];
    const cure = 'docs/corefile.md: the list of directives is that of src/directives/index.ts';
    expect(
      rows.map(([, title]) => title),
      cure,
    ).toEqual(NAMES);
    expect(rows.filter(([, title, page]) => title !== page)).toEqual([]);
  });

  test('docs/corefile.md lists those that are refused, with what to do instead', () => {
    const rows = [...new Set(FOREIGN_DIRECTIVES.values())].map((cure) => {
      const names = [...FOREIGN_DIRECTIVES].filter(([, other]) => other === cure);
      return `| ${names.map(([name]) => `\`${name}\``).join(', ')} | ${cure} |`;
    });
    const page = textOf('docs/corefile.md').replaceAll(/ {2,}/g, ' ');
    const missing = rows.filter((row) => !page.includes(row));
    expect(missing, 'docs/corefile.md: the table of refused directives lacks a row').toEqual([]);
  });

  test('docs/corefile.md says of each what a second use in a block means', () => {
    const said: Record<Repeat, readonly string[]> = {
      refuse: ['error'],
      accumulate: ['adds up', 'tried in turn', 'the last counts'],
      first: ['the first counts'],
      last: ['the last counts'],
    };
    const rows = textOf('docs/corefile.md').matchAll(/^\| \[(\w+)\]\(.*\| ([^|]+?) +\|$/gm);
    const wrong = [...rows].filter(([, name, text]) => {
      const directive = DIRECTIVES.find((candidate) => candidate.name === name);
      return directive !== undefined && !said[directive.repeat].includes(text!);
    });
    expect(wrong.map(([row]) => `docs/corefile.md: not so: ${row}`)).toEqual([]);
  });

  test('none that is there is said not to be there yet', () => {
    const [, list = ''] = /^Of node-cache's directives ([\s\S]*?) not\s+there yet/m.exec(
      textOf('docs/corefile.md'),
    ) ?? [''];
    const wrong = NAMES.filter((name) => list.includes(`\`${name}\``));
    expect(wrong.map((name) => `docs/corefile.md: ${name} is there: take it out`)).toEqual([]);
  });

  test('docs/directives has no other pages', () => {
    const pages = new Set(NAMES.map((name) => `docs/directives/${name}.md`));
    const extra = filesBelow('docs/directives', '.md').filter((page) => !pages.has(page));
    expect(extra.map((page) => `${page}: no directive in the list has this name`)).toEqual([]);
  });

  test('every folder of a directive is in the list', () => {
    const folders = new Set(
      filesBelow('src/directives', 'index.ts')
        .map((file) => file.split('/')[2]!)
        .filter((folder) => folder !== 'index.ts'),
    );
    const unlisted = [...folders].filter((folder) => !NAMES.includes(folder));
    expect(unlisted.map((folder) => `src/directives/index.ts: ${folder} is missing`)).toEqual([]);
  });
});
