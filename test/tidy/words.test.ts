/** Words and habits that are kept out of our sources and pages. */
import { describe, expect, test } from 'vitest';
import { phrasesInPage, phrasesInSource } from './english.ts';
import { filesBelow, lineOf, textOf, withoutComments } from './source-files.ts';

/** Places where sentences still begin with a headless What or the like; every other one is held. */
const OPENINGS_OWED: readonly string[] = [
  'src/cli',
  'src/directives/forward',
  'src/main.ts',
  'src/tls',
  'src/upstream',
];

/** Places where a word is still to be replaced. */
const WORDS_OWED: readonly string[] = [
  'src/cli',
  'src/directives/forward',
  'src/tls',
  'src/upstream',
];

const FILES = ['src', 'test', 'bench', 'lab'].flatMap((directory) => filesBelow(directory, '.ts'));
const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...['src', 'docs', 'bench', 'deploy'].flatMap((directory) => filesBelow(directory, '.md')),
];

/** The type `any`, and not a function or an option of that name. */
const ANY_TYPE = /(?:[:<|&]\s*|\bas\s+|,\s*(?=any\s*>))any\b(?!\s*\()/g;
const TODO_WITHOUT_ISSUE = /\b(?:TODO|FIXME|XXX)\b(?!\(#\d+\))/g;

function found(pattern: RegExp, text: string, file: string): string[] {
  return [...text.matchAll(pattern)].map(({ index }) => `${file}:${lineOf(text, index)}`);
}

/** Strings become empty: what stands in them is no type. */
function withoutStrings(text: string): string {
  return text.replaceAll(/'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g, (string) =>
    string.replaceAll(/[^\n]/g, ' '),
  );
}

describe('our sources', () => {
  test('have no any', () => {
    const places = FILES.flatMap((file) =>
      found(ANY_TYPE, withoutStrings(withoutComments(textOf(file))), file),
    );
    const cure = 'any switches the compiler off: write unknown and narrow it, or the type itself';
    expect(places.map((place) => `${place}: ${cure}`)).toEqual([]);
  });

  test('have no TODO without the number of an issue', () => {
    const places = FILES.filter((file) => !file.endsWith('tidy/words.test.ts')).flatMap((file) =>
      found(TODO_WITHOUT_ISSUE, textOf(file), file),
    );
    const cure = 'open an issue and write TODO(#NUMBER), or do it now';
    expect(places.map((place) => `${place}: ${cure}`)).toEqual([]);
  });
});

describe('the English of sources and pages', () => {
  test('has none of the words that a reader has to translate back', () => {
    expect(faultsOutside(WORDS_OWED, false)).toEqual([]);
  });

  test('begins no sentence with a headless What, Whoever, Those or That', () => {
    expect(faultsOutside(OPENINGS_OWED, true)).toEqual([]);
  });

  test.each([
    '// It is read no more.',
    '/** Reads it anew. */',
    "const x = 'the port is not to be had';",
    '// It is told once.',
    '/** What a query asks. */',
    '// It is read. Whoever reads it keeps it.',
    '/** Those who wait. */',
    '/** The same of one query. */',
  ])('sees the habit in: %s', (source) => {
    expect(phrasesInSource(source)).toHaveLength(1);
  });

  test.each([
    '// No more than ten, and no more queries after that.',
    '// So many octets and no more.',
    '// The two are told apart by their keys.',
    '/** Those files are read. That is all. */',
    '// What if it fails? Then it is tried again.',
    'const what = `What ${told} is`; // the same again',
  ])('lets good English be: %s', (source) => {
    expect(phrasesInSource(source)).toEqual([]);
  });
});

/** Of all files but those in `owed`, which are folders and files, and the list of the words itself. */
function faultsOutside(owed: readonly string[], isOpening: boolean): string[] {
  return [...FILES, ...PAGES]
    .filter((file) => !owed.some((place) => file === place || file.startsWith(`${place}/`)))
    .filter((file) => !['test/tidy/english.ts', 'test/tidy/words.test.ts'].includes(file))
    .flatMap((file) =>
      (file.endsWith('.md') ? phrasesInPage : phrasesInSource)(textOf(file))
        .filter((phrase) => phrase.isOpening === isOpening)
        .map(({ line, found: words, cure }) => `${file}:${line}: "${words}": ${cure}`),
    );
}
