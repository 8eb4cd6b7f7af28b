/** The comment at the head of a module says what the module owns, and its place on the hot path. */
import { describe, expect, test } from 'vitest';
import { headerOf, lineOf, modulesBelow, textOf } from './source-files.ts';

/** A module of more lines has a header that says what it owns. */
const LINES_MAX = 50;
const STOPS = 6;

/** Modules whose header does not say yet what they own; nothing may be added. */
const OWNS_OWED: readonly string[] = [
  'src/directives/forward/explain.ts',
  'src/directives/forward/handler.ts',
  'src/directives/forward/index.ts',
  'src/directives/forward/targets.ts',
  'src/upstream/accept.ts',
  'src/upstream/attempt.ts',
  'src/upstream/config.ts',
  'src/upstream/connection/trials.ts',
  'src/upstream/health.ts',
  'src/upstream/policy.ts',
  'src/upstream/testing.ts',
  'src/upstream/wire/https.ts',
  'src/upstream/wire/udp.ts',
];

describe('module headers', () => {
  test(`a module of more than ${LINES_MAX} lines says what it owns`, () => {
    const faults = modulesBelow('src')
      .filter((file) => !OWNS_OWED.includes(file))
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
