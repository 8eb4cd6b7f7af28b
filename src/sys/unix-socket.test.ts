import {
  closeSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadLibc } from './libc.ts';
import { openDatagramSocket, openStreamSocket } from './socket.ts';
import { SystemCallError } from './system-call-error.ts';
import {
  DESCRIPTORS_MAX,
  MESSAGE_OCTETS_MAX,
  type ReceivedMessage,
  acceptUnix,
  closeDescriptor,
  connectUnix,
  duplicate,
  internetSocketOf,
  listenUnix,
  peerCredentials,
  receiveMessage,
  sendMessage,
  socketPair,
} from './unix-socket.ts';

const text = (words: string): Uint8Array => new TextEncoder().encode(words);

function received(fd: number): ReceivedMessage {
  const message = receiveMessage(fd);
  if (message === undefined || message === 'ended') throw new Error(`received ${message}`);
  return message;
}

describe.runIf(loadLibc() !== undefined)('sockets between processes', () => {
  let before: number;
  let directory: string;
  let opened: number[];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'unix-socket-'));
    opened = [];
    before = readdirSync('/proc/self/fd').length;
  });

  afterEach(() => {
    opened.forEach(closeDescriptor);
    rmSync(directory, { recursive: true });
    expect(readdirSync('/proc/self/fd').length).toBe(before); // nothing is left open
  });

  function pair(): readonly [number, number] {
    const both = socketPair();
    opened.push(...both);
    return both;
  }

  test('messages keep their boundaries and their order', () => {
    const [a, b] = pair();
    expect(receiveMessage(b)).toBeUndefined();
    for (const words of ['one', 'two', 'x'.repeat(MESSAGE_OCTETS_MAX)]) {
      expect(sendMessage(a, text(words))).toBe(true);
    }
    expect(Buffer.from(received(b).octets).toString()).toBe('one');
    expect(Buffer.from(received(b).octets).toString()).toBe('two');
    expect(received(b)).toMatchObject({ truncated: false, descriptors: [] });
    expect(receiveMessage(b)).toBeUndefined();
  });

  test('the end is reported, and sending to a closed socket fails', () => {
    const [a, b] = socketPair();
    opened.push(b);
    sendMessage(a, text('last'));
    closeDescriptor(a);
    expect(Buffer.from(received(b).octets).toString()).toBe('last');
    expect(receiveMessage(b)).toBe('ended');
    expect(() => sendMessage(b, text('x'))).toThrow('sendmsg: EPIPE');
  });

  test.each([
    { octets: 0, because: 'it would look like the end' },
    { octets: MESSAGE_OCTETS_MAX + 1, because: 'it is longer than the other side reads' },
  ])('a message of $octets octets is not sent: $because', ({ octets }) => {
    const [a] = pair();
    expect(() => sendMessage(a, new Uint8Array(octets))).toThrow(RangeError);
  });

  test('a full socket takes no message, not even a part', () => {
    const [a, b] = pair();
    let sent = 0;
    while (sendMessage(a, new Uint8Array(30_000))) sent++;
    expect(sent).toBeGreaterThan(1);
    for (let i = 0; i < sent; i++) expect(received(b).octets.length).toBe(30_000);
    expect(receiveMessage(b)).toBeUndefined();
  });

  test('descriptors arrive as descriptors of the same files, which a child would not get', () => {
    const [a, b] = pair();
    const file = openSync(join(directory, 'file'), 'w');
    const listener = openStreamSocket({ host: '127.0.0.1', port: 0, sharePort: false }, 8);
    sendMessage(a, text('take'), [file, listener.fd]);
    const { descriptors } = received(b);
    expect(descriptors.map((fd) => fstatSync(fd).ino)).toEqual(
      [file, listener.fd].map((fd) => fstatSync(fd).ino),
    );
    writeSync(descriptors[0]!, 'x');
    expect(fstatSync(file).size).toBe(1);
    descriptors.forEach(closeDescriptor);
    closeDescriptor(listener.fd);
    closeSync(file);
  });

  test(`${DESCRIPTORS_MAX} descriptors go along, and one more is refused before it leaves`, () => {
    const [a, b] = pair();
    const many = Array.from({ length: DESCRIPTORS_MAX }, () => a);
    sendMessage(a, text('all'), many);
    const { descriptors, truncated } = received(b);
    expect([descriptors.length, truncated]).toEqual([DESCRIPTORS_MAX, false]);
    descriptors.forEach(closeDescriptor);
    expect(() => sendMessage(a, text('more'), [...many, a])).toThrow(RangeError);
  });

  test('a message that arrives cut off is reported, and its descriptors are closed', () => {
    const [a, b] = pair();
    // Another sender keeps to no limit of ours.
    const libc = loadLibc()!;
    const octets = MESSAGE_OCTETS_MAX + 2;
    const data = libc.allocate(octets);
    const message = libc.allocate(56 + 16 + 16 + 4 * (DESCRIPTORS_MAX + 1));
    const words = new DataView(message.octets.buffer, message.octets.byteOffset);
    const set = (at: number, value: number): void => words.setBigUint64(at, BigInt(value), true);
    const send = (length: number, descriptors: number): void => {
      message.octets.fill(0);
      set(16, message.address + 56);
      set(24, 1);
      set(56, data.address);
      set(64, length);
      if (descriptors > 0) {
        set(32, message.address + 72);
        set(40, 16 + 4 * descriptors);
        set(72, 16 + 4 * descriptors);
        words.setInt32(80, 1, true);
        words.setInt32(84, 1, true);
        for (let i = 0; i < descriptors; i++) words.setInt32(88 + 4 * i, a, true);
      }
      expect(libc.sendmsg(a, message.address, 0)).toBe(length);
    };
    send(octets, 2);
    expect(received(b)).toMatchObject({ truncated: true, descriptors: [] });
    send(1, DESCRIPTORS_MAX + 1);
    expect(received(b)).toMatchObject({ truncated: true, descriptors: [] });
    send(0, 1); // empty, and yet not the end
    expect(received(b)).toMatchObject({ truncated: true, descriptors: [] });
    send(1, 0);
    expect(received(b)).toMatchObject({ truncated: false, descriptors: [] });
  });

  test('the kernel says who connects by a path', () => {
    const path = join(directory, 'socket');
    expect(() => connectUnix(path)).toThrow('connect: ENOENT');
    const listener = listenUnix(path);
    expect(acceptUnix(listener)).toBeUndefined();
    const client = connectUnix(path);
    const server = acceptUnix(listener)!;
    opened.push(client, server);
    expect(peerCredentials(server)).toEqual({
      pid: process.pid,
      uid: process.getuid!(),
      gid: process.getgid!(),
    });
    sendMessage(client, text('hello'));
    expect(Buffer.from(received(server).octets).toString()).toBe('hello');
    expect(() => listenUnix(path)).toThrow('bind: EADDRINUSE');
    closeDescriptor(listener);
    expect(() => connectUnix(path)).toThrow('connect: ECONNREFUSED');
  });

  test('a path that is too long for an address is refused', () => {
    expect(() => connectUnix(join(directory, 'x'.repeat(108)))).toThrow(RangeError);
  });

  test('a copy of a descriptor outlives the first', () => {
    const [c, d] = socketPair();
    const copy = duplicate(c);
    closeDescriptor(c);
    sendMessage(copy, text('x'));
    expect(received(d).octets.length).toBe(1);
    [copy, d].forEach(closeDescriptor);
    expect(() => duplicate(copy)).toThrow(SystemCallError);
    expect(internetSocketOf(copy)).toBeUndefined();
  });
});

describe.runIf(loadLibc() !== undefined)('the kind of a descriptor', () => {
  test.each([
    { host: '127.0.0.1', address: '127.0.0.1' },
    { host: '0.0.0.0', address: '0.0.0.0' },
    { host: '::1', address: '::1' },
    { host: '::', address: '::' },
  ])('sockets at $host are known as UDP and TCP', ({ host, address }) => {
    const options = { host, port: 0, sharePort: false };
    const udp = openDatagramSocket({ ...options, receiveBufferOctets: 4096 });
    const tcp = openStreamSocket(options, 8);
    expect(internetSocketOf(udp.fd)).toEqual({ transport: 'udp', address, port: udp.port });
    expect(internetSocketOf(tcp.fd)).toEqual({ transport: 'tcp', address, port: tcp.port });
    [udp.fd, tcp.fd].forEach(closeDescriptor);
  });

  test('a file, a socket pair, a connection and a closed descriptor are of no kind', async () => {
    const file = openSync('/dev/null', 'r');
    const [a, b] = socketPair();
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    await once(client, 'connect');
    const { _handle: handle } = client as unknown as { _handle: { fd: number } };
    const connection = handle.fd;
    expect([file, a, b, connection, -1, 9999].map(internetSocketOf)).toEqual(
      Array.from({ length: 6 }, () => undefined),
    );
    client.destroy();
    server.close();
    closeSync(file);
    [a, b].forEach(closeDescriptor);
  });
});

describe.runIf(loadLibc() !== undefined)('a TCP socket of our own', () => {
  test.each(['127.0.0.1', '::1', '::'])('a socket of ours at %s serves node:net', async (host) => {
    const { fd, port } = openStreamSocket({ host, port: 0, sharePort: false }, 128);
    const server = createServer((socket) => socket.end('served'));
    await new Promise<void>((resolve) => {
      server.listen({ fd }, resolve);
    });
    const answer = await new Promise<string>((resolve, reject) => {
      const client = connect({ host: host === '::' ? '127.0.0.1' : host, port });
      client.on('data', (data) => resolve(data.toString()));
      client.on('error', reject);
    });
    expect(answer).toBe('served');
    await new Promise((resolve) => {
      server.close(resolve);
    });
  });

  test('a taken port is refused, and shared where both sockets ask for it', () => {
    const options = { host: '127.0.0.1', port: 0, sharePort: true };
    const first = openStreamSocket(options, 8);
    expect(() => openStreamSocket({ ...options, port: first.port, sharePort: false }, 8)).toThrow(
      'EADDRINUSE',
    );
    const second = openStreamSocket({ ...options, port: first.port }, 8);
    expect(second.port).toBe(first.port);
    [first.fd, second.fd].forEach(closeDescriptor);
  });
});
