import { createRequire } from 'node:module';
import { describe, expect, test } from 'vitest';
import * as fc from 'fast-check';
import { CorefileError } from './error.ts';
import { type GoRegexp, PATTERN_OCTETS_MAX, parseGoRegexp } from './go-regexp.ts';
import { type Token, tokenize } from './tokens.ts';

const require = createRequire(import.meta.url);

/** A token of that text, without the quotes that a Corefile would need. */
function token(text: string): Token {
  return { ...tokenize('x', 'Corefile')[0]!, text };
}

function regexp(pattern: string): GoRegexp {
  return parseGoRegexp(token(pattern));
}

function refusal(pattern: string): string {
  try {
    regexp(pattern);
    return 'accepted';
  } catch (error) {
    if (error instanceof CorefileError) return error.message;
    throw error;
  }
}

test('the engine is not loaded before a Corefile has a pattern', () => {
  const path = require.resolve('re2js');
  expect(path in require.cache).toBe(false);
  regexp('a');
  expect(path in require.cache).toBe(true);
});

describe('an expression has the meaning that Go gives it', () => {
  test.each<[string, string, readonly (string | undefined)[] | undefined]>([
    ['', 'abc', ['']],
    ['b', 'abc', ['b']],
    ['^b', 'abc', undefined],
    ['a|ab', 'ab', ['a']],
    ['(a+)(b+)?', 'caad', ['aa', 'aa', undefined]],
    ['(?P<n>a)(?<m>b)', 'ab', ['ab', 'a', 'b']],
    ['(?i)ABC', 'xabc', ['abc']],
    ['a(?i)B', 'ab', ['ab']],
    ['a(?i:B)c', 'aBC', undefined],
    ['(?U)a+', 'aaa', ['a']],
    ['(?U)a+?', 'aaa', ['aaa']],
    ['a.c', 'a\nc', undefined],
    ['(?s)a.c', 'a\nc', ['a\nc']],
    ['a$', 'a\n', undefined],
    ['(?m)a$', 'a\nb', ['a']],
    ['(?m)^b', 'a\nb', ['b']],
    ['\\Aa\\z', 'a', ['a']],
    ['\\Aa\\z', 'a\n', undefined],
    ['\\Qa.b\\E+', 'a.bb', ['a.bb']],
    ['\\Qa.b', 'axb', undefined],
    ['[[:alpha:]]+', '12ab', ['ab']],
    ['[^[:^digit:]]', 'ab1', ['1']],
    ['\\pL+', '1äö', ['äö']],
    ['\\p{Greek}', 'aλ', ['λ']],
    ['\\P{Greek}', 'λa', ['a']],
    ['\\d\\D\\s\\S\\w\\W', '1a b_.', ['1a b_.']],
    ['\\bb\\B.', 'a bc', ['bc']],
    ['\\x41\\x{42}\\103', 'ABC', ['ABC']],
    ['x{2,3}?', 'xxx', ['xx']],
    ['x{,2}', 'x{,2}', ['x{,2}']],
    ['[]a]', ']', [']']],
    ['a\\_b', 'a_b', ['a_b']],
    ['(a)|(b)', 'b', ['b', undefined, 'b']],
    ['(?:(a)|b)*', 'ab', ['ab', 'a']],
  ])('the expression %j in the text %j finds %j', (pattern, text, groups) => {
    const compiled = regexp(pattern);
    expect(compiled.match(text)).toEqual(groups);
    expect(compiled.test(text)).toBe(groups !== undefined);
  });

  test('groups of an expression have numbers, and some have names', () => {
    const compiled = regexp('(?P<first>a)(b)(?<__proto__>c)(?:d)');
    expect(compiled.groupCount).toBe(3);
    expect([...compiled.groupNames]).toEqual([
      ['first', 1],
      ['__proto__', 3],
    ]);
    expect(compiled.source).toContain('(?P<first>');
  });

  // Syntax that both engines have, with the same meaning. A repeated group is compared by the whole
  // match only: JavaScript forgets its match from an earlier round.
  const atom = fc.constantFrom('a', 'b', '.', '\\.', '[ab]', '[^a]', '\\w', '\\d');
  const { pattern: patterns } = fc.letrec<{ pattern: string }>((tie) => ({
    pattern: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      atom,
      fc.tuple(tie('pattern'), tie('pattern')).map(([a, b]) => a + b),
      fc.tuple(tie('pattern'), tie('pattern')).map(([a, b]) => `(${a}|${b})`),
      fc
        .tuple(atom, fc.constantFrom('+', '*', '?', '{2}', '{1,2}', '+?', '*?', '??'))
        .map(([a, b]) => a + b),
      fc
        .tuple(atom, tie('pattern'), fc.constantFrom('+', '{1,3}', '+?'))
        .map(([a, b, c]) => `(?:${a}${b})${c}`),
    ),
  }));
  const texts = fc
    .array(fc.constantFrom('a', 'b', '.', '1', 'ab'), { maxLength: 8 })
    .map((parts) => parts.join(''));
  const anchor = fc.constantFrom('', '^');

  test('an expression matches as in JavaScript, where RE2 and JavaScript agree', () => {
    fc.assert(
      fc.property(anchor, patterns, fc.constantFrom('', '$'), texts, (begin, middle, end, text) => {
        const pattern = begin + middle + end;
        const theirs = new RegExp(pattern).exec(text)?.[0];
        expect(regexp(pattern).match(text)?.[0], pattern).toBe(theirs);
      }),
      { numRuns: 400 },
    );
  });
});

describe('no pattern makes a name expensive', () => {
  const names = [
    'a'.repeat(1004),
    `${'a'.repeat(250)}!`,
    `${'a'.repeat(62)}.`.repeat(4),
    '01'.repeat(126),
    '1'.repeat(253),
  ];
  test.each([
    '(a*)*b',
    '(a|a)*!b',
    '(a|aa)+$',
    '(x+x+)+y',
    '^(([a-z])+.)+[A-Z]([a-z])+$',
    '([01]*1[01]{12}){5}$',
    '(.*)(.*)(.*)(.*)(.*)[^a-z.01!]',
    '((((a*)*)*)*)*[bc]',
    '(\\w+\\.?)+[xyz]$',
    '(a?){250}a{250}',
  ])('the pattern %s takes less than 2 s for the longest names', (pattern) => {
    const compiled = regexp(pattern);
    const startedMs = performance.now();
    for (const name of names) {
      compiled.test(name);
      compiled.match(name);
    }
    // An engine that backtracks would need longer than the machine has been up.
    expect(performance.now() - startedMs).toBeLessThan(2000);
  });

  test.each(['(a?){1000}'.repeat(3), '((a{0,30}){0,30}|.{0,90})(.?){1000}(.?){1000}(.?){1000}'])(
    'the pattern %s would be expensive, and is refused',
    (pattern) => {
      expect(refusal(pattern)).toMatch(/regular expression of \d+ steps is too large; at most/);
    },
  );

  test('a list of names that nearly fills the longest pattern is accepted', () => {
    const list = Array.from({ length: 600 }, (_, i) => `host-${i}\\.a`).join('|');
    expect(list.length).toBeLessThan(PATTERN_OCTETS_MAX);
    expect(regexp(`^(${list})\\.test\\.$`).match('host-599.a.test.')?.[1]).toBe('host-599.a');
  });
});

describe('a pattern that Go refuses', () => {
  test.each([
    ['(', 'missing closing ): `(`'],
    ['abc)', 'unexpected ): `abc)`'],
    ['x[a-z', 'missing closing ]: `[a-z`'],
    ['[z-a]', 'invalid character class range: `z-a`'],
    ['[[:foo:]]', 'invalid character class range: `[:foo:]`'],
    ['\\p{Foo}', 'invalid character class range: `\\p{Foo}`'],
    ['*', 'missing argument to repetition operator: `*`'],
    ['a**', 'invalid nested repetition operator: `**`'],
    ['a{1001}', 'invalid repeat count: `{1001}`'],
    ['a{2,1}', 'invalid repeat count: `{2,1}`'],
    ['((a{100}){100}){100}', 'invalid repeat count: `{100}`'],
    ['a\\', 'trailing backslash at end of expression: ``'],
    ['\\8', 'invalid escape sequence: `\\8`'],
    ['\\Z', 'invalid escape sequence: `\\Z`'],
    ['(?P<n>a)(?P<n>b)', 'duplicate capture group name: `n`'],
    ['(?P<1!>a)', 'invalid named capture: `(?P<1!>`'],
    ['(?z)', 'invalid or unsupported Perl syntax: `(?z`'],
    ['('.repeat(1001) + ')'.repeat(1001), 'expression nests too deeply: '],
    ['(?=a)', 'invalid or unsupported Perl syntax: `(?=`; look-around is not supported'],
    ['(?<!a)', 'invalid named capture: `(?<!a)`; look-around is not supported'],
    ['(a)\\1', 'invalid escape sequence: `\\1`; back-references are not supported'],
    ['\\k<n>', 'invalid escape sequence: `\\k`; back-references are not supported'],
    ['a++', 'invalid nested repetition operator: `++`; possessive repetition is not supported'],
  ])('the pattern %j is refused with the message of Go: %s', (pattern, reason) => {
    expect(refusal(pattern)).toContain(`Corefile:1:1: error parsing regexp: ${reason}`);
  });

  test('a pattern of one octet too many is refused', () => {
    expect(refusal(`${'x'.repeat(PATTERN_OCTETS_MAX - 2)}ä`)).toBe('accepted');
    const what = 'Corefile:1:1: regex pattern too long: 10001 > 10000';
    expect(refusal(`${'x'.repeat(PATTERN_OCTETS_MAX - 1)}ä`)).toBe(what);
  });

  test('a directive may word the message itself', () => {
    const read = () =>
      parseGoRegexp(token('('), { what: (reason) => `could not parse regex: (, ${reason}` });
    expect(read).toThrow('could not parse regex: (, error parsing regexp: missing closing )');
  });

  test('anyCase ignores the case of letters, and not that of escapes', () => {
    const compiled = parseGoRegexp(token('^A\\S$'), { anyCase: true });
    expect(['aX', 'Ax', 'a '].map((text) => compiled.test(text))).toEqual([true, true, false]);
    const read = () => parseGoRegexp(token('('), { anyCase: true });
    expect(read).toThrow('missing closing ): `(`');
  });

  test('any text is read as an expression or refused with a CorefileError', () => {
    const piece = fc.constantFrom(
      ...'()[]{}|*+?^$\\.-,:<>PQEpLxAzidUabc019é\u{1f600}'.split(/(?:)/u),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), fc.string(), (pieces, text) => {
        try {
          regexp(pieces.join('')).match(text);
        } catch (error) {
          expect(error).toBeInstanceOf(CorefileError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
