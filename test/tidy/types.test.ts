/** One name, one meaning: a type that is exported has a name of its own in all of src/. */
import { expect, test } from 'vitest';
import { lineOf, modulesBelow, textOf, withoutComments } from './source-files.ts';

const EXPORTED_TYPE = /^export (?:abstract )?(?:interface|type|class) (\w+)/gm;

test('an exported type has a name that no other file of src/ exports', () => {
  const placesOf = new Map<string, string[]>();
  for (const file of modulesBelow('src')) {
    const text = withoutComments(textOf(file));
    for (const { index, 1: name } of text.matchAll(EXPORTED_TYPE)) {
      const place = `${file}:${lineOf(text, index)}`;
      placesOf.set(name!, [...(placesOf.get(name!) ?? []), place]);
    }
  }
  const cure = 'rename the one that is known in fewer files, or let both be one';
  const faults = [...placesOf]
    .filter(([, places]) => places.length > 1)
    .map(([name, places]) => `${places.join(', ')}: two types are called ${name}: ${cure}`);
  expect(faults).toEqual([]);
});
