/** Lookups through the whole server: query/lookup.ts, the chain, and the server. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Handler } from '../directives/directive.ts';
import { TestLog } from '../directives/testing.ts';
import { decodeMessage } from '../dns/codec.ts';
import { nameFromText } from '../dns/name.ts';
import { rcodeName } from '../dns/rcode.ts';
import { A, AAAA, IN } from '../dns/rrtype.ts';
import type { Counter } from '../observe/counters.ts';
import { Metrics } from '../observe/metrics.ts';
import { FIRST_ADDRESS } from '../query/address-index.ts';
import { type Change } from '../query/derive.ts';
import { lookUp } from '../query/lookup.ts';
import { type Client, type ReplyPath, SendSlot, UDP } from '../query/responder.ts';
import type { Response } from '../query/response.ts';
import { synthesize } from '../query/synthesize.ts';
import { queryMessage } from '../query/testing.ts';
import { ANSWERED, LATER } from '../query/verdict.ts';
import { Chain } from './chain.ts';
import { DnsCounters } from './dns-counters.ts';
import { Server } from './server.ts';

let metrics: Metrics;
let server: Server;
/** The response of the last lookup. */
let found: Response | undefined;
/** The client's answers. */
let answers: string[];

beforeEach(() => {
  metrics = new Metrics();
  server = new Server('dns://:53', 1, metrics);
  found = undefined;
  answers = [];
});
afterEach(() => server.close());

/** Looks `change` up for each query, and answers with what it found. */
const lookingUp = (change: Change): Handler => ({
  name: 'template',
  seesHits: false,
  onQuery: (query) => {
    lookUp(query, change, (response) => {
      found = response;
      query.answer(response);
    });
    return LATER;
  },
});

/** Answers with an address that tells by whom. */
const saying = (address: string): Handler => ({
  name: 'hosts',
  seesHits: false,
  onQuery: (query) => {
    const answer = { name: query.name, type: A, rrClass: IN, ttlSec: 5 };
    query.answer(
      synthesize(query, 'hosts', { answers: [{ ...answer, rdata: { kind: 'address', address } }] }),
    );
    return ANSWERED;
  },
});

function serve(blocks: Readonly<Record<string, readonly Handler[]>>): void {
  const panics = metrics.counter('coredns_panics_total', {});
  server.serve(
    Object.entries(blocks).map(([zone, handlers]) => ({
      zone,
      chain: new Chain(handlers, panics, new TestLog()),
      counters: new DnsCounters(metrics, 'dns://:53', zone),
      hits: undefined,
      addressIndex: FIRST_ADDRESS,
    })),
  );
}

function ask(name: string, type: string): void {
  const path: ReplyPath = {
    transport: UDP,
    family: 1,
    remoteAddress: '192.0.2.9',
    remotePort: 1024,
    localAddress: '127.0.0.1',
    localPort: 53,
    send: (message, octets) => {
      const decoded = decodeMessage(message.subarray(0, octets))!;
      const addresses = decoded.answers.map(({ rdata }) =>
        rdata.kind === 'address' ? rdata.address : '',
      );
      answers.push([rcodeName(decoded.rcode), ...addresses].join(' '));
    },
  };
  const client: Client = { transport: UDP, family: 1, keep: () => path };
  const message = queryMessage(name, type);
  const out = new Uint8Array(4096);
  server.respond(message, 0, message.length, client, new SendSlot(out));
}

const question = (name: string, qtype = A): Change => ({ name: nameFromText(name)!, qtype });

describe('a lookup', () => {
  test('a lookup goes through the choice of a block, and its answer to the directive that asked', () => {
    serve({ 'a.test.': [lookingUp(question('x.b.test.'))], 'b.test.': [saying('192.0.2.2')] });
    ask('q.a.test.', 'A');
    expect(answers).toEqual(['NOERROR 192.0.2.2']);
  });

  test('a lookup may come back to the block that asks', () => {
    let asked = false;
    const once: Handler = {
      name: 'dns64',
      seesHits: false,
      onQuery: (query) => {
        if (asked) return saying('192.0.2.3').onQuery!(query);
        asked = true;
        return lookingUp({ qtype: A }).onQuery!(query);
      },
    };
    serve({ '.': [once] });
    ask('q.test.', 'AAAA');
    expect(answers).toEqual(['NOERROR 192.0.2.3']);
  });

  test('a lookup is counted as a query of the block that it goes to', () => {
    serve({ 'a.test.': [lookingUp(question('x.b.test.'))], 'b.test.': [saying('192.0.2.2')] });
    ask('q.a.test.', 'A');
    const labels = { server: 'dns://:53', zone: 'b.test.', view: '' };
    const requests: Counter = metrics.counter('coredns_dns_requests_total', {
      ...labels,
      proto: 'udp',
      family: '1',
      type: 'A',
    });
    const responses = { ...labels, rcode: 'NOERROR', plugin: 'hosts' };
    expect(requests.value).toBe(1);
    expect(metrics.counter('coredns_dns_responses_total', responses).value).toBe(1);
  });

  test('a lookup of a name that no block serves is REFUSED', () => {
    serve({ 'a.test.': [lookingUp(question('elsewhere.'))] });
    ask('q.a.test.', 'A');
    expect(found?.failure?.message).toBe('no block serves elsewhere.');
    expect(answers).toEqual(['REFUSED']);
  });

  test.each([
    {
      change: question('q.test.'),
      reason: 'it needs its own answer',
      because: 'the question is its own',
    },
    {
      change: question('Q.TEST.'),
      reason: 'it needs its own answer',
      because: 'spelling does not make it another',
    },
    {
      change: { name: Uint8Array.of(1) },
      reason: 'no question can be made of it',
      because: 'the name is none',
    },
  ])('a lookup ends in SERVFAIL: $because', ({ change, reason }) => {
    serve({ '.': [lookingUp(change)] });
    ask('q.test.', 'A');
    expect(found?.failure?.message).toBe(`lookup for q.test.: ${reason}`);
    expect(answers).toEqual(['SERVFAIL']);
  });

  test('a lookup that leads in a circle ends in SERVFAIL', () => {
    serve({ 'a.': [lookingUp(question('x.b.'))], 'b.': [lookingUp(question('x.a.'))] });
    ask('x.a.', 'A');
    expect(found?.failure?.message).toContain('it needs its own answer');
    expect(answers).toEqual(['SERVFAIL']);
  });

  test('lookups nest so deep and no deeper', () => {
    let depth = 0;
    const deeper: Handler = {
      name: 'template',
      seesHits: false,
      onQuery: (query) => lookingUp(question(`${depth++}.test.`, AAAA)).onQuery!(query),
    };
    serve({ '.': [deeper] });
    ask('q.test.', 'A');
    expect(depth).toBe(13);
    expect(found?.failure?.message).toContain('nested more than 12 times');
    expect(answers).toEqual(['SERVFAIL']);
  });
});
