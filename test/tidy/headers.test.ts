/** The comment at the head of a module says what the module owns, and its place on the hot path. */
import { describe, expect, test } from 'vitest';
import { headerOf, lineOf, modulesBelow, textOf } from './source-files.ts';

/** A module of more lines has a header that says what it owns. */
const LINES_MAX = 50;
const STOPS = 6;

describe('module headers', () => {
  test(`a module of more than ${LINES_MAX} lines says what it owns`, () => {
    const faults = modulesBelow('src')
      .filter((file) => textOf(file).split('\n').length > LINES_MAX + 1)
      .filter((file) => !/^ \* Owns: +\S/m.test(headerOf(file)));
    const cure =
      'begin with /** ... */: what it is, a line " * Owns:    ..." for what only this file ' +
      'decides, and "Is not:" and "Callers:" where they help';
    expect(faults.map((file) => `${file}:1: its header has no "Owns:": ${cure}`)).toEqual([]);
  });

  test('one that says "Hot path" says where on it', () => {
    const faults = modulesBelow('src').flatMap((file) => {
      const header = headerOf(file);
      const [line] = /^ \* Hot path\b.*(?:\n \* {2,}.*)*/m.exec(header) ?? [];
      if (line === undefined || namesStop(line)) return [];
      return [`${file}:${lineOf(header, header.indexOf(line))}`];
    });
    const cure =
      `write "Hot path, stop N of ${STOPS}", as docs/ARCHITECTURE.md counts them, or ` +
      `"Hot path, helper of stop N"; where a directive adds the work, "Hot path, where \`NAME\` ..."`;
    expect(faults.map((place) => `${place}: says "Hot path" and no stop: ${cure}`)).toEqual([]);
  });
});

function namesStop(line: string): boolean {
  const numbers = /\bstops? (\d(?:(?:, | and )\d)*)/.exec(line)?.[1]?.match(/\d/g) ?? [];
  const areStops = numbers.every((number) => Number(number) >= 1 && Number(number) <= STOPS);
  return numbers.length > 0 ? areStops : /^ \* Hot path, where `\w+`/.test(line);
}
