/** One query over UDP: what counts as its answer (RFC 5452 section 9). */
import { type Socket, createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Metrics } from '../../observe/metrics.ts';
import { Upstream } from '../upstream.ts';
import { Asker, TERMS, responseFor } from '../testing.ts';

let server: Socket;
let upstream: Upstream;
let asked: { readonly query: Uint8Array; readonly port: number; readonly from: string }[];

async function listen(address: string, spelled: string, source?: string): Promise<void> {
  server = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  server.on('message', (query, { port, address: from }) => void asked.push({ query, port, from }));
  server.bind(0, address);
  await once(server, 'listening');
  upstream = new Upstream(
    { host: spelled, port: server.address().port, tls: undefined, source },
    new Metrics(),
  );
  upstream.join(TERMS);
}

beforeEach(() => {
  asked = [];
});

afterEach(() => {
  upstream.close();
  server.close();
});

function ask(name: string): Asker {
  const asker = new Asker();
  const attempt = asker.attempt(upstream, name);
  attempt.overStream = false;
  upstream.sendDatagram(attempt);
  return asker;
}

function reply(message: Uint8Array, host: string): void {
  server.send(message, asked.at(-1)!.port, host);
}

describe.each([
  { address: '127.0.0.1', spelled: '127.0.0.1' },
  { address: '::1', spelled: '::1' },
  { address: '::1', spelled: '0:0:0:0:0:0:0:1' },
])('an upstream at $address, written $spelled', ({ address, spelled }) => {
  test('its answer counts, and the socket is closed', async () => {
    await listen(address, spelled);
    const asker = ask('a.test.');
    await vi.waitUntil(() => asked.length === 1);
    reply(responseFor(asked[0]!.query), address);
    await vi.waitUntil(() => asker.ends === 1);
    expect(asker.answer).toMatchObject({ rcode: 0 });
    expect(upstream.busy).toBe(false);
  });

  test('another ID, another question, another sender: the true answer still counts', async () => {
    await listen(address, spelled);
    const asker = ask('a.test.');
    await vi.waitUntil(() => asked.length === 1);
    const { query, port } = asked[0]!;
    const otherId = responseFor(query, 3);
    otherId[0] = otherId[0]! ^ 0x55;
    reply(otherId, address);
    const otherName = responseFor(query, 3);
    otherName[13] = 0x62;
    reply(otherName, address);
    const stranger = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    stranger.send(responseFor(query, 3), port, address, () => {
      stranger.close();
      reply(responseFor(query), address);
    });
    await vi.waitUntil(() => asker.ends === 1);
    expect(asker.answer).toMatchObject({ rcode: 0 });
  });
});

test('each query has a port and an ID of its own', async () => {
  await listen('127.0.0.1', '127.0.0.1');
  for (let i = 0; i < 20; i++) ask(`q${i}.test.`);
  await vi.waitUntil(() => asked.length === 20);
  expect(new Set(asked.map(({ port }) => port)).size).toBe(20);
  const ids = asked.map(({ query }) => query[0]! * 256 + query[1]!);
  expect(new Set(ids).size).toBeGreaterThan(18);
});

test('an address that cannot be reached fails the query, once', async () => {
  await listen('127.0.0.1', '255.255.255.255');
  const asker = ask('a.test.');
  await vi.waitUntil(() => asker.ends === 1);
  expect(asker.failure).toMatchObject({ cause: 'unreachable' });
});

test('source_address is where it comes from', async () => {
  await listen('127.0.0.1', '127.0.0.1', '127.0.0.9');
  const asker = ask('a.test.');
  await vi.waitUntil(() => asked.length === 1);
  expect(asked[0]!.from).toBe('127.0.0.9');
  reply(responseFor(asked[0]!.query), '127.0.0.9');
  await vi.waitUntil(() => asker.ends === 1);
  expect(asker.answer).toBeDefined();
});

test('a source_address that the machine does not have fails the query, once', async () => {
  await listen('127.0.0.1', '127.0.0.1', '192.0.2.1');
  const asker = ask('a.test.');
  await vi.waitUntil(() => asker.ends === 1);
  expect(asker.failure).toMatchObject({ cause: 'unreachable' });
  expect(asked).toEqual([]);
});
