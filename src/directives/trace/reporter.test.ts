import { once } from 'node:events';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Counter } from '../../observe/counters.ts';
import type { Span } from '../../query/trace.ts';
import { TestLog } from '../testing.ts';
import { Reporter, type ReporterSettings } from './reporter.ts';

interface Posted {
  readonly path: string | undefined;
  readonly type: string | undefined;
  readonly spans: readonly (Span & { readonly localEndpoint: unknown })[];
}

let collector: Server;
let posted: Posted[];
/** The status that the collector answers with; 0 for no answer. */
let status: number;
let log: TestLog;
let dropped: Counter;

beforeEach(async () => {
  [posted, status, log, dropped] = [[], 202, new TestLog(), new Counter()];
  collector = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const spans = JSON.parse(body) as Posted['spans'];
      posted.push({ path: request.url, type: request.headers['content-type'], spans });
      if (status === 0) return;
      response.writeHead(status).end();
    });
  }).listen(0, '127.0.0.1');
  await once(collector, 'listening');
});
afterEach(() => {
  collector.closeAllConnections();
  collector.close();
});

function reporter(settings: Partial<ReporterSettings> = {}): Reporter {
  const { port } = collector.address() as AddressInfo;
  const url = new URL(`http://127.0.0.1:${port}/api/v2/spans`);
  const localEndpoint = { serviceName: 'coredns' };
  const sizes = { backlogMax: 1000, batchMax: 100, intervalMs: 20 };
  return new Reporter({ url, localEndpoint, ...sizes, ...settings }, log, dropped);
}

const spans = (...ids: readonly number[]): Span[] =>
  ids.map((id) => ({ traceId: '0', id: String(id), name: 'x', timestamp: 1, duration: 1 }));
const sent = (): string[] => posted.map((post) => post.spans.map(({ id }) => id).join());

describe('spans', () => {
  test('spans wait for more, and go to the collector as Zipkin has them', async () => {
    const reporting = reporter();
    reporting.add(spans(1, 2));
    reporting.add(spans(3));
    await vi.waitFor(() => expect(posted.length).toBe(1));
    expect(posted[0]).toMatchObject({ path: '/api/v2/spans', type: 'application/json' });
    expect(posted[0]!.spans[2]).toEqual({
      ...spans(3)[0],
      localEndpoint: { serviceName: 'coredns' },
    });
    expect([dropped.value, log.lines]).toEqual([0, []]);
  });

  test('spans are sent at once when they are a batch, one request after the other', async () => {
    const reporting = reporter({ batchMax: 2, intervalMs: 60_000 });
    reporting.add(spans(1));
    reporting.add(spans(2, 3));
    reporting.add(spans(4, 5));
    await vi.waitFor(() => expect(sent()).toEqual(['1,2', '3,4', '5']));
  });

  test('spans that wait are sent at the end', async () => {
    const reporting = reporter({ intervalMs: 60_000 });
    reporting.add(spans(1));
    await reporting.flush();
    expect(sent()).toEqual(['1']);
  });
});

describe('a collector', () => {
  test('a slow collector costs no more than the backlog, whose oldest spans are dropped', async () => {
    status = 0;
    const reporting = reporter({ backlogMax: 3, batchMax: 2 });
    reporting.add(spans(1, 2));
    await vi.waitFor(() => expect(posted.length).toBe(1));
    reporting.add(spans(3, 4));
    reporting.add(spans(5, 6));
    expect(dropped.value).toBe(1);
    expect(posted.length).toBe(1); // one request at a time
  });

  test('a missing collector is logged once, and the spans that it missed are counted', async () => {
    const reporting = reporter();
    collector.close();
    for (let i = 0; i < 3; i++) {
      reporting.add(spans(i, i));
      await reporting.flush();
    }
    expect(dropped.value).toBe(6);
    expect(log.lines).toEqual([
      expect.stringMatching(
        /^\[WARNING\] plugin\/trace: failed to send spans to http:\/\/127\.0\.0\.1:\d+\/api\/v2\/spans: connect ECONNREFUSED/,
      ),
    ]);
  });

  test('a collector that refuses spans is logged too', async () => {
    status = 500;
    const reporting = reporter();
    reporting.add(spans(1));
    await reporting.flush();
    expect(log.lines[0]).toContain('the collector answered 500');
    expect(dropped.value).toBe(1);
    status = 202;
    reporting.add(spans(2));
    await reporting.flush();
    expect(sent()).toEqual(['1', '2']);
  });
});
