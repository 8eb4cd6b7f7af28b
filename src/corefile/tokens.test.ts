import { describe, expect, test } from 'vitest';
import { CorefileError } from './error.ts';
import { type Token, tokenize } from './tokens.ts';

function words(text: string): string[] {
  return tokenize(text, 'Corefile').map((token) => token.text);
}

function only(text: string): Token {
  const tokens = tokenize(text, 'Corefile');
  expect(tokens).toHaveLength(1);
  return tokens[0]!;
}

describe('text is split into tokens', () => {
  test.each([
    { text: '', tokens: [], because: 'an empty text has no tokens' },
    { text: ' \t\n\r\n', tokens: [], because: 'white space is no token' },
    { text: 'a b\tc\nd', tokens: ['a', 'b', 'c', 'd'], because: 'white space separates tokens' },
    {
      text: 'a\u00a0b\u2003c\u0085d\u3000e',
      tokens: ['a', 'b', 'c', 'd', 'e'],
      because: 'white space of Unicode separates tokens',
    },
    { text: '\ufeff.:53', tokens: ['.:53'], because: 'a byte order mark at the start is dropped' },
    {
      text: 'a \ufeffb',
      tokens: ['a', '\ufeffb'],
      because: 'a byte order mark elsewhere is a character',
    },
    { text: 'a\r\nb\r\n', tokens: ['a', 'b'], because: 'CRLF ends lines too' },
    { text: 'a\rb', tokens: ['ab'], because: 'a carriage return is dropped everywhere' },
    { text: 'a # b\nc', tokens: ['a', 'c'], because: 'a comment lasts to the end of its line' },
    { text: '#', tokens: [], because: 'a comment may be empty' },
    { text: '{#x y\n}# z', tokens: ['{', '}'], because: 'a comment may touch a brace' },
    { text: '"a b"', tokens: ['a b'], because: 'quotes hold white space' },
    { text: '"a#b{ }"', tokens: ['a#b{ }'], because: 'quotes take the meaning from signs' },
    { text: '"a"b', tokens: ['a', 'b'], because: 'the closing quote ends the token' },
    { text: '"a"#b', tokens: ['a'], because: 'a comment may touch a closing quote' },
    { text: '""', tokens: [''], because: 'a token may be empty' },
    { text: '"a\r\nb"', tokens: ['a\r\nb'], because: 'quotes hold line ends as they are' },
    { text: 'a"b c"', tokens: ['a"b', 'c"'], because: 'a quote inside a token is a character' },
    { text: String.raw`"\d\.x"`, tokens: [String.raw`\d\.x`], because: 'only a quote is escaped' },
    { text: String.raw`"a\"b"`, tokens: ['a"b'], because: 'an escaped quote does not close' },
    {
      text: String.raw`"a\\" b`,
      tokens: [String.raw`a\\`, 'b'],
      because: 'an escaped backslash escapes no quote',
    },
    { text: 'a \\\nb', tokens: ['a', '\\', 'b'], because: 'a backslash does not continue a line' },
    {
      text: '.:53{ {} foo}',
      tokens: ['.:53{', '{}', 'foo}'],
      because: 'a brace that touches text is text',
    },
  ])('$because ($tokens)', ({ text, tokens }) => {
    expect(words(text)).toEqual(tokens);
  });

  test.each([
    { text: '{', kind: 'open' },
    { text: '}', kind: 'close' },
    { text: '"{"', kind: 'word' },
    { text: '"}"', kind: 'word' },
    { text: '{}', kind: 'word' },
    { text: '{$X}', kind: 'word' },
  ])('the token $text is of kind $kind', ({ text, kind }) => {
    expect(only(text).kind).toBe(kind);
  });
});

describe('a token knows its place', () => {
  test('lines and columns count from 1', () => {
    const tokens = tokenize('a  bc\n\n\t"d e" {\n', 'Corefile');
    expect(tokens.map(({ text, line, column, length }) => [text, line, column, length])).toEqual([
      ['a', 1, 1, 1],
      ['bc', 1, 4, 2],
      ['d e', 3, 2, 5],
      ['{', 3, 8, 1],
    ]);
  });

  test('a byte order mark moves no column', () => {
    expect(only('\ufeffa')).toMatchObject({ line: 1, column: 1 });
  });

  test('a token after one of several lines is on the last of them', () => {
    const tokens = tokenize('a "b\nc" d\ne', 'Corefile');
    expect(tokens.map(({ line, endLine, startsLine }) => [line, endLine, startsLine])).toEqual([
      [1, 1, true],
      [1, 2, false],
      [2, 2, false],
      [3, 3, true],
    ]);
  });

  test('an escaped line end counts as a line', () => {
    const tokens = tokenize('"a\\\nb" c', 'Corefile');
    expect(tokens.map(({ text, line }) => [text, line])).toEqual([
      ['a\\\nb', 1],
      ['c', 2],
    ]);
  });
});

describe('text that CoreDNS silently drops', () => {
  test.each([
    {
      text: 'a\n log#x',
      code: 'COREFILE_COMMENT',
      line: 2,
      column: 5,
      says: '"#" inside the token "log"; put white space before a comment',
    },
    {
      text: '1.1.1.1#5353 8.8.8.8',
      code: 'COREFILE_COMMENT',
      line: 1,
      column: 8,
      says: 'a port is written 1.1.1.1:5353',
    },
    {
      text: 'a "b c\nd',
      code: 'COREFILE_QUOTE',
      line: 1,
      column: 3,
      says: 'this quote is never closed',
    },
    { text: '"', code: 'COREFILE_QUOTE', line: 1, column: 1, says: 'this quote is never closed' },
    {
      text: '"\\"',
      code: 'COREFILE_QUOTE',
      line: 1,
      column: 1,
      says: 'this quote is never closed',
    },
  ])('the text $text is refused: $says', ({ text, code, line, column, says }) => {
    const refuse = () => tokenize(text, 'Corefile');
    expect(refuse).toThrow(CorefileError);
    expect(refuse).toThrow(says);
    expect(refuse).toThrow(expect.objectContaining({ code }));
    expect(refuse).toThrow(`Corefile:${line}:${column}: `);
  });
});
