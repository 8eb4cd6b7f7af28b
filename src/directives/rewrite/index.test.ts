import { describe, expect, test } from 'vitest';
import { parseAs, refusal, testParsing } from '../testing.ts';
import { rewrite } from './index.ts';

describe('what is accepted', () => {
  test.each([
    'rewrite name a b',
    'rewrite NAME Exact a b',
    'rewrite stop name exact a.test b.test.',
    'rewrite Continue name exact a.test b.test.',
    'rewrite name exact a.test b.test answer value x y',
    'rewrite name exact a b answer auto',
    'rewrite name prefix foo bar',
    'rewrite name suffix .a.test .b.test answer auto',
    'rewrite name suffix .a.test .b.test answer auto answer value (.*) {1}',
    'rewrite name substring foo bar answer name (.*) {1} answer value (.*) {1}',
    'rewrite name regex (.*)\\.a {1}.b answer name (.*)\\.b {1}.a value (.*)\\.b {1}.a',
    'rewrite name regex (.*)(.*) {0}{1}',
    'rewrite name regex (a) {7}',
    'rewrite name exact a ""',
    'rewrite {\nname exact a b\n}',
    'rewrite stop {\nname regex (.*) {1}.b\nanswer name (.*)\\.b {1}\n}',
    'rewrite continue {\nname regex (.*) {1}.b\nanswer name (.*)\\.b {1}\nanswer value (.*)\\.b {1}\n}',
    'rewrite type any hinfo',
    'rewrite type TYPE65280 A',
    'rewrite class ch in',
    'rewrite edns0 local append 0xffee 0x61626364',
    'rewrite edns0 LOCAL Set 65518 "a b"',
    'rewrite edns0 local replace 0o177 x revert',
    'rewrite edns0 local replace 0b11 x',
    'rewrite edns0 local replace 010 x',
    'rewrite edns0 local replace 1_000 {a/b}',
    'rewrite edns0 local set 0xffee {client_ip} revert',
    'rewrite edns0 local unset 0xffee',
    'rewrite edns0 nsid set revert',
    'rewrite edns0 nsid append',
    'rewrite edns0 nsid unset',
    'rewrite edns0 subnet set 24 56',
    'rewrite edns0 subnet append 0 0 revert',
    'rewrite edns0 subnet replace 32 0x80',
    'rewrite edns0 subnet unset',
    'rewrite ttl a.test 5',
    'rewrite ttl a.test 5-',
    'rewrite ttl a.test -5',
    'rewrite ttl a.test 5-10',
    'rewrite ttl a.test 4294967295',
    'rewrite ttl exact a.test 0',
    'rewrite ttl prefix a 5',
    'rewrite ttl suffix .test 5',
    'rewrite ttl substring a 5',
    'rewrite ttl regex ^a 5',
    'rewrite rcode a.test SERVFAIL nxdomain',
    'rewrite rcode suffix a.test 2 3',
    'rewrite rcode regex (.*) NOTIMPL 0',
    'rewrite cname a b',
    'rewrite cname Exact a b',
    'rewrite cname prefix a. b.',
    'rewrite cname suffix .a. .b.',
    'rewrite cname substring a b',
    'rewrite cname regex (.*)\\.a\\. {1}.b.',
  ])('%j', (use) => {
    expect(refusal(rewrite, use)).toBeUndefined();
  });

  test.each([
    ['rewrite name a b', false],
    ['rewrite stop name a b', false],
    ['rewrite continue name a b', true],
    ['rewrite CONTINUE {\nname a b\n}', true],
  ])('%j continues: %s', (use, continues) => {
    expect(parseAs(rewrite, use).continues).toBe(continues);
  });

  test('an RCODE that answers cannot carry gives a warning', () => {
    const context = testParsing();
    parseAs(rewrite, 'rewrite rcode a SERVFAIL BADVERS', context);
    expect(context.warnings).toEqual([
      'plugin/rewrite: an answer cannot carry the RCODE BADVERS: clients will see SERVFAIL',
    ]);
    parseAs(rewrite, 'rewrite rcode a BADVERS SERVFAIL', context);
    expect(context.warnings).toHaveLength(1);
  });
});

const MATCHING = 'only exact, prefix, suffix, substring, and regex name matching';

describe('what is refused, where and why', () => {
  test.each([
    ['rewrite', '1:1: rewrite: no rule type specified for rewrite; expected name, type'],
    ['rewrite {\n}', 'no rule type specified for rewrite'],
    ['rewrite continue', '1:9: rewrite: continue rule must begin with a rule type'],
    ['rewrite Stop {\n}', '1:9: rewrite: stop rule must begin with a rule type'],
    ['rewrite foo a', '1:9: rewrite: invalid rule type "foo"; expected name, type, class'],
    ['rewrite continue nmae a b', '1:18: rewrite: invalid rule type "nmae"; did you mean "name"?'],
    ['rewrite answer name a b', '1:9: rewrite: response rewrites must begin with a name rule'],
    ['rewrite {\nanswer name a b\n}', '2:1: rewrite: response rewrites must begin'],

    ['rewrite name', '1:9: rewrite: too few arguments for a name rule'],
    ['rewrite name a', '1:14: rewrite: too few arguments for a name rule'],
    ['rewrite name exact {\na b\n}', '1:14: rewrite: too few arguments for a name rule'],
    ['rewrite name a b {\n}', 'rewrite takes no block'],
    ['rewrite name foo a b', `1:14: rewrite: name rule supports ${MATCHING}, received: foo`],
    ['rewrite name exact a b c', '1:24: rewrite: invalid arguments for exact rule'],
    [
      'rewrite name exact a b c d',
      '1:24: rewrite: exceeded the number of arguments for a non-answer rule argument for exact rule',
    ],
    ['rewrite name suffix a b answer', 'invalid arguments for suffix rule'],
    ['rewrite name suffix a b Answer auto', 'exceeded the number of arguments for a non-answer'],
    [
      'rewrite name suffix a b answer auto answer',
      '1:37: rewrite: type missing for answer rule for suffix rule',
    ],
    [
      'rewrite name regex a b answer name a',
      '1:36: rewrite: name answer rule for regex rule: 2 arguments required',
    ],
    [
      'rewrite name regex a b answer value',
      '1:31: rewrite: value answer rule for regex rule: 2 arguments required',
    ],
    [
      'rewrite name regex a b answer e a b',
      '1:31: rewrite: invalid type "e" for answer rule for regex rule; expected auto, name or value',
    ],
    [
      'rewrite name regex a b answer name a b answer auto',
      'auto name answer rule cannot be combined with explicit name answer rules',
    ],
    [
      'rewrite name regex ( a',
      '1:20: rewrite: invalid regex matching pattern: (: error parsing regexp: missing closing ): `(`',
    ],
    ['rewrite name regex (?=a) a', 'look-around is not supported'],
    [`rewrite name regex ${'a'.repeat(10_001)} a`, 'regex pattern too long: 10001 > 10000'],
    [
      'rewrite name regex a {1}b',
      '1:22: rewrite: the rewrite regex pattern ({1}b) uses more subexpressions than its ' +
        'corresponding matching regex pattern (a)',
    ],
    ['rewrite name regex a {0}', 'for the whole match, put the pattern in parentheses'],
    ['rewrite name regex (a) {1}{2}', 'uses more subexpressions'],
    ['rewrite name regex (a) b answer value a {1}', 'uses more subexpressions'],
    ['rewrite name regex (a) b answer value a( b', 'invalid regex matching pattern: a(: error'],
    ['rewrite name exact a{1} b', 'the rewrite regex pattern (a{1}) uses more subexpressions'],
    ['rewrite name exact a *.b', 'invalid regex matching pattern: *.b: error parsing regexp'],

    ['rewrite type A', '1:14: rewrite: type rules must have exactly two arguments'],
    ['rewrite type', '1:9: rewrite: type rules must have exactly two arguments'],
    ['rewrite type A AAAA MX', '1:21: rewrite: type rules must have exactly two arguments'],
    ['rewrite type xx A', '1:14: rewrite: invalid type "XX"'],
    ['rewrite type A xx', '1:16: rewrite: invalid type "XX"'],
    ['rewrite class IN', 'class rules must have exactly two arguments'],
    ['rewrite class IN xx', '1:18: rewrite: invalid class "XX"'],

    ['rewrite edns0', 'too few arguments for an EDNS0 rule'],
    ['rewrite edns0 local', 'too few arguments for an EDNS0 rule'],
    ['rewrite edns0 local Foo 1 x', '1:21: rewrite: invalid action: "foo"; expected append'],
    ['rewrite edns0 foo set', '1:15: rewrite: invalid rule type "foo"; expected local, nsid'],
    ['rewrite edns0 foo unset', '1:15: rewrite: invalid rule type "foo"'],
    ['rewrite edns0 local set 1', 'EDNS0 local rules require three or four args'],
    ['rewrite edns0 local set 1 revert', 'EDNS0 local rules require three or four args'],
    ['rewrite edns0 local set 1 x y', 'EDNS0 local rules require three or four args'],
    ['rewrite edns0 nsid set x', 'EDNS0 NSID rules can accept no more than one arg'],
    ['rewrite edns0 subnet set 24', 'EDNS0 subnet rules require three or four args'],
    ['rewrite edns0 subnet set 24 56 x', 'EDNS0 subnet rules require three or four args'],
    ['rewrite edns0 local unset', 'local unset action requires exactly two arguments'],
    ['rewrite edns0 local unset 1 2', 'local unset action requires exactly two arguments'],
    ['rewrite edns0 nsid unset 1', 'nsid unset action requires exactly one argument'],
    ['rewrite edns0 subnet unset 1', 'subnet unset action requires exactly one argument'],
    [
      'rewrite edns0 local set 1 {foo}',
      '1:27: rewrite: unsupported variable name "{foo}"; expected',
    ],
    ['rewrite edns0 local set 1 {}', 'unsupported variable name "{}"'],
    ['rewrite edns0 local set 1 {constructor}', 'unsupported variable name "{constructor}"'],
    [
      'rewrite edns0 local set 99999 x',
      '1:25: rewrite: strconv.ParseUint: parsing "99999": value out of range',
    ],
    ['rewrite edns0 local set -1 x', 'strconv.ParseUint: parsing "-1": invalid syntax'],
    ['rewrite edns0 local set 0x x', 'strconv.ParseUint: parsing "0x": invalid syntax'],
    ['rewrite edns0 local set 08 x', 'strconv.ParseUint: parsing "08": invalid syntax'],
    ['rewrite edns0 local set 1__0 x', 'strconv.ParseUint: parsing "1__0": invalid syntax'],
    ['rewrite edns0 local unset x', 'strconv.ParseUint: parsing "x": invalid syntax'],
    ['rewrite edns0 local set 1 0xzz', "encoding/hex: invalid byte: U+007A 'z'"],
    ['rewrite edns0 local set 1 0xabc', 'encoding/hex: odd length hex string'],
    ['rewrite edns0 subnet set 33 56', '1:26: rewrite: invalid IPv4 bit mask length 33'],
    ['rewrite edns0 subnet set 24 129', '1:29: rewrite: invalid IPv6 bit mask length 129'],
    ['rewrite edns0 subnet set x 1', 'strconv.ParseUint: parsing "x": invalid syntax'],

    ['rewrite ttl', '1:9: rewrite: too few (0) arguments for a ttl rule'],
    ['rewrite ttl a', '1:13: rewrite: too few (1) arguments for a ttl rule'],
    ['rewrite ttl exact a 5 6', "invalid TTL '' for a ttl rule; too many arguments"],
    ['rewrite ttl a -', "1:15: rewrite: invalid TTL '-' for a ttl rule; expected seconds"],
    ['rewrite ttl a 10-5', "invalid TTL '10-5' for a ttl rule"],
    ['rewrite ttl a 1-2-3', "invalid TTL '1-2-3' for a ttl rule"],
    ['rewrite ttl a 4294967296', "invalid TTL '4294967296' for a ttl rule"],
    ['rewrite ttl a x', "invalid TTL 'x' for a ttl rule"],
    ['rewrite ttl a ""', "invalid TTL '' for a ttl rule"],
    ['rewrite ttl foo a 5', `1:13: rewrite: ttl rule supports ${MATCHING}; found foo`],
    ['rewrite ttl regex ( 5', 'invalid regex pattern in a ttl rule: (: error parsing regexp'],

    ['rewrite rcode a 0', 'too few (2) arguments for a rcode rule'],
    ['rewrite rcode exact a 0 1 2', "invalid matching RCODE '' for a rcode rule"],
    ['rewrite rcode a FOO 0', "1:17: rewrite: invalid matching RCODE 'FOO' for a rcode rule"],
    ['rewrite rcode a 0 FOO', "1:19: rewrite: invalid replacement RCODE 'FOO' for a rcode rule"],
    ['rewrite rcode a 0 24', "invalid replacement RCODE '24' for a rcode rule"],
    ['rewrite rcode foo a 0 1', `1:15: rewrite: rcode rule supports ${MATCHING}`],
    ['rewrite rcode regex ( 0 1', 'invalid regex pattern in a rcode rule: (: error parsing regexp'],

    ['rewrite cname a', 'too few (1) arguments for a cname rule'],
    ['rewrite cname exact a b c', 'too few (4) arguments for a cname rule'],
    ['rewrite cname Foo a b', '1:15: rewrite: unknown cname rewrite type: foo; expected exact'],
    [
      'rewrite cname regex ( b',
      'invalid cname rewrite regex pattern: error parsing regexp: missing closing ): `(`',
    ],
  ])('%j: %s', (use, message) => {
    expect(refusal(rewrite, use)).toContain(message);
  });
});
