import { closeSync, fstatSync, openSync, readdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Channel } from './channel.ts';
import { loadLibc } from './libc.ts';
import { closeDescriptor, sendMessage, socketPair } from './unix-socket.ts';

const text = (words: string): Uint8Array => new TextEncoder().encode(words);

/** Everything that a channel has reported. */
class Reports {
  readonly messages: unknown[] = [];
  readonly descriptors: number[] = [];
  /** Undefined while it is open. */
  closed: { reason: Error | undefined } | undefined;

  message(message: unknown, descriptors: readonly number[]): void {
    this.messages.push(message);
    this.descriptors.push(...descriptors);
  }

  ended(reason: Error | undefined): void {
    expect(this.closed).toBeUndefined(); // once
    this.closed = { reason };
  }
}

describe.runIf(loadLibc() !== undefined)('a channel', () => {
  let before: number;
  let channels: Channel[];

  beforeEach(() => {
    channels = [];
    before = readdirSync('/proc/self/fd').length;
  });

  afterEach(() => {
    for (const channel of channels) channel.close();
    expect(readdirSync('/proc/self/fd').length).toBe(before);
  });

  function channelOn(fd: number): { channel: Channel; reports: Reports } {
    const reports = new Reports();
    const channel = new Channel(fd, {
      message: (message, descriptors) => reports.message(message, descriptors),
      closed: (reason) => reports.ended(reason),
    });
    channels.push(channel);
    return { channel, reports };
  }

  async function until(condition: () => boolean): Promise<void> {
    const deadline = Date.now() + 2000;
    while (!condition()) {
      if (Date.now() > deadline) throw new Error('it did not come to pass');
      await new Promise((resolve) => {
        setTimeout(resolve, 1);
      });
    }
  }

  test('a channel carries messages both ways, in their order', async () => {
    const [a, b] = socketPair();
    const one = channelOn(a);
    const two = channelOn(b);
    for (let i = 0; i < 40; i++) one.channel.send({ i });
    two.channel.send('answer');
    await until(() => two.reports.messages.length === 40 && one.reports.messages.length === 1);
    expect(two.reports.messages.at(-1)).toEqual({ i: 39 });
    expect(one.reports.messages).toEqual(['answer']);
  });

  test('messages without room on the other side are queued, with copies of descriptors', async () => {
    const [a, b] = socketPair();
    const { channel } = channelOn(a);
    const file = openSync('/dev/null', 'r');
    const { ino } = fstatSync(file);
    let sent = 0;
    while (channel.unsent < 3) {
      channel.send({ sent, filler: 'x'.repeat(30_000) }, [file]);
      sent++;
    }
    closeSync(file);
    const { reports } = channelOn(b);
    await until(() => reports.messages.length === sent);
    expect(reports.messages.map((message) => (message as { sent: number }).sent)).toEqual(
      Array.from({ length: sent }, (_, i) => i),
    );
    expect(reports.descriptors.map((fd) => fstatSync(fd).ino)).toEqual(
      Array.from({ length: sent }, () => ino),
    );
    expect(channel.unsent).toBe(0);
    reports.descriptors.forEach(closeDescriptor);
  });

  test('a channel ends when the other side does not read at all', async () => {
    const [a, b] = socketPair();
    const { channel, reports } = channelOn(a);
    for (let i = 0; i < 300; i++) channel.send('x'.repeat(60_000), [b]);
    await until(() => reports.closed !== undefined);
    expect(reports.closed?.reason?.message).toBe('the other side does not read');
    expect(channel.isClosed).toBe(true);
    closeDescriptor(b);
  });

  test('the close of the other side is reported after its last messages', async () => {
    const [a, b] = socketPair();
    const one = channelOn(a);
    const two = channelOn(b);
    one.channel.send('last');
    one.channel.close();
    await until(() => two.reports.closed !== undefined);
    expect(two.reports.messages).toEqual(['last']);
    expect(two.reports.closed).toEqual({ reason: undefined });
    expect(one.reports.closed).toBeUndefined(); // who closes it knows
    two.channel.send('nobody hears that');
  });

  test.each([
    { octets: text('{'), because: 'it is cut' },
    { octets: new Uint8Array([0xff, 0xfe]), because: 'it is no text' },
  ])('a channel ends at a message that is not JSON: $because', async ({ octets }) => {
    const [a, b] = socketPair();
    const { reports } = channelOn(a);
    sendMessage(b, octets, [b]);
    await until(() => reports.closed !== undefined);
    expect(reports.closed?.reason?.message).toBe('a message is no JSON');
    expect(reports.messages).toEqual([]);
    closeDescriptor(b);
  });

  test('a message that is too long is refused, and the channel goes on', async () => {
    const [a, b] = socketPair();
    const one = channelOn(a);
    const two = channelOn(b);
    expect(() => one.channel.send('x'.repeat(70_000))).toThrow(RangeError);
    one.channel.send('short');
    await until(() => two.reports.messages.length === 1);
    expect(one.reports.closed).toBeUndefined();
  });

  test('a channel that is closed by the receiver of a message delivers no others', async () => {
    const [a, b] = socketPair();
    const heard: unknown[] = [];
    const channel = new Channel(a, {
      message: (message, _, self) => {
        heard.push(message);
        self.close();
      },
      closed: () => heard.push('closed'),
    });
    channels.push(channel);
    const { channel: other, reports } = channelOn(b);
    other.send(1);
    other.send(2);
    await until(() => reports.closed !== undefined);
    expect(heard).toEqual([1]);
  });
});
