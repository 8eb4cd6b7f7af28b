import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Handler, HitPart } from '../directives/directive.ts';
import { TestLog } from '../directives/testing.ts';
import { decodeMessage } from '../dns/codec.ts';
import { TC, readU16 } from '../dns/header.ts';
import { OPT_OCTETS } from '../dns/limits.ts';
import type { QueryView } from '../dns/question.ts';
import { NOERROR, REFUSED, SERVFAIL } from '../dns/rcode.ts';
import { AAAA } from '../dns/rrtype.ts';
import { response } from '../dns/testing.ts';
import type { Counter, Histogram } from '../observe/counters.ts';
import { Metrics } from '../observe/metrics.ts';
import type { AddressIndex } from '../query/address-index.ts';
import type { HitSource } from '../query/hit-source.ts';
import { PATIENCE_MS } from '../query/life.ts';
import type { Query } from '../query/query.ts';
import {
  ANSWER_LATER,
  type Client,
  NO_ANSWER,
  type ReplyPath,
  TCP,
  UDP,
  SendSlot,
} from '../query/responder.ts';
import { Response } from '../query/response.ts';
import { synthesize } from '../query/synthesize.ts';
import { type AskOptions, queryMessage } from '../query/testing.ts';
import { ANSWERED, LATER, PASS } from '../query/verdict.ts';
import { Chain } from './chain.ts';
import { DnsCounters } from './dns-counters.ts';
import { HitPath } from './hit-path.ts';
import { Server } from './server.ts';

const LABEL = 'dns://127.0.0.1:53';
const AT = 5;

let metrics: Metrics;
let server: Server;
/** Answers that came later. */
let late: Buffer[];
/** Queries that the handler keeps. */
let kept: Query[];

beforeEach(() => {
  vi.useFakeTimers();
  metrics = new Metrics();
  server = new Server(LABEL, 1, metrics);
  late = [];
  kept = [];
});
afterEach(() => {
  server.close();
  vi.useRealTimers();
});

const answering: Handler = {
  name: 'hosts',
  seesHits: false,
  onQuery: (query) => {
    query.answer(synthesize(query, 'hosts', {}));
    return ANSWERED;
  },
};
const keeping: Handler = {
  name: 'forward',
  seesHits: false,
  takesEveryClass: true,
  onQuery: (query) => {
    kept.push(query);
    return LATER;
  },
};

interface Block {
  readonly handlers: readonly Handler[];
  readonly hits?: HitPath;
  readonly hasMetrics?: boolean;
}

function serve(blocks: Readonly<Record<string, Block>>): void {
  const panics = metrics.counter('coredns_panics_total', {});
  server.serve(
    Object.entries(blocks).map(([zone, { handlers, hits, hasMetrics }], i) => ({
      zone,
      chain: new Chain(handlers, panics, new TestLog()),
      counters: hasMetrics === true ? new DnsCounters(metrics, LABEL, zone) : undefined,
      hits,
      addressIndex: i as AddressIndex,
    })),
  );
}

interface AskedOptions extends AskOptions {
  readonly octets?: (msg: Uint8Array) => Uint8Array;
}

/** The client's result at once: the answer, or NO_ANSWER or ANSWER_LATER. */
function ask(name = 'a.test.', type = 'A', options: AskedOptions = {}): Buffer | number {
  const msg = queryMessage(name, type, options);
  return give(options.octets?.(msg) ?? msg, options.transport === 'tcp' ? TCP : UDP);
}

function give(message: Uint8Array, transport: typeof UDP | typeof TCP = UDP): Buffer | number {
  const path: ReplyPath = {
    transport,
    family: 1,
    remoteAddress: '127.0.0.1',
    remotePort: 1,
    localAddress: '127.0.0.1',
    localPort: 53,
    send: (answer, octets) => void late.push(Buffer.from(answer.slice(0, octets))),
  };
  const client: Client = { transport, family: 1, keep: () => path };
  const room = transport === UDP ? 4096 : 0xffff + OPT_OCTETS;
  const out = new Uint8Array(AT + room + AT).fill(0xee);
  const buffer = Buffer.concat([new Uint8Array(3), message]);
  server.beginBatch();
  const slot = new SendSlot(out);
  slot.at = AT;
  slot.end = AT + room;
  const octets = server.respond(buffer, 3, buffer.length, client, slot);
  server.endBatch();
  buffer.fill(0xdd); // the message may be overwritten once this returns
  expect(new Set([...out.subarray(0, AT), ...out.subarray(AT + room)])).toEqual(new Set([0xee]));
  return octets > 0 ? Buffer.from(out.slice(AT, AT + octets)) : octets;
}

/** The answer that comes at once or, through the chain, a moment later. */
function answerOf(...of: Parameters<typeof ask>): Buffer {
  const octets = ask(...of);
  if (typeof octets !== 'number') return octets;
  expect(octets).toBe(ANSWER_LATER);
  return late.at(-1)!;
}

function total(name: string, labels: Readonly<Record<string, string>> = {}): number {
  let sum = 0;
  for (const [metric, definition, series] of metrics.families()) {
    if (metric !== name) continue;
    for (const { labels: own, data } of series) {
      if (!Object.entries(labels).every(([label, value]) => own[label] === value)) continue;
      sum +=
        definition.kind === 'histogram'
          ? (data as Histogram).counts.reduce((a, b) => a + b, 0)
          : (data as Counter).value;
    }
  }
  return sum;
}

const rcodeOf = (answer: Buffer): number => answer[3]! & 15;

describe('messages that are no query', () => {
  const whole = queryMessage('A.Test.', 'A', { id: 0xabcd, edns: 1232 });
  test.each([
    { what: 'shorter than a header', octets: whole.slice(0, 11), is: undefined },
    { what: 'a response', octets: whole.with(2, 0x81), is: undefined },
    { what: 'opcode UPDATE', octets: whole.with(2, 0x29), is: 'abcda9040000000000000000' },
    { what: 'no question', octets: whole.with(5, 0), is: 'abcd81010000000000000000' },
    {
      what: 'NOTIFY without question',
      octets: whole.with(5, 0).with(2, 0x21),
      is: 'abcd81010000000000000000',
    },
    { what: 'a cut question', octets: whole.slice(0, 18), is: 'abcd81010000000000000000' },
    {
      what: 'a cut OPT',
      octets: whole.slice(0, 28),
      is: 'abcd81010001000000000000014104546573740000010001',
    },
  ])('$what is answered by $is', ({ octets, is }) => {
    serve({ '.': { handlers: [answering], hasMetrics: true } });
    const answer = give(octets);
    expect(typeof answer === 'number' ? undefined : answer.toString('hex')).toBe(is);
    if (is === undefined) expect(answer).toBe(NO_ANSWER);
    expect(total('coredns_dns_requests_total') + total('coredns_dns_responses_total')).toBe(0);
  });
});

const version1 = (msg: Uint8Array): Uint8Array => msg.with(msg.length - 5, 1);

describe('queries that are refused before any block is asked, in this order', () => {
  const BADVERS_OPT = '0000290000010000000000';

  test('a class other than IN is refused where nothing forwards', () => {
    serve({ '.': { handlers: [answering] } });
    for (const qclass of ['CH', 'HS', 'ANY']) {
      expect(rcodeOf(answerOf('a.test.', 'A', { qclass }))).toBe(REFUSED);
    }
    expect(rcodeOf(answerOf('a.test.', 'A', { qclass: 'CH', edns: 1232, octets: version1 }))).toBe(
      REFUSED,
    );
    expect(late).toEqual([]);
  });

  test('where any block forwards, every class goes to the block of its name', () => {
    serve({ 'fwd.test.': { handlers: [keeping] }, '.': { handlers: [answering] } });
    expect(rcodeOf(answerOf('a.test.', 'A', { qclass: 'CH' }))).toBe(NOERROR);
    expect(late.length).toBe(1);
  });

  test('an EDNS version other than 0 is refused, even where there is no zone (RFC 6891 section 6.1.3)', () => {
    for (const zone of ['.', 'other.']) {
      serve({ [zone]: { handlers: [answering], hasMetrics: true } });
      const answer = answerOf('A.Test.', 'A', { edns: 1232, octets: version1 });
      expect(answer.toString('hex').endsWith(BADVERS_OPT)).toBe(true);
      expect(decodeMessage(answer)).toMatchObject({ rcode: 0, questions: [{ name: 'A.Test.' }] });
    }
    expect(total('coredns_dns_requests_total')).toBe(0);
  });

  test('a name in no zone is refused with the question, and an OPT if the client sent one', () => {
    serve({ 'other.': { handlers: [answering] } });
    expect(decodeMessage(answerOf('A.Test.', 'A', { id: 7 }))).toMatchObject({
      id: 7,
      flags: 0x8105,
      questions: [{ name: 'A.Test.', qtype: 1, qclass: 1 }],
      additionals: [],
    });
    expect(decodeMessage(answerOf('a.test.', 'A', { edns: 1232 }))!.additionals.length).toBe(1);
  });

  test('a name in a block without handlers is refused, even if a shorter zone exists', () => {
    serve({ '.': { handlers: [answering] }, 'test.': { handlers: [], hasMetrics: true } });
    expect(rcodeOf(answerOf('a.test.'))).toBe(REFUSED);
    expect(rcodeOf(answerOf('a.'))).toBe(NOERROR);
    expect(total('coredns_dns_requests_total', { zone: 'dropped' })).toBe(1);
  });

  test('refused queries count as zone "dropped", without a plugin', () => {
    serve({ 'other.': { handlers: [answering], hasMetrics: true } });
    answerOf('a.test.', 'AAAA');
    answerOf('a.test.', 'A', { transport: 'tcp' });
    const labels = { server: LABEL, zone: 'dropped', view: '' };
    expect(total('coredns_dns_requests_total', { ...labels, proto: 'udp', type: 'AAAA' })).toBe(1);
    expect(total('coredns_dns_requests_total', { ...labels, proto: 'tcp', type: 'A' })).toBe(1);
    expect(total('coredns_dns_responses_total', { ...labels, rcode: 'REFUSED', plugin: '' })).toBe(
      2,
    );
    expect(total('coredns_dns_requests_total')).toBe(2);
  });
});

describe('a query walks its block’s chain', () => {
  test('a query walks as a copy of its own, and is answered with its ID, spelling and OPT', () => {
    serve({ '.': { handlers: [keeping] } });
    expect(ask('A.Test.', 'A', { id: 77, edns: 1232 })).toBe(ANSWER_LATER);
    expect(server.outstanding).toBe(1);
    const [query] = kept as [Query];
    query.answer(new Response(response({ answers: ['a.test. 5 A 192.0.2.1'] }), 'forward'));
    expect(decodeMessage(late[0]!)).toMatchObject({
      id: 77,
      questions: [{ name: 'A.Test.' }],
      answers: [{ rdata: { address: '192.0.2.1' } }],
      additionals: [{ type: 41 }],
    });
    expect(server.outstanding).toBe(0);
  });

  test('a query walks the chain of the longest zone, and knows which of the block’s addresses was asked', () => {
    serve({ '.': { handlers: [answering] }, 'test.': { handlers: [keeping] } });
    ask('a.test.');
    expect(kept.map(({ addressIndex }) => addressIndex)).toEqual([1]);
  });

  test.each([
    { what: '512 octets without EDNS', options: {}, limit: 512 },
    { what: 'what the client offers', options: { edns: 700 }, limit: 700 },
    { what: '65,535 over TCP', options: { transport: 'tcp' as const }, limit: 65535 },
  ])('the answer to a query is at most $what', ({ options, limit }) => {
    serve({ '.': { handlers: [keeping] } });
    ask('a.test.', 'A', options);
    const answers = Array.from({ length: 100 }, (_, i) => `a.test. 5 A 192.0.2.${i}`);
    kept[0]!.answer(new Response(response({ answers }), 'forward'));
    const [answer] = late as [Buffer];
    expect(answer.length).toBeLessThanOrEqual(limit);
    expect((answer[2]! & TC) !== 0).toBe(limit < 65535);
  });

  test('a handler that throws costs the query a SERVFAIL, and is counted', () => {
    const broken = {
      ...answering,
      onQuery: (): never => {
        throw new Error('broken');
      },
    };
    serve({ '.': { handlers: [broken], hasMetrics: true } });
    expect(rcodeOf(answerOf())).toBe(SERVFAIL);
    expect(total('coredns_panics_total')).toBe(1);
    expect(total('coredns_dns_responses_total', { rcode: 'SERVFAIL', plugin: '' })).toBe(1);
  });

  test('a query ends in the blocks that it began in, though others serve by now', () => {
    serve({ '.': { handlers: [keeping] } });
    ask();
    serve({});
    kept[0]!.answer(Response.empty(kept[0]!, NOERROR, 'forward'));
    expect(late.length).toBe(1);
    expect(rcodeOf(answerOf())).toBe(REFUSED);
  });
});

const advance = (ms: number): void => void vi.advanceTimersByTime(ms);

describe('a handler that never answers', () => {
  test('a query that no handler answers gets SERVFAIL before the client’s patience ends', () => {
    serve({ '.': { handlers: [keeping], hasMetrics: true } });
    ask('a.test.', 'A', { id: 1 });
    advance(PATIENCE_MS - 1000);
    ask('a.test.', 'A', { id: 2 });
    advance(1100);
    expect(late).toEqual([]);
    advance(300); // grace and sweep
    expect(late.map((answer) => [answer.readUInt16BE(0), rcodeOf(answer)])).toEqual([
      [1, SERVFAIL],
    ]);
    expect(total('nodelocald_expired_queries_total')).toBe(1);
    expect(server.outstanding).toBe(1);
    advance(PATIENCE_MS - 1000);
    expect(late.map((answer) => answer.readUInt16BE(0))).toEqual([1, 2]);
    expect(server.outstanding).toBe(0);
  });

  test('a handler that answers after the deadline gets nothing through: there is one answer', () => {
    serve({ '.': { handlers: [keeping] } });
    ask();
    advance(PATIENCE_MS + 500);
    kept[0]!.answer(Response.empty(kept[0]!, NOERROR, 'forward'));
    advance(PATIENCE_MS + 500);
    expect(late.length).toBe(1);
    expect(total('nodelocald_expired_queries_total')).toBe(1);
  });
});

describe('a hit is answered at once, without the chain', () => {
  const message = response({ question: 'a.test. A', answers: ['a.test. 5 A 192.0.2.1'] });
  const asked: number[] = [];

  /** Knows a.test.; a larger answer where `octets` says so. */
  const hitsOf = (result: number, above: readonly Handler[] = []): HitPath => {
    const source: HitSource = {
      answer: (_view, index, _nowDs, slot, facts) => {
        asked.push(index);
        if (result <= 0) return result;
        slot.octets.set(message.wire, slot.at);
        facts.rcode = 0;
        facts.plainOctets = 99;
        return message.wire.length;
      },
    };
    return new HitPath(source, above);
  };

  test('a hit is counted as the cache’s', () => {
    serve({ '.': { handlers: [keeping], hits: hitsOf(1), hasMetrics: true } });
    const answer = ask('A.tesT.', 'A', { id: 9, edns: 1232, dnssecOk: true });
    expect(decodeMessage(answer as Buffer)).toMatchObject({
      id: 9,
      questions: [{ name: 'A.tesT.' }],
    });
    ask();
    expect(kept).toEqual([]);
    const labels = { server: LABEL, zone: '.', view: '' };
    expect(total('coredns_dns_requests_total', { ...labels, type: 'A', family: '1' })).toBe(2);
    expect(
      total('coredns_dns_responses_total', { ...labels, plugin: 'cache', rcode: 'NOERROR' }),
    ).toBe(2);
    expect(total('coredns_dns_request_duration_seconds', labels)).toBe(2);
    expect(total('coredns_dns_request_size_bytes', labels)).toBe(2);
    expect(total('coredns_dns_response_size_bytes', labels)).toBe(2);
    expect(total('coredns_dns_do_requests_total', labels)).toBe(1);
  });

  test.each([
    { result: 0, cacheAsked: true, what: 'a miss' },
    { result: -1, cacheAsked: false, what: 'an answer that does not fit here' },
  ])('a query walks the chain if the cache has $what', ({ result, cacheAsked }) => {
    serve({ '.': { handlers: [keeping], hits: hitsOf(result), hasMetrics: true } });
    expect(ask()).toBe(ANSWER_LATER);
    expect(kept).toMatchObject([{ cacheAsked }]);
    expect(total('coredns_dns_requests_total')).toBe(1);
  });

  const touching = (onHits: HitPart): Handler => ({ name: 'bufsize', seesHits: false, onHits });

  test.each([
    { edns: 4096, payloadOctetsMax: 1232, is: 1232 },
    { edns: 600, payloadOctetsMax: 1232, is: 600 },
    { edns: 4096, payloadOctetsMax: 512, is: 512 },
  ])(
    'a payload size of $edns counts for $payloadOctetsMax at most on the walk of a hit',
    ({ edns, ...part }) => {
      const { payloadOctetsMax, is } = part;
      serve({ '.': { handlers: [keeping], hits: hitsOf(1, [touching({ payloadOctetsMax })]) } });
      expect(readU16(ask('a.test.', 'A', { edns }) as Buffer, message.wire.length + 3)).toBe(is);
      const other = hitsOf(0, [touching({ payloadOctetsMax })]);
      serve({ '.': { handlers: [keeping], hits: other } });
      ask('b.test.', 'A', { edns });
      expect(kept.at(-1)?.payloadOctets).toBe(is); // a miss is no different
    },
  );

  test('a handler above that wants the query gets it, and the cache is asked in the chain', () => {
    const wants = vi.fn((view: QueryView) => view.qtype === AAAA);
    serve({ '.': { handlers: [keeping], hits: hitsOf(1, [touching({ wants })]) } });
    asked.length = 0;
    expect(ask('a.test.', 'A')).not.toBe(ANSWER_LATER);
    expect(ask('a.test.', 'AAAA')).toBe(ANSWER_LATER);
    expect(asked).toEqual([0]);
    expect(kept).toMatchObject([{ cacheAsked: false }]);
    expect(wants).toHaveBeenCalledTimes(2);
  });

  test('a handler above arranges the response before it is cut to size', () => {
    const arrange: HitPart['arrange'] = (out, at, octets, end) => {
      expect(out.subarray(at, at + octets)).toEqual(new Uint8Array(message.wire));
      expect(end).toBe(AT + 4096 - OPT_OCTETS);
      out[at + octets - 1] = 7;
      return octets;
    };
    serve({ '.': { handlers: [keeping], hits: hitsOf(1, [touching({ arrange })]) } });
    const answer = decodeMessage(ask() as Buffer)!;
    expect(answer.answers[0]!.rdata).toEqual({ kind: 'address', address: '192.0.2.7' });
  });

  test('a NOTIFY is not asked of the cache', () => {
    serve({ '.': { handlers: [keeping], hits: hitsOf(1) } });
    expect(ask('a.test.', 'A', { opcode: 4 })).toBe(ANSWER_LATER);
  });

  test('the cache learns which of its block’s addresses was asked', () => {
    asked.length = 0;
    serve({ '.': { handlers: [keeping] }, 'test.': { handlers: [keeping], hits: hitsOf(1) } });
    ask();
    expect(asked).toEqual([1]);
  });
});

test('an answer is counted by its writer, and a bare RCODE without one', () => {
  serve({
    '.': { handlers: [answering], hasMetrics: true },
    'bare.': { handlers: [{ ...keeping, onQuery: () => PASS }], hasMetrics: true },
  });
  answerOf('a.test.');
  answerOf('a.bare.');
  expect(total('coredns_dns_responses_total', { plugin: 'hosts', rcode: 'NOERROR' })).toBe(1);
  expect(
    total('coredns_dns_responses_total', { zone: 'bare.', plugin: '', rcode: 'SERVFAIL' }),
  ).toBe(1);
  expect(total('coredns_dns_request_duration_seconds')).toBe(2);
});
