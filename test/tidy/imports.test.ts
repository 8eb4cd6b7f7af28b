/**
 * Who may import whom. A row may import from the rows below it, and from its own folder: never up, and
 * never sideways. Types count too: what two folders of a row share is declared in a row below.
 * docs/ARCHITECTURE.md gives the reasons. Tests may import what they like of src/, but packages.
 */
import { describe, expect, test } from 'vitest';
import { circlesIn } from './circles.ts';
import { type Import, filesBelow, importsOf, targetOf } from './source-files.ts';

const ROWS: readonly (readonly string[])[] = [
  ['main.ts', 'worker-main.ts'],
  ['daemon'],
  ['cli', 'listen', 'server', 'hostnet'],
  ['directives'],
  ['http'],
  ['cache', 'upstream', 'corefile', 'gotemplate', 'node-cache'],
  ['query', 'tls'],
  ['files'],
  ['observe', 'dns'],
  ['sys'],
  ['net'],
];

/** Package to the files or folders that may import it. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  koffi: ['src/sys/libc.ts'],
  'dns-packet': ['src/dns/codec.ts'],
  pino: ['src/observe/log.ts'],
  'sonic-boom': ['src/observe/log.ts'],
  'prom-client': ['src/http/'],
  'lru-cache': ['src/cache/store.ts'],
  re2js: ['src/corefile/go-regexp.ts'],
  yaml: ['src/http/web-config.ts'],
  yargs: ['src/cli/commands.ts'],
  'yargs-parser': ['src/cli/parse-flags.ts'],
};

/** Only in tests. */
const TEST_PACKAGES: readonly string[] = ['vitest', 'fast-check'];

/** Packages that tests compare our own reading with, and the folder of these tests. */
const ORACLES: Readonly<Record<string, string>> = { 'dns-packet': 'src/dns/' };

/** dns/ has no I/O and no clock; of Node it takes what only looks at text. */
const DNS_BUILTINS: readonly string[] = ['node:net', 'node:module'];

const SOURCES = filesBelow('src', '.ts');
const IMPORTS = SOURCES.flatMap(importsOf);

describe('the layers of src/', () => {
  test('every folder has a place in a row', () => {
    const placed = new Set(ROWS.flat());
    const homeless = new Set(SOURCES.map(folderOf).filter((folder) => !placed.has(folder)));
    const cure = 'put it into a row of ROWS in test/tidy/imports.test.ts and in ARCHITECTURE.md';
    expect([...homeless].map((folder) => `src/${folder}: ${cure}`)).toEqual([]);
  });

  test('nothing imports upwards or sideways', () => {
    expect(IMPORTS.map(layerFault).filter((fault) => fault !== undefined)).toEqual([]);
  });

  test('directives never import each other', () => {
    expect(IMPORTS.flatMap(directiveViolation)).toEqual([]);
  });

  test('dns/ imports no I/O and no clock', () => {
    const wrong = IMPORTS.filter(
      ({ file, from }) =>
        folderOf(file) === 'dns' &&
        !isTest(file) &&
        from.startsWith('node:') &&
        !DNS_BUILTINS.includes(from),
    );
    const cure = 'let the caller read it, and hand it in';
    expect(wrong.map((found) => `${placed(found)}: ${cure}`)).toEqual([]);
  });
});

describe('the files of the project', () => {
  test('production code does not import testing.ts', () => {
    const wrong = IMPORTS.filter(
      ({ file, from }) => !isTest(file) && /(?:^|\/)testing\.ts$/.test(from),
    );
    const cure = 'testing.ts is for tests; move what production needs to a file of its own';
    expect(wrong.map((found) => `${placed(found)}: ${cure}`)).toEqual([]);
  });

  test('no files import each other in a circle, types included', () => {
    const all = ['src', 'test', 'bench', 'lab'].flatMap((folder) => filesBelow(folder, '.ts'));
    const circles = circlesIn(all.flatMap(importsOf));
    const cure = 'declare what both sides need in a file that imports neither';
    expect(circles.map((circle) => `${circle.map(placed).join(', ')}: ${cure}`)).toEqual([]);
  });
});

describe('packages have one door', () => {
  test('each is imported where it is wrapped, and nowhere else', () => {
    expect(IMPORTS.flatMap(packageViolation)).toEqual([]);
  });

  test.each(Object.entries(PACKAGES))('%s is imported at all', (name, places) => {
    const used = IMPORTS.some(({ from }) => from === name);
    expect(used, `${name} is for ${places.join(', ')}: drop it from package.json and here`).toBe(
      true,
    );
  });
});

/** The folder of src/ that a path is in, or main.ts. */
function folderOf(path: string): string {
  return path.split('/')[1]!;
}

function placed({ file, line, from }: Import): string {
  return `${file}:${line}: imports ${from}`;
}

function isTest(file: string): boolean {
  return file.endsWith('.test.ts') || file.endsWith('/testing.ts');
}

function rowOf(folder: string): number {
  return ROWS.findIndex((row) => row.includes(folder));
}

function layerFault(found: Import): string | undefined {
  const target = targetOf(found);
  // Tests are not built, and may borrow what makes their input.
  if (target === undefined || isTest(found.file)) return undefined;
  // The version; it is inlined when dist/ is bundled.
  if (target === 'package.json') return undefined;
  if (!target.startsWith('src/')) {
    return `${placed(found)}: src/ imports nothing from outside src/`;
  }
  const from = folderOf(found.file);
  const to = folderOf(target);
  if (from === to || rowOf(to) > rowOf(from)) return undefined;
  const row = ROWS[rowOf(from)]!.join(', ');
  return rowOf(to) === rowOf(from)
    ? `${placed(found)}: ${from}/ and ${to}/ are of one row (${row}) and do not know each other; ` +
        'declare what both need in a row below, or let daemon/ hand it over'
    : `${placed(found)}: ${to}/ is above ${from}/; declare an interface in ${from}/ or below, and ` +
        `let ${to}/ implement it`;
}

/** The files of src/directives/ that are there for every directive. */
const SHARED: readonly string[] = ['directive.ts', 'contributions.ts'];

function directiveViolation(found: Import): string[] {
  const target = targetOf(found);
  if (target === undefined || !found.file.startsWith('src/directives/')) return [];
  if (!target.startsWith('src/directives/')) return [];
  const [, , own] = found.file.split('/');
  const [, , other] = target.split('/');
  const isDirective = found.file.split('/').length > 3;
  if (!isDirective || other === own || SHARED.includes(other!) || isTest(target)) return [];
  return [
    `${placed(found)}: the directive ${own} may import ${SHARED.join(', ')} and its own folder; move what ` +
      'both need to cache/, upstream/, corefile/ or query/',
  ];
}

function packageViolation(found: Import): string[] {
  const { file, from } = found;
  if (from.startsWith('.') || from.startsWith('node:')) return [];
  if (TEST_PACKAGES.includes(from)) {
    return isTest(file) ? [] : [`${placed(found)}: that is for tests`];
  }
  const places = PACKAGES[from];
  if (places === undefined) {
    return [
      `${placed(found)}: no file may; a new package needs a line in docs/decisions/ and here`,
    ];
  }
  const allowed =
    places.some((place) => (place.endsWith('/') ? file.startsWith(place) : file === place)) ||
    (isTest(file) && file.startsWith(ORACLES[from] ?? '?'));
  return allowed ? [] : [`${placed(found)}: only ${places.join(', ')} may; call what that exports`];
}
