import { describe, expect, test } from 'vitest';
import { networkFromText } from '../../net/ip.ts';
import { decodeMessage } from '../../dns/codec.ts';
import { TC } from '../../dns/header.ts';
import { NXDOMAIN, REFUSED, SERVFAIL } from '../../dns/rcode.ts';
import { AAAA, IN, typeName } from '../../dns/rrtype.ts';
import { type ResponseText, recordsToText, response } from '../../dns/testing.ts';
import type { QueryView } from '../../dns/question.ts';
import type { Query, Sink } from '../../query/query.ts';
import { type Client, UDP } from '../../query/responder.ts';
import { Response } from '../../query/response.ts';
import { type AskOptions, askQuery } from '../../query/testing.ts';
import { LATER, PASS } from '../../query/verdict.ts';
import { type TestBuilding, parseAs, refusal, testBuilding } from '../testing.ts';
import { dns64, embedder } from './index.ts';

const IPV6: AskOptions = { remoteAddress: '2001:db8::9' };

describe('options', () => {
  const base = { prefix: { text: '64:ff9b::/96' }, translateAll: false, allowIpv4: false };

  test.each([
    { use: 'dns64', is: {} },
    { use: 'dns64 64:ff9b:1::/48', is: { prefix: { text: '64:ff9b:1::/48', prefixLength: 48 } } },
    {
      use: 'dns64 2001:db8::/32 {\nallow_ipv4\n}',
      is: { prefix: { text: '2001:db8::/32' }, allowIpv4: true },
    },
    { use: 'dns64 {\nprefix 2001:db8::/40\n}', is: { prefix: { text: '2001:db8::/40' } } },
    { use: 'dns64 {\ntranslate_all\nallow_ipv4\n}', is: { translateAll: true, allowIpv4: true } },
    ...[32, 40, 48, 56, 64, 72, 80, 88, 96].map((prefixLength) => ({
      use: `dns64 2001:db8::/${prefixLength}`,
      is: { prefix: { prefixLength } },
    })),
  ])('$use', ({ use, is }) => {
    expect(parseAs(dns64, use)).toMatchObject({ ...base, ...is });
  });

  test.each([
    ['dns64 x', 'Corefile:1:7: dns64: invalid CIDR address: x'],
    ['dns64 64:ff9b::', 'Corefile:1:7: dns64: invalid CIDR address: 64:ff9b::'],
    ['dns64 10.0.0.0/8', 'Corefile:1:7: dns64: invalid netmask 32 IPv6 address: "10.0.0.0/8"'],
    [
      'dns64 64:ff9b::/33',
      'Corefile:1:7: dns64: invalid prefix length "64:ff9b::/33"; expected one',
    ],
    ['dns64 64:ff9b::/24', 'invalid prefix length "64:ff00::/24"'],
    ['dns64 64:ff9b::/104', 'invalid prefix length "64:ff9b::/104"'],
    ['dns64 ::/96 ::/96', 'Corefile:1:13: dns64: Wrong argument count'],
    ['dns64 {\nprefix\n}', 'Corefile:2:1: dns64: prefix: Wrong argument count'],
    ['dns64 {\nprefix ::/95\n}', 'Corefile:2:8: dns64: prefix: invalid prefix length "::/95"'],
    ['dns64 {\ntranslate_all x\n}', 'Corefile:2:15: dns64: translate_all: Wrong argument count'],
    ['dns64 {\nfoo\n}', 'Corefile:2:1: dns64: "foo" is not an option (unknown property \'foo\')'],
  ])('%j is refused: %s', (use, message) => {
    expect(refusal(dns64, use)).toContain(message);
  });

  test('of several uses of dns64 the last one counts', () => {
    expect(dns64.repeat).toBe('last');
  });
});

describe('an IPv4 address embedded in a prefix (RFC 6052 section 2.4)', () => {
  const ipv4 = Uint8Array.of(192, 0, 2, 33);

  test.each([
    ['2001:db8::/32', '20010db8c00002210000000000000000'],
    ['2001:db8:100::/40', '20010db801c000020021000000000000'],
    ['2001:db8:122::/48', '20010db80122c0000002210000000000'],
    ['2001:db8:122:300::/56', '20010db8012203c00000022100000000'],
    ['2001:db8:122:344::/64', '20010db80122034400c0000221000000'],
    ['2001:db8:122:344::/72', '20010db80122034400c0000221000000'],
    ['2001:db8:122:344:5::/80', '20010db8012203440005c00002210000'],
    ['2001:db8:122:344:5:600::/88', '20010db801220344000506c000022100'],
    ['2001:db8:122:344::/96', '20010db80122034400000000c0000221'],
    ['64:ff9b::/96', '0064ff9b0000000000000000c0000221'],
  ])('in %s is %s', (prefix, hex) => {
    const out = Buffer.alloc(20, 0xee);
    embedder(networkFromText(prefix)!)(Buffer.from([9, ...ipv4, 9]), 1, out, 2);
    expect(out.toString('hex')).toBe(`eeee${hex}eeee`);
  });
});

interface Exchange {
  readonly use?: string;
  readonly asks?: AskOptions;
  readonly name?: string;
  /** The answer of the handler below, or the RCODE that it returns. */
  readonly aaaa: ResponseText | number;
  /** The result of a lookup for A. */
  readonly a?: ResponseText | number;
}

interface Outcome {
  readonly verdict: number;
  readonly response: Response | undefined;
  /** Questions asked below and of the server. */
  readonly asked: string[];
  readonly context: TestBuilding;
}

function run({ use = 'dns64', asks = IPV6, name = 'a.test.', aaaa, a }: Exchange): Outcome {
  const context = testBuilding();
  const handler = dns64.build!([parseAs(dns64, use)], context)!;
  const { query, responses } = askQuery(name, 'AAAA', asks);
  const asked: string[] = [];
  const say = (of: Query, text: ResponseText | number): Response =>
    typeof text === 'number'
      ? Response.failed(of, text, 'i/o timeout')
      : new Response(response(text), 'forward');
  const chain = {
    ...query.chain!,
    run: (child: Query, from: number) => {
      asked.push(`${from}: ${child.name} ${typeName(child.qtype)}`);
      expect(child).toMatchObject({ client: query.client, deadlineMs: query.deadlineMs });
      child.deliver(say(child, aaaa));
    },
    lookUp: (question: QueryView, asker: Query, sink: Sink) => {
      asked.push(`${asker.name} ${typeName(question.qtype)}${question.dnssecOk ? ' do' : ''}`);
      sink.deliver(asker, say(asker, a!));
    },
  };
  query.chain = chain;
  handler.attach!(chain, 3);
  const verdict = handler.onQuery!(query);
  return { verdict, response: responses[0], asked, context };
}

/** RCODE, who wrote it, and the records. */
function summaryOf({ response: is }: Outcome): string[] {
  if (is === undefined) return [];
  return [`${is.rcode} ${is.writer}`, ...recordsToText(is.message.wire)!];
}

const NODATA: ResponseText = { question: 'a.test. AAAA', authorities: ['test. 40 SOA 5'] };
const FAILED: ResponseText = { question: 'a.test. AAAA', rcode: SERVFAIL };
const ADDRESSES: ResponseText = {
  answers: ['a.test. 60 A 192.0.2.1', 'a.test. 30 A 192.0.2.2'],
};

describe('which questions are translated', () => {
  test.each([
    { use: 'dns64', asks: IPV6, is: true, because: 'it came over IPv6' },
    { use: 'dns64', asks: {}, is: false, because: 'it came over IPv4' },
    { use: 'dns64 {\nallow_ipv4\n}', asks: {}, is: true, because: 'IPv4 is allowed' },
    {
      use: 'dns64 2001:db8::/96 {\nallow_ipv4\n}',
      asks: {},
      is: true,
      because: 'beside PREFIX too',
    },
    { use: 'dns64', asks: { ...IPV6, qclass: 'CH' }, is: false, because: 'its class is not IN' },
    { use: 'dns64', asks: { ...IPV6, opcode: 4 }, is: false, because: 'it is a NOTIFY' },
    { use: 'dns64', asks: { ...IPV6, ours: true }, is: false, because: 'it is our own' },
    {
      use: 'dns64',
      asks: { ...IPV6, transport: 'tcp', edns: 1232, dnssecOk: true, checkingDisabled: true },
      is: true,
      because: 'transport, EDNS, DO and CD make no difference',
    },
  ] as const)('with $use and $asks, $is: $because', ({ use, asks, is }) => {
    const { verdict, asked } = run({ use, asks, aaaa: NODATA, a: ADDRESSES });
    expect(verdict).toBe(is ? LATER : PASS);
    expect(asked.length).toBe(is ? 2 : 0);
  });

  test('dns64 passes on questions for other types, and wants only the hits that it translates', () => {
    const handler = dns64.build!([parseAs(dns64, 'dns64')], testBuilding())!;
    expect(handler.onQuery!(askQuery('a.test.', 'A', IPV6).query)).toBe(PASS);
    const wants = (qtype: number, family: 1 | 2, qclass = IN): boolean => {
      const view = { qtype, qclass } as QueryView;
      return handler.onHits!.wants!(view, { transport: UDP, family } as Client);
    };
    expect(handler.seesHits).toBe(false);
    expect([wants(AAAA, 2), wants(AAAA, 1), wants(1, 2), wants(AAAA, 2, 3)]).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  test('dns64 asks the chain below first, then the whole server for A, with the same flags and OPT', () => {
    const asks = { ...IPV6, edns: 1232, dnssecOk: true };
    const { asked } = run({ name: 'A.Test.', asks, aaaa: NODATA, a: ADDRESSES });
    expect(asked).toEqual(['4: a.test. AAAA', 'a.test. A do']);
  });
});

describe('which responses are translated (RFC 6147 section 5.1)', () => {
  const V6 = { question: 'a.test. AAAA', answers: ['a.test. 60 AAAA 2001:db8::1'] };

  test.each<{ what: string; use?: string; aaaa: ResponseText | number; is: string[] | null }>([
    { what: 'an address', aaaa: V6, is: ['0 dns64', 'a.test. 60 AAAA 2001:db8::1'] },
    {
      what: 'an address, with translate_all',
      use: 'dns64 {\ntranslate_all\n}',
      aaaa: V6,
      is: null,
    },
    {
      what: 'an IPv4-mapped address alone (RFC 6147 section 5.1.4)',
      aaaa: { ...V6, answers: ['a.test. 60 AAAA ::ffff:192.0.2.7'] },
      is: null,
    },
    {
      what: 'an IPv4-mapped address beside another one',
      aaaa: {
        ...V6,
        answers: [
          'a.test. 5 CNAME b.test.',
          'b.test. 60 AAAA ::ffff:192.0.2.7',
          'b.test. 60 AAAA ::fffe:c000:207',
        ],
      },
      is: ['0 dns64', 'a.test. 5 CNAME b.test.', 'b.test. 60 AAAA ::fffe:c000:207'],
    },
    {
      what: 'NXDOMAIN with an SOA',
      aaaa: { ...NODATA, rcode: NXDOMAIN },
      is: ['3 dns64', 'test. 40 SOA 5'],
    },
    { what: 'NXDOMAIN without one', aaaa: { question: 'a.test. AAAA', rcode: NXDOMAIN }, is: null },
    { what: 'NODATA with an SOA', aaaa: NODATA, is: null },
    { what: 'NODATA without one', aaaa: { question: 'a.test. AAAA' }, is: null },
    {
      what: 'a CNAME alone',
      aaaa: { question: 'a.test. AAAA', answers: ['a.test. 5 CNAME b.test.'] },
      is: null,
    },
    { what: 'SERVFAIL', aaaa: { question: 'a.test. AAAA', rcode: SERVFAIL }, is: null },
    { what: 'REFUSED', aaaa: { question: 'a.test. AAAA', rcode: REFUSED }, is: null },
    { what: 'a bare SERVFAIL', aaaa: SERVFAIL, is: ['2 '] },
  ])('$what: $is', ({ use = 'dns64', aaaa, is }) => {
    const outcome = run({ use, aaaa, a: ADDRESSES });
    expect(outcome.asked.length).toBe(is === null ? 2 : 1);
    if (is !== null) expect(summaryOf(outcome)).toEqual(is);
    const translated = outcome.context.metrics.counter('coredns_dns64_requests_translated_total', {
      server: 'dns://:53',
    });
    expect(translated.value).toBe(is === null ? 1 : 0);
  });
});

describe('the answer that is made', () => {
  test.each<{ what: string; exchange: Exchange; is: string[] }>([
    {
      what: 'has an AAAA for each A, its TTL at most that of the SOA',
      exchange: { aaaa: NODATA, a: ADDRESSES },
      is: ['0 dns64', 'a.test. 40 AAAA 64:ff9b::c000:201', 'a.test. 30 AAAA 64:ff9b::c000:202'],
    },
    {
      what: 'has TTLs of 600 s at most where there is none',
      exchange: { aaaa: FAILED, a: { answers: ['a.test. 9000 A 192.0.2.1'] } },
      is: ['0 dns64', 'a.test. 600 AAAA 64:ff9b::c000:201'],
    },
    {
      what: 'keeps all else as it is, additional addresses too',
      exchange: {
        use: 'dns64 2001:db8::/64',
        aaaa: NODATA,
        a: {
          answers: ['a.test. 900 CNAME b.test.', 'b.test. 900 A 192.0.2.1', 'b.test. 5 TXT t'],
          authorities: ['test. 70 NS ns.test.'],
          additionals: ['ns.test. 70 A 192.0.2.53'],
        },
      },
      is: [
        '0 dns64',
        'a.test. 900 CNAME b.test.',
        'b.test. 40 AAAA 2001:db8::c0:2:100:0',
        'b.test. 5 TXT t',
        'test. 70 NS ns.test.',
        'ns.test. 70 A 192.0.2.53',
      ],
    },
    {
      what: 'is NODATA where there is no address of any kind',
      exchange: { aaaa: NODATA, a: { authorities: ['test. 40 SOA 5'] } },
      is: ['0 dns64', 'test. 40 SOA 5'],
    },
    {
      what: 'has the RCODE of the second answer: NXDOMAIN',
      exchange: { aaaa: NODATA, a: { rcode: NXDOMAIN, authorities: ['test. 40 SOA 5'] } },
      is: ['3 dns64', 'test. 40 SOA 5'],
    },
    {
      what: 'has the RCODE of the second answer: SERVFAIL',
      exchange: { aaaa: NODATA, a: { rcode: SERVFAIL } },
      is: ['2 dns64'],
    },
    {
      what: 'is a bare RCODE if that is all that came',
      exchange: { aaaa: NODATA, a: SERVFAIL },
      is: ['2 '],
    },
  ])('$what', ({ exchange, is }) => {
    expect(summaryOf(run(exchange))).toEqual(is);
  });

  test('a translated answer repeats the question as asked, is not authoritative, and truncated if the second was', () => {
    const asks = { ...IPV6, checkingDisabled: true };
    const flags = (0x85 | TC) << 8;
    const { response: is } = run({
      name: 'A.tesT.',
      asks,
      aaaa: NODATA,
      a: { ...ADDRESSES, flags },
    });
    const decoded = decodeMessage(is!.message.wire)!;
    expect(decoded.flags.toString(16)).toBe('8300'); // QR, TC, RD; CD comes with the frame
    expect(decoded.questions).toEqual([{ name: 'A.tesT.', qtype: AAAA, qclass: IN }]);
  });

  test('a translation that fails gives the reason of the second failure', () => {
    const { response: is } = run({ aaaa: NODATA, a: REFUSED });
    expect(is!.failure?.message).toBe('i/o timeout');
  });
});
