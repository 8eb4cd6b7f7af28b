/** The walks of docs/ARCHITECTURE.md name the functions of their files, and that of a hit every stop. */
import { describe, expect, test } from 'vitest';
import { headerOf, modulesBelow, textOf } from './source-files.ts';

const PAGE = 'docs/ARCHITECTURE.md';
const TEXT = textOf(PAGE);
const HIT = sectionOf('The walk of a hit');
const MISS = sectionOf('The walk of a miss');

function sectionOf(title: string): string {
  const section = new RegExp(`^## ${title}\\n([\\s\\S]*?)(?=^## )`, 'm').exec(TEXT)?.[1];
  if (section === undefined) throw new Error(`${PAGE} has no section "${title}"`);
  return section;
}

/** The stops that the header of a file gives it. */
function stopsOf(file: string): number[] {
  const [, stops = ''] = /^ \* Hot path, (stops? [\d, and]+)/m.exec(headerOf(file)) ?? [];
  return (stops.replace(/ of \d+$/, '').match(/\d/g) ?? []).map(Number);
}

describe(PAGE, () => {
  test.each([
    ['hit', HIT],
    ['miss', MISS],
  ])('names in the walk of a %s no function that its file does not have', (_, section) => {
    const pairs = [...section.matchAll(/`([\w/.-]+\.ts)`\s\(`([\w#]+)`/g)];
    expect(pairs.length).toBeGreaterThan(2);
    const wrong = pairs.filter(
      ([, file, name]) => !new RegExp(`(?<!\\w)${name}\\(`).test(textOf(`src/${file}`)),
    );
    expect(wrong.map(([, file, name]) => `${PAGE}: src/${file} has no ${name}`)).toEqual([]);
  });

  test('names each file of the hot path at the stop that its header gives', () => {
    const steps = HIT.split(/^(?=\d\. )/m).slice(1);
    const faults = modulesBelow('src').flatMap((file) =>
      stopsOf(file)
        .filter((stop) => !steps[stop - 1]?.includes(`\`${file.slice('src/'.length)}\``))
        .map((stop) => `${PAGE}: stop ${stop} of the walk of a hit does not name ${file}`),
    );
    expect(faults).toEqual([]);
  });
});
