import { describe, expect, test } from 'vitest';
import { CorefileError } from './error.ts';
import { SNIPPET_IMPORTS_MAX, substitute, TokenStream } from './imports.ts';
import { parseCorefile } from './blocks.ts';
import type { Source } from './source.ts';

interface Machine {
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly unreadable?: string;
}

function sourceOf({ files = {}, env = {}, unreadable }: Machine): Source {
  const below = (directory: string) =>
    Object.keys(files).filter((path) => path.startsWith(directory === '/' ? '/' : `${directory}/`));
  return {
    readFile(path) {
      if (path === unreadable) throw new Error(`EACCES: permission denied, open '${path}'`);
      return files[path]!;
    },
    list: (directory) => [
      ...new Set(below(directory).map((path) => path.slice(directory.length + 1).split('/')[0]!)),
    ],
    kindOf(path) {
      if (Object.hasOwn(files, path)) return 'file';
      return below(path).length > 0 ? 'directory' : undefined;
    },
    env: (name) => env[name],
  };
}

function streamOf(text: string, machine: Machine = {}): TokenStream {
  return new TokenStream(text, '/etc/coredns/Corefile', sourceOf(machine));
}

function texts(stream: TokenStream): string[] {
  const found: string[] = [];
  while (stream.peek() !== undefined) found.push(stream.take().text);
  return found;
}

/** Each block as `zone: directive arg; directive { option }`. */
function outline(text: string, machine: Machine = {}): string[] {
  const corefile = parseCorefile(text, {
    file: '/etc/coredns/Corefile',
    source: sourceOf(machine),
    known: new Set(['errors', 'log', 'forward', 'whoami', 'cache']),
  });
  return corefile.blocks.map((block) => {
    const uses = block.uses.map((use) => {
      const words = [use.name, ...use.args.map((arg) => arg.text)];
      if (use.hasBlock) {
        const lines = use.options.map(({ name, args }) =>
          [name, ...args].map((t) => t.text).join(' '),
        );
        words.push(`{${lines.join(',')}}`);
      }
      return words.join(' ');
    });
    return `${block.keys.map((key) => key.zone).join(' ')}: ${uses.join('; ')}`;
  });
}

function repeated(times: number): string {
  return `(a) {\n log\n}\n. {\n${'import a\n'.repeat(times)}}`;
}

describe('environment variables', () => {
  const env: Readonly<Record<string, string>> = {
    A: '1',
    B: '{$A}2',
    SPACED: 'x y',
    'A:5': 'default',
    SELF: '{$SELF}',
    TWICE: '{$TWICE}{$TWICE}',
    PERCENT: '{%A%}',
  };
  test.each([
    { text: '{$A}', becomes: '1', because: 'the value is put in' },
    { text: '{%A%}', becomes: '1', because: 'there is a second form' },
    { text: 'x{$A}y{%A%}z{$A}', becomes: 'x1y1z1', because: 'a token may hold several' },
    { text: '{$UNSET}', becomes: '', because: 'an unset one is empty' },
    { text: '{$B}', becomes: '12', because: 'a value is scanned again' },
    { text: '{$PERCENT}', becomes: '{%A%}', because: 'the percent form is replaced first' },
    { text: '{$SPACED}', becomes: 'x y', because: 'a value stays one token' },
    { text: '{$A:5}', becomes: 'default', because: 'a colon is part of the name' },
    { text: '{$}', becomes: '{$}', because: 'there is no name' },
    { text: '{%%}', becomes: '{%%}', because: 'there is no name' },
    { text: '{$A', becomes: '{$A', because: 'it is not closed' },
    { text: '{A}', becomes: '{A}', because: 'it has no sign' },
  ])('$text becomes $becomes, since $because', ({ text, becomes }) => {
    expect(substitute(text, (name) => env[name])).toBe(becomes);
  });

  test.each(['SELF', 'TWICE'])('the variable %s, which names itself, is refused', (name) => {
    expect(substitute(`{$${name}}`, (wanted) => env[wanted])).toBeUndefined();
    expect(() => texts(streamOf(`{$${name}}`, { env }))).toThrow('name each other without end');
  });

  test('a value that would fill the memory is refused before it can', () => {
    const long = 'x'.repeat(60_000);
    expect(substitute('{$L}'.repeat(1_000), () => long)).toBeUndefined();
  });

  test('keys, names, arguments and options may hold variables, quoted or not', () => {
    const text = '{$Z}:5 {\n {$D} . "{$UP}" {\n  {$O} {%N%}\n }\n}';
    const machine = { env: { Z: 'a.test', D: 'forward', UP: '1.1.1.1 x', O: 'max_fails', N: '3' } };
    expect(outline(text, machine)).toEqual(['a.test.: forward . 1.1.1.1 x {max_fails 3}']);
  });

  test('a brace that comes from a variable is text', () => {
    expect(outline('. {\n log {$X}\n}', { env: { X: '{' } })).toEqual(['.: log {']);
  });

  test('a variable in a comment is not replaced', () => {
    expect(outline('. {\n log # {$SELF}\n}', { env })).toEqual(['.: log']);
  });
});

describe('snippets', () => {
  test.each([
    {
      title: 'a snippet stands for its tokens in a block',
      text: '(common) {\n errors\n cache 30\n}\n. {\n import common\n log\n}',
      blocks: ['.: errors; cache 30; log'],
    },
    {
      title: 'a snippet stands for its tokens inside a directive',
      text: '(opts) {\n force_tcp\n max_fails 3\n}\n. {\n forward . up {\n  import opts\n }\n}',
      blocks: ['.: forward . up {force_tcp,max_fails 3}'],
    },
    {
      title: 'a snippet may hold whole blocks',
      text: '(all) {\n a.test {\n  log\n }\n}\nimport all\nb.test {\n}',
      blocks: ['a.test.: log', 'b.test.: '],
    },
    {
      title: 'snippets may be used in any order',
      text: '(b) {\n log\n}\n(a) {\n errors\n}\n. {\n import a\n import b\n}',
      blocks: ['.: errors; log'],
    },
    {
      title: 'a snippet may use another',
      text: '(a) {\n errors\n}\n(b) {\n import a\n log\n}\n. {\n import b\n import b\n}',
      blocks: ['.: errors; log; errors; log'],
    },
    {
      title: 'a snippet may begin beside its brace',
      text: '(a) { errors\n}\n. {\n log\n import a\n}',
      blocks: ['.: log; errors'],
    },
    {
      title: 'a snippet may be empty',
      text: '(a) {\n}\n. {\n import a\n log\n}',
      blocks: ['.: log'],
    },
    {
      title: 'an import in an unused snippet is not followed',
      text: '(a) {\n import nowhere\n}\n. {\n log\n}',
      blocks: ['.: log'],
    },
    {
      title: 'a name in parentheses is a zone if it has a port or a neighbour',
      text: '(a):53 {\n log\n}\n(b) (c) {\n log\n}',
      blocks: ['\\(a\\).: log', '\\(b\\). \\(c\\).: log'],
    },
    {
      title: 'a snippet takes precedence over a file of its name',
      text: '(a) {\n log\n}\n. {\n import a\n}',
      blocks: ['.: log'],
    },
  ])('$title', ({ text, blocks }) => {
    expect(outline(text, { files: { '/etc/coredns/a': 'errors' } })).toEqual(blocks);
  });

  test.each([
    {
      text: '(a) {\n}\n(a) {\n}',
      says: 'Corefile:3:1: redeclaration of previously declared snippet a',
    },
    { text: '(a)\nlog', says: "Corefile:2:1: Syntax error: Unexpected token 'log', expecting '{'" },
    { text: '(a)', says: "Syntax error: Unexpected token '(a)', expecting '{'" },
    {
      text: '(a) {\n log',
      says: "Corefile:2:2: Syntax error: Unexpected token 'log', expecting '}'",
    },
    {
      text: '(a) {\n import a\n}\n. {\n import a\n}',
      says: 'maximum snippet import depth (10000) exceeded; snippet a imports itself',
    },
    {
      text: '(a) {\n import b\n}\n(b) {\n import a\n}\n. {\n import a\n}',
      says: 'maximum snippet import depth (10000) exceeded; snippet a imports itself',
    },
    {
      text: '. {\n import a\n}\n(a) {\n log\n}',
      says: 'File to import not found: a; looked for /etc/coredns/a; a snippet must be defined above its first use',
    },
  ])('the snippets of $text are refused: $says', ({ text, says }) => {
    expect(() => outline(text)).toThrow(says);
    expect(() => outline(text)).toThrow(CorefileError);
  });

  test('snippets are used 10,000 times at most', () => {
    expect(outline(repeated(SNIPPET_IMPORTS_MAX))).toHaveLength(1);
    expect(() => outline(repeated(SNIPPET_IMPORTS_MAX + 1))).toThrow(
      'maximum snippet import depth',
    );
  });
});

describe('imported files', () => {
  const files = {
    '/etc/coredns/log.conf': 'log',
    '/etc/coredns/up.conf': 'force_tcp\nmax_fails 3 # three',
    '/etc/coredns/custom/b.server': 'b.test {\n whoami\n}\n',
    '/etc/coredns/custom/a.server': 'a.test {\n import ../log.conf\n}\n',
    '/etc/coredns/custom/a.override': 'errors',
    '/etc/coredns/loop.conf': 'log\nimport loop.conf',
    '/etc/coredns/ping.conf': 'import pong.conf',
    '/etc/coredns/pong.conf': 'import ping.conf',
    '/etc/coredns/bad.conf': 'log\nnonsense',
    '/etc/coredns/snippets.conf': '(mine) {\n whoami\n}',
    '/abs/x': 'whoami',
  };
  test.each([
    {
      title: 'an imported file may hold directives',
      text: '. {\n errors\n import log.conf\n}',
      blocks: ['.: errors; log'],
    },
    {
      title: 'an imported file may hold options',
      text: '. {\n forward . up {\n import up.conf\n }\n log\n}',
      blocks: ['.: forward . up {force_tcp,max_fails 3}; log'],
    },
    {
      title:
        'a pattern imports files in the order of their names, relative to the file that names it',
      text: 'import custom/*.server',
      blocks: ['a.test.: log', 'b.test.: whoami'],
    },
    {
      title: 'an imported file may hold snippets',
      text: 'import snippets.conf\n. {\n import mine\n}',
      blocks: ['.: whoami'],
    },
    {
      title: 'an imported file may have an absolute path',
      text: '. {\n import /abs/x\n}',
      blocks: ['.: whoami'],
    },
    {
      title: 'an imported file may be named by a variable',
      text: '. {\n import {$F}\n}',
      blocks: ['.: whoami'],
    },
    {
      title: 'an import may follow the brace of a block',
      text: '. { import log.conf\n}',
      blocks: ['.: log'],
    },
    {
      title: 'a pattern may have a question mark',
      text: '. {\n import lo?.conf\n}',
      blocks: ['.: log'],
    },
    {
      title: 'a file may be imported twice',
      text: '. {\n import log.conf\n import log.conf\n}',
      blocks: ['.: log; log'],
    },
    {
      title: 'the word import is an argument elsewhere',
      text: '. {\n forward . import\n}',
      blocks: ['.: forward . import'],
    },
  ])('$title', ({ text, blocks }) => {
    expect(outline(text, { files, env: { F: '/abs/x' } })).toEqual(blocks);
  });

  test.each([
    {
      text: 'import',
      says: "Corefile:1:1: Wrong argument count or unexpected line ending after 'import'",
    },
    {
      text: '. {\n import\n}',
      says: "Corefile:2:2: Wrong argument count or unexpected line ending after 'import'",
    },
    { text: 'import ""', says: 'Import requires a non-empty filepath' },
    { text: 'import {$NONE}', says: 'Import requires a non-empty filepath' },
    {
      text: 'import a b',
      says: 'Corefile:1:10: Import takes only one argument (glob pattern or file)',
    },
    { text: 'import nofile', says: 'Corefile:1:8: File to import not found: nofile' },
    { text: 'import custom', says: 'Could not import /etc/coredns/custom: is a directory' },
    { text: 'import custo*', says: 'Could not import /etc/coredns/custom: is a directory' },
    {
      text: 'import */*.server',
      says: 'Glob pattern may only contain one wildcard (*), but has others: /etc/coredns/*/*.server',
    },
    {
      text: 'import ??',
      says: 'Glob pattern may only contain one wildcard (*), but has others: /etc/coredns/??',
    },
    {
      text: 'import [ab]',
      says: 'Glob pattern may only contain one wildcard (*), but has others: /etc/coredns/[ab]',
    },
    { text: 'import [ab', says: 'Failed to use import pattern [ab: syntax error in pattern' },
    {
      text: 'import /abs/x\nimport log.conf',
      says: "Could not import /abs/x: EACCES: permission denied, open '/abs/x'",
    },
    {
      text: '. {\n import loop.conf\n}',
      says: '/etc/coredns/loop.conf:2:8: maximum file import depth (100000) exceeded; /etc/coredns/loop.conf imports itself',
    },
    { text: 'import ping.conf', says: 'imports itself' },
    { text: 'import Corefile', says: '/etc/coredns/Corefile imports itself' },
    {
      text: '. {\n import bad.conf\n}',
      says: "/etc/coredns/bad.conf:2:1: Unknown directive 'nonsense'",
    },
  ])('the import in $text is refused: $says', ({ text, says }) => {
    const machine = { files: { ...files, '/etc/coredns/Corefile': text }, unreadable: '/abs/x' };
    expect(() => outline(text, machine)).toThrow(says);
    expect(() => outline(text, machine)).toThrow(CorefileError);
  });

  test('a pattern without a match gives a warning, and its line counts as empty', () => {
    const stream = streamOf('. {\n import custom/*.none\n log\n}', { files });
    expect(texts(stream)).toEqual(['.', '{', 'log', '}']);
    expect(stream.warnings).toMatchObject([
      {
        message: 'No files matching import glob pattern: custom/*.none',
        place: { line: 2, column: 9 },
      },
    ]);
  });

  test('files lists each file that was read once', () => {
    const stream = streamOf('import custom/*.server\nimport custom/b.server', { files });
    texts(stream);
    expect([...stream.files]).toEqual([
      '/etc/coredns/Corefile',
      '/etc/coredns/custom/a.server',
      '/etc/coredns/custom/b.server',
      '/etc/coredns/log.conf',
    ]);
  });

  test('files that double each other end at the limit', () => {
    const doubling = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [`/f${i}`, `import /f${i + 1}\nimport /f${i + 1}\n`]),
    );
    const text = 'import /f0';
    expect(() => texts(streamOf(text, { files: { ...doubling, '/f40': 'log' } }))).toThrow(
      'maximum file import depth (100000) exceeded',
    );
  });
});
