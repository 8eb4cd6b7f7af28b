import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Corefile, parseCorefile } from './blocks.ts';
import { CorefileError } from './error.ts';
import type { Source } from './source.ts';

const files: Readonly<Record<string, string>> = {
  '/f': 'log\nimport a\n',
  '/g': '. {\n import /f\n}\n',
  '/open': 'cache {\n',
  '/self': 'import /self',
};

const source: Source = {
  readFile: (path) => files[path]!,
  list: () => Object.keys(files).map((path) => path.slice(1)),
  kindOf: (path) => (Object.hasOwn(files, path) ? 'file' : undefined),
  env: (name) => (name === 'LOOP' ? '{$LOOP}' : name.toLowerCase()),
};

const options = { file: '/Corefile', source, known: new Set(['log', 'cache', 'forward', 'a']) };

/** The Corefile, or undefined if the text is refused. Rethrows anything but CorefileError. */
function parse(text: string): Corefile | undefined {
  try {
    return parseCorefile(text, options);
  } catch (error) {
    if (error instanceof CorefileError) return undefined;
    throw error;
  }
}

const PARTS = (
  '{ } , import import·/f import·/g import·/* import·a import·/self import·/open (a) (a)·{ log ' +
  'cache forward .·{ .:53 a.test, 10.0.0.0/17 " "" "x·y" # {$A} {$LOOP} {%B%}'
)
  .split(' ')
  .map((part) => part.replaceAll('·', ' '));

const soup = fc
  .array(fc.constantFrom('\n', '\n', '\\', ...PARTS), { maxLength: 60 })
  .map((parts) => parts.join(' '));

describe('the parser is total', () => {
  test('any soup of tokens gives blocks or a CorefileError', () => {
    fc.assert(
      fc.property(soup, (text) => {
        for (const block of parse(text)?.blocks ?? []) {
          expect(block.keys.length).toBeGreaterThan(0);
          for (const use of block.uses) expect(options.known.has(use.name)).toBe(true);
        }
      }),
      { numRuns: 5_000 },
    );
  });

  test('reading on after errors gives the first error of strict reading, or its blocks', () => {
    fc.assert(
      fc.property(soup, (text) => {
        const errors: string[] = [];
        let blocks: unknown;
        try {
          const report = (error: CorefileError): void => void errors.push(error.message);
          blocks = parseCorefile(text, { ...options, report }).blocks;
        } catch (error) {
          if (!(error instanceof CorefileError)) throw error;
          errors.push(error.message);
        }
        let strict: unknown;
        try {
          strict = parseCorefile(text, options).blocks;
        } catch (error) {
          strict = (error as CorefileError).message;
        }
        expect(strict).toEqual(errors[0] ?? blocks);
      }),
      { numRuns: 5_000 },
    );
  });

  test('any octets give blocks or a CorefileError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (octets) => {
        parse(Buffer.from(octets).toString('utf8'));
      }),
      { numRuns: 1_000 },
    );
  });

  test('the time to parse grows with the length of the text, not with its square', () => {
    const units = [
      '. {\nlog\n}\n',
      'a.test, ',
      '. {\nimport /f\n}\n',
      'a {\n',
      '(a) {\n}\n',
      '(',
      '{$A}',
      '. {\ncache {\na b c\n}\n}\n',
      '}\n',
    ];
    for (const unit of units) {
      const startedMs = performance.now();
      parse(unit.repeat(Math.floor(400_000 / unit.length)));
      // Ten times the slowest measured; a quadratic parser would need minutes.
      expect(performance.now() - startedMs).toBeLessThan(5_000);
    }
  }, 50_000);
});

describe('a generated Corefile reads back', () => {
  const word = fc.stringMatching(/^[a-z0-9.:_/-]{1,10}$/).filter((text) => text !== 'import');
  const line = fc.array(word, { minLength: 1, maxLength: 5 });
  const use = fc.record({
    name: fc.constantFrom('log', 'cache', 'forward'),
    args: fc.array(word, { maxLength: 4 }),
    lines: fc.option(fc.array(line, { maxLength: 4 }), { nil: undefined }),
  });
  const zone = fc.stringMatching(/^[a-z]{1,5}(?:\.[a-z]{1,5}){0,2}$/);
  const block = fc.record({
    zones: fc.array(zone, { minLength: 1, maxLength: 3 }),
    uses: fc.array(use, { maxLength: 6 }),
  });

  test('blocks, directives and options are read in the order they were written', () => {
    fc.assert(
      fc.property(fc.array(block, { maxLength: 4 }), (blocks) => {
        const text = blocks
          .map(({ zones, uses }) => {
            const body = uses.map(({ name, args, lines }) => {
              const head = [name, ...args].join(' ');
              if (lines === undefined) return `  ${head}\n`;
              return `  ${head} {\n${lines.map((words) => `    ${words.join(' ')}\n`).join('')}  }\n`;
            });
            return `${zones.join(' ')} {\n${body.join('')}}\n`;
          })
          .join('');
        const read = parseCorefile(text, options).blocks.map(({ keys, uses }) => ({
          zones: keys.map((key) => key.zone.slice(0, -1)),
          uses: uses.map(({ name, args, hasBlock, options: lines }) => ({
            name,
            args: args.map((token) => token.text),
            lines: hasBlock
              ? lines.map((each) => [each.name, ...each.args].map((token) => token.text))
              : undefined,
          })),
        }));
        expect(read).toEqual(blocks);
      }),
    );
  });
});
