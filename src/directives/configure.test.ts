import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { FIRST, SECOND } from '../../test/harness/certificates.ts';
import { parseCorefile } from '../corefile/blocks.ts';
import type { CorefileError } from '../corefile/error.ts';
import { TLS_SERVING } from './contributions.ts';
import { type ConfiguredBlock, DIRECTIVE_NAMES, configure, labelOf } from './configure.ts';

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

describe('the first of several errors in the order of the chain is reported (CoreDNS)', () => {
  test.each([
    {
      text: '. {\n forward . x/y\n cache 0\n}',
      first: 'Corefile:3:8: cache:',
      because: 'cache stands above forward, whatever their order in the file',
    },
    {
      text: 'a.test {\n forward . x/y\n}\nb.test {\n cache 0\n}',
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

describe('a caller that wants every error gets them all', () => {
  test.each([
    {
      text: '. {\n cache 0\n cache 30\n errors x\n forward . x/y\n}',
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
      because: 'each duplicate and overlap is reported',
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

  test('a caller that wants every error gets the blocks without errors as well', () => {
    const { blocks } = allErrors('a.test {\n cache 0\n}\nb.test {\n cache 30\n}');
    expect(blocks.map(({ block }) => block.keys[0]!.zone)).toEqual(['b.test.']);
  });
});

describe('tls:// keys', () => {
  const directory = mkdtempSync(join(tmpdir(), 'configure-'));
  afterAll(() => rmSync(directory, { recursive: true }));
  const file = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  const first = `tls ${file('a.crt', FIRST.cert)} ${file('a.key', FIRST.key)}`;
  const second = `tls ${file('b.crt', SECOND.cert)} ${file('b.key', SECOND.key)}`;

  test('tls:// keys are listened on beside others of their block, on 853', () => {
    const text = `tls://a.test a.test:53 tls://b.test:8853 {\n bind 127.0.0.1 ::1\n ${first}\n}`;
    const [block] = configure(read(text), quiet);
    expect(block!.listeners.map(labelOf)).toEqual([
      'tls://127.0.0.1:853',
      'tls://[::1]:853',
      'dns://127.0.0.1:53',
      'dns://[::1]:53',
      'tls://127.0.0.1:8853',
      'tls://[::1]:8853',
    ]);
    expect(block!.contributions.last(TLS_SERVING)?.cert).toBe(`${directory}/a.crt`);
  });

  test.each([
    { text: `tls://a.test {\n ${first}\n}\ntls://b.test {\n ${first}\n}`, first: 'none' },
    { text: `tls://a.test {\n ${first}\n}\na.test {\n}`, first: 'none' },
    {
      text: 'tls://a.test {\n}',
      first: 'Corefile:1:1: tls:// is served with a certificate, and the block has none',
    },
    {
      text: `tls://a.test {\n ${first}\n}\ntls://b.test {\n ${second}\n}`,
      first: 'Corefile:4:1: another block has another certificate at tls://:853',
    },
    {
      text: `tls://a.test {\n ${first}\n}\ntls://a.test {\n ${first}\n}`,
      first: 'cannot serve tls://a.test.:853 - it is already defined',
    },
    {
      text: `tls://a.test:53 {\n ${first}\n}\nb.test:53 {\n}`,
      first: 'Corefile:4:1: dns://:53 and tls://:53 cannot share a port',
    },
    {
      text: `tls://a.test {\n ${first}\n ${first}\n}`,
      first: 'tls: this plugin can only be used once per Server Block',
    },
  ])('$text: $first', ({ text, first: message }) => {
    expect(firstError(text)).toContain(message);
  });

  test('a certificate that serves nothing is a warning', () => {
    const warnings: string[] = [];
    const warn = (message: string): void => void warnings.push(message);
    configure(read(`a.test {\n ${first}\n}`), { defaultPort: 53, warn });
    expect(warnings).toEqual([expect.stringContaining('plugin/tls: no key of the block')]);
  });
});

describe('the directive says what a second use in a block means', () => {
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
