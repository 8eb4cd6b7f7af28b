/** What does not stand in our sources. */
import { describe, expect, test } from 'vitest';
import { filesBelow, lineOf, textOf, withoutComments } from './source-files.ts';

const FILES = ['src', 'test', 'bench'].flatMap((directory) => filesBelow(directory, '.ts'));

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
