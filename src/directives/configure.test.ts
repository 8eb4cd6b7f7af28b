import { describe, expect, test } from 'vitest';
import { parseCorefile } from '../corefile/blocks.ts';
import type { CorefileError } from '../corefile/error.ts';
import { type ConfiguredBlock, DIRECTIVE_NAMES, configure } from './configure.ts';

const read = (text: string): ReturnType<typeof parseCorefile> =>
  parseCorefile(text, { file: 'Corefile', known: DIRECTIVE_NAMES });

const quiet = { defaultPort: 53, warn: (): void => undefined };

function firstError(text: string): string {
  try {
    configure(read(text), quiet);
    return 'none';
  } catch (error) {
    return (error as CorefileError).message;
  }
}

/** Lines of all errors, and what can be used all the same. */
function allErrors(text: string): { lines: number[]; blocks: ConfiguredBlock[] } {
  const lines: number[] = [];
  const report = ({ place }: CorefileError): void => void lines.push(place!.line);
  const blocks = configure(read(text), { ...quiet, report });
  return { lines, blocks };
}

describe('of several errors the first in the order of the chain is told (CoreDNS)', () => {
  test.each([
    {
      text: '. {\n forward . x\n cache 0\n}',
      first: 'Corefile:3:8: cache:',
      because: 'cache stands above forward, whatever their order in the file',
    },
    {
      text: 'a.test {\n forward . x\n}\nb.test {\n cache 0\n}',
      first: 'Corefile:5:8: cache:',
      because: 'a directive is read over all blocks before the next one',
    },
    {
      text: 'a.test {\n cache 0\n}\nquic://b.test {\n}',
      first: 'Corefile:4:1: quic:// is not served',
      because: 'keys are looked at first',
    },
    {
      text: 'a.test {\n bind 127.0.0.1\n}\na.test {\n bind 127.0.0.1\n cache 0\n}',
      first: 'Corefile:6:8: cache:',
      because: 'duplicates are looked for last',
    },
  ])('$because', ({ text, first }) => {
    expect(firstError(text)).toContain(first);
  });
});

describe('who wants every error gets them all', () => {
  test.each([
    {
      text: '. {\n cache 0\n cache 30\n errors x\n forward . x\n}',
      lines: [4, 3, 2, 5],
      because: 'each directive is read, and its first use where it may stand once',
    },
    {
      text: '. {\n cache {\n  success a\n  foo\n  prefetch\n }\n forward . 127.0.0.1\n}',
      lines: [3, 4, 5],
      because: 'each option is read',
    },
    {
      text: 'a.test {\n}\na.test {\n}\na.test {\n bind ::1\n}',
      lines: [3, 5],
      because: 'each duplicate and overlap is told',
    },
    {
      text: 'a.test {\n bind nowhere0\n}\na.test {\n bind 127.0.0.1\n}\na.test {\n bind 127.0.0.1\n}',
      lines: [2, 7],
      because: 'a block whose bind is not known overlaps nothing',
    },
    { text: '', lines: [1], because: 'a file without blocks is an error' },
  ])('$because', ({ text, lines }) => {
    expect(allErrors(text).lines).toEqual(lines);
  });

  test('and the blocks in which nothing is wrong', () => {
    const { blocks } = allErrors('a.test {\n cache 0\n}\nb.test {\n cache 30\n}');
    expect(blocks.map(({ block }) => block.keys[0]!.zone)).toEqual(['b.test.']);
  });
});

describe('what a second use in a block means is the directive’s word', () => {
  test.each([
    { uses: ['log', 'log a.test'], counted: 2, because: 'log adds up' },
    { uses: ['reload 10s', 'reload 20s'], counted: 1, because: 'the first reload counts' },
    { uses: ['health :1', 'health :2'], counted: 1, because: 'the last health counts' },
  ])('$because', ({ uses, counted }) => {
    const [block] = configure(read(`. {\n${uses.join('\n')}\n}`), quiet);
    expect(block!.said[0]!.configs).toHaveLength(counted);
    expect(block!.said[0]!.uses).toHaveLength(counted);
  });
});
