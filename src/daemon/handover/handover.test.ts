import {
  chmodSync,
  closeSync,
  existsSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Channel } from '../../sys/channel.ts';
import { createMemoryFile } from '../../sys/shared-memory.ts';
import { openDatagramSocket, openStreamSocket } from '../../sys/socket.ts';
import {
  DESCRIPTORS_MAX,
  acceptUnix,
  closeDescriptor,
  connectUnix,
  internetSocketOf,
} from '../../sys/unix-socket.ts';
import { HandOver, type HandoverOwner } from './incumbent.ts';
import { HandoverDirectory, HandoverDirectoryError } from './directory.ts';
import { HELLO, SNAPSHOT_KEY } from './protocol.ts';
import { type Batch, HeldDescriptors } from '../supervisor/held-descriptors.ts';
import { type Found, takeOver } from './newcomer.ts';

let directory: string;
let before: number;
let closers: (() => void)[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'handover-'));
  closers = [];
  // What is made once for the whole process is not a leak.
  closeDescriptor(
    openDatagramSocket({ host: '127.0.0.1', port: 0, sharePort: true, receiveBufferOctets: 4096 })
      .fd,
  );
  before = openDescriptors();
});

afterEach(async () => {
  for (const close of closers.toReversed()) close();
  rmSync(directory, { recursive: true, force: true });
  await vi.waitFor(() => expect(openDescriptors()).toBe(before)); // nothing is left open
});

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; !condition(); i++) {
    if (i > 400) throw new Error('it did not come to pass');
    await pause(5);
  }
}

function openedDirectory(path: string = directory): HandoverDirectory {
  const opened = new HandoverDirectory(path);
  closers.push(() => opened.close());
  return opened;
}

/** A daemon that serves, as its successor sees it. */
class Daemon implements HandoverOwner {
  readonly held = new HeldDescriptors();
  readonly handOver = new HandOver(this);
  serves = true;
  refuses: string | undefined;
  prepareMs = 0;
  prepared = 0;
  gone = false;

  constructor(listener: number) {
    this.handOver.listen(listener);
    closers.push(() => this.end());
  }

  refusal(): string | undefined {
    return this.refuses;
  }

  isServing(): boolean {
    return this.serves;
  }

  async prepare(): Promise<void> {
    this.prepared++;
    await pause(this.prepareMs);
  }

  batches(): readonly Batch[] {
    return this.held.batches();
  }

  succeeded(): void {
    this.gone = true;
  }

  end(): void {
    this.handOver.close();
    this.held.dropWhere(() => true);
  }
}

/** One that holds two sockets of a port, and a snapshot. */
async function servingDaemon(path?: string): Promise<Daemon> {
  const found = await openedDirectory(path).find();
  if (!('listener' in found)) throw new Error('somebody listens already');
  const daemon = new Daemon(found.listener);
  const at = { host: '127.0.0.1', port: 0, sharePort: true };
  const udp = openDatagramSocket({ ...at, receiveBufferOctets: 4096 });
  const tcp = openStreamSocket(at, 8);
  daemon.held.hold(`udp 127.0.0.1 ${udp.port}`, udp.fd);
  daemon.held.hold(`tcp 127.0.0.1 ${tcp.port}`, tcp.fd);
  daemon.held.hold(SNAPSHOT_KEY, createMemoryFile('snapshot', 4096));
  return daemon;
}

async function successor(): Promise<Found & { readonly told: readonly string[] }> {
  const told: string[] = [];
  const found = await takeOver(openedDirectory(), (why) => told.push(why));
  closers.push(() => {
    for (const fd of found.inheritance?.descriptors.values() ?? []) closeDescriptor(fd);
    if (found.listener !== undefined) closeDescriptor(found.listener);
  });
  return { ...found, told };
}

/** A connection to the daemon on which anything can be said. */
function stranger(): { channel: Channel; heard: unknown[]; isClosed: () => boolean } {
  const heard: unknown[] = [];
  let closed = false;
  const channel = new Channel(connectUnix(join(directory, 'handover.sock')), {
    message: (message, descriptors) => {
      heard.push(message);
      descriptors.forEach(closeDescriptor);
    },
    closed: () => {
      closed = true;
    },
  });
  closers.push(() => channel.close());
  return { channel, heard, isClosed: () => closed };
}

describe('a handover', () => {
  test('gives the same sockets to the successor, and ends when that says that it serves', async () => {
    const daemon = await servingDaemon();
    const { inheritance, told } = await successor();
    const inodes = (batches: readonly Batch[]): [string, number][] =>
      batches.flatMap(({ keys, descriptors }) =>
        keys.map((key, i): [string, number] => [key, fstatSync(descriptors[i]!).ino]),
      );
    expect([...inheritance!.descriptors].map(([key, fd]) => [key, fstatSync(fd).ino])).toEqual(
      inodes(daemon.held.batches()),
    );
    expect([daemon.gone, daemon.handOver.isUnderWay, daemon.prepared]).toEqual([false, true, 1]);
    const settled = daemon.handOver.settled();
    inheritance!.serving();
    expect(await settled).toBe(true);
    expect([daemon.gone, daemon.handOver.isUnderWay]).toEqual([true, false]);
    expect(told).toEqual([]);
  });

  test('of more sockets than one message takes', async () => {
    const daemon = await servingDaemon();
    const at = { host: '127.0.0.1', port: 0, sharePort: true, receiveBufferOctets: 4096 };
    for (let i = 0; i < 2 * DESCRIPTORS_MAX; i++) {
      const { fd, port } = openDatagramSocket(at);
      daemon.held.hold(`udp 127.0.0.1 ${port}`, fd);
    }
    const { inheritance } = await successor();
    expect(inheritance!.descriptors.size).toBe(daemon.held.size);
  });

  test('goes down a row of daemons', async () => {
    const daemons = [await servingDaemon()];
    for (let i = 0; i < 3; i++) {
      const { inheritance } = await successor();
      const next = new Daemon(await openedDirectory().replace());
      for (const [key, fd] of inheritance!.descriptors) {
        next.held.hold(key, fd);
        (inheritance!.descriptors as Map<string, number>).delete(key);
      }
      inheritance!.serving();
      await until(() => daemons.at(-1)!.gone);
      daemons.push(next);
    }
    expect(daemons.map(({ gone }) => gone)).toEqual([true, true, true, false]);
  });

  test('twenty times leaves nothing open, on either side', async () => {
    const daemon = await servingDaemon();
    const had = openDescriptors();
    for (let i = 0; i < 20; i++) {
      const directoryOfNext = new HandoverDirectory(directory);
      const { inheritance } = await takeOver(directoryOfNext, () => undefined);
      expect(inheritance!.descriptors.size).toBe(3);
      for (const fd of inheritance!.descriptors.values()) closeDescriptor(fd);
      // As if that had been all of the successor, and the daemon the one that comes after it.
      daemon.handOver.close();
      daemon.handOver.listen(await directoryOfNext.replace());
      directoryOfNext.close();
    }
    await vi.waitFor(() => expect(openDescriptors()).toBe(had));
  });
});

describe('nothing has changed for the predecessor', () => {
  test('when the successor ends before it serves; and the next one is given all', async () => {
    const daemon = await servingDaemon();
    const { channel } = stranger();
    channel.send(HELLO);
    await until(() => daemon.handOver.isUnderWay);
    const settled = daemon.handOver.settled();
    channel.close();
    expect(await settled).toBe(false);
    expect(daemon.gone).toBe(false);
    const { inheritance } = await successor();
    expect(inheritance!.descriptors.size).toBe(3);
  });

  test('when it ends while the cache is still being written', async () => {
    const daemon = await servingDaemon();
    daemon.prepareMs = 50;
    const { channel } = stranger();
    channel.send(HELLO);
    await until(() => daemon.prepared === 1);
    channel.close();
    await until(() => !daemon.handOver.isUnderWay);
    await pause(60);
    expect((await successor()).inheritance!.descriptors.size).toBe(3);
    expect(daemon.gone).toBe(false);
  });

  test('when it says that it serves before it has been given anything', async () => {
    const daemon = await servingDaemon();
    const { channel } = stranger();
    channel.send({ say: 'serving' });
    channel.send(HELLO);
    await until(() => daemon.handOver.isUnderWay);
    expect(daemon.gone).toBe(false);
  });

  test('when it says nothing at all', async () => {
    const daemon = await servingDaemon();
    const { isClosed } = stranger();
    await until(isClosed);
    expect((await successor()).inheritance).toBeDefined();
    expect(daemon.gone).toBe(false);
  });

  test('when its version is another', async () => {
    await servingDaemon();
    const { channel, heard } = stranger();
    channel.send({ say: 'hello', versions: [99, 2] });
    await until(() => heard.length > 0);
    expect(heard).toEqual([{ say: 'refuse', reason: 'it speaks no version that we speak' }]);
  });
});

describe('a successor', () => {
  test('that finds nobody is the one that others find', async () => {
    const { listener, inheritance, told } = await successor();
    expect(listener).toBeDefined();
    expect([inheritance, told]).toEqual([undefined, []]);
    const client = connectUnix(join(directory, 'handover.sock'));
    const server = acceptUnix(listener!)!;
    [client, server].forEach(closeDescriptor);
  });

  test('that finds what a dead daemon has left, too', async () => {
    const { listener } = await successor();
    closeDescriptor(listener!);
    closers.pop();
    expect((await successor()).listener).toBeDefined();
  });

  test('waits for one that does not serve yet, and for one that speaks with another', async () => {
    const daemon = await servingDaemon();
    daemon.serves = false;
    setTimeout(() => {
      daemon.serves = true;
    }, 150);
    expect((await successor()).inheritance).toBeDefined();
    setTimeout(() => daemon.handOver.close(), 150);
    const asked = successor();
    await pause(200);
    daemon.handOver.listen(await openedDirectory().replace());
    expect((await asked).inheritance).toBeDefined();
  });

  test('goes on alone where it is refused, and says why', async () => {
    const daemon = await servingDaemon();
    daemon.refuses = 'it is ending';
    const { inheritance, listener, told } = await successor();
    expect([inheritance, listener, told]).toEqual([undefined, undefined, ['it is ending']]);
  });

  test('goes on alone where nobody answers', async () => {
    const { listener } = await successor();
    const { inheritance, told } = await successor();
    expect([inheritance, told]).toEqual([undefined, ['no answer within 3 s']]);
    closeDescriptor(acceptUnix(listener!)!);
  }, 10_000);

  test('gives back what it has, where the predecessor ends in the middle of its offer', async () => {
    const daemon = await servingDaemon();
    daemon.batches = () => daemon.held.batches().map((batch) => ({ ...batch, last: false }));
    const asked = successor();
    await until(() => daemon.handOver.isUnderWay);
    await pause(50);
    daemon.handOver.close();
    const { inheritance, told } = await asked;
    expect([inheritance, told]).toEqual([undefined, ['it has ended']]);
  });

  test('keeps what it was offered, where the predecessor ends afterwards', async () => {
    const daemon = await servingDaemon();
    const { inheritance } = await successor();
    daemon.end();
    await pause(20);
    const [[key, fd] = ['', -1]] = inheritance!.descriptors;
    expect(key).toBe(`udp 127.0.0.1 ${internetSocketOf(fd)?.port}`);
    inheritance!.serving(); // nobody hears it
  });

  test.each<{ key: string; open: () => number; because: string }>([
    { key: 'udp 127.0.0.1 53', open: () => openSync('/dev/null', 'r'), because: 'no socket' },
    {
      key: 'tcp 127.0.0.1 0',
      open: () =>
        openDatagramSocket({
          host: '127.0.0.1',
          port: 0,
          sharePort: true,
          receiveBufferOctets: 4096,
        }).fd,
      because: 'another transport',
    },
    {
      key: 'udp 127.0.0.1 53',
      open: () =>
        openDatagramSocket({
          host: '127.0.0.1',
          port: 0,
          sharePort: true,
          receiveBufferOctets: 4096,
        }).fd,
      because: 'another port',
    },
    { key: 'journal', open: () => createMemoryFile('x', 4096), because: 'nothing we know' },
    { key: SNAPSHOT_KEY, open: () => openSync('/dev/null', 'r'), because: 'no file' },
    {
      key: SNAPSHOT_KEY,
      open: () => createMemoryFile('x', (16 << 20) + 1),
      because: 'too large',
    },
  ])('takes nothing that is not what it is said to be: $key, $because', async ({ key, open }) => {
    const daemon = await servingDaemon();
    daemon.held.dropWhere(() => true);
    daemon.held.hold(key, open());
    const { inheritance } = await successor();
    expect([...inheritance!.descriptors]).toEqual([]);
  });

  test('takes nothing from one that offers fewer than it says', async () => {
    const daemon = await servingDaemon();
    daemon.batches = () => [{ keys: ['udp 127.0.0.1 53', 'x'], descriptors: [], last: true }];
    const { inheritance, told } = await successor();
    expect([inheritance, told]).toEqual([undefined, ['what it offers is not what it says']]);
  });
});

describe('the directory', () => {
  const refusal = (path: string): string => {
    try {
      new HandoverDirectory(path).close();
      return 'taken';
    } catch (error) {
      if (error instanceof HandoverDirectoryError) return error.message;
      throw error;
    }
  };

  test('is made, if only that is missing', () => {
    const path = join(directory, 'made');
    expect(refusal(path)).toBe('taken');
    expect(fstatSync(withFd(openSync(path, 'r'))).mode & 0o777).toBe(0o700);
    expect(refusal(join(directory, 'no', 'such'))).toContain('ENOENT');
  });

  function withFd(fd: number): number {
    closers.push(() => closeSync(fd));
    return fd;
  }

  test.each([
    { mode: 0o700, said: 'taken' },
    { mode: 0o755, said: 'taken' },
    { mode: 0o775, said: 'others may write to it (mode 775): chmod 700' },
    { mode: 0o1777, said: 'others may write to it (mode 1777): chmod 700' },
  ])('with mode $mode: $said', ({ mode, said }) => {
    chmodSync(directory, mode);
    expect(refusal(directory)).toContain(said);
  });

  test('must be one', () => {
    const path = join(directory, 'file');
    writeFileSync(path, '');
    expect(refusal(path)).toBe(`-handover ${path}: it is no directory`);
  });

  test('must be of our own user, by whichever name', () => {
    const path = join(directory, 'link');
    symlinkSync('/', path);
    if (process.getuid!() === 0) {
      expect(refusal(path)).toBe('taken'); // the root directory is root's
    } else {
      expect(refusal(path)).toContain('it belongs to user 0');
    }
  });

  test('with a path that no socket can have is refused', async () => {
    const path = join(directory, 'x'.repeat(100));
    await expect(openedDirectory(path).find()).rejects.toThrow(HandoverDirectoryError);
    expect(existsSync(path)).toBe(true);
  });

  test('has one listener, however many look at the same instant', async () => {
    const founds = await Promise.all(Array.from({ length: 8 }, () => openedDirectory().find()));
    const listeners = founds.flatMap((found) => ('listener' in found ? [found.listener] : []));
    expect(listeners.length).toBe(1);
    const connections = founds.flatMap((found) =>
      'connection' in found ? [found.connection] : [],
    );
    [...listeners, ...connections].forEach(closeDescriptor);
  });
});
