/** The effects of rules on EDNS, and properties of all rules; test/scenarios/rewrite.test.ts has the rest. */
import { FIRST_ADDRESS } from '../../query/address-index.ts';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseUse } from '../../corefile/blocks.ts';
import { CorefileError } from '../../corefile/error.ts';
import { Counter } from '../../observe/counters.ts';
import { decodeMessage } from '../../dns/codec.ts';
import { emptyOpt, optionsOf, withOptions } from '../../dns/edns.ts';
import { normalize } from '../../dns/response.ts';
import { response } from '../../dns/testing.ts';
import { derive, optOf } from '../../query/derive.ts';
import { Metadata } from '../../query/metadata.ts';
import { Query } from '../../query/query.ts';
import { Response } from '../../query/response.ts';
import { type AskOptions, askQuery } from '../../query/testing.ts';
import { LATER } from '../../query/verdict.ts';
import { Chain } from '../../server/chain.ts';
import type { Handler } from '../directive.ts';
import { TestLog, testBuilding, testParsing } from '../testing.ts';
import { rewrite } from './index.ts';
import type { Rule } from './rule.ts';

interface Asked {
  /** The client's. */
  readonly query: Query;
  /** The query that the handler below got; undefined if it got none. */
  readonly seen: Query | undefined;
  readonly responses: Response[];
}

interface AskedWith extends AskOptions {
  /** Code and data of options in the client's OPT. */
  readonly options?: readonly (readonly [number, string])[];
  readonly name?: string;
  readonly type?: string;
  readonly metadata?: Metadata;
}

function rule(text: string): Rule {
  return rewrite.parse(parseUse(`rewrite ${text}`), testParsing());
}

/** Sends a query through `rewrite` with those rules, and keeps it below. */
function ask(rules: readonly Rule[], asked: AskedWith = {}): Asked {
  const { options, name = 'A.Test.', type = 'A' } = asked;
  const plain = askQuery(
    name,
    type,
    options === undefined ? asked : { edns: 1232, ...asked },
  ).query;
  const opt = withOptions(
    optOf(plain).length === 0 ? emptyOpt(0) : optOf(plain),
    (options ?? []).map(([code, data]) => ({ code, data: Buffer.from(data) })),
  )!;
  const responses: Response[] = [];
  const sink = { deliver: (_: Query, given: Response) => void responses.push(given) };
  const facts = options === undefined ? plain : derive(plain, { opt })!;
  const query = new Query(facts, plain.client, 0, sink);
  query.metadata = asked.metadata;
  let seen: Query | undefined;
  const below: Handler = {
    name: 'forward',
    seesHits: false,
    onQuery: (given) => {
      seen = given;
      return LATER;
    },
  };
  const handler = rewrite.build!(rules, testBuilding())!;
  const chain = new Chain([handler, below], new Counter(), new TestLog());
  chain.serveAt(FIRST_ADDRESS, {
    lookUp: (question, asker, lookupSink) => {
      const found = new Query(question, asker.client, asker.receivedMs, lookupSink);
      lookupSink.deliver(found, Response.empty(found, 3, 'forward'));
    },
  });
  chain.run(query, 0);
  return { query, seen, responses };
}

/** The options that the handler below sees, as text; undefined if it sees no OPT. */
function optionsSeen({ seen }: Asked): string[] | undefined {
  if (seen === undefined || !seen.hasEdns) return undefined;
  return optionsOf(optOf(seen)).map(
    ({ code, data }) => `${code} ${Buffer.from(data).toString('latin1')}`,
  );
}

describe('edns0 local', () => {
  const NONE = { options: [] };
  const ONE = { options: [[65001, 'old']] } as const;
  const TWO = {
    options: [
      [65001, 'old'],
      [3, ''],
      [65001, 'older'],
    ],
  } as const;
  test.each<[string, AskedWith, string[] | undefined]>([
    ['append 65001 new', NONE, ['65001 new']],
    ['append 65001 new', ONE, ['65001 old', '65001 new']],
    ['append 65001 new', {}, ['65001 new']],
    ['replace 65001 new', NONE, []],
    ['replace 65001 new', TWO, ['65001 new', '3 ', '65001 older']],
    ['replace 65001 new', {}, undefined],
    ['set 0xfde9 new', NONE, ['65001 new']],
    ['set 0xfde9 0x6e6577', ONE, ['65001 new']],
    ['set 65001 new revert', {}, ['65001 new']],
    ['unset 65001', TWO, ['3 ']],
    ['unset 65001', {}, undefined],
    // Data that depend on the query are not added beside an option that is there.
    ['append 65001 {qname}', ONE, ['65001 old']],
    ['append 65001 {qname}', NONE, ['65001 A.Test.']],
    ['replace 65001 {protocol}', ONE, ['65001 udp']],
    ['set 65001 {protocol}', { transport: 'tcp' }, ['65001 tcp']],
    ['set 65001 {qtype}', { type: 'AAAA' }, ['65001 \u0000\u001c']],
    ['set 65001 {client_port}', { remotePort: 0x6162 }, ['65001 ab']],
    ['set 65001 {server_port}', {}, ['65001 \u00005']],
    ['set 65001 {client_ip}', { remoteAddress: '97.98.99.100' }, ['65001 abcd']],
    ['set 65001 {client_ip}', { remoteAddress: '6162::62' }, [`65001 ab${'\0'.repeat(13)}b`]],
    ['set 65001 {server_ip}', { localAddress: '97.98.99.100' }, ['65001 abcd']],
    ['set 65001 {client_ip}', { ours: true }, undefined],
    ['set 65001 {forward/upstream}', {}, undefined],
  ])('%s, where there is %j: %j', (words, asked, options) => {
    expect(optionsSeen(ask([rule(`edns0 local ${words}`)], asked))).toEqual(options);
  });

  test('a label of metadata has its value of the moment when the query comes', () => {
    const metadata = new Metadata();
    metadata.set('x/y', 'value');
    metadata.set('x/empty', '');
    const rules = [
      rule('continue edns0 local set 1 {x/y}'),
      rule('continue edns0 local set 2 {x/empty}'),
    ];
    const asked = ask(rules, { metadata });
    expect(optionsSeen(asked)).toEqual(['1 value']);
    expect(asked.seen!.metadata).toBe(metadata);
  });

  test('{qname} and {qtype} are those of the moment when the rule runs', () => {
    const rules = [
      'continue edns0 local set 1 {qname}',
      'continue name a.test b.test',
      'continue type A MX',
      'continue edns0 local set 2 {qname}',
      'edns0 local set 3 {qtype}',
    ].map(rule);
    expect(optionsSeen(ask(rules))).toEqual(['1 A.Test.', '2 b.test.', '3 \u0000\u000f']);
  });

  test('a query that a rule would make too large is answered SERVFAIL', () => {
    const data = 'x'.repeat(40_000);
    const rules = [
      rule(`continue edns0 local append 1 ${data}`),
      rule(`edns0 local append 2 ${data}`),
    ];
    const { seen, responses } = ask(rules);
    expect(seen).toBeUndefined();
    expect(responses).toMatchObject([
      { rcode: 2, failure: { message: 'query is too large after rewrite' } },
    ]);
  });
});

describe('edns0 nsid and subnet', () => {
  const subnet = (...octets: number[]): string => `8 ${String.fromCharCode(...octets)}`;
  test.each<[string, AskedWith, string[] | undefined]>([
    ['nsid set', {}, ['3 ']],
    ['nsid set', { options: [[3, 'x']] }, ['3 ']],
    ['nsid append', { options: [[3, 'x']] }, ['3 x', '3 ']],
    ['nsid replace', { options: [] }, []],
    ['nsid unset', { options: [[3, 'x']] }, []],
    ['subnet set 24 56', { remoteAddress: '192.0.2.9' }, [subnet(0, 1, 24, 0, 192, 0, 2)]],
    ['subnet set 24 56', { remoteAddress: '::ffff:192.0.2.9' }, [subnet(0, 1, 24, 0, 192, 0, 2)]],
    ['subnet set 24 16', { remoteAddress: '2001:db8::1' }, [subnet(0, 2, 16, 0, 0x20, 0x01)]],
    ['subnet append 0 0', { options: [[8, '\0\u0001\0\0']] }, [subnet(0, 1, 0, 0)]],
    [
      'subnet replace 8 0',
      { options: [[8, '\0\u0001\0\0']], remoteAddress: '10.1.2.3' },
      [subnet(0, 1, 8, 0, 10)],
    ],
    ['subnet replace 8 0', { options: [] }, []],
    ['subnet unset', { options: [[8, '\0\u0001\0\0']] }, []],
    ['subnet set 24 56', { ours: true }, undefined],
  ])('%s, where there is %j: %j', (words, asked, options) => {
    expect(optionsSeen(ask([rule(`edns0 ${words}`)], asked))).toEqual(options);
  });
});

describe('the query that is asked instead', () => {
  test('a rewritten query has the client, the deadline, the flags and the lowered payload of the first', () => {
    const rules = [rule('name a.test b.test')];
    const { query, seen } = ask(rules, { edns: 4096, dnssecOk: true, checkingDisabled: true });
    expect(seen).not.toBe(query);
    expect(seen).toMatchObject({
      name: 'b.test.',
      client: query.client,
      deadlineMs: query.deadlineMs,
      dnssecOk: true,
      checkingDisabled: true,
      payloadOctets: 4096,
      asker: query,
      floor: 1,
    });
    const lowered = askQuery('a.test.', 'A', { edns: 4096 }).query;
    lowered.payloadOctets = 1232;
    expect(lowered.child(lowered, 0, { deliver: () => undefined }).payloadOctets).toBe(1232);
  });

  test('a rewritten query offers 4,096 octets where the client has no EDNS, which gets none back', () => {
    const { query, seen, responses } = ask([rule('edns0 nsid set')]);
    expect([query.hasEdns, seen!.hasEdns, seen!.payloadOctets]).toEqual([false, true, 4096]);
    seen!.answer(new Response(response({ edns: { options: Uint8Array.of(0, 3, 0, 0) } }), 'x'));
    expect(decodeMessage(responses[0]!.message.wire)!.additionals).toEqual([]);
  });

  test('the query below is the client’s own where no rule matches, or none has an effect', () => {
    for (const rules of [
      [],
      [rule('name b.test c.test'), rule('ttl b.test 5'), rule('type MX A'), rule('class CH IN')],
      [rule('edns0 local unset 1')],
    ]) {
      const { query, seen } = ask(rules);
      expect(seen).toBe(query);
    }
  });

  test('the answer to a rewritten query has rewrite as its writer, and a failure has none', () => {
    const good = ask([rule('name a.test b.test')]);
    good.seen!.answer(new Response(response({ question: 'b.test. A' }), 'forward'));
    expect(good.responses).toMatchObject([{ writer: 'rewrite', failure: undefined }]);
    const bad = ask([rule('name a.test b.test')]);
    bad.seen!.answer(Response.failed(bad.seen!, 2, 'no healthy proxies', 1));
    expect(bad.responses).toMatchObject([
      { writer: '', rcode: 2, failure: { message: 'no healthy proxies', restSec: 1 } },
    ]);
  });
});

describe('any rules and any answer', () => {
  const text = fc.constantFrom(
    'a',
    'b.test',
    '.test',
    '.',
    '',
    'a.test.',
    'x'.repeat(64),
    'é',
    '(.)*',
  );
  const to = fc.oneof(text, fc.constantFrom('{1}', '{1}.{1}', '{0}', 'b{2}.a', '..', 'a\\'));
  const kind = fc.constantFrom('exact', 'prefix', 'suffix', 'substring', 'regex');
  const from = fc.oneof(text, fc.constantFrom('(.*)', '(.*)\\.test', '^(a|b)+', '(a)|(b)'));
  const quoted = (word: string): string => `"${word.replaceAll('"', '\\"')}"`;
  const answers = fc.constantFrom(
    '',
    'answer auto',
    'answer name (.*) {1}x',
    'answer value (.*)b {1}..',
    'answer auto answer value (.*) {1}.x',
  );
  const words = fc.oneof(
    fc
      .tuple(kind, from, to, answers)
      .map(([k, f, t, a]) => `name ${k} ${quoted(f)} ${quoted(t)} ${a}`),
    fc.tuple(kind, from).map(([k, f]) => `ttl ${k} ${quoted(f)} 5-10`),
    fc.tuple(kind, from).map(([k, f]) => `rcode ${k} ${quoted(f)} NOERROR REFUSED`),
    fc.tuple(kind, from, to).map(([k, f, t]) => `cname ${k} ${quoted(f)} ${quoted(t)}`),
    fc.constantFrom(
      'type A MX',
      'class IN CH',
      'edns0 subnet set 24 56',
      'edns0 local set 1 {qname}',
    ),
  );
  const rules = fc
    .array(fc.tuple(fc.constantFrom('continue', 'stop', 'continue'), words), { maxLength: 5 })
    .map((lines) => lines.map((line) => line.join(' ')));
  const name = fc
    .array(fc.constantFrom('a', 'b', 'test', 'x'.repeat(62), '\\.', '\\200'), { maxLength: 4 })
    .map((labels) => labels.map((label) => `${label}.`).join('') || '.');
  const record = fc.oneof(
    name.map((owner) => `${owner} 7 A 192.0.2.1`),
    fc.tuple(name, name).map(([owner, target]) => `${owner} 8 CNAME ${target}`),
    fc.tuple(name, name).map(([owner, target]) => `${owner} 9 MX 1 ${target}`),
  );

  test('any rules and any answer give one well-formed answer to the client’s question', () => {
    fc.assert(
      fc.property(rules, name, fc.array(record, { maxLength: 4 }), (lines, asked, records) => {
        let parsed: Rule[];
        try {
          parsed = lines.map(rule);
        } catch (error) {
          expect(error).toBeInstanceOf(CorefileError);
          return;
        }
        const { query, seen, responses } = ask(parsed, { name: asked });
        if (seen !== undefined) {
          expect(responses).toEqual([]);
          const question = `${seen.name} A`;
          seen.answer(new Response(response({ question, answers: records }), 'forward'));
        }
        expect(responses).toHaveLength(1);
        const { wire } = responses[0]!.message;
        expect(Buffer.compare(normalize(wire, 0, wire.length)!.wire, wire)).toBe(0);
        const [question] = decodeMessage(wire)!.questions;
        expect([question!.name.toLowerCase(), question!.qtype, question!.qclass]).toEqual([
          query.name,
          query.qtype,
          query.qclass,
        ]);
      }),
      { numRuns: 300 },
    );
  });

  test('a rule that undoes itself gives the names of the question back', () => {
    const label = fc.stringMatching(/^[a-z0-9-]{1,10}$/);
    const form: Readonly<Record<string, (first: string, name: string) => string>> = {
      exact: (_, name) => `${name} other`,
      prefix: (first) => `${first} other`,
      suffix: () => '.test .other.example',
      substring: (first) => `${first} other`,
      regex: (first) => `^(${first})\\.(.*)\\. {1}.other.{2}`,
    };
    fc.assert(
      fc.property(fc.array(label, { minLength: 1, maxLength: 4 }), kind, (labels, how) => {
        const asked = `${labels.join('.')}.test.`;
        const rules = [rule(`name ${how} ${form[how]!(labels[0]!, asked)} answer auto`)];
        const { query, seen, responses } = ask(rules, { name: asked });
        expect(seen).not.toBe(query);
        const records = [`${seen!.name} 5 CNAME x.${seen!.name}`];
        const message = response({ question: `${seen!.name} A`, answers: records });
        seen!.answer(new Response(message, 'forward'));
        const [answer] = decodeMessage(responses[0]!.message.wire)!.answers;
        expect(answer).toMatchObject({ name: asked, rdata: { target: `x.${asked}` } });
      }),
    );
  });
});
