import { describe, expect, test } from 'vitest';
import { COREFILE_CODES, CorefileError, quote, withSubject } from './error.ts';

const place = { file: '/etc/coredns/Corefile', line: 14, column: 9, length: 8 };

describe('an error in a Corefile', () => {
  const error = new CorefileError('COREFILE_UNKNOWN_OPTION', place, '"max_fail" is not an option', {
    subject: 'forward',
    hint: 'did you mean "max_fails"?',
  });

  test('the message of an error is one line of place, subject, text and hint', () => {
    expect(error.message).toBe(
      '/etc/coredns/Corefile:14:9: forward: "max_fail" is not an option; did you mean "max_fails"?',
    );
  });

  test('render shows an error with its source line and a caret', () => {
    expect(error.render('        max_fail 3')).toBe(
      [
        '/etc/coredns/Corefile:14:9: forward: "max_fail" is not an option',
        '     14 |         max_fail 3',
        '        |         ^^^^^^^^ did you mean "max_fails"?',
      ].join('\n'),
    );
  });

  test('render puts tabs below tabs, so that the caret is below its token', () => {
    const tabbed = new CorefileError('COREFILE_SYNTAX', { ...place, column: 3, length: 1 }, 'what');
    expect(tabbed.render('\t\t}\r').split('\n').slice(1)).toEqual([
      '     14 | \t\t}',
      '        | \t\t^',
    ]);
  });

  test('render without a source line gives the message', () => {
    expect(error.render()).toBe(error.message);
    expect(new CorefileError('COREFILE_CONFLICT', undefined, 'what').render('x')).toBe('what');
  });

  test('a message stays one line when it quotes line breaks', () => {
    const odd = new CorefileError('COREFILE_VALUE', place, 'a\nb\u2028c', { hint: 'd\re' });
    expect(odd.message).toBe('/etc/coredns/Corefile:14:9: a\\nb\\u2028c; d\\re');
  });

  test('a message quotes the first 500 characters of a long text', () => {
    const long = new CorefileError('COREFILE_VALUE', place, 'x'.repeat(10_000), { hint: 'cure' });
    expect(long.message).toBe(`/etc/coredns/Corefile:14:9: ${'x'.repeat(500)}...; cure`);
  });

  test('an error keeps the first subject that it is given, its code, place and cause', () => {
    const bare = new CorefileError('COREFILE_VALUE', place, 'what', { hint: 'cure', cause: error });
    const fail = () => {
      throw bare;
    };
    const outer = () => withSubject('forward', () => withSubject('forward: expire', fail));
    expect(outer).toThrow('/etc/coredns/Corefile:14:9: forward: expire: what; cure');
    expect(outer).toThrow(expect.objectContaining({ code: 'COREFILE_VALUE', place, cause: error }));
  });

  test('withSubject leaves other errors alone', () => {
    const bug = new TypeError('bug');
    expect(() =>
      withSubject('forward', () => {
        throw bug;
      }),
    ).toThrow(bug);
  });
});

test('every code names its part of the program and has one sentence of meaning', () => {
  for (const [code, meaning] of Object.entries(COREFILE_CODES)) {
    expect(code).toMatch(/^COREFILE_[A-Z_]+$/);
    expect(meaning).toMatch(/^[A-Z].*\.$/);
  }
});

test.each([
  ['a', '"a"'],
  ['a"b\\', '"a\\"b\\\\"'],
  ['a\tb\n\0\u007f\u0085', '"a\\tb\\n\\x00\\x7f\\u0085"'],
  ['ü', '"ü"'],
])('%j is quoted as Go quotes it: %s', (text, quoted) => {
  expect(quote(text)).toBe(quoted);
});
