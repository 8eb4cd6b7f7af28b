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
import { Incumbent, type IncumbentOwner } from './incumbent.ts';
import { HandoverDirectory, HandoverDirectoryError } from './directory.ts';
import { HELLO, SNAPSHOT_KEY } from './protocol.ts';
import { type Batch, HeldDescriptors } from '../supervisor/held-descriptors.ts';
import { type IncumbentAnswer, askIncumbent } from './newcomer.ts';

let directory: string;
let before: number;
let closers: (() => void)[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'handover-'));
  closers = [];
  // Descriptors that are opened once for the whole process are not a leak.
  closeDescriptor(
    openDatagramSocket({ host: '127.0.0.1', port: 0, sharePort: true, receiveBufferOctets: 4096 })
      .fd,
  );
  before = openDescriptors();
});

afterEach(async () => {
  for (const close of closers.toReversed()) close();
  rmSync(directory, { recursive: true, force: true });
  await vi.waitFor(() => expect(openDescriptors()).toBe(before)); // no descriptor is left open
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
    if (i > 400) throw new Error('the condition did not become true within 2 s');
    await pause(5);
  }
}

function openedDirectory(path: string = directory): HandoverDirectory {
  const opened = new HandoverDirectory(path);
  closers.push(() => opened.close());
  return opened;
}

/** A daemon that serves, as a newcomer sees it. */
class Daemon implements IncumbentOwner {
  readonly held = new HeldDescriptors();
  readonly incumbent = new Incumbent(this);
  serves = true;
  refuses: string | undefined;
  prepareMs = 0;
  prepared = 0;
  isReplaced = false;

  constructor(listener: number) {
    this.incumbent.listen(listener);
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

  replaced(): void {
    this.isReplaced = true;
  }

  end(): void {
    this.incumbent.close();
    this.held.dropWhere(() => true);
  }
}

/** A daemon that holds two sockets of one port, and a snapshot. */
async function servingDaemon(path?: string): Promise<Daemon> {
  const found = await openedDirectory(path).find();
  if (!('listener' in found)) throw new Error('a daemon listens already');
  const daemon = new Daemon(found.listener);
  const at = { host: '127.0.0.1', port: 0, sharePort: true };
  const udp = openDatagramSocket({ ...at, receiveBufferOctets: 4096 });
  const tcp = openStreamSocket(at, 8);
  daemon.held.hold(`udp 127.0.0.1 ${udp.port}`, udp.fd);
  daemon.held.hold(`tcp 127.0.0.1 ${tcp.port}`, tcp.fd);
  daemon.held.hold(SNAPSHOT_KEY, createMemoryFile('snapshot', 4096));
  return daemon;
}

async function newcomer(): Promise<IncumbentAnswer & { readonly refusals: readonly string[] }> {
  const refusals: string[] = [];
  const found = await askIncumbent(openedDirectory(), (why) => refusals.push(why));
  closers.push(() => {
    for (const fd of found.handedOver?.descriptors.values() ?? []) closeDescriptor(fd);
    if (found.listener !== undefined) closeDescriptor(found.listener);
  });
  return { ...found, refusals };
}

/** A connection to the daemon on which a test can send anything. */
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
  test('the newcomer gets the same sockets, and the incumbent stops when the newcomer serves', async () => {
    const daemon = await servingDaemon();
    const { handedOver, refusals } = await newcomer();
    const inodes = (batches: readonly Batch[]): [string, number][] =>
      batches.flatMap(({ keys, descriptors }) =>
        keys.map((key, i): [string, number] => [key, fstatSync(descriptors[i]!).ino]),
      );
    expect([...handedOver!.descriptors].map(([key, fd]) => [key, fstatSync(fd).ino])).toEqual(
      inodes(daemon.held.batches()),
    );
    expect([daemon.isReplaced, daemon.incumbent.isUnderWay, daemon.prepared]).toEqual([
      false,
      true,
      1,
    ]);
    const settled = daemon.incumbent.settled();
    handedOver!.serving();
    expect(await settled).toBe(true);
    expect([daemon.isReplaced, daemon.incumbent.isUnderWay]).toEqual([true, false]);
    expect(refusals).toEqual([]);
  });

  test('more sockets than one message carries are all handed over', async () => {
    const daemon = await servingDaemon();
    const at = { host: '127.0.0.1', port: 0, sharePort: true, receiveBufferOctets: 4096 };
    for (let i = 0; i < 2 * DESCRIPTORS_MAX; i++) {
      const { fd, port } = openDatagramSocket(at);
      daemon.held.hold(`udp 127.0.0.1 ${port}`, fd);
    }
    const { handedOver } = await newcomer();
    expect(handedOver!.descriptors.size).toBe(daemon.held.size);
  });

  test('each of four daemons in a row hands over to the next one', async () => {
    const daemons = [await servingDaemon()];
    for (let i = 0; i < 3; i++) {
      const { handedOver } = await newcomer();
      const next = new Daemon(await openedDirectory().replace());
      for (const [key, fd] of handedOver!.descriptors) {
        next.held.hold(key, fd);
        (handedOver!.descriptors as Map<string, number>).delete(key);
      }
      handedOver!.serving();
      await until(() => daemons.at(-1)!.isReplaced);
      daemons.push(next);
    }
    expect(daemons.map(({ isReplaced }) => isReplaced)).toEqual([true, true, true, false]);
  });

  test('twenty handovers leave no descriptor open on either side', async () => {
    const daemon = await servingDaemon();
    const had = openDescriptors();
    for (let i = 0; i < 20; i++) {
      const directoryOfNext = new HandoverDirectory(directory);
      const { handedOver } = await askIncumbent(directoryOfNext, () => undefined);
      expect(handedOver!.descriptors.size).toBe(3);
      for (const fd of handedOver!.descriptors.values()) closeDescriptor(fd);
      // The newcomer ends here, and the same daemon stands in for the next one.
      daemon.incumbent.close();
      daemon.incumbent.listen(await directoryOfNext.replace());
      directoryOfNext.close();
    }
    await vi.waitFor(() => expect(openDescriptors()).toBe(had));
  });
});

describe('the incumbent serves on unchanged', () => {
  test('an incumbent whose newcomer ends before it serves hands everything over to the next one', async () => {
    const daemon = await servingDaemon();
    const { channel } = stranger();
    channel.send(HELLO);
    await until(() => daemon.incumbent.isUnderWay);
    const settled = daemon.incumbent.settled();
    channel.close();
    expect(await settled).toBe(false);
    expect(daemon.isReplaced).toBe(false);
    const { handedOver } = await newcomer();
    expect(handedOver!.descriptors.size).toBe(3);
  });

  test('an incumbent serves on if the newcomer ends while the cache is being written', async () => {
    const daemon = await servingDaemon();
    daemon.prepareMs = 50;
    const { channel } = stranger();
    channel.send(HELLO);
    await until(() => daemon.prepared === 1);
    channel.close();
    await until(() => !daemon.incumbent.isUnderWay);
    await pause(60);
    expect((await newcomer()).handedOver!.descriptors.size).toBe(3);
    expect(daemon.isReplaced).toBe(false);
  });

  test('an incumbent serves on if a newcomer says that it serves before it was offered anything', async () => {
    const daemon = await servingDaemon();
    const { channel } = stranger();
    channel.send({ say: 'serving' });
    channel.send(HELLO);
    await until(() => daemon.incumbent.isUnderWay);
    expect(daemon.isReplaced).toBe(false);
  });

  test('an incumbent serves on if a newcomer connects and says nothing', async () => {
    const daemon = await servingDaemon();
    const { isClosed } = stranger();
    await until(isClosed);
    expect((await newcomer()).handedOver).toBeDefined();
    expect(daemon.isReplaced).toBe(false);
  });

  test('an incumbent refuses a newcomer that speaks another version', async () => {
    await servingDaemon();
    const { channel, heard } = stranger();
    channel.send({ say: 'hello', versions: [99, 2] });
    await until(() => heard.length > 0);
    expect(heard).toEqual([{ say: 'refuse', reason: 'it speaks no version that we speak' }]);
  });
});

describe('a newcomer', () => {
  test('a newcomer that finds no incumbent is found by later ones', async () => {
    const { listener, handedOver, refusals } = await newcomer();
    expect(listener).toBeDefined();
    expect([handedOver, refusals]).toEqual([undefined, []]);
    const client = connectUnix(join(directory, 'handover.sock'));
    const server = acceptUnix(listener!)!;
    [client, server].forEach(closeDescriptor);
  });

  test('a newcomer that finds the socket of a dead daemon replaces it', async () => {
    const { listener } = await newcomer();
    closeDescriptor(listener!);
    closers.pop();
    expect((await newcomer()).listener).toBeDefined();
  });

  test('a newcomer waits for an incumbent that does not serve yet or speaks with another newcomer', async () => {
    const daemon = await servingDaemon();
    daemon.serves = false;
    setTimeout(() => {
      daemon.serves = true;
    }, 150);
    expect((await newcomer()).handedOver).toBeDefined();
    setTimeout(() => daemon.incumbent.close(), 150);
    const asked = newcomer();
    await pause(200);
    daemon.incumbent.listen(await openedDirectory().replace());
    expect((await asked).handedOver).toBeDefined();
  });

  test('a newcomer that is refused goes on alone and reports the reason', async () => {
    const daemon = await servingDaemon();
    daemon.refuses = 'it is ending';
    const { handedOver, listener, refusals } = await newcomer();
    expect([handedOver, listener, refusals]).toEqual([undefined, undefined, ['it is ending']]);
  });

  test('a newcomer goes on alone if the incumbent does not answer', async () => {
    const { listener } = await newcomer();
    const { handedOver, refusals } = await newcomer();
    expect([handedOver, refusals]).toEqual([undefined, ['no answer within 3 s']]);
    closeDescriptor(acceptUnix(listener!)!);
  }, 10_000);

  test('a newcomer closes what it has if the incumbent ends in the middle of its offer', async () => {
    const daemon = await servingDaemon();
    daemon.batches = () => daemon.held.batches().map((batch) => ({ ...batch, last: false }));
    const asked = newcomer();
    await until(() => daemon.incumbent.isUnderWay);
    await pause(50);
    daemon.incumbent.close();
    const { handedOver, refusals } = await asked;
    expect([handedOver, refusals]).toEqual([undefined, ['it has ended']]);
  });

  test('a newcomer keeps what it was offered if the incumbent ends afterwards', async () => {
    const daemon = await servingDaemon();
    const { handedOver } = await newcomer();
    daemon.end();
    await pause(20);
    const [[key, fd] = ['', -1]] = handedOver!.descriptors;
    expect(key).toBe(`udp 127.0.0.1 ${internetSocketOf(fd)?.port}`);
    handedOver!.serving(); // to a closed channel
  });

  test.each<{ key: string; open: () => number; because: string }>([
    { key: 'udp 127.0.0.1 53', open: () => openSync('/dev/null', 'r'), because: 'it is no socket' },
    {
      key: 'tcp 127.0.0.1 0',
      open: () =>
        openDatagramSocket({
          host: '127.0.0.1',
          port: 0,
          sharePort: true,
          receiveBufferOctets: 4096,
        }).fd,
      because: 'its transport differs',
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
      because: 'its port differs',
    },
    { key: 'journal', open: () => createMemoryFile('x', 4096), because: 'the key is unknown' },
    { key: SNAPSHOT_KEY, open: () => openSync('/dev/null', 'r'), because: 'it is no file' },
    {
      key: SNAPSHOT_KEY,
      open: () => createMemoryFile('x', (16 << 20) + 1),
      because: 'it is too large',
    },
  ])(
    'a newcomer closes a descriptor that is not what its key says: $key, $because',
    async ({ key, open }) => {
      const daemon = await servingDaemon();
      daemon.held.dropWhere(() => true);
      daemon.held.hold(key, open());
      const { handedOver } = await newcomer();
      expect([...handedOver!.descriptors]).toEqual([]);
    },
  );

  test('a newcomer takes nothing from an incumbent that offers fewer descriptors than keys', async () => {
    const daemon = await servingDaemon();
    daemon.batches = () => [{ keys: ['udp 127.0.0.1 53', 'x'], descriptors: [], last: true }];
    const { handedOver, refusals } = await newcomer();
    expect([handedOver, refusals]).toEqual([undefined, ['what it offers is not what it says']]);
  });
});

describe('the directory of -handover', () => {
  const refusal = (path: string): string => {
    try {
      new HandoverDirectory(path).close();
      return 'taken';
    } catch (error) {
      if (error instanceof HandoverDirectoryError) return error.message;
      throw error;
    }
  };

  test('the directory is created if its parent exists', () => {
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
  ])('a directory with mode $mode: $said', ({ mode, said }) => {
    chmodSync(directory, mode);
    expect(refusal(directory)).toContain(said);
  });

  test('a file is refused as the directory', () => {
    const path = join(directory, 'file');
    writeFileSync(path, '');
    expect(refusal(path)).toBe(`-handover ${path}: it is no directory`);
  });

  test('the directory must belong to our own user, also behind a link', () => {
    const path = join(directory, 'link');
    symlinkSync('/', path);
    if (process.getuid!() === 0) {
      expect(refusal(path)).toBe('taken'); // the root directory is root's
    } else {
      expect(refusal(path)).toContain('it belongs to user 0');
    }
  });

  test('a path too long for a socket is refused', async () => {
    const path = join(directory, 'x'.repeat(100));
    await expect(openedDirectory(path).find()).rejects.toThrow(HandoverDirectoryError);
    expect(existsSync(path)).toBe(true);
  });

  test('the directory has one listener, however many daemons look at the same instant', async () => {
    const founds = await Promise.all(Array.from({ length: 8 }, () => openedDirectory().find()));
    const listeners = founds.flatMap((found) => ('listener' in found ? [found.listener] : []));
    expect(listeners.length).toBe(1);
    const connections = founds.flatMap((found) =>
      'connection' in found ? [found.connection] : [],
    );
    [...listeners, ...connections].forEach(closeDescriptor);
  });
});
