/** Everything that operators meet is documented, and nothing is documented that does not exist. */
import { existsSync } from 'node:fs';
import { posix } from 'node:path';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.ts';
import { FLAGS } from '../../src/cli/flags.ts';
import { COREFILE_CODES } from '../../src/corefile/error.ts';
import { METRICS, type MetricDefinition } from '../../src/observe/metrics.ts';
import { filesBelow, lineOf, textOf } from './source-files.ts';

/** The cells of each row whose first one is `code`, by that code. */
function tableOf(page: string, code: RegExp): Map<string, string[]> {
  const rows = textOf(page)
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  return new Map(
    rows.flatMap((cells) => {
      const name = code.exec(cells[0] ?? '')?.[1];
      return name === undefined ? [] : [[name, cells] as const];
    }),
  );
}

function words(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, word]) => word!);
}

/** Code to meaning, of a table of codes that its file keeps to itself. */
function codesIn(file: string, prefix: string): Record<string, string> {
  const lines = textOf(file).matchAll(new RegExp(`^ {2}(${prefix}\\w+): '(.*)',$`, 'gm'));
  return Object.fromEntries([...lines].map(([, code, meaning]) => [code!, meaning!]));
}

const CONFIG_MAP_CODES = {
  ...codesIn('src/files/watched-directory.ts', 'CONFIGMAP_'),
  ...codesIn('src/node-cache/kube-dns-config.ts', 'CONFIGMAP_'),
};

/** Both ways: what is missing, and what is too much. */
function differences(
  page: string,
  documented: Iterable<string>,
  source: string,
  existing: Iterable<string>,
): string[] {
  const inPage = new Set(documented);
  const inSource = new Set(existing);
  return [
    ...[...inSource]
      .filter((name) => !inPage.has(name))
      .map((name) => `${page}: ${name} of ${source} is missing: document it`),
    ...[...inPage]
      .filter((name) => !inSource.has(name))
      .map((name) => `${page}: ${name} is not in ${source}: remove it, or mend its spelling`),
  ];
}

describe('docs/metrics.md', () => {
  const page = 'docs/metrics.md';
  const rows = tableOf(page, /^`((?:coredns|nodelocald)_\w+)`$/);

  test('has a row for each metric, and for nothing else', () => {
    const source = 'src/observe/metrics.ts';
    expect(differences(page, rows.keys(), source, Object.keys(METRICS))).toEqual([]);
  });

  test('gives each its type and labels', () => {
    const wrong = Object.entries<MetricDefinition>(METRICS).flatMap(([name, { kind, labels }]) => {
      const [, type, shown] = rows.get(name) ?? [];
      if (type === kind && words(shown ?? '').join() === labels.join()) return [];
      return [`${page}: ${name} is a ${kind} with the labels ${labels.join(' ') || '(none)'}`];
    });
    expect(wrong).toEqual([]);
  });
});

describe('docs/flags.md', () => {
  const page = 'docs/flags.md';
  const rows = tableOf(page, /^`-([\w.-]+)`$/);

  test('has a row for each flag, and for nothing else', () => {
    const source = 'src/cli/flags.ts';
    expect(differences(page, rows.keys(), source, Object.keys(FLAGS))).toEqual([]);
  });

  test('gives each its default', () => {
    const wrong = Object.entries(FLAGS).flatMap(([name, flag]) => {
      const shown = words(rows.get(name)?.[1] ?? '')[0] ?? '';
      if (shown === String(flag.default)) return [];
      return [`${page}: the default of -${name} is ${String(flag.default) || '(none)'}`];
    });
    expect(wrong).toEqual([]);
  });
});

describe('docs/commands.md', () => {
  test('has a row and a section for each command, and for nothing else', () => {
    const page = 'docs/commands.md';
    const rows = tableOf(page, /^`nodelocald (\w+)/).keys();
    const sections = [...textOf(page).matchAll(/^## (\w+)$/gm)].map(([, name]) => name!);
    const source = 'src/cli/commands.ts';
    expect(differences(page, rows, source, Object.keys(COMMANDS))).toEqual([]);
    expect(differences(page, sections, source, Object.keys(COMMANDS))).toEqual([]);
  });
});

describe('docs/reference-defects.md', () => {
  const page = 'docs/reference-defects.md';
  const rows = [...tableOf(page, /^(\d+)$/).values()];

  test('has the 19 of them, in order', () => {
    expect(rows.map(([number]) => Number(number))).toEqual(
      Array.from({ length: 19 }, (_, i) => i + 1),
    );
  });

  test.each(rows)('%s: its test is where the page says', (number, _theirs, _ours, test = '') => {
    const [, file, title] = /^`(\S+)`: (.+)$/.exec(test) ?? [];
    const cure = `${page}: row ${number}: the last cell is \`FILE\`: TITLE, of a test that there is`;
    expect(file !== undefined && existsSync(file) && textOf(file).includes(title!), cure).toBe(
      true,
    );
  });
});

describe('docs/errors.md', () => {
  const page = 'docs/errors.md';
  const text = textOf(page);
  const sections = new Map(
    text
      .split(/^### /m)
      .slice(1)
      .map((section) => [/^\S+/.exec(section)![0], section] as const),
  );

  test('has a section for each code of the Corefile and the ConfigMap', () => {
    const documented = [...sections.keys()].filter((code) => /^(COREFILE|CONFIGMAP)_/.test(code));
    const existing = [...Object.keys(COREFILE_CODES), ...Object.keys(CONFIG_MAP_CODES)];
    expect(existing.some((code) => code.startsWith('CONFIGMAP_'))).toBe(true);
    expect(differences(page, documented, 'COREFILE_CODES, CONFIG_MAP_CODES', existing)).toEqual([]);
  });

  test('has a section for each system error that a listener explains', () => {
    const source = 'src/listen/listener.ts';
    const existing = [...textOf(source).matchAll(/^ {2}(E[A-Z]+): '/gm)].map(([, code]) => code!);
    expect(existing.length, `${source} no longer has CURES: mend this test`).toBeGreaterThan(0);
    const missing = existing.filter((code) => !sections.has(code));
    expect(missing.map((code) => `${page}: ${code} of ${source} is missing`)).toEqual([]);
  });

  test.each(Object.entries({ ...COREFILE_CODES, ...CONFIG_MAP_CODES }))(
    '%s: "%s" stands in its section',
    (code, meaning) => {
      // Without the final dot, as the sentence may go on; lines may break anywhere.
      const flat = (sections.get(code) ?? '').replaceAll(/\s+/g, ' ');
      const cure = `${page}: section ${code} must begin with its meaning in the table of codes`;
      expect(flat.includes(meaning.slice(0, -1)), cure).toBe(true);
    },
  );

  test.each(Object.keys(COREFILE_CODES))('%s has an example and a cure', (code) => {
    const section = sections.get(code) ?? '';
    const cure = `${page}: section ${code} needs an example in a code block, and "Cure:"`;
    expect(section.includes('```') && section.includes('Cure:'), cure).toBe(true);
  });
});

describe('the papers', () => {
  test('CHANGELOG.md has a section Unreleased', () => {
    const cure = 'CHANGELOG.md: begin the next version with "## Unreleased"';
    expect(/^## Unreleased$/m.test(textOf('CHANGELOG.md')), cure).toBe(true);
  });

  test('decisions are numbered without gaps, and answer the five questions', () => {
    const files = filesBelow('docs/decisions', '.md');
    const wrong = files.flatMap((file, i) => {
      const number = String(i + 1).padStart(4, '0');
      const faults: string[] = [];
      const text = textOf(file);
      if (!posix.basename(file).startsWith(`${number}-`)) faults.push(`its number is ${number}`);
      if (!text.startsWith(`# ${number}: `)) faults.push(`its title begins "# ${number}: "`);
      for (const part of ['Question', 'Decision', 'Measured', 'Tried', 'Would change our mind']) {
        if (!text.includes(`\n**${part}`)) faults.push(`a paragraph begins **${part}.**`);
      }
      return faults.map((fault) => `${file}: ${fault}`);
    });
    expect(wrong).toEqual([]);
  });

  test('no link leads nowhere', () => {
    const pages = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...filesBelow('docs', '.md')];
    expect(pages.flatMap(deadLinks)).toEqual([]);
  });
});

function exists(path: string): boolean {
  return existsSync(new URL(`../../${path}`, import.meta.url));
}

/** Links to files; those to elsewhere are not followed. */
function deadLinks(page: string): string[] {
  const text = textOf(page);
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(({ index, 1: link }) => {
    if (/^[a-z]+:/.test(link!)) return [];
    const [path, anchor] = link!.split('#');
    const target = path === '' ? page : posix.join(posix.dirname(page), path!);
    const place = `${page}:${lineOf(text, index)}: link to ${link}`;
    if (!exists(target)) return [`${place}: there is no ${target}`];
    if (anchor === undefined || !target.endsWith('.md')) return [];
    const headings = [...textOf(target).matchAll(/^#+ (.*)$/gm)].map(([, title]) => slug(title!));
    return headings.includes(anchor) ? [] : [`${place}: no heading of ${target} gives #${anchor}`];
  });
}

/** The anchor that a heading gets. */
function slug(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');
}
