import { type Socket, createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { decodeMessage } from '../../dns/codec.ts';
import { QR } from '../../dns/header.ts';
import { SERVFAIL } from '../../dns/rcode.ts';
import { askQuery } from '../../query/testing.ts';
import { ANSWERED, PASS } from '../../query/verdict.ts';
import type { Handler } from '../directive.ts';
import { type TestBuilding, parseAs, refusal, testBuilding } from '../testing.ts';
import { loop } from './index.ts';

let server: Socket;
let context: TestBuilding;
let handler: Handler;

/** A server that keeps silent until a test makes it answer. */
beforeEach(async () => {
  server = createSocket('udp4');
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  context = testBuilding(
    ['example.', 'other.'],
    [{ host: '0.0.0.0', port: server.address().port }],
  );
  handler = loop.build!([{ action: undefined }], context)!;
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
  test('loop asks HINFO for a name of its own below the first zone', async () => {
    context.start();
    const { name, msg } = await probe();
    expect(name).toMatch(/^\d{1,19}\.\d{1,19}\.example\.$/);
    expect(decodeMessage(msg)).toMatchObject({
      flags: 0x0100,
      questions: [{ qtype: 13, qclass: 1 }],
      additionals: [],
    });
  });

  test('a loop is fatal when the question is seen a third time', async () => {
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

  test('loop is off for good once any answer has come', async () => {
    context.start();
    const { name, msg, port } = await probe();
    const answer = Buffer.from(msg);
    answer[2] = answer[2]! | QR;
    server.send(answer, port, '127.0.0.1');
    await new Promise((resolve) => setTimeout(resolve, 100));
    for (let i = 0; i < 4; i++) see(name);
    expect(context.fatals).toEqual([]);
  });

  test('loop asks again when its port was closed, and starts counting from 0', async () => {
    const { port } = server.address();
    await new Promise<void>((resolve) => void server.close(() => resolve()));
    context.start();
    await new Promise((resolve) => setTimeout(resolve, 100));
    server = createSocket('udp4');
    server.bind(port, '127.0.0.1');
    const { name } = await probe();
    expect(name).toMatch(/example\.$/);
  });

  test('the message about a loop of the root zone shows no second dot', async () => {
    const target = { host: '127.0.0.1', port: server.address().port };
    const root = testBuilding(['.'], [target]);
    loop.build!([{ action: undefined }], root);
    root.start();
    expect((await probe()).name).toMatch(/^\d+\.\d+\.$/);
    root.stop();
  });

  test('loop takes no arguments, and an action in its block', () => {
    expect(parseAs(loop, 'loop')).toEqual({ action: undefined });
    expect(parseAs(loop, 'loop {\n}')).toEqual({ action: undefined });
    expect(parseAs(loop, 'loop {\naction exit\n}')).toEqual({ action: 'exit' });
    expect(parseAs(loop, 'loop {\naction disable\n}')).toEqual({ action: 'disable' });
    expect(refusal(loop, 'loop {\naction panic\n}')).toContain('Corefile:2:8: loop: action: ');
    expect(refusal(loop, 'loop x')).toContain('Corefile:1:6: loop: Wrong argument count');
  });
});

describe('with the action disable, a loop', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    context = testBuilding(['example.'], [{ host: '', port: server.address().port }]);
    handler = loop.build!([{ action: 'disable' }], context)!;
  });
  afterEach(() => vi.useRealTimers());

  function forwards(): boolean {
    const { query, responses } = askQuery('a.example.', 'A');
    const verdict = handler.onQuery!(query);
    expect(verdict).toBe(responses.length === 0 ? PASS : ANSWERED);
    expect(handler.isReachable!()).toBe(verdict === PASS);
    if (responses[0] !== undefined) {
      expect(responses[0].rcode).toBe(SERVFAIL);
      expect(responses[0].failure!.message).toContain(
        'what the block example. forwards comes back',
      );
    }
    return verdict === PASS;
  }

  /** The next probe; it is seen `sightings` times, and answered then. */
  async function round(sightings: number): Promise<void> {
    const { name, msg, port } = await probe();
    for (let i = 1; i <= sightings; i++) {
      const { query, responses } = askQuery(name, 'HINFO', { remotePort: 47_400 });
      expect(handler.onQuery!(query)).toBe(i <= 2 ? PASS : ANSWERED);
      expect(responses.length).toBe(i <= 2 ? 0 : 1);
    }
    const answer = Buffer.from(msg);
    answer[2] = answer[2]! | QR;
    server.send(answer, port, '127.0.0.1');
  }

  test('a loop under action disable stops forwarding, is logged once, and is looked for again every 30 s', async () => {
    context.start();
    expect(forwards()).toBe(true);
    await round(3);
    expect(forwards()).toBe(false);
    expect(context.fatals).toEqual([]);
    expect(context.log.lines).toHaveLength(1);
    expect(context.log.lines[0]).toMatch(
      /^\[ERROR\] plugin\/loop: Loop \(127.*; the block forwards nothing until that has an end$/,
    );
    expect(context.troubles.lines('loop')).toHaveLength(1);
    // Another probe, which comes round as well; and a third, which does not.
    vi.advanceTimersByTime(30_000);
    await round(3);
    expect(forwards()).toBe(false);
    expect(context.log.lines).toHaveLength(1);
    vi.advanceTimersByTime(30_000);
    await round(1);
    await vi.waitFor(() => expect(handler.isReachable!()).toBe(true));
    expect(forwards()).toBe(true);
    expect(context.log.lines[1]).toBe('[INFO] plugin/loop: Loop for zone "example." has an end');
    expect(context.troubles.lines()).toEqual([]);
  });
});
