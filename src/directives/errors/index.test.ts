import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { REFUSED, SERVFAIL } from '../../dns/rcode.ts';
import { Response } from '../../query/response.ts';
import { synthesize } from '../../query/synthesize.ts';
import { askQuery } from '../../query/testing.ts';
import { parseAs, refusal, testBuilding } from '../testing.ts';
import { errors } from './index.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function serve(options = ''): {
  fail: (message: string, rcode?: number, name?: string, type?: string) => void;
  lines: readonly string[];
  stop: () => void;
} {
  const context = testBuilding();
  const config = parseAs(errors, options === '' ? 'errors' : `errors {\n${options}\n}`);
  const handler = errors.build!([config], context)!;
  return {
    fail: (message, rcode = SERVFAIL, name = 'A.test.', type = 'A') => {
      const { query } = askQuery(name, type);
      const response = Response.failed(query, rcode, message);
      expect(handler.onResponse!(query, response)).toBe(response);
    },
    lines: context.log.lines,
    stop: () => context.stop(),
  };
}

describe('an error that a directive returned is logged', () => {
  test.each([
    { message: 'no healthy proxies', rcode: SERVFAIL, line: '2 a.test. A: no healthy proxies' },
    {
      message: 'concurrent queries exceeded maximum 2',
      rcode: REFUSED,
      line: '5 a.test. A: concurrent queries exceeded maximum 2',
    },
  ])('$line', ({ message, rcode, line }) => {
    const { fail, lines } = serve();
    fail(message, rcode);
    expect(lines).toEqual([`[ERROR] plugin/errors: ${line}`]);
  });

  test('a message with an error RCODE, or a bare RCODE without a reason, is not logged as an error', () => {
    const context = testBuilding();
    const handler = errors.build!([parseAs(errors, 'errors stdout')], context)!;
    const { query } = askQuery('a.', 'A');
    handler.onResponse!(query, synthesize(query, 'forward', { rcode: SERVFAIL }));
    handler.onResponse!(query, Response.failed(query, SERVFAIL, ''));
    expect(context.log.lines).toEqual([]);
  });
});

describe('consolidate', () => {
  test('consolidate counts the errors that its pattern matches, from the first one on for its duration', () => {
    const { fail, lines } = serve('consolidate 1m30s "i/o timeout$" warning');
    fail('read udp: i/o timeout');
    vi.advanceTimersByTime(60_000);
    fail('dial tcp: i/o timeout');
    fail('i/o timeout, or so');
    expect(lines).toEqual(['[ERROR] plugin/errors: 2 a.test. A: i/o timeout, or so']);
    vi.advanceTimersByTime(29_999);
    expect(lines.length).toBe(1);
    vi.advanceTimersByTime(1);
    expect(lines[1]).toBe(
      "[WARNING] plugin/errors: 2 errors like 'i/o timeout$' occurred in last 1m30s",
    );
    fail('i/o timeout');
    vi.advanceTimersByTime(90_000);
    expect(lines[2]).toContain("1 errors like 'i/o timeout$'");
  });

  test('consolidate counts an error under the first pattern that matches', () => {
    const { fail, lines } = serve('consolidate 1s a info\nconsolidate 2s . debug');
    fail('a');
    fail('b');
    vi.advanceTimersByTime(2000);
    expect(lines).toEqual([
      "[INFO] plugin/errors: 1 errors like 'a' occurred in last 1s",
      "[DEBUG] plugin/errors: 1 errors like '.' occurred in last 2s",
    ]);
  });

  test('consolidate logs its counts at the end, and all errors after it in full', () => {
    const { fail, lines, stop } = serve('consolidate 1h .');
    fail('x');
    stop();
    fail('y');
    expect(lines).toEqual([
      "[ERROR] plugin/errors: 1 errors like '.' occurred in last 1h0m0s",
      '[ERROR] plugin/errors: 2 a.test. A: y',
    ]);
    vi.advanceTimersByTime(3_600_000);
    expect(lines.length).toBe(2);
  });

  test('show_first logs the first error in full, and no count if there were no others', () => {
    const { fail, lines } = serve('consolidate 1s . info show_first');
    fail('x');
    vi.advanceTimersByTime(1000);
    fail('y');
    fail('z');
    vi.advanceTimersByTime(1000);
    expect(lines).toEqual([
      '[INFO] plugin/errors: 2 a.test. A: x',
      '[INFO] plugin/errors: 2 a.test. A: y',
      "[INFO] plugin/errors: 2 errors like '.' occurred in last 1s",
    ]);
  });

  test('consolidate keeps ten thousand failures a second under five lines', () => {
    const { fail, lines } = serve('consolidate 30s timeout show_first');
    for (let i = 0; i < 10_000; i++) fail('i/o timeout');
    vi.advanceTimersByTime(30_000);
    expect(lines.length).toBe(2);
  });
});

describe('what is accepted', () => {
  test.each([
    'errors',
    'errors stdout',
    'errors {\nstacktrace\n}',
    'errors {\nconsolidate 5m ".* timeout$" warning\nconsolidate 0 x\n}',
    'errors {\nconsolidate 1s x show_first\n}',
    'errors {\nconsolidate 1s (?i)^(?P<n>a|[(?=\\]]+)(?:b)\\.\\A\\z$\n}',
    'errors {\nconsolidate 1s [[:alpha:]]\\pL\\Q(\\E(?i)x\n}',
  ])('%j', (use) => {
    expect(refusal(errors, use)).toBeUndefined();
  });

  test('a pattern of Go means here what it means there', () => {
    const { consolidate } = parseAs(errors, 'errors {\nconsolidate 1s (?i)\\A(?P<n>ab)c\\z\n}');
    expect(consolidate[0]!.pattern.test('ABC')).toBe(true);
    expect(consolidate[0]!.pattern.test('xabc')).toBe(false);
    expect(consolidate[0]!.pattern.test('abc\n')).toBe(false);
  });
});

describe('what is refused, where and why', () => {
  test.each([
    ['errors x', 'Corefile:1:8: errors: invalid log file: x'],
    [
      'errors stdout x',
      "Corefile:1:15: errors: Wrong argument count or unexpected line ending after 'x'",
    ],
    ['errors {\nfoo\n}', 'Corefile:2:1: errors: "foo" is not an option'],
    ['errors {\nstacktrace x\n}', 'Corefile:2:12: errors: stacktrace: Wrong argument count'],
    ['errors {\nconsolidate 1s\n}', 'Corefile:2:13: errors: consolidate: Wrong argument count'],
    ['errors {\nconsolidate x y\n}', 'time: invalid duration "x"'],
    ['errors {\nconsolidate 1s (\n}', 'Corefile:2:16: errors: consolidate: error parsing regexp: '],
    ['errors {\nconsolidate 1s (?=a)\n}', 'look-around is not supported'],
    ['errors {\nconsolidate 1s (?<!a)\n}', 'look-around is not supported'],
    ['errors {\nconsolidate 1s (a)\\1\n}', 'back-references are not supported'],
    ['errors {\nconsolidate 1s \\k<n>\n}', 'back-references are not supported'],
    [`errors {\nconsolidate 1s ${'x'.repeat(10_001)}\n}`, 'regex pattern too long: 10001 > 10000'],
    ['errors {\nconsolidate 1s x fatal\n}', 'unknown log level argument in consolidate: fatal'],
    ['errors {\nconsolidate 1s x info y\n}', 'unknown option in consolidate: y'],
    ['errors {\nconsolidate 1s x info error\n}', 'multiple log levels specified in consolidate'],
    ['errors {\nconsolidate 1s x show_first info\n}', 'log level must come before show_first'],
  ])('%j: %s', (use, message) => {
    expect(refusal(errors, use)).toContain(message);
  });
});
