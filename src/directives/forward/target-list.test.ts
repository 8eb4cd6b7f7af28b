/** The upstreams of a forward as files and names change. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { UpstreamTarget } from '../../upstream/config.ts';
import { TestLog, parseAs } from '../testing.ts';
import { forward } from './index.ts';
import { type LookUp, TargetList } from './target-list.ts';

let directory: string;
let log: TestLog;
let lists: TargetList[];
/** Each time that there are others. */
let changes: string[][];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'nodelocald-test-'));
  log = new TestLog();
  lists = [];
  changes = [];
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
});

afterEach(() => {
  for (const list of lists) list.stop();
  vi.useRealTimers();
  rmSync(directory, { recursive: true });
});

function follow(to: string, lookUp?: LookUp, ...options: string[]): void {
  const use = parseAs(forward, `forward . ${to} {\n${options.join('\n')}\n}`);
  const note = (targets: readonly UpstreamTarget[]): void => {
    changes.push(targets.map(({ host }) => host));
  };
  lists.push(new TargetList(use, log, note, lookUp));
}

function write(name: string, ...servers: readonly string[]): string {
  const path = join(directory, name);
  writeFileSync(path, servers.map((server) => `nameserver ${server}\n`).join(''));
  return path;
}

const numbered = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => `192.0.2.${i + 1}`);

describe('a file', () => {
  test('gives its servers in its order, among the others, from source_address', () => {
    const path = write('a.conf', '192.0.2.1', '2001:db8::1%eth0', 'nonsense', '192.0.2.2');
    const use = parseAs(forward, `forward . 192.0.2.9 ${path} {\n source_address 192.0.2.8\n}`);
    let found: readonly UpstreamTarget[] = [];
    lists.push(new TargetList(use, log, (targets) => (found = targets)));
    expect(found.map(({ host }) => host)).toEqual([
      '192.0.2.9',
      '192.0.2.1',
      '2001:db8::1',
      '192.0.2.2',
    ]);
    expect(new Set(found.map(({ source }) => source))).toEqual(new Set(['192.0.2.8']));
  });

  test('that comes late is taken then, and one that becomes empty takes nothing away', () => {
    const path = join(directory, 'late.conf');
    follow(path);
    expect(changes).toEqual([]);
    expect(log.lines).toEqual([`[WARNING] plugin/forward: no nameservers found in ${path} yet`]);
    write('late.conf', '192.0.2.1');
    vi.advanceTimersByTime(2000);
    write('late.conf');
    vi.advanceTimersByTime(2000);
    expect(changes).toEqual([['192.0.2.1']]);
  });

  test('that names more than 15 later: the first 15, and that is told', () => {
    const path = write('many.conf', '192.0.2.1');
    follow(path);
    write('many.conf', ...numbered(17));
    vi.advanceTimersByTime(2000);
    expect(changes.at(-1)).toEqual(numbered(15));
    expect(log.lines[0]).toBe(
      '[WARNING] plugin/forward: more than 15 TOs configured: 17. Using the first 15.',
    );
  });
});

describe('a host name', () => {
  test('gives all its addresses, at the place where it stands, and follows them every 30 s', async () => {
    let addresses = ['192.0.2.2', '192.0.2.1', 'nonsense'];
    const asked: string[] = [];
    follow('192.0.2.9 a.test 192.0.2.8', (name) => {
      asked.push(name);
      return Promise.resolve(addresses);
    });
    expect(changes).toEqual([['192.0.2.9', '192.0.2.8']]); // nobody waits for it
    await vi.advanceTimersByTimeAsync(0);
    expect(changes.at(-1)).toEqual(['192.0.2.9', '192.0.2.1', '192.0.2.2', '192.0.2.8']);
    addresses = ['192.0.2.1', '192.0.2.2'];
    await vi.advanceTimersByTimeAsync(30_000);
    expect(changes).toHaveLength(2); // another order is no change
    addresses = ['2001:db8::1'];
    await vi.advanceTimersByTimeAsync(30_000);
    expect(changes.at(-1)).toEqual(['192.0.2.9', '2001:db8::1', '192.0.2.8']);
    expect(asked).toEqual(['a.test', 'a.test', 'a.test']);
    expect(log.lines.at(-1)).toBe(
      '[INFO] plugin/forward: a.test changed: upstreams are ' +
        '192.0.2.9:53, [2001:db8::1]:53, 192.0.2.8:53',
    );
  });

  test('that cannot be found is looked up again after 1, 2, 4 ... 30 s; told once', async () => {
    const atMs: number[] = [];
    const start = Date.now();
    vi.useFakeTimers();
    const began = Date.now();
    follow('a.test', () => {
      atMs.push(Date.now() - began);
      return Promise.reject(new Error('queryA ENOTFOUND a.test'));
    });
    await vi.advanceTimersByTimeAsync(100_000);
    expect(atMs).toEqual([0, 1000, 3000, 7000, 15_000, 31_000, 61_000, 91_000]);
    expect(start).toBeLessThanOrEqual(began);
    expect(log.lines).toEqual([
      '[WARNING] plugin/forward: failed to resolve "a.test": queryA ENOTFOUND a.test; trying again',
    ]);
    expect(changes).toEqual([]);
  });

  test('that is lost keeps its last addresses', async () => {
    let fails = false;
    follow('a.test', () =>
      fails ? Promise.reject(new Error('timeout')) : Promise.resolve(['192.0.2.1']),
    );
    await vi.advanceTimersByTimeAsync(0);
    fails = true;
    await vi.advanceTimersByTimeAsync(30_000);
    expect(changes).toEqual([['192.0.2.1']]);
    expect(log.lines.at(-1)).toBe(
      '[WARNING] plugin/forward: failed to resolve "a.test": timeout; 192.0.2.1 may do meanwhile',
    );
  });

  test('is not looked up any more when the forward has stopped', async () => {
    let asked = 0;
    follow('a.test', () => {
      asked++;
      return Promise.resolve(['192.0.2.1']);
    });
    lists[0]!.stop();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toBe(1);
    expect(changes).toEqual([]);
  });
});

describe('resolver', () => {
  test('is asked for A and AAAA, and what one family lacks does not matter', async () => {
    vi.useRealTimers();
    const server = createSocket('udp4');
    const types: number[] = [];
    server.on('message', (query, from) => {
      const question = query.subarray(12, query.indexOf(0, 12) + 5);
      const type = question.readUInt16BE(question.length - 4);
      types.push(type);
      const record = Buffer.from('c00c000100010000001e0004c0000207', 'hex');
      const reply = Buffer.concat([
        query.subarray(0, 12),
        question,
        type === 1 ? record : Buffer.alloc(0),
      ]);
      reply.writeUInt16BE(type === 1 ? 0x8180 : 0x8183, 2);
      reply.writeUInt16BE(type === 1 ? 1 : 0, 6);
      reply.writeUInt32BE(0, 8);
      server.send(reply, from.port, from.address);
    });
    server.bind(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      follow('tls://a.test', undefined, `resolver 127.0.0.1:${server.address().port}`);
      await vi.waitUntil(() => changes.length > 0, { timeout: 3000 });
      expect(changes).toEqual([['192.0.2.7']]);
      expect(types.toSorted((a, b) => a - b)).toEqual([1, 28]);
    } finally {
      server.close();
    }
  });
});
