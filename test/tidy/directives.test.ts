/** Every directive has its manual page in its folder, complete and true, and packed where errors say. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { FOREIGN_DIRECTIVES } from '../../src/corefile/foreign.ts';
import { parseUse } from '../../src/corefile/blocks.ts';
import { unknownOption } from '../../src/corefile/options.ts';
import type { Repeat } from '../../src/directives/directive.ts';
import { DIRECTIVES } from '../../src/directives/index.ts';
import { formatDuration } from '../../src/corefile/values.ts';
import { refusal, testParsing } from '../../src/directives/testing.ts';
import { TCP_DEFAULTS } from '../../src/listen/tcp.ts';
import { METRICS } from '../../src/observe/metrics.ts';
import { FIRST } from '../harness/certificates.ts';
import { filesBelow, lineOf, textOf, withoutComments } from './source-files.ts';

const ROOT = join(import.meta.dirname, '../..');

const NAMES = DIRECTIVES.map(({ name }) => name);
/** How a page says what a second use in a block means. */
const REPEATED: Readonly<Record<Repeat, string>> = {
  refuse: 'It may stand once in a block',
  accumulate: 'Several uses in a block add up',
  first: 'Of several uses in a block the first counts',
  last: 'Of several uses in a block the last counts',
};
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

/** Words in the place of a default that are none. */
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

/** The directive with nothing but what it needs: for one that is not in LEAST, as its page has it. */
function leastOf(name: string): string {
  const [, example = name] = new RegExp(`^ *(${name}\\b[^{\\n]*)`, 'm').exec(exampleOf(name)) ?? [];
  return LEAST[name] ?? (isRefused(name, name) ? example.trimEnd() : name);
}

function exampleOf(name: string): string {
  return pageOf(name).split('\n## Example')[1] ?? '';
}

function isRefused(name: string, text: string): boolean {
  const directive = DIRECTIVES.find((candidate) => candidate.name === name)!;
  return refusal(directive, text) !== undefined;
}

/** The directive's config with one option, or with none, as text. */
function configOf(name: string, option: string): string {
  const directive = DIRECTIVES.find((candidate) => candidate.name === name)!;
  const use = parseUse(`${leastOf(name)} {\n${option}\n}`);
  return inspect(directive.parse(use, testParsing()), { depth: 10 });
}

function exists(path: string): boolean {
  return existsSync(new URL(`../../${path}`, import.meta.url));
}

function pageOf(name: string): string {
  const page = `src/directives/${name}/README.md`;
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

  test('says on its page what a second use in a block means', () => {
    const { repeat } = DIRECTIVES.find((candidate) => candidate.name === name)!;
    const said = Object.values(REPEATED).filter((sentence) =>
      pageOf(name).replaceAll('\n', ' ').includes(sentence),
    );
    const cure = `src/directives/${name}/README.md: say "${REPEATED[repeat]}" and nothing else of it`;
    expect(said, cure).toEqual([REPEATED[repeat]]);
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
  test('docs/corefile.md lists those that are refused, with what to do instead', () => {
    const rows = [...new Set(FOREIGN_DIRECTIVES.values())].map((cure) => {
      const names = [...FOREIGN_DIRECTIVES].filter(([, other]) => other === cure);
      return `| ${names.map(([name]) => `\`${name}\``).join(', ')} | ${cure} |`;
    });
    const page = textOf('docs/corefile.md').replaceAll(/ {2,}/g, ' ');
    const missing = rows.filter((row) => !page.includes(row));
    expect(missing, 'docs/corefile.md: the table of refused directives lacks a row').toEqual([]);
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

describe('the manual pages in a package or an image', () => {
  const packed = mkdtempSync(join(tmpdir(), 'tidy-pages-'));
  const unknown = parseUse('x {\nno-such-option\n}').options[0]!.name;
  execFileSync('sh', [join(ROOT, 'deploy/pack-pages.sh'), packed]);

  test.each(NAMES)('the page that errors of %s name is packed', (name) => {
    const { hint } = unknownOption(parseUse(name), unknown, []);
    const [, file] = /docs\/directives\/(\S+)$/.exec(hint ?? '') ?? [];
    expect(readFileSync(join(packed, file!), 'utf8')).toMatch(new RegExp(`^# ${name}\n`));
  });

  test('their links lead to other pages among them', () => {
    const broken = NAMES.flatMap((name) => {
      const text = readFileSync(join(packed, `${name}.md`), 'utf8');
      const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, link]) => link!);
      return links
        .filter((link) => !existsSync(join(packed, link)))
        .map((link) => `src/directives/${name}/README.md: no such page: ${link}`);
    });
    expect(broken).toEqual([]);
  });

  test('npm packs them, and the image holds them, at the path that errors name', () => {
    expect(textOf('package.json')).toContain('sh deploy/pack-pages.sh docs/directives');
    const dockerfile = textOf('Dockerfile');
    expect(dockerfile).toContain('RUN sh deploy/pack-pages.sh docs/directives\n');
    expect(dockerfile).toContain('COPY --from=build /app/docs /app/docs\n');
  });
});

test('no directive is known by name outside its folder', () => {
  const compared = new RegExp(`\\bname\\b\\W*\\s[!=]==\\s'(?:${NAMES.join('|')})'`, 'g');
  const found = filesBelow('src', '.ts')
    .filter((file) => !/\.test\.ts$|^src\/directives\/\w+\//.test(file))
    .flatMap((file) => {
      const text = withoutComments(textOf(file));
      return [...text.matchAll(compared)].map(({ index }) => `${file}:${lineOf(text, index)}`);
    });
  const cure = 'let the directive say it: a key of contributions.ts, or a property of its handler';
  expect(found.map((place) => `${place}: a directive is known by name; ${cure}`)).toEqual([]);
});
