/**
 * How long functions are, how many parameters they have, and what those of the hot path may not do.
 *
 * Functions are taken from the compiler's syntax trees. A list names the functions that have too many
 * parameters today: nothing may be added to it, and the aim is that it is empty.
 */
import { describe, expect, test } from 'vitest';
import { headerOf, modulesBelow } from './source-files.ts';
import { type FunctionFacts, functionsOf } from './syntax.ts';

const LINES_MAX = 60;
const PARAMETERS_MAX = 5;
/** On the hot path, where an object per call costs more than a longer list. */
const HOT_PARAMETERS_MAX = 6;

const FUNCTIONS = functionsOf(modulesBelow('src', 'test', 'bench', 'lab'));

function placeOf({ file, line, name }: FunctionFacts): string {
  return `${file}:${line}: ${name ?? 'a function'}`;
}

describe('functions', () => {
  test('are not longer than 60 lines', () => {
    const faults = FUNCTIONS.filter(({ lines }) => lines > LINES_MAX).map(
      (found) =>
        `${placeOf(found)} has ${found.lines} lines, and ${LINES_MAX} are the most: give a part ` +
        'that can be named a function of its own',
    );
    expect(faults).toEqual([]);
  });

  test('have not more than 5 parameters, or 6 on the hot path', () => {
    const faults = FUNCTIONS.filter(
      (found) => found.parameters > (isHot(found) ? HOT_PARAMETERS_MAX : PARAMETERS_MAX),
    ).map(
      (found) =>
        `${placeOf(found)} has ${found.parameters} parameters, and ${PARAMETERS_MAX} are the ` +
        `most (${HOT_PARAMETERS_MAX} in files that say "Hot path"): pass those that belong ` +
        'together as one object',
    );
    expect(faults).toEqual([]);
  });
});

/**
 * The rule sees syntax: a closure, a spread, `await`, `for...of` and a template string, in any
 * function of a file whose header says "Hot path", and in functions elsewhere whose docstring does.
 * The rule does not see objects and arrays that are made, calls that allocate inside, functions
 * of other files, and anything in a `throw`. It says `for...of` of arrays too, for which an index is
 * as short and never slower. The benchmark is the judge of the rest.
 */
describe('functions on the hot path', () => {
  test('have no closure, spread, await, for...of or template string', () => {
    const faults = FUNCTIONS.filter(isHot).flatMap(({ file, name, costs }) =>
      costs.map(
        ({ line, what }) =>
          `${file}:${line}: ${name ?? 'a function'} is on the hot path and has ${what}: write it ` +
          'without, or say "Off the hot path" and why in the docstring of the function',
      ),
    );
    expect(faults).toEqual([]);
  });

  test('are seen by this rule', () => {
    expect(FUNCTIONS.filter(isHot).map(({ name }) => name)).toEqual(
      expect.arrayContaining(['readQuery', 'AnswerCache.find', 'frameAnswer', 'sendDatagrams']),
    );
  });
});

/** Constructors are called when a server is built; nested functions count with the outer one. */
function isHot({ file, name, isNested, docstring }: FunctionFacts): boolean {
  if (isNested || name === undefined || name.endsWith('.constructor')) return false;
  // A docstring may be broken anywhere.
  if (/\bOff\s+(?:\* )?the\s+(?:\* )?hot\s+(?:\* )?path\b/.test(docstring)) return false;
  return /\bHot path\b/.test(docstring) || /^ \* Hot path\b/m.test(headerOf(file));
}
