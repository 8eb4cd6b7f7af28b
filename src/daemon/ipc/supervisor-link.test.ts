import { readdirSync } from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Channel } from '../../sys/channel.ts';
import { loadLibc } from '../../sys/libc.ts';
import { closeDescriptor, socketPair } from '../../sys/unix-socket.ts';
import { HeldDescriptors } from '../supervisor/held-descriptors.ts';
import { type ToSupervisor, type ToWorker, readToSupervisor } from './protocol.ts';
import { Supervision } from './supervisor-link.ts';

const UDP = { host: '127.0.0.1', port: 0, receiveBufferOctets: 65_536 };
const open: Channel[] = [];

afterEach(() => {
  for (const channel of open.splice(0)) channel.close();
});

/** What a supervisor does with what it hears, less the processes. */
class Keeper {
  readonly held: HeldDescriptors = new HeldDescriptors();
  readonly heard: ToSupervisor[] = [];
  channel: Channel | undefined;

  /** A worker that comes up now. */
  async worker(takesOver = false): Promise<Supervision> {
    const [ours, theirs] = socketPair();
    const channel = new Channel(ours, {
      message: (value, descriptors) => {
        const message = readToSupervisor(value)!;
        this.heard.push(message);
        if (message.say === 'hold') this.held.hold(message.key, descriptors[0]!);
        if (message.say === 'drop') this.held.drop(message.key);
      },
      closed: () => undefined,
    });
    open.push(channel);
    this.channel = channel;
    for (const { descriptors, ...batch } of this.held.batches()) {
      const hello = { say: 'hello', ...batch, takesOver, restarts: { exit: 2 } } as const;
      channel.send(hello satisfies ToWorker, descriptors);
    }
    return Supervision.connect(theirs, false);
  }

  async hears(...says: ToSupervisor['say'][]): Promise<void> {
    await vi.waitFor(() => expect(this.heard.map(({ say }) => say)).toEqual(says));
  }
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

test('koffi is there on Linux, or what follows would test nothing', () => {
  expect(loadLibc() !== undefined).toBe(process.platform === 'linux');
});

describe.runIf(process.platform === 'linux')('a supervised worker', () => {
  test('leaves its sockets to its successor, which has the very same ones', async () => {
    const keeper = new Keeper();
    const before = await keeper.worker();
    const udp = before.datagram(UDP);
    const tcp = before.stream({ ...UDP, port: udp.socket.port }, 10);
    await keeper.hears('hold', 'hold');
    closeDescriptor(udp.socket.fd); // as the kernel does when the process is gone
    closeDescriptor(tcp.socket.fd);
    const after = await keeper.worker(true);
    expect(after.takesOver).toBe(true);
    expect(after.restarts).toEqual({ exit: 2 });
    const again = after.datagram(UDP);
    expect(again.socket).toEqual({ ...udp.socket, fd: again.socket.fd });
    const tcpAgain = after.stream({ ...UDP, port: udp.socket.port }, 10);
    expect(tcpAgain.socket.port).toBe(udp.socket.port);
    closeDescriptor(again.socket.fd);
    closeDescriptor(tcpAgain.socket.fd);
  });

  test('gives an address up once, and then nobody holds it', async () => {
    const keeper = new Keeper();
    const worker = await keeper.worker();
    const lent = worker.datagram(UDP);
    lent.giveUp();
    lent.giveUp();
    await keeper.hears('hold', 'drop');
    expect(keeper.held.size).toBe(0);
    closeDescriptor(lent.socket.fd);
  });

  test('closes what a predecessor left and it does not want', async () => {
    const keeper = new Keeper();
    const before = await keeper.worker();
    const lent = before.datagram(UDP);
    await keeper.hears('hold');
    closeDescriptor(lent.socket.fd);
    const after = await keeper.worker(true);
    after.serving();
    await keeper.hears('hold', 'drop', 'serving');
    expect(keeper.held.size).toBe(0);
  });

  test('leaves a text, and the last one counts', async () => {
    const keeper = new Keeper();
    const before = await keeper.worker();
    const long = 'long '.repeat(100_000);
    before.leaveText('corefile', 'short');
    before.leaveText('corefile', long);
    await keeper.hears('hold', 'hold');
    const after = await keeper.worker();
    expect(after.leftText('corefile')).toBe(long);
    expect(after.leftText('other')).toBeUndefined();
    after.serving();
    await keeper.hears('hold', 'hold', 'serving');
    expect((await keeper.worker()).leftText('corefile')).toBe(long); // still there for the third
  });

  test('gets commands that came before it obeyed, and the end of its supervisor', async () => {
    const keeper = new Keeper();
    const worker = await keeper.worker();
    keeper.channel!.send({ say: 'stop', signal: 'SIGTERM' } satisfies ToWorker);
    keeper.channel!.send({ say: 'of another version' });
    await new Promise((resolve) => setTimeout(resolve, 20));
    const commands: string[] = [];
    worker.obey({
      stop: (signal) => commands.push(signal),
      reload: (signal) => commands.push(signal),
      snapshot: () => commands.push('snapshot'),
      retire: () => commands.push('retire'),
      orphaned: () => commands.push('orphaned'),
    });
    keeper.channel!.send({ say: 'reload', signal: 'SIGHUP' } satisfies ToWorker);
    keeper.channel!.send({ say: 'snapshot' } satisfies ToWorker);
    keeper.channel!.send({ say: 'retire' } satisfies ToWorker);
    const expected = ['SIGTERM', 'SIGHUP', 'snapshot', 'retire'];
    await vi.waitFor(() => expect(commands).toEqual(expected));
    keeper.channel!.close();
    await vi.waitFor(() => expect(commands).toEqual([...expected, 'orphaned']));
  });

  test('takes more sockets over than one message can carry, and no descriptor is lost', async () => {
    const keeper = new Keeper();
    const before = await keeper.worker();
    const had = descriptors();
    const hosts = Array.from({ length: 150 }, (_, i) => `127.0.9.${i + 1}`);
    for (const host of hosts) closeDescriptor(before.datagram({ ...UDP, host }).socket.fd);
    await vi.waitFor(() => expect(keeper.held.size).toBe(hosts.length));
    expect(descriptors()).toBe(had + hosts.length);
    const after = await keeper.worker(true);
    for (const host of hosts) {
      const lent = after.datagram({ ...UDP, host });
      lent.giveUp();
      closeDescriptor(lent.socket.fd);
    }
    await vi.waitFor(() => expect(keeper.held.size).toBe(0));
    expect(descriptors()).toBe(had + 2); // the second pair
  });
});
