import { type Socket, createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { decodeMessage } from '../../dns/codec.ts';
import { QR } from '../../dns/header.ts';
import { askQuery } from '../../query/testing.ts';
import { PASS } from '../../query/verdict.ts';
import type { Handler } from '../directive.ts';
import { type TestBuilding, parseAs, refusal, testBuilding } from '../testing.ts';
import { loop } from './index.ts';

let server: Socket;
let context: TestBuilding;
let handler: Handler;

/** A server that keeps silent until told otherwise. */
beforeEach(async () => {
  server = createSocket('udp4');
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  context = testBuilding(
    ['example.', 'other.'],
    [{ host: '0.0.0.0', port: server.address().port }],
  );
  handler = loop.build!([undefined], context)!;
});
afterEach(() => {
  context.stop();
  server.close();
});

/** The next probe that arrives at the server. */
async function probe(): Promise<{ name: string; msg: Buffer; port: number }> {
  return new Promise((resolve) => {
    server.once('message', (msg, { port }) => {
      resolve({ name: decodeMessage(msg)!.questions[0]!.name, msg, port });
    });
  });
}

function see(name: string, type = 'HINFO'): void {
  const { query, responses } = askQuery(name, type, { remotePort: 47_400 });
  expect(handler.onQuery!(query)).toBe(PASS);
  expect(responses).toEqual([]);
}

describe('loop', () => {
  test('asks HINFO for a name of its own below the first zone', async () => {
    context.start();
    const { name, msg } = await probe();
    expect(name).toMatch(/^\d{1,19}\.\d{1,19}\.example\.$/);
    expect(decodeMessage(msg)).toMatchObject({
      flags: 0x0100,
      questions: [{ qtype: 13, qclass: 1 }],
      additionals: [],
    });
  });

  test('is fatal when the question is seen a third time', async () => {
    context.start();
    const { name } = await probe();
    see('1.2.example.');
    see(name, 'A');
    see(name);
    see(name.toUpperCase());
    expect(context.fatals).toEqual([]);
    see(name);
    see(name);
    expect(context.fatals).toEqual([
      `plugin/loop: Loop (127.0.0.1:47400 -> 0.0.0.0:${server.address().port}) detected for zone ` +
        '"example.", see https://coredns.io/plugins/loop#troubleshooting. ' +
        `Query: "HINFO ${name}"`,
    ]);
  });

  test('is off for good once any answer has come', async () => {
    context.start();
    const { name, msg, port } = await probe();
    const answer = Buffer.from(msg);
    answer[2] = answer[2]! | QR;
    server.send(answer, port, '127.0.0.1');
    await new Promise((resolve) => setTimeout(resolve, 100));
    for (let i = 0; i < 4; i++) see(name);
    expect(context.fatals).toEqual([]);
  });

  test('asks again when its port was closed, and begins to count anew', async () => {
    const { port } = server.address();
    await new Promise<void>((resolve) => void server.close(() => resolve()));
    context.start();
    await new Promise((resolve) => setTimeout(resolve, 100));
    server = createSocket('udp4');
    server.bind(port, '127.0.0.1');
    const { name } = await probe();
    expect(name).toMatch(/example\.$/);
  });

  test('of the root zone shows no second dot', async () => {
    const target = { host: '127.0.0.1', port: server.address().port };
    const root = testBuilding(['.'], [target]);
    loop.build!([undefined], root);
    root.start();
    expect((await probe()).name).toMatch(/^\d+\.\d+\.$/);
    root.stop();
  });

  test('takes neither arguments nor a block', () => {
    expect(parseAs(loop, 'loop')).toBeUndefined();
    expect(refusal(loop, 'loop x')).toContain('Corefile:1:6: loop: Wrong argument count');
    expect(refusal(loop, 'loop {\n}')).toContain('loop takes no block');
  });
});
