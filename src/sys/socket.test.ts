import { type Socket, createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type Libc, loadLibc } from './libc.ts';
import { EAGAIN } from './linux.ts';
import { DatagramVector, arrivalText, receiveDatagrams, sendDatagrams } from './mmsg.ts';
import { SOCKADDR_OCTETS, addressText, familyOf, portOf } from './sockaddr.ts';
import { type DatagramSocket, openDatagramSocket } from './socket.ts';
import { SystemCallError } from './system-call-error.ts';

const libc = loadLibc();
const SLOTS = 4;
const SLOT_OCTETS = 100;

test('Linux has the calls: without koffi this test fails, so others are not skipped unseen', () => {
  const isSupported = process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch);
  expect(libc !== undefined).toBe(isSupported);
  expect(loadLibc()).toBe(libc);
});

const received = (vector: DatagramVector, slot: number): string => {
  const at = vector.dataAt(slot);
  const end = at + vector.receivedOctets(slot);
  return Buffer.from(vector.octets.slice(at, end)).toString('latin1');
};

describe.runIf(libc !== undefined)('system calls', () => {
  const calls = libc as Libc;
  const opened: DatagramSocket[] = [];
  const peers: Socket[] = [];

  afterEach(() => {
    vi.restoreAllMocks();
    for (const { fd } of opened.splice(0)) calls.close(fd);
    for (const peer of peers.splice(0)) peer.close();
  });

  function open(host: string, port = 0, sharePort = false): DatagramSocket {
    const socket = openDatagramSocket({ host, port, sharePort, receiveBufferOctets: 1 << 18 });
    opened.push(socket);
    return socket;
  }

  /** A socket that has sent these datagrams, which have arrived by then: loopback does not wait. */
  async function peerOf(
    { port }: DatagramSocket,
    host: string,
    ...sent: string[]
  ): Promise<Socket> {
    const peer = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    peers.push(peer);
    peer.connect(port, host);
    await once(peer, 'connect');
    for (const text of sent) peer.send(text);
    await new Promise(setImmediate);
    return peer;
  }

  describe('a socket', () => {
    test.each([
      { host: '127.0.0.1', family: 4, wildcard: false },
      { host: '0.0.0.0', family: 4, wildcard: true },
      { host: '::1', family: 6, wildcard: false },
      { host: '0:0:0:0:0:0:0:1', family: 6, wildcard: false },
      { host: '::ffff:127.0.0.1', family: 6, wildcard: false, refused: true },
      { host: '::', family: 6, wildcard: true },
      { host: '192.0.2.9', family: 4, wildcard: false }, // on no interface: IP_FREEBIND
    ])('a socket at $host is opened or refused', ({ host, family, wildcard, refused = false }) => {
      if (refused) {
        expect(() => open(host)).toThrow(SystemCallError); // an IPv6 socket takes IPv6 alone
        return;
      }
      const socket = open(host);
      expect(socket).toMatchObject({ family, wildcard });
      expect(socket.port).toBeGreaterThan(0);
      expect(socket.receiveBufferOctets).toBeGreaterThanOrEqual(1 << 17);
    });

    test('a taken port is refused, and shared where both sockets ask for it', () => {
      const { port } = open('127.0.0.1');
      expect(() => open('127.0.0.1', port)).toThrow('bind: EADDRINUSE');
      expect(() => open('127.0.0.1', port, true)).toThrow('bind: EADDRINUSE');
      const shared = open('127.0.0.1', 0, true);
      expect(open('127.0.0.1', shared.port, true).port).toBe(shared.port);
    });

    test('a wildcard socket takes its port in both families', () => {
      const { port } = open('::');
      expect(() => open('0.0.0.0', port)).toThrow(SystemCallError);
    });
  });

  describe('datagrams', () => {
    test('waiting datagrams are received, up to the slots, each with its sender', async () => {
      const socket = open('127.0.0.1');
      const peer = await peerOf(socket, '127.0.0.1', 'one', '', 'three', 'four', 'five');
      const vector = new DatagramVector(calls, SLOTS, SLOT_OCTETS);
      expect(receiveDatagrams(calls, socket.fd, vector, false)).toBe(SLOTS);
      expect([0, 1, 2, 3].map((slot) => received(vector, slot))).toEqual([
        'one',
        '',
        'three',
        'four',
      ]);
      const name = vector.octets.slice(vector.nameAt(0), vector.nameAt(0) + vector.nameOctets(0));
      expect([addressText(name), portOf(name)]).toEqual(['127.0.0.1', peer.address().port]);
      expect(familyOf(vector.octets, vector.nameAt(0))).toBe(1);
      expect(receiveDatagrams(calls, socket.fd, vector, false)).toBe(1);
      expect(received(vector, 0)).toBe('five');
      expect(receiveDatagrams(calls, socket.fd, vector, false)).toBe(0);
      expect(calls.errno()).toBe(EAGAIN);
    });

    test('a datagram longer than a slot is cut and marked as truncated', async () => {
      const socket = open('127.0.0.1');
      await peerOf(socket, '127.0.0.1', 'x'.repeat(SLOT_OCTETS), 'y'.repeat(SLOT_OCTETS + 1));
      const vector = new DatagramVector(calls, SLOTS, SLOT_OCTETS);
      receiveDatagrams(calls, socket.fd, vector, false);
      expect([0, 1].map((slot) => vector.receivedOctets(slot))).toEqual([SLOT_OCTETS, SLOT_OCTETS]);
      expect([0, 1].map((slot) => vector.isTruncated(slot))).toEqual([false, true]);
    });

    test.each([
      { host: '0.0.0.0', to: '127.0.0.9', family: 1 },
      { host: '::', to: '127.0.0.9', family: 1 },
      { host: '::', to: '::1', family: 2 },
    ])(
      'a datagram to the wildcard $host has its destination: $to',
      async ({ host, to, family }) => {
        const socket = open(host);
        await peerOf(socket, to, 'x');
        const vector = new DatagramVector(calls, SLOTS, SLOT_OCTETS);
        expect(receiveDatagrams(calls, socket.fd, vector, true)).toBe(1);
        const controlAt = vector.controlAt(0);
        const control = vector.octets.slice(controlAt, controlAt + vector.controlOctets(0));
        expect(arrivalText(control)).toBe(to);
        expect(familyOf(vector.octets, vector.nameAt(0))).toBe(family);
      },
    );

    test('a datagram to another socket has no destination', () => {
      expect(arrivalText(new Uint8Array(0))).toBeUndefined();
    });

    test('datagrams that cannot be sent are skipped and counted, and the others leave', async () => {
      const socket = open('127.0.0.1');
      const peer = await peerOf(socket, '127.0.0.1', 'a', 'b', 'c');
      const answers: string[] = [];
      peer.on('message', (message) => answers.push(message.toString()));
      const from = new DatagramVector(calls, SLOTS, SLOT_OCTETS);
      const to = new DatagramVector(calls, SLOTS, 70_000);
      expect(receiveDatagrams(calls, socket.fd, from, false)).toBe(3);
      for (const slot of [0, 1, 2]) {
        to.addressLike(slot, from, slot);
        to.octets.set(Buffer.from(`answer ${slot}`), to.dataAt(slot));
        to.setDataOctets(slot, slot === 1 ? 70_000 : 8); // EMSGSIZE
      }
      const refused = { value: 0 };
      expect(sendDatagrams(calls, socket.fd, to, 0, 3, refused)).toBe(3);
      expect(refused.value).toBe(1);
      while (answers.length < 2) await new Promise(setImmediate);
      expect(answers).toEqual(['answer 0', 'answer 2']);
    });
  });

  test('an exception in a callback takes the way of any uncaught exception', async () => {
    const socket = open('127.0.0.1');
    const thrown: unknown[] = [];
    const { setImmediate: later } = globalThis;
    vi.spyOn(globalThis, 'setImmediate').mockImplementation((action: () => void) =>
      later(() => {
        try {
          action();
        } catch (error) {
          thrown.push(error);
        }
      }),
    );
    const vector = new DatagramVector(calls, SLOTS, SLOT_OCTETS);
    const poll = calls.pollReadable(socket.fd, () => {
      receiveDatagrams(calls, socket.fd, vector, false);
      throw new Error('a bug');
    });
    await peerOf(socket, '127.0.0.1', 'x');
    while (thrown.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    poll.close();
    expect(thrown).toEqual([new Error('a bug')]);
  });
});

const sockaddr = (
  family: number,
  port: number,
  octets: readonly number[],
  at: number,
): Uint8Array => {
  const name = new Uint8Array(SOCKADDR_OCTETS);
  name[0] = family;
  name[2] = port >> 8;
  name[3] = port & 255;
  name.set(octets, at);
  return name;
};
const v6 = (hex: string): number[] => [...Buffer.from(hex, 'hex')];

describe('addresses as the kernel has them', () => {
  test.each([
    { name: sockaddr(2, 53, [192, 0, 2, 1], 4), text: '192.0.2.1', port: 53, family: 1 },
    {
      name: sockaddr(10, 65535, v6('20010db8000000000000000000000001'), 8),
      text: '2001:db8::1',
      port: 65535,
      family: 2,
    },
    { name: sockaddr(10, 1, v6('0'.repeat(32)), 8), text: '::', port: 1, family: 2 },
    {
      name: sockaddr(10, 1, v6('00000000000000000000ffffc0000201'), 8),
      text: '192.0.2.1',
      port: 1,
      family: 1,
    },
  ])('the address $text is read with its port and family', ({ name, text, port, family }) => {
    expect([addressText(name), portOf(name), familyOf(name, 0)]).toEqual([text, port, family]);
  });
});
