import { readdirSync } from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Channel } from '../../sys/channel.ts';
import { loadLibc } from '../../sys/libc.ts';
import { closeDescriptor, socketPair } from '../../sys/unix-socket.ts';
import { HeldDescriptors } from '../supervisor/held-descriptors.ts';
import { type ToSupervisor, type ToWorker, readToSupervisor } from './protocol.ts';
import { SupervisorLink } from './supervisor-link.ts';

const UDP = { host: '127.0.0.1', port: 0, receiveBufferOctets: 65_536 };
const open: Channel[] = [];

afterEach(() => {
  for (const channel of open.splice(0)) channel.close();
});

/** A supervisor without its processes: it holds, and starts workers within this one. */
class Keeper {
  readonly held: HeldDescriptors = new HeldDescriptors();
  readonly heard: ToSupervisor[] = [];
  channel: Channel | undefined;

  /** A worker that starts now. */
  async worker(nodeIsSetUp = false): Promise<SupervisorLink> {
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
      const hello = {
        say: 'hello',
        ...batch,
        takesOver: nodeIsSetUp,
        restarts: { exit: 2 },
      } as const;
      channel.send(hello satisfies ToWorker, descriptors);
    }
    return SupervisorLink.connect(theirs, false);
  }

  async hears(...says: ToSupervisor['say'][]): Promise<void> {
    await vi.waitFor(() => expect(this.heard.map(({ say }) => say)).toEqual(says));
  }
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

test('koffi is available on Linux, or the tests below would test nothing', () => {
  expect(loadLibc() !== undefined).toBe(process.platform === 'linux');
});

describe.runIf(process.platform === 'linux')('a supervised worker', () => {
  test('a worker inherits the very same sockets that the previous worker opened', async () => {
    const keeper = new Keeper();
    const before = await keeper.worker();
    const udp = before.datagram(UDP);
    const tcp = before.stream({ ...UDP, port: udp.socket.port }, 10);
    await keeper.hears('hold', 'hold');
    closeDescriptor(udp.socket.fd); // as the kernel does when the process ends
    closeDescriptor(tcp.socket.fd);
    const after = await keeper.worker(true);
    expect(after.nodeIsSetUp).toBe(true);
    expect(after.restarts).toEqual({ exit: 2 });
    const again = after.datagram(UDP);
    expect(again.socket).toEqual({ ...udp.socket, fd: again.socket.fd });
    const tcpAgain = after.stream({ ...UDP, port: udp.socket.port }, 10);
    expect(tcpAgain.socket.port).toBe(udp.socket.port);
    closeDescriptor(again.socket.fd);
    closeDescriptor(tcpAgain.socket.fd);
  });

  test('a socket that a worker gives up twice is dropped once, and no longer held', async () => {
    const keeper = new Keeper();
    const worker = await keeper.worker();
    const lent = worker.datagram(UDP);
    lent.giveUp();
    lent.giveUp();
    await keeper.hears('hold', 'drop');
    expect(keeper.held.size).toBe(0);
    closeDescriptor(lent.socket.fd);
  });

  test('an inherited socket that the worker does not want is closed and dropped', async () => {
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

  test('a worker inherits the last text that was passed on under a key', async () => {
    const keeper = new Keeper();
    const before = await keeper.worker();
    const long = 'long '.repeat(100_000);
    before.passOnText('corefile', 'short');
    before.passOnText('corefile', long);
    await keeper.hears('hold', 'hold');
    const after = await keeper.worker();
    expect(after.inheritText('corefile')).toBe(long);
    expect(after.inheritText('other')).toBeUndefined();
    after.serving();
    await keeper.hears('hold', 'hold', 'serving');
    expect((await keeper.worker()).inheritText('corefile')).toBe(long); // still there for the third
  });

  test('commands that came before obey are carried out, and so is the end of the supervisor', async () => {
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
      abandon: () => commands.push('abandon'),
    });
    keeper.channel!.send({ say: 'reload', signal: 'SIGHUP' } satisfies ToWorker);
    keeper.channel!.send({ say: 'snapshot' } satisfies ToWorker);
    keeper.channel!.send({ say: 'retire' } satisfies ToWorker);
    const expected = ['SIGTERM', 'SIGHUP', 'snapshot', 'retire'];
    await vi.waitFor(() => expect(commands).toEqual(expected));
    keeper.channel!.close();
    await vi.waitFor(() => expect(commands).toEqual([...expected, 'abandon']));
  });

  test('a worker inherits more sockets than one message can carry, and no descriptor is lost', async () => {
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
