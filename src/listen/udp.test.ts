/** Both ways to read datagrams: what every one owes its clients, and what only batches do. */
import { type Socket, createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { Counter } from '../observe/counters.ts';
import { UDP } from '../query/responder.ts';
import { ownSockets } from '../sys/socket-source.ts';
import type { Listener } from './listener.ts';
import { StubResponder, answerTo, ask, until } from './testing.ts';
import { canBatch, listenBatchUdp } from './udp-batch.ts';
import { listenPlainUdp } from './udp-plain.ts';

interface Served {
  readonly listener: Listener;
  readonly responder: StubResponder;
  readonly sendErrors: Counter;
}

/** `lent`: plain, on a socket that was opened elsewhere. */
type Io = 'batch' | 'plain' | 'lent';

const sockets: Socket[] = [];
const listeners: Listener[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.close();
  await Promise.all(listeners.splice(0).map(async (listener) => listener.close()));
});

async function serve(io: Io, host = '127.0.0.1', port = 0, sharePort = false): Promise<Served> {
  const [responder, sendErrors] = [new StubResponder(), new Counter()];
  const listener =
    io === 'batch'
      ? listenBatchUdp({ host, port }, responder, { sendErrors }, ownSockets(sharePort)!)
      : await listenPlainUdp(
          { host, port },
          responder,
          io === 'lent' ? ownSockets(sharePort) : undefined,
        );
  listeners.push(listener);
  return { listener, responder, sendErrors };
}

/** A connected socket: it takes answers only from the address that it asks. */
class TestClient {
  readonly answers: Buffer[] = [];
  readonly socket: Socket;

  constructor(socket: Socket) {
    this.socket = socket;
    sockets.push(socket);
    socket.on('message', (message) => this.answers.push(message));
    socket.on('error', () => undefined); // the server has gone
  }

  get ids(): number[] {
    return this.answers.map((answer) => answer.readUInt16BE(0)).toSorted((a, b) => a - b);
  }

  send(...messages: Buffer[]): void {
    for (const message of messages) this.socket.send(message);
  }
}

async function connectTo({ listener }: Served, host = '127.0.0.1'): Promise<TestClient> {
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  socket.connect(listener.address.port, host);
  await once(socket, 'connect');
  socket.setRecvBufferSize(1 << 20);
  return new TestClient(socket);
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => from + i);

test('Linux reads in batches: without koffi this test fails, so others are not skipped unseen', () => {
  const isSupported = process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch);
  expect(canBatch()).toBe(isSupported);
});

const WAYS: readonly Io[] = canBatch() ? ['batch', 'plain', 'lent'] : ['plain'];

describe.each(WAYS)('datagrams, read by %s (RFC 1035 section 4.2.1)', (io) => {
  test('each datagram is answered to its own client, however many come at once', async () => {
    const served = await serve(io);
    const clients = await Promise.all(range(0, 5).map(async () => connectTo(served)));
    clients.forEach((client, n) => {
      client.send(...range(0, 60).map((i) => ask(i % 7 === 6 ? 'silent.' : 'now.', 100 * n + i)));
    });
    await until(() => served.responder.seen.length === 300);
    await until(() => clients.every(({ answers }) => answers.length === 52));
    clients.forEach(({ ids }, n) => {
      expect(ids).toEqual(
        range(0, 60)
          .filter((i) => i % 7 !== 6)
          .map((i) => 100 * n + i),
      );
    });
    expect(served.sendErrors.value).toBe(0);
  });

  test('an answer holds exactly what the responder has written', async () => {
    const client = await connectTo(await serve(io));
    client.send(ask('now.'), ask('big.300.', 2));
    await until(() => client.answers.length === 2);
    expect(client.answers[0]!.equals(answerTo(ask('now.')))).toBe(true);
    expect(client.answers[1]!.equals(answerTo(ask('big.300.', 2), 300))).toBe(true);
  });

  test('the responder sees senseless datagrams too, and others are answered', async () => {
    const served = await serve(io);
    const client = await connectTo(served);
    client.send(Buffer.alloc(0), Buffer.of(1), ask('silent.'), ask('now.', 4));
    await until(() => client.answers.length === 1);
    expect(served.responder.seen.map(({ message }) => message.length)).toEqual([
      0,
      1,
      ask('silent.').length,
      ask('now.').length,
    ]);
  });

  test('datagrams may be answered later, in any order, many at a time', async () => {
    const served = await serve(io);
    const { responder } = served;
    const [one, other] = [await connectTo(served), await connectTo(served)];
    one.send(...range(0, 50).map((id) => ask('later.', id)));
    other.send(...range(50, 100).map((id) => ask('later.', id)));
    await until(() => responder.seen.length === 100);
    // Other batches come and go: what is kept must be copies.
    other.send(...range(100, 170).map((id) => ask('now.', id)));
    await until(() => other.answers.length === 70);
    for (const id of range(0, 100).toReversed()) responder.answerLate(id);
    await until(() => one.answers.length === 50 && other.answers.length === 120);
    expect(one.ids).toEqual(range(0, 50));
    expect(other.ids).toEqual(range(50, 170));
    const late = one.answers.find((answer) => answer.readUInt16BE(0) === 7)!;
    expect(late.equals(answerTo(ask('later.', 7)))).toBe(true);
  });

  test.each([4096, 4097, 20_000, 65_507])('an answer may have %i octets', async (octets) => {
    const served = await serve(io);
    const client = await connectTo(served);
    client.send(ask(`big.${octets}.`, 1), ask('now.', 2), ask(`big.${octets}.`, 3));
    await until(() => client.answers.length === 3);
    expect(client.ids).toEqual([1, 2, 3]);
    const lengths = client.answers.map(({ length }) => length).toSorted((a, b) => a - b);
    expect(lengths).toEqual([ask('now.').length, octets, octets]);
    expect(served.sendErrors.value).toBe(0);
  });

  test('a datagram whose answer cannot be sent does not affect the others', async () => {
    const served = await serve(io);
    const client = await connectTo(served);
    client.send(ask('big.65535.', 1), ask('later.', 2), ask('now.', 3)); // UDP ends at 65,507
    await until(() => client.answers.length === 1);
    served.responder.answerLate(2);
    await until(() => client.answers.length === 2);
    expect(client.ids).toEqual([2, 3]);
    if (io === 'batch') expect(served.sendErrors.value).toBe(1);
  });

  test('a datagram whose client has gone does not affect the others', async () => {
    const served = await serve(io);
    const { responder } = served;
    const [gone, client] = [await connectTo(served), await connectTo(served)];
    gone.send(ask('later.', 1), ask('later.', 2));
    await until(() => responder.seen.length === 2);
    sockets.splice(sockets.indexOf(gone.socket), 1);
    gone.socket.close();
    responder.answerLate(1);
    responder.answerLate(2);
    client.send(ask('now.', 3));
    await until(() => client.answers.length === 1);
  });

  test.each([
    { host: '127.0.0.1', to: '127.0.0.1', family: 1 },
    { host: '::1', to: '::1', family: 2 },
    { host: '', to: '127.0.0.1', family: 1 },
    { host: '', to: '::1', family: 2 },
    { host: '0.0.0.0', to: '127.0.0.1', family: 1 },
  ])('a socket at "$host" answers datagrams to $to', async ({ host, to, family }) => {
    const served = await serve(io, host);
    const client = await connectTo(served, to);
    client.send(ask('later.', 1), ask('now.', 2));
    await until(() => client.answers.length === 1);
    const [{ path, ...seen }] = served.responder.seen as [(typeof served.responder.seen)[0]];
    expect(seen.transport).toBe(UDP);
    if (io === 'batch') {
      expect(seen.family).toBe(family);
      expect(path).toMatchObject({ family, remoteAddress: to, localAddress: to });
    }
    expect(path).toMatchObject({
      transport: UDP,
      remotePort: client.socket.address().port,
      localPort: served.listener.address.port,
    });
    served.responder.answerLate(1);
    await until(() => client.answers.length === 2);
    expect(served.listener).toMatchObject({
      transport: 'udp',
      io: io === 'batch' ? io : 'plain',
    });
    expect(served.listener.receiveBufferOctets).toBeGreaterThan(0);
  });

  test('a datagram that waits when the listener closes gets no answer, without harm', async () => {
    const served = await serve(io);
    const client = await connectTo(served);
    client.send(ask('later.', 1));
    await until(() => served.responder.seen.length === 1);
    await served.listener.close();
    served.responder.answerLate(1);
    client.send(ask('now.', 2));
    // The port is free again, and closing twice is closing once.
    const again = await serve(io, '127.0.0.1', served.listener.address.port);
    expect(again.listener.address).toEqual(served.listener.address);
    // When a later query has its answer, an answer to an earlier one would have come too.
    const later = await connectTo(again);
    later.send(ask('now.', 3));
    await until(() => later.answers.length === 1);
    expect(served.responder.seen.length).toBe(1);
    expect(client.answers).toEqual([]);
    listeners.splice(listeners.indexOf(served.listener), 1);
  });

  test('an address that another socket has is refused, and the error says so', async () => {
    const { listener } = await serve(io);
    const { port } = listener.address;
    await expect(serve(io, '127.0.0.1', port)).rejects.toMatchObject({
      name: 'ListenError',
      code: 'EADDRINUSE',
      message: expect.stringContaining(
        `listen udp 127.0.0.1:${port}: bind: address already in use`,
      ),
    });
  });
});

describe.runIf(canBatch())('batches', () => {
  test('a batch holds what has come since the last wake-up, up to 64 datagrams', async () => {
    const served = await serve('batch');
    const client = await connectTo(served);
    client.send(...range(0, 200).map((id) => ask('now.', id)));
    await until(() => client.answers.length === 200);
    expect(served.responder.batches).toBeGreaterThanOrEqual(4);
    expect(served.responder.batches).toBeLessThan(60);
  });

  test.each([
    { host: '', to: '127.0.0.7' },
    { host: '::', to: '127.0.0.7' },
    { host: '0.0.0.0', to: '127.0.0.7' },
    { host: '', to: '::1' },
  ])(
    'answers of a wildcard socket "$host" leave from the address that was asked: $to',
    async ({ host, to }) => {
      const served = await serve('batch', host);
      const client = await connectTo(served, to);
      client.send(ask('now.', 1), ask('later.', 2), ask('big.5000.', 3));
      await until(() => served.responder.seen.length === 3);
      expect(served.responder.seen[1]!.path!.localAddress).toBe(to);
      served.responder.answerLate(2);
      await until(() => client.answers.length === 3);
    },
  );

  test('batches of several sockets do not get into each other’s way', async () => {
    const servers = await Promise.all(
      ['127.0.0.1', '127.0.0.2', '::1'].map(async (host) => serve('batch', host)),
    );
    const clients = await Promise.all(
      servers.map(async (served) => connectTo(served, served.listener.address.host)),
    );
    clients.forEach((client) => {
      client.send(...range(0, 40).map((id) => ask(id % 2 === 0 ? 'now.' : 'later.', id)));
    });
    await until(() => servers.every(({ responder }) => responder.seen.length === 40));
    // Late answers share one vector, in which those of one socket only can stand at a time.
    for (let id = 1; id < 40; id += 2)
      for (const { responder } of servers) responder.answerLate(id);
    await until(() => clients.every(({ answers }) => answers.length === 40));
    for (const { ids } of clients) expect(ids).toEqual(range(0, 40));
  });

  test('late answers that are ready when the socket closes are still sent', async () => {
    const served = await serve('batch');
    const client = await connectTo(served);
    client.send(ask('later.', 1), ask('later.', 2));
    await until(() => served.responder.seen.length === 2);
    served.responder.answerLate(1);
    served.responder.answerLate(2);
    await served.listener.close();
    await until(() => client.answers.length === 2);
  });

  test('a query of more than 4096 octets is cut', async () => {
    const served = await serve('batch');
    const client = await connectTo(served);
    const long = Buffer.concat([ask('silent.'), Buffer.alloc(5000)]);
    client.send(long, ask('now.', 2));
    await until(() => client.answers.length === 1);
    expect(served.responder.seen[0]!.message.length).toBe(4096);
  });

  test('a port can be shared by sockets that all ask for it', async () => {
    const { listener } = await serve('batch', '127.0.0.1', 0, true);
    const other = await serve('batch', '127.0.0.1', listener.address.port, true);
    expect(other.listener.address).toEqual(listener.address);
  });

  test('an address that no interface has yet can be listened on (IP_FREEBIND)', async () => {
    const { listener } = await serve('batch', '192.0.2.53');
    expect(listener.address.host).toBe('192.0.2.53');
  });

  test('datagrams that find the receive buffer full are counted', async () => {
    const served = await serve('batch');
    const client = await connectTo(served);
    const [long, sent] = [Buffer.concat([ask('silent.'), Buffer.alloc(2000)]), 12_000];
    expect(served.listener.drops()).toBe(0);
    for (let i = 0; i < sent; i++) client.send(long); // in one turn: nobody reads meanwhile
    await until(() => served.responder.seen.length + served.listener.drops() === sent);
    expect(served.listener.drops()).toBeGreaterThan(0);
  });
});
