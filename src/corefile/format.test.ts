import { describe, expect, test } from 'vitest';
import { formErrors, formatCorefile } from './format.ts';

describe('the canonical form', () => {
  test.each([
    { text: '', is: '', because: 'an empty text stays empty' },
    { text: '\n\n', is: '', because: 'empty lines alone become an empty text' },
    { text: '.:53{ #x', is: '.:53{ #x\n', because: 'words are not changed' },
    { text: '.\twhoami', is: '. whoami\n', because: 'words are separated by one space' },
    {
      text: '.:53 {\n  errors\n\tcache   30 {\n   success 1\n  }\n}\n',
      is: '.:53 {\n    errors\n    cache 30 {\n        success 1\n    }\n}\n',
      because: 'each open brace indents by four spaces',
    },
    {
      text: '.:53\n{\n log\n}',
      is: '.:53 {\n    log\n}\n',
      because: 'the brace of a block moves to the line of its keys',
    },
    {
      text: '.:53 # all\n{ # of it\n log\n}',
      is: '.:53 # all\n{ # of it\n    log\n}\n',
      because: 'a brace stays on its own line if a comment ends that of the keys',
    },
    {
      text: '. { log\n}\na { errors\n} b { }',
      is: '. {\n    log\n}\n\na {\n    errors\n}\n\nb {\n}\n',
      because: 'words after a brace get a line of their own',
    },
    {
      text: '\n\n. {\n\n\n log\n\n\n\n errors\n cache\n\n}\n\n\n\n',
      is: '. {\n    log\n\n    errors\n    cache\n}\n',
      because: 'several empty lines become one',
    },
    {
      text: 'a.test, b.test,\nc.test {\n}',
      is: 'a.test, b.test,\nc.test {\n}\n',
      because: 'keys on several lines stay on them',
    },
    {
      text: '  # top  \n. { # one\n# two\n log # three   \n # four\n} # five\n#six',
      is: '# top\n. { # one\n    # two\n    log # three\n    # four\n} # five\n\n#six\n',
      because: 'comments stay where they are',
    },
    {
      text: 'a {\n}\n# of b\nb {\n}',
      is: 'a {\n}\n\n# of b\nb {\n}\n',
      because: 'a comment above a block stays next to it',
    },
    {
      text: '. {\n log "a  b" "\\"q\\" \\d\\\\"\n}',
      is: '. {\n    log "a  b" "\\"q\\" \\d\\\\"\n}\n',
      because: 'quoted text is not changed',
    },
    {
      text: '. {\n log "a\n   b" c # d\n}',
      is: '. {\n    log "a\n   b" c # d\n}\n',
      because: 'quoted line ends are not changed',
    },
    {
      text: '\ufeff.:53 {\r\n  log\r\n}\r\n',
      is: '.:53 {\n    log\n}\n',
      because: 'a byte order mark and carriage returns are dropped',
    },
    {
      text: '. {\n import a\n forward . {$UP} {%UP2%}\n}',
      is: '. {\n    import a\n    forward . {$UP} {%UP2%}\n}\n',
      because: 'imports and variables are not replaced',
    },
    {
      text: '.\nlog\nerrors',
      is: '.\nlog\nerrors\n',
      because: 'a block without braces gets none',
    },
    {
      text: 'force_tcp\n   max_fails 3',
      is: 'force_tcp\nmax_fails 3\n',
      because: 'a file of options alone is formatted',
    },
    {
      text: '(a) {\n  log\n}\n. {\n  import a\n}',
      is: '(a) {\n    log\n}\n\n. {\n    import a\n}\n',
      because: 'a snippet is formatted like a block',
    },
  ])('$because', ({ text, is }) => {
    expect(formatCorefile(text)).toBe(is);
    expect(formatCorefile(is)).toBe(is);
  });
});

describe('the errors of form', () => {
  test.each([
    ['. {\n log', "2:2: Syntax error: Unexpected token 'log', expecting '}'"],
    ['. {\n}\n}', "3:1: Unexpected '}'"],
    ['. {\n log "a\n}', '2:6: this quote is never closed'],
    ['. {\n log#a\n}', '2:5: "#" inside the token'],
    ['. { log }', "1:9: Unexpected '}'"],
    ['. {\n cache {\n  a {\n  }\n }\n}', "3:5: Unexpected token '{' inside the block of cache"],
    ['a.test {\n log\nb.test {\n cache {\n }\n}', "4:8: Unexpected token '{'"],
    ['(a) {\n', "1:1: Syntax error: Unexpected token '(a)', expecting '}'"],
  ])('%j has no form: %s', (text, says) => {
    expect(formErrors(text, 'Corefile')[0]?.message).toContain(`Corefile:${says}`);
  });

  test.each([
    '. {\n unknown x\n kubernetes\n}',
    'a..b {\n}',
    '. {\n import nowhere.conf\n import {$NONE}\n}',
    `. {\n${' foo\n'.repeat(300)}}`,
  ])('%j has a form, although check refuses it', (text) => {
    expect(formErrors(text, 'Corefile')).toEqual([]);
  });
});
