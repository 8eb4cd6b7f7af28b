import { type Socket, createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { decodeMessage } from '../../dns/codec.ts';
import { QR } from '../../dns/header.ts';
import { REFUSED, SERVFAIL } from '../../dns/rcode.ts';
import { SelfCheck, askZone } from './self-query.ts';

let server: Socket;
let at: { host: string; port: number };
let seen: Buffer[];
/** The RCODE of answers; undefined if there is no answer. */
let rcode: number | undefined;

beforeEach(async () => {
  [seen, rcode] = [[], 0];
  server = createSocket('udp4');
  server.on('message', (query, { port }) => {
    seen.push(query);
    if (rcode === undefined) return;
    const answer = Buffer.from(query);
    answer[2] = answer[2]! | QR;
    answer[3] = rcode;
    server.send(answer, port, '127.0.0.1');
  });
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  at = { host: '127.0.0.1', port: server.address().port };
});
afterEach(() => {
  vi.useRealTimers();
  server.close();
});

describe('a query by way of a block', () => {
  test('a query by way of a block asks for the SOA of its zone, and gives the RCODE of the answer', async () => {
    rcode = REFUSED;
    expect(await askZone(at, 'cluster.local.', 1000)).toBe(REFUSED);
    expect(decodeMessage(seen[0]!)).toMatchObject({
      questions: [{ name: 'cluster.local.', qtype: 6, qclass: 1 }],
      additionals: [],
    });
    rcode = SERVFAIL;
    expect(await askZone({ ...at, host: '0.0.0.0' }, '.', 1000)).toBe(SERVFAIL);
  });

  test('a query by way of a block gives nothing where nothing answers', async () => {
    rcode = undefined;
    expect(await askZone(at, '.', 20)).toBeUndefined();
  });
});

describe('the check of our own sockets', () => {
  test.each([
    { answers: true, reaches: true, serving: true },
    { answers: false, reaches: true, serving: false },
    { answers: false, reaches: false, serving: true },
  ])(
    'a check that is answered: $answers, and ours to ask: $reaches, finds us serving: $serving',
    async ({ answers, reaches, serving }) => {
      vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance', 'Date'] });
      if (!answers) rcode = undefined;
      const check = new SelfCheck(
        () => [at],
        () => reaches,
      );
      expect(check.isServing).toBe(true);
      for (let second = 0; second < 4; second++) {
        vi.advanceTimersByTime(1000);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      expect(check.isServing).toBe(serving);
      check.close();
    },
  );
});
