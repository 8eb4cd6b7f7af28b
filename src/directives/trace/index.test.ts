import { once } from 'node:events';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { QueryView } from '../../dns/question.ts';
import { SERVFAIL } from '../../dns/rcode.ts';
import { Counter } from '../../observe/counters.ts';
import { Metadata } from '../../query/metadata.ts';
import { type Client, UDP } from '../../query/responder.ts';
import { Response } from '../../query/response.ts';
import { synthesize } from '../../query/synthesize.ts';
import { type AskOptions, askQuery } from '../../query/testing.ts';
import type { Span } from '../../query/trace.ts';
import { ANSWERED } from '../../query/verdict.ts';
import { Chain } from '../../server/chain.ts';
import type { Handler } from '../directive.ts';
import { type TestBuilding, parseAs, refusal, testBuilding } from '../testing.ts';
import { trace } from './index.ts';

describe('options', () => {
  const base = {
    every: 1,
    service: 'coredns',
    backlogMax: 1000,
    batchMax: 100,
    intervalMs: 1000,
  };

  test.each([
    { use: 'trace', url: 'http://localhost:9411/api/v2/spans', is: {} },
    { use: 'trace zipkin:9411', url: 'http://zipkin:9411/api/v2/spans', is: {} },
    { use: 'trace zipkin 192.0.2.1:1', url: 'http://192.0.2.1:1/api/v2/spans', is: {} },
    { use: 'trace ZIPKIN https://a.test/spans', url: 'https://a.test/spans', is: {} },
    {
      use: 'trace {\nevery 100\nservice dns\nclient_server\ndatadog_analytics_rate 0.5\n}',
      url: 'http://localhost:9411/api/v2/spans',
      is: { every: 100, service: 'dns' },
    },
    {
      use: 'trace {\nevery 0\nclient_server false\ndatadog_analytics_rate\n}',
      url: 'http://localhost:9411/api/v2/spans',
      is: { every: 0 },
    },
    {
      use:
        'trace {\nzipkin_max_backlog_size 5\nzipkin_max_batch_size 2\n' +
        'zipkin_max_batch_interval 5s\n}',
      url: 'http://localhost:9411/api/v2/spans',
      is: { backlogMax: 5, batchMax: 2, intervalMs: 5000 },
    },
    {
      use:
        'trace {\nzipkin_max_backlog_size 0\nzipkin_max_batch_size 0\n' +
        'zipkin_max_batch_interval 0\n}',
      url: 'http://localhost:9411/api/v2/spans',
      is: {},
    },
  ])('$use', ({ use, url, is }) => {
    const config = parseAs(trace, use);
    expect({ ...config, url: config.url.href }).toEqual({ ...base, ...is, url });
  });

  test.each([
    ['trace foo a:1', "Corefile:1:7: trace: tracing endpoint type 'foo' is not supported"],
    ['trace datadog a:1', 'an OpenTelemetry Collector takes Zipkin spans and hands them on'],
    ['trace zipkin a:1 b', 'Corefile:1:18: trace: Wrong argument count'],
    ['trace http://[', "Corefile:1:7: trace: invalid tracing endpoint 'http://['"],
    ['trace {\nevery\n}', 'Corefile:2:1: trace: every: Wrong argument count'],
    ['trace {\nevery -1\n}', 'strconv.ParseUint: parsing "-1": invalid syntax'],
    ['trace {\nclient_server maybe\n}', 'strconv.ParseBool: parsing "maybe": invalid syntax'],
    [
      'trace {\ndatadog_analytics_rate 2\n}',
      "datadog analytics rate must be between 0 and 1, '2' is not supported",
    ],
    ['trace {\nzipkin_max_backlog_size x\n}', 'strconv.Atoi: parsing "x": invalid syntax'],
    ['trace {\nzipkin_max_batch_size -1\n}', '-1 is out of range'],
    ['trace {\nzipkin_max_batch_interval 1\n}', 'time: missing unit in duration "1"'],
    ['trace {\nfoo\n}', 'Corefile:2:1: trace: "foo" is not an option (unknown property \'foo\')'],
  ])('%j is refused: %s', (use, message) => {
    expect(refusal(trace, use)).toContain(message);
  });

  test('of several uses of trace the last one counts, and every 0 needs no handler', () => {
    expect(trace.repeat).toBe('last');
    expect(trace.build!([parseAs(trace, 'trace {\nevery 0\n}')], testBuilding())).toBeUndefined();
  });
});

let collector: Server;
let spans: (Span & { readonly localEndpoint: unknown })[];
let context: TestBuilding;

beforeEach(async () => {
  spans = [];
  context = testBuilding(['.'], [{ host: '169.254.20.10', port: 53 }]);
  collector = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      spans.push(...(JSON.parse(body) as typeof spans));
      response.writeHead(202).end();
    });
  }).listen(0, '127.0.0.1');
  await once(collector, 'listening');
});
afterEach(() => {
  context.stop();
  collector.closeAllConnections();
  collector.close();
});

function build(options = ''): Handler {
  const { port } = collector.address() as AddressInfo;
  const more = `zipkin_max_batch_interval 1ms\n${options}`;
  const use = `trace http://127.0.0.1:${port}/api/v2/spans {\n${more}\n}`;
  return trace.build!([parseAs(trace, use)], context)!;
}

/** A query through `trace`, a handler that looks at responses, and one that answers. */
function ask(handler: Handler, options: AskOptions = {}, answer?: Handler['onQuery']): string {
  const looking: Handler = { name: 'errors', seesHits: false };
  const answering: Handler = {
    name: 'hosts',
    seesHits: false,
    onQuery:
      answer ??
      ((asked) => {
        asked.answer(synthesize(asked, 'hosts', {}));
        return ANSWERED;
      }),
  };
  const chain = new Chain([handler, looking, answering], new Counter(), context.log);
  const { query } = askQuery('A.Test.', 'AAAA', options);
  query.metadata = new Metadata();
  chain.run(query, 0);
  return query.metadata.get('trace/traceid') ?? 'none';
}

describe('a traced query', () => {
  test('a traced query has a root span with its question and RCODE, and one for each handler', async () => {
    const id = ask(build('service node-dns'), { transport: 'tcp', remoteAddress: '2001:db8::1' });
    expect(id).toMatch(/^[0-9a-f]{16}$/);
    await vi.waitFor(() => expect(spans.length).toBe(3));
    const [hosts, errors, root] = spans;
    expect(root).toMatchObject({
      traceId: id,
      id,
      name: 'servedns',
      kind: 'SERVER',
      localEndpoint: { serviceName: 'node-dns', ipv4: '169.254.20.10', port: 53 },
      tags: {
        'coredns.io/name': 'a.test.',
        'coredns.io/type': 'AAAA',
        'coredns.io/rcode': 'NOERROR',
        'coredns.io/proto': 'tcp',
        'coredns.io/remote': '2001:db8::1',
      },
    });
    expect(Math.abs(root!.timestamp / 1000 - Date.now())).toBeLessThan(5000);
    expect(errors).toMatchObject({ name: 'errors', traceId: id, parentId: id });
    expect(hosts).toMatchObject({ name: 'hosts', traceId: id, parentId: errors!.id });
  });

  test('the root span of a query that fails has its RCODE and the reason', async () => {
    ask(build(), {}, (query) => {
      query.answer(Response.failed(query, SERVFAIL, 'no healthy proxies'));
      return ANSWERED;
    });
    await vi.waitFor(() => expect(spans.length).toBe(3));
    expect(spans.at(-1)!.tags).toMatchObject({
      'coredns.io/rcode': 'SERVFAIL',
      error: 'no healthy proxies',
    });
  });
});

describe('which queries are traced', () => {
  test('one query in so many is traced', () => {
    const handler = build('every 3');
    const traced = Array.from({ length: 9 }, () => ask(handler) !== 'none');
    expect(traced).toEqual([false, false, true, false, false, true, false, false, true]);
  });

  test('our own queries, and queries asked for another query, start no trace', () => {
    const handler = build();
    expect(ask(handler, { ours: true })).toBe('none');
    const { query } = askQuery('a.', 'A');
    query.asker = askQuery('b.', 'A').query;
    handler.onQuery!(query);
    expect(query.trace).toBeUndefined();
  });

  test('hits count towards the traced ones, and walk the chain only if they are traced', () => {
    const handler = build('every 2');
    const wants = (): boolean =>
      handler.onHits!.wants!({} as QueryView, { transport: UDP, family: 1 } as Client);
    const seen: string[] = [];
    for (let i = 0; i < 4; i++) {
      const { query } = askQuery('a.', 'A');
      if (wants()) {
        handler.onQuery!(query);
        seen.push(query.trace === undefined ? 'lost' : 'traced');
      } else if (i === 0) {
        query.cacheAsked = true; // a miss: it was counted
        handler.onQuery!(query);
        seen.push(query.trace === undefined ? 'miss' : 'twice');
      } else {
        seen.push('hit');
      }
    }
    expect(seen).toEqual(['miss', 'traced', 'hit', 'traced']);
    expect(handler.seesHits).toBe(false);
  });
});
