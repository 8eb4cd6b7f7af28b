import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { nowMs } from '../sys/clock.ts';
import { QueryTrace, type Span } from './trace.ts';

let ids = 0;
const newId = (): string => `id${ids++}`;
const EPOCH_MS = 1_800_000_000_000;

beforeEach(() => {
  ids = 0;
  vi.useFakeTimers({ now: EPOCH_MS });
});
afterEach(() => {
  vi.useRealTimers();
});

/** `name id<parent from+duration`, times in ms since the root began. */
function told(spans: readonly Span[]): string[] {
  return spans.map(({ name, id, parentId = '', timestamp, duration }) => {
    const from = timestamp / 1000 - EPOCH_MS;
    return `${name} ${id}<${parentId} ${from}+${duration / 1000}`;
  });
}

describe('the spans of a query', () => {
  test('spans nest as the handlers do, and end as the response comes back', () => {
    const trace = new QueryTrace('servedns', nowMs(), newId);
    trace.enter(2, 'errors');
    vi.advanceTimersByTime(1);
    trace.enter(3, 'cache');
    trace.enter(5, 'forward');
    const beganMs = nowMs();
    vi.advanceTimersByTime(10);
    trace.record('connect', beganMs, { 'peer.address': '192.0.2.1:53' });
    trace.leave(5);
    trace.leave(4); // a handler that was not entered
    vi.advanceTimersByTime(2);
    trace.leave(3);
    trace.leave(2);
    const spans = trace.end({ 'coredns.io/name': 'a.' });
    expect(told(spans)).toEqual([
      'connect id4<id3 1+10',
      'forward id3<id2 1+10',
      'cache id2<id1 1+12',
      'errors id1<id0 0+13',
      'servedns id0< 0+13',
    ]);
    expect(spans.every(({ traceId }) => traceId === 'id0')).toBe(true);
    expect(spans.at(-1)).toMatchObject({ kind: 'SERVER', tags: { 'coredns.io/name': 'a.' } });
    expect(spans[0]).toMatchObject({ tags: { 'peer.address': '192.0.2.1:53' } });
  });

  test('spans that are open at the end of the query end with it, and each has a duration', () => {
    const trace = new QueryTrace('servedns', nowMs(), newId);
    trace.enter(1, 'cache');
    trace.enter(2, 'forward');
    expect(told(trace.end({}))).toEqual([
      'forward id2<id1 0+0.001',
      'cache id1<id0 0+0.001',
      'servedns id0< 0+0.001',
    ]);
  });

  test('a query has a hundred spans and the root at most', () => {
    const trace = new QueryTrace('servedns', nowMs(), newId);
    for (let i = 0; i < 500; i++) {
      trace.enter(1, 'cache');
      trace.leave(1);
    }
    expect(trace.end({}).length).toBe(101);
  });
});
