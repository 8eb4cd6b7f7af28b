/**
 * `rewrite`, as clients and upstreams see it. The scenario itself checks for each answer that the client
 * gets its own question back, whatever was asked upstream.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { Scenario } from './scenario.ts';

let s: Scenario;
afterEach(() => s.end());

const rules = (...lines: readonly string[]): string[] => lines.map((line) => `rewrite ${line}`);

/** Asks `asked`, and checks the question that the upstream sees. */
function passes(asked: string, lines: readonly string[], seen: string): void {
  s = new Scenario(...rules(...lines));
  s.client(asked).upstreamSees(seen);
}

describe('the name that is asked for', () => {
  test.each([
    { rule: 'name A.test b.test', asked: 'a.TEST. A', seen: 'b.test. A' },
    { rule: 'name exact a.test b.test.', asked: 'xa.test. A', seen: 'xa.test. A' },
    { rule: 'name exact a.test b.test.', asked: 'x.a.test. A', seen: 'x.a.test. A' },
    { rule: 'name exact a.test ""', asked: 'a.test. NS', seen: '. NS' },
    { rule: 'name prefix foo bar', asked: 'foo.test. A', seen: 'bar.test. A' },
    { rule: 'name prefix foo- bar-', asked: 'foo-x.test. A', seen: 'foo-x.test. A' },
    { rule: 'name prefix foo bar', asked: 'food.test. A', seen: 'food.test. A' },
    { rule: 'name suffix .a.test .b.test', asked: 'x.A.test. A', seen: 'x.b.test. A' },
    { rule: 'name suffix .a.test .b.test', asked: 'a.test. A', seen: 'a.test. A' },
    { rule: 'name suffix a.test b.test', asked: 'xa.test. A', seen: 'xb.test. A' },
    { rule: 'name substring foo bar', asked: 'xfoo.foo.test. A', seen: 'xbar.bar.test. A' },
    { rule: 'name substring foo bar', asked: 'food.test. A', seen: 'food.test. A' },
    { rule: 'name regex o x', asked: 'foo.test. A', seen: 'x. A' },
    { rule: 'name regex A x', asked: 'A.test. A', seen: 'a.test. A' },
    { rule: 'name regex ((.*)-(b)?c) {3}{2}{0}.x', asked: 'a-c.test. A', seen: 'aa-c.x. A' },
    { rule: 'name regex (.)(\\.) {1}{7}', asked: 'a.test. A', seen: 'a{7}. A' },
    // The text of a group is not searched for groups again.
    { rule: 'name regex (.*)\\.(t.*)\\. {1}.{2}', asked: '{2}.test. A', seen: '{2}.test. A' },
    { rule: 'name regex ^a\\\\.b (x)', asked: 'a\\.b.test. A', seen: '\\(x\\). A' },
    { rule: 'name exact a\\.b.test c.test', asked: 'a\\.b.test. A', seen: 'c.test. A' },
    { rule: 'name suffix .b.test .c.test', asked: 'a\\.b.test. A', seen: 'a\\.c.test. A' },
  ])('$rule: $asked is asked as $seen', ({ rule, asked, seen }) => passes(asked, [rule], seen));

  test('a rewritten name that is no name costs a SERVFAIL, with the reason logged', () => {
    s = new Scenario('errors', 'rewrite name regex ^x(.*) {1}..b.test');
    s.client('xa.test. A').upstreamSees('nothing').clientGets('SERVFAIL');
    expect(s.logged()).toEqual([
      '[ERROR] plugin/errors: 2 xa.test. A: invalid name after rewrite: a.test...b.test.',
    ]);
  });

  test.each([
    { name: `${'a'.repeat(60)}.test.`, because: 'a label becomes too long' },
    { name: `${'aaaaaaa.'.repeat(31)}a.`, because: 'the name becomes too long' },
  ])('a rewritten name is not asked for where $because', ({ name }) => {
    s = new Scenario('rewrite name prefix a aaaaaaaaaaa', 'rewrite name regex ^(a.*) aaaaa{1}');
    s.client(`${name} A`).upstreamSees('nothing').clientGets('SERVFAIL');
  });
});

describe('type and class', () => {
  test.each([
    { rule: 'type AAAA a', asked: 'a. AAAA', seen: 'a. A' },
    { rule: 'type ANY HINFO', asked: 'a. A', seen: 'a. A' },
    { rule: 'class ch in', asked: 'a. A', seen: 'a. A' },
  ])('$rule: $asked is asked as $seen', ({ rule, asked, seen }) => passes(asked, [rule], seen));

  test('with another type the records stay as they are, and the answer is cached as the client’s', () => {
    s = new Scenario('cache 30', 'rewrite type AAAA A');
    s.client('A. AAAA').upstreamSees('a. A').upstreamAnswers('a. 9 A 192.0.2.1');
    s.clientGets('NOERROR A. 9 A 192.0.2.1');
    s.client('a. AAAA').upstreamSees('nothing').clientGets('NOERROR a. 9 A 192.0.2.1');
    s.client('a. A').upstreamSees('a. A');
  });
});

describe('several rules', () => {
  test.each([
    { lines: ['name a b', 'name b c', 'name a c'], asked: 'a. A', seen: 'b. A', why: 'first ends' },
    { lines: ['continue name a b', 'name b c'], asked: 'a. A', seen: 'c. A', why: 'both' },
    {
      lines: ['name b d', 'continue name a b', 'continue type A MX', 'name c d'],
      asked: 'a. A',
      seen: 'b. MX',
      why: 'rules above are past',
    },
    {
      lines: ['type A MX', 'name a b'],
      asked: 'a. A',
      seen: 'a. MX',
      why: 'a rule of all names comes first',
    },
    {
      lines: ['name a b', 'type A MX'],
      asked: 'a. A',
      seen: 'b. A',
      why: 'a rule of one name comes first',
    },
    {
      lines: ['ttl a 5', 'name a b'],
      asked: 'a. A',
      seen: 'a. A',
      why: 'a rule for the response ends the list too',
    },
    {
      lines: ['edns0 local replace 65001 x', 'name a b'],
      asked: 'a. A',
      seen: 'b. A',
      why: 'what has nothing to replace does not match',
    },
    {
      lines: ['edns0 local unset 65001', 'name a b'],
      asked: 'a. A',
      seen: 'a. A',
      why: 'what has nothing to take out does',
    },
  ])('$lines: $asked is asked as $seen ($why)', ({ lines, asked, seen }) => {
    passes(asked, lines, seen);
  });

  test('several rules are undone from the last to the first', () => {
    s = new Scenario(...rules('continue name a.x b.x', 'continue type A MX', 'name b.x c.x'));
    s.client('a.x. A').upstreamSees('c.x. MX');
    s.upstreamAnswers('d.c.x. 5 CNAME c.x.; b.x. 5 A 192.0.2.1');
    s.clientGets('NOERROR d.a.x. 5 CNAME a.x.; a.x. 5 A 192.0.2.1');
  });
});

describe('the names in the answer', () => {
  test.each([
    {
      rule: 'name a.x b.y',
      asked: 'a.x. A',
      answer: 'b.y. 5 CNAME c.b.y.; C.B.Y. 5 CNAME xb.y.; xb.y. 5 A 192.0.2.1',
      gets: 'a.x. 5 CNAME c.a.x.; c.a.x. 5 CNAME xb.y.; xb.y. 5 A 192.0.2.1',
      because: 'exact gives back the name and those below it, in any case',
    },
    {
      rule: 'name prefix a b',
      asked: 'a.x. A',
      answer: 'b.x. 5 A 192.0.2.1',
      gets: 'b.x. 5 A 192.0.2.1',
      because: 'other rules give nothing back unless asked to',
    },
    {
      rule: 'name prefix a b answer auto',
      asked: 'a.x. A',
      answer: 'b.x. 5 A 192.0.2.1; b.z. 5 A 192.0.2.1',
      gets: 'a.x. 5 A 192.0.2.1; b.z. 5 A 192.0.2.1',
      because: 'auto gives back the name, not the prefix',
    },
    {
      rule: 'name substring a b answer auto',
      asked: 'a.a. A',
      answer: 'b.b. 5 A 192.0.2.1',
      gets: 'a.a. 5 A 192.0.2.1',
      because: 'auto gives back the name',
    },
    {
      rule: 'name regex (.*)\\.a {1}.b answer auto',
      asked: 'x.a. A',
      answer: 'x.b. 5 CNAME y.b.; y.b. 5 A 192.0.2.1',
      gets: 'x.a. 5 CNAME y.b.; y.b. 5 A 192.0.2.1',
      because: 'auto gives back the name',
    },
    {
      rule: 'name suffix .a .b answer auto',
      asked: 'x.a. A',
      answer: 'x.B. 5 CNAME Y.b.; Y.b. 5 A 192.0.2.1',
      gets: 'x.a. 5 CNAME Y.a.; Y.a. 5 A 192.0.2.1',
      because: 'auto gives back the suffix, wherever it is',
    },
    {
      rule: 'name regex (.*)\\.a {1}.b answer name (.*)\\.b {1}.a',
      asked: 'x.a. A',
      answer: 'x.b. 5 CNAME y.b.; Z.b. 5 A 192.0.2.1; c.C. 5 A 192.0.2.1',
      gets: 'x.a. 5 CNAME y.b.; Z.a. 5 A 192.0.2.1; c.C. 5 A 192.0.2.1',
      because: 'name is for owners, and sees them as the upstream spells them',
    },
    {
      rule: 'name regex (.*)\\.a {1}.b answer value (.*)\\.b {1}.a',
      asked: 'x.a. A',
      answer: 'x.b. 5 CNAME y.b.; y.b. 5 A 192.0.2.1',
      gets: 'x.b. 5 CNAME y.a.; y.b. 5 A 192.0.2.1',
      because: 'value is for what they lead to',
    },
    {
      rule: 'name exact x.a y.b answer name ^z.c y.b',
      asked: 'x.a. A',
      answer: 'y.b. 5 A 192.0.2.1; z.c. 5 A 192.0.2.2',
      gets: 'x.a. 5 A 192.0.2.1; x.a. 5 A 192.0.2.2',
      because: 'what is said of answers comes before what exact does by itself',
    },
    {
      rule: 'name regex ^x a answer name (.*) {1}..b',
      asked: 'x. A',
      answer: 'a. 5 A 192.0.2.1',
      gets: 'a. 5 A 192.0.2.1',
      because: 'a name that would become none stays',
    },
  ])('the answer of rewrite $rule shows that $because', ({ rule, asked, answer, gets }) => {
    s = new Scenario(`rewrite ${rule}`);
    s.client(asked).upstreamAnswers(answer).clientGets(`NOERROR ${gets}`);
  });

  test.each([
    ['b. 5 NS x.b.', 'a. 5 NS x.a.'],
    ['b. 5 PTR x.b.', 'a. 5 PTR x.a.'],
    ['b. 5 DNAME x.b.', 'a. 5 DNAME x.a.'],
    ['b. 5 SRV 1 2 3 x.b.', 'a. 5 SRV x.a.'],
  ])('the answer %s becomes %s', (answer, gets) => {
    s = new Scenario('rewrite name a b');
    s.client('a. ANY').upstreamAnswers(answer).clientGets(`NOERROR ${gets}`);
  });

  test('names in the authority section change too, even in a denial', () => {
    s = new Scenario('cache 30', 'rewrite name suffix .a .b answer auto');
    s.client('x.a. A').upstreamAnswers('NXDOMAIN z.b. 5 SOA').clientGets('NXDOMAIN z.a. 5 SOA');
    s.client('x.a. A').upstreamSees('nothing').clientGets('NXDOMAIN z.a. 5 SOA');
  });
});

describe('ttl', () => {
  test.each([
    { range: '5', ttls: [1, 9], becomes: [5, 5] },
    { range: '5-', ttls: [1, 9], becomes: [5, 9] },
    { range: '-5', ttls: [1, 9], becomes: [1, 5] },
    { range: '5-7', ttls: [1, 9], becomes: [5, 7] },
    { range: '4294967295', ttls: [1, 9], becomes: [2147483647, 2147483647] },
  ])('a rewritten ttl of $range makes $ttls $becomes', ({ range, ttls, becomes }) => {
    s = new Scenario(`rewrite ttl suffix .a ${range}`);
    s.client('x.a. A').upstreamAnswers(`x.a. ${ttls[0]} A 192.0.2.1; x.a. ${ttls[1]} A 192.0.2.2`);
    s.clientGets(`NOERROR x.a. ${becomes[0]} A 192.0.2.1; x.a. ${becomes[1]} A 192.0.2.2`);
  });

  test('of ttl rules that all match, the first counts last', () => {
    s = new Scenario(...rules('continue ttl a 1-5', 'continue ttl a 20', 'ttl b 99'));
    s.client('a. A').upstreamAnswers('a. 9 A 192.0.2.1').clientGets('NOERROR a. 5 A 192.0.2.1');
  });

  test('a ttl rule goes by the name as rules above have made it, and the cache keeps its TTL', () => {
    s = new Scenario('cache 60', ...rules('continue name a b', 'ttl exact b 20'));
    s.client('a. A').upstreamAnswers('b. 9 A 192.0.2.1').clientGets('NOERROR a. 20 A 192.0.2.1');
    s.pass(15).client('a. A').clientGets('NOERROR a. 5 A 192.0.2.1');
    s.pass(6).client('a. A').upstreamSees('b. A');
  });
});

describe('rcode', () => {
  test.each([
    { answer: 'SERVFAIL', gets: 'NXDOMAIN', because: 'an answer without records' },
    { answer: 'SERVFAIL a. 5 SOA', gets: 'NXDOMAIN a. 5 SOA', because: 'one with a record' },
    { answer: 'REFUSED', gets: 'REFUSED', because: 'one with another RCODE' },
  ])('an rcode rule changes $answer to $gets: $because', ({ answer, gets }) => {
    s = new Scenario('rewrite rcode a SERVFAIL NXDOMAIN');
    s.client('a. A').upstreamAnswers(answer).clientGets(gets);
  });

  test('an rcode rule changes the RCODE of a failure too, whose reason is logged', () => {
    s = new Scenario('errors', 'rewrite rcode a SERVFAIL 3');
    s.client('A. A').upstreamFails().clientGets('NXDOMAIN');
    expect(s.logged()).toEqual(['[ERROR] plugin/errors: 3 a. A: i/o timeout']);
  });

  test('rcode rules are applied from the last to the first', () => {
    s = new Scenario(
      ...rules('continue rcode a REFUSED NOERROR', 'continue rcode a SERVFAIL REFUSED'),
    );
    s.client('a. A').upstreamAnswers('SERVFAIL').clientGets('NOERROR');
  });
});

describe('cname', () => {
  test.each([
    { rule: 'cname To.x new.y', target: 'to.x', found: 'new.y' },
    { rule: 'cname exact to.x new.y', target: 'TO.x', found: 'new.y' },
    { rule: 'cname prefix to. new.', target: 'to.x', found: 'new.x' },
    { rule: 'cname suffix .x. .y.', target: 'to.x', found: 'to.y' },
    { rule: 'cname substring o. n.', target: 'foo.to.x', found: 'fon.tn.x' },
    { rule: 'cname regex ^(.)(\\S)\\.X {2}{1}.y.', target: 'to.x', found: 'ot.y' },
  ])('with cname $rule, $target is $found instead, looked up with the query’s type', (row) => {
    const { rule, target, found } = row;
    s = new Scenario(`rewrite ${rule}`);
    s.client('a. AAAA').upstreamSees('a. AAAA');
    s.upstreamAnswers(`a. 5 CNAME ${target}.; ${target}. 9 AAAA 2001:db8::1`);
    s.upstreamSees(`${found}. AAAA`).upstreamAnswers(`${found}. 7 AAAA 2001:db8::2`);
    s.clientGets(`NOERROR a. 5 CNAME ${found}.; ${found}. 7 AAAA 2001:db8::2`);
  });

  test.each([
    { rule: 'cname suffix .x .y', because: 'the final dot is missing, and only exact adds it' },
    { rule: 'cname to.y new.y', because: 'it is another name' },
    { rule: 'cname exact to.x to.x', because: 'it would lead where it leads' },
    { rule: 'cname regex (.*) {1}..', because: 'that is no name' },
  ])('cname $rule leaves to.x alone: $because', ({ rule }) => {
    s = new Scenario(`rewrite ${rule}`);
    s.client('a. A')
      .upstreamAnswers('a. 5 CNAME to.x.; to.x. 9 A 192.0.2.1')
      .upstreamSees('nothing');
    s.clientGets('NOERROR a. 5 CNAME to.x.; to.x. 9 A 192.0.2.1');
  });

  test('a cname rule keeps the CNAMEs before, and all that is found, chain and denial', () => {
    s = new Scenario('rewrite cname c. d.');
    s.client('a. A').upstreamAnswers('a. 5 CNAME b.; b. 5 CNAME c.; c. 5 CNAME z.');
    s.upstreamSees('d. A').upstreamAnswers('NXDOMAIN d. 6 CNAME e.; e. 7 SOA');
    s.clientGets('NXDOMAIN a. 5 CNAME b.; b. 5 CNAME d.; d. 6 CNAME e.; e. 7 SOA');
  });

  test('a cname rule mends a CNAME that leads nowhere', () => {
    s = new Scenario('rewrite cname gone. here.');
    s.client('a. A').upstreamAnswers('NXDOMAIN a. 5 CNAME gone.; . 5 SOA');
    s.upstreamAnswers('here. 5 A 192.0.2.1');
    s.clientGets('NOERROR a. 5 CNAME here.; here. 5 A 192.0.2.1');
  });

  test('the lookup of a cname rule goes through the whole server: cache, rules and all', () => {
    s = new Scenario('cache 30', ...rules('continue cname b. c.', 'continue name c e'));
    s.client('c. A').upstreamSees('e. A').upstreamAnswers('e. 9 A 192.0.2.1');
    s.clientGets('NOERROR c. 9 A 192.0.2.1');
    s.client('a. A').upstreamAnswers('a. 9 CNAME b.').upstreamSees('nothing');
    s.clientGets('NOERROR a. 9 CNAME c.; c. 9 A 192.0.2.1');
  });

  test('a cname rule fails if its lookup does', () => {
    s = new Scenario('errors', 'rewrite cname b. c.');
    s.client('a. A').upstreamAnswers('a. 9 CNAME b.').upstreamFails().clientGets('SERVFAIL');
    // The lookup is a query of its own, and logged as one.
    expect(s.logged()).toEqual([
      '[ERROR] plugin/errors: 2 c. A: i/o timeout',
      '[ERROR] plugin/errors: 2 a. A: i/o timeout',
    ]);
  });

  test('a cname rule that leads to the question fails, and ends', () => {
    s = new Scenario('errors', 'rewrite cname b. a.');
    s.client('a. A').upstreamAnswers('a. 9 CNAME b.').clientGets('SERVFAIL');
    expect(s.logged()).toEqual([
      '[ERROR] plugin/errors: 2 a. A: lookup for a.: it needs its own answer',
    ]);
  });

  test('a cname rule that leads ever on ends', () => {
    s = new Scenario('rewrite cname regex (.*) x.{1}');
    s.client('a. A');
    for (let i = 0; i < 12; i++)
      s.upstreamAnswers(`${'x.'.repeat(i)}a. 9 CNAME ${'x.'.repeat(i)}b.`);
    s.upstreamAnswers('z. 9 CNAME zz.');
    s.upstreamSees('nothing').clientGets('SERVFAIL');
  });

  test('of several cname rules, the last one comes first', () => {
    s = new Scenario(...rules('continue cname c. d.', 'continue cname b. c.'));
    s.client('a. A').upstreamAnswers('a. 9 CNAME b.');
    // The lookup of c. is rewritten as well, and finds nothing to change.
    s.upstreamSees('c. A').upstreamAnswers('c. 9 A 192.0.2.1');
    s.upstreamSees('d. A').upstreamAnswers('d. 9 A 192.0.2.2');
    s.clientGets('NOERROR a. 9 CNAME d.; d. 9 A 192.0.2.2');
  });
});

describe('directives above know the client’s question', () => {
  test('the cache keeps the answer under the client’s question, and hits meet no rule', () => {
    s = new Scenario('cache 30', 'rewrite name a b');
    s.client('A. A').upstreamSees('b. A').upstreamAnswers('b. 20 A 192.0.2.1');
    s.clientGets('NOERROR A. 20 A 192.0.2.1');
    s.pass(5).client('a. A').upstreamSees('nothing').clientGets('NOERROR a. 15 A 192.0.2.1');
    s.client('b. A').upstreamSees('b. A');
  });

  test('identical queries that come meanwhile wait for the one query', () => {
    s = new Scenario('cache 30', 'rewrite name a b');
    s.client('a. A').client('A. A').upstreamHolds(1).upstreamAnswers('b. 20 A 192.0.2.1');
    s.clientGets('NOERROR A. 20 A 192.0.2.1').clientGets('NOERROR a. 20 A 192.0.2.1');
  });

  test('errors and log show the client’s question, without a cache too', () => {
    s = new Scenario(
      'errors',
      'log . "{type} {class} {name} {size} {rcode} {rsize}"',
      ...rules('continue name a bbbb.test', 'type A MX'),
    );
    s.client('A. A').upstreamSees('bbbb.test. MX').upstreamFails().clientGets('SERVFAIL');
    const lines = s.logged();
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain(' A IN a. 30 ');
    expect(lines[1]).toBe('[ERROR] plugin/errors: 2 a. A: i/o timeout');
  });

  test('a client whose patience has ended gets SERVFAIL once', () => {
    s = new Scenario('rewrite name a b', 'rewrite cname c. d.');
    s.client('a. A').pass(5).clientGets('SERVFAIL');
    s.upstreamAnswers('b. 5 CNAME c.').upstreamSees('nothing').clientGets('nothing');
  });

  test('prefetches are rewritten too', () => {
    s = new Scenario('cache {\nprefetch 1\n}', 'rewrite name a b');
    s.client('a. A').upstreamAnswers('b. 20 A 192.0.2.1').clientGets('NOERROR a. 20 A 192.0.2.1');
    s.pass(10).client('a. A').clientGets('NOERROR a. 10 A 192.0.2.1');
    s.pass(9).client('a. A').clientGets('NOERROR a. 1 A 192.0.2.1');
    s.upstreamSees('b. A').upstreamAnswers('b. 20 A 192.0.2.2');
    s.client('a. A').clientGets('NOERROR a. 20 A 192.0.2.2');
  });
});

test('hosts, below, sees the rewritten name', () => {
  s = new Scenario('rewrite name a b', 'hosts /dev/null {\n192.0.2.7 b\nfallthrough\n}');
  s.client('a. A').clientGets('NOERROR a. 3600 A 192.0.2.7');
});
