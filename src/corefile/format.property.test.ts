import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Corefile, parseCorefile } from './blocks.ts';
import { CorefileError } from './error.ts';
import { formErrors, formatCorefile } from './format.ts';
import type { Source } from './source.ts';
import { type Comment, tokenize } from './tokens.ts';

const files: Readonly<Record<string, string>> = { '/f': 'log\nimport a\n', '/g': '. {\n log\n}\n' };

const source: Source = {
  readFile: (path) => files[path]!,
  list: () => Object.keys(files).map((path) => path.slice(1)),
  kindOf: (path) => (Object.hasOwn(files, path) ? 'file' : undefined),
  env: (name) => name.toLowerCase(),
};

const known = new Set(['log', 'cache', 'forward', 'a', '\ufeff']);

function parse(text: string): Corefile | undefined {
  try {
    return parseCorefile(text, { file: '/Corefile', source, known });
  } catch (error) {
    if (error instanceof CorefileError) return undefined;
    throw error;
  }
}

/** The contents of the blocks without places. */
function meaning(corefile: Corefile | undefined): unknown {
  return corefile?.blocks.map(({ keys, uses }) => [
    keys.map(({ scheme, zone, port }) => `${scheme} ${zone} ${port}`),
    uses.map(({ name, args, hasBlock, options }) => [
      name,
      args.map(({ text }) => text),
      hasBlock,
      options.map((line) => [line.name.text, ...line.args.map(({ text }) => text)]),
    ]),
  ]);
}

const line = fc.constantFrom(
  ...['log', 'log "x y"', 'cache {\n a b\n}', 'cache 30 { }', 'forward . x {\n a\n\n\tb # c\n }'],
  ...['import /f', 'import a', '# note', 'log # note  ', '', '', '\t', 'log "{"  {$V} "a\\"\\d"'],
  ...['\ufeff', 'cache { # note\n a "x\n  y" z\n # note\n}', 'import /nothing*', '\r\nlog\r'],
);
const key = fc.constantFrom(
  '.',
  '.:53',
  'a.test, b.test',
  'a.test,\n\nb.test',
  '10.0.0.0/23',
  '"."',
);
const open = fc.constantFrom(
  ' {\n',
  '\n{\n',
  ' { # note\n',
  ' # note\n{ # note\n',
  '\n# note\n{\n',
  ' { ',
);
const end = fc.constantFrom('\n}\n', '\n}', '\n\n } # note\n', '\n}\n\n\n');
const block = fc
  .tuple(key, open, fc.array(line, { maxLength: 6 }), end)
  .map(([keys, opens, lines, ends]) => `${keys}${opens}${lines.join('\n')}${ends}`);
const snippet = fc.array(line, { maxLength: 3 }).map((lines) => `(a) {\n${lines.join('\n')}\n}\n`);
const corefile = fc
  .tuple(fc.option(snippet, { nil: '' }), fc.array(fc.oneof(block, line), { maxLength: 4 }))
  .map(([first, rest]) => `${first}${rest.join('\n')}`);

describe('formatting', () => {
  test('formatting keeps the meaning and all comments, and changes nothing the second time', () => {
    let formatted = 0;
    fc.assert(
      fc.property(corefile, (text) => {
        const before = parse(text);
        if (before === undefined) return;
        expect(formErrors(text, 'Corefile')).toEqual([]);
        const once = formatCorefile(text);
        expect(meaning(parse(once))).toEqual(meaning(before));
        expect(formatCorefile(once)).toBe(once);
        expect(commentsOf(once)).toEqual(commentsOf(text));
        expect(once).not.toMatch(/\n\n\n|[ \t]\n(?!.*y" z)/);
        formatted++;
      }),
      { numRuns: 1_000 },
    );
    expect(formatted).toBeGreaterThan(100); // not all of them were refused
  });

  test('any text has errors of form or can be formatted', () => {
    const part = fc.constantFrom(
      ...['{', '}', '"', '#', '\\', '\n', ' ', 'a', ',', '(a)', 'import'],
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 40 }), (parts) => {
        const text = parts.join('');
        if (formErrors(text, 'Corefile').length > 0) return;
        const once = formatCorefile(text);
        expect(formatCorefile(once)).toBe(once);
        const words = (of: string): string[] => tokenize(of, '').map((token) => token.text);
        expect(words(once)).toEqual(words(text));
      }),
      { numRuns: 1_000 },
    );
  });
});

function commentsOf(text: string): string[] {
  const comments: Comment[] = [];
  tokenize(text, '', undefined, comments);
  return comments.map((comment) => comment.text);
}
