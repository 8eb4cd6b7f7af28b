import * as fc from 'fast-check';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type Socket, connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { TCP } from '../query/responder.ts';
import { Counter, Gauge } from '../observe/counters.ts';
import { type SocketSource, ownSockets } from '../sys/socket-source.ts';
import { type ListenAddress, ListenError, type Listener } from './listener.ts';
import { StubResponder, answerTo, ask, until } from './testing.ts';
import { TCP_DEFAULTS, type TcpSettings, listenTcp } from './tcp.ts';

const clients: TestClient[] = [];
let opened: Served[] = [];

interface Served {
  readonly listener: Listener;
  readonly responder: StubResponder;
  readonly open: Gauge;
  readonly refused: Counter;
}

afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.destroy();
  await Promise.all(opened.splice(0).map(({ listener }) => listener.close()));
});

async function serve(
  settings: Partial<TcpSettings> = {},
  host = '127.0.0.1',
  sockets: SocketSource | undefined = ownSockets(false),
): Promise<Served> {
  const [responder, open, refused] = [new StubResponder(), new Gauge(), new Counter()];
  const address: ListenAddress = { host, port: 0 };
  const counters = { open, refused };
  const options = { settings: { ...TCP_DEFAULTS, ...settings }, counters, sockets };
  const listener = await listenTcp(address, responder, options);
  const served = { listener, responder, open, refused };
  opened = [...opened, served];
  return served;
}

/** Takes answers as they come; `closed` when the server has ended or cut the connection. */
class TestClient {
  readonly socket: Socket;
  readonly answers: Buffer[] = [];
  closed = false;
  #partial: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('end', () => (this.closed = true));
    socket.on('close', () => (this.closed = true));
    socket.on('error', () => (this.closed = true));
    clients.push(this);
  }

  get ids(): number[] {
    return this.answers.map((answer) => answer.readUInt16BE(0));
  }

  send(...messages: Buffer[]): void {
    this.socket.write(framed(...messages));
  }

  #take(chunk: Buffer): void {
    let data = Buffer.concat([this.#partial, chunk]);
    while (data.length >= 2 && data.length >= 2 + data.readUInt16BE(0)) {
      const end = 2 + data.readUInt16BE(0);
      this.answers.push(data.subarray(2, end));
      data = data.subarray(end);
    }
    this.#partial = data;
  }
}

async function connectTo({ listener }: Served, host = '127.0.0.1'): Promise<TestClient> {
  const { port } = listener.address;
  const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
  await once(socket, 'connect');
  return new TestClient(socket);
}

/**
 * Asks on a connection of its own. When the answer is here, the server has read all that was sent
 * before, and what it has sent or closed in return has arrived.
 */
async function askElsewhere(served: Served, id: number): Promise<void> {
  const client = await connectTo(served);
  client.send(ask('now.', id));
  await until(() => client.answers.length === 1);
}

/** Waits until the server reads no further while others ask and are answered. */
async function untilSettled(served: Served): Promise<void> {
  const { seen } = served.responder;
  for (let quiet = 0, count = seen.length; quiet < 10; quiet++) {
    await askElsewhere(served, 1000);
    if (seen.length > count + 1) quiet = -1;
    count = seen.length;
  }
}

/** Each message behind its length. */
function framed(...messages: Buffer[]): Buffer {
  return Buffer.concat(
    messages.flatMap((message) => [Buffer.of(message.length >> 8, message.length & 255), message]),
  );
}

describe('messages in a stream (RFC 1035 section 4.2.2, RFC 7766 section 8)', () => {
  test('the same queries get the same answers wherever the stream is cut', async () => {
    const client = await connectTo(await serve());
    let id = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('now.', 'silent.', 'big.300.', 'now.x.test.'), {
          minLength: 1,
          maxLength: 6,
        }),
        fc.array(fc.nat(), { maxLength: 6 }),
        async (names, cuts) => {
          client.answers.length = 0;
          const queries = [...names, 'now.'].map((name) => ask(name, ++id));
          const stream = framed(...queries);
          const places = [...cuts.map((cut) => cut % stream.length), stream.length].toSorted(
            (a, b) => a - b,
          );
          let at = 0;
          for (const place of places) {
            client.socket.write(stream.subarray(at, place));
            at = place;
            await new Promise(setImmediate);
          }
          const expected = queries
            .filter((query) => !query.includes('silent'))
            .map((query) => answerTo(query, query.includes('big') ? 300 : query.length));
          await until(() => client.answers.length === expected.length);
          expect(Buffer.concat(client.answers).equals(Buffer.concat(expected))).toBe(true);
        },
      ),
      { numRuns: 40 },
    );
  });

  test('a message that comes octet by octet is one message', async () => {
    const served = await serve();
    const client = await connectTo(served);
    for (const octet of framed(ask('now.'))) {
      client.socket.write(Buffer.of(octet));
      await new Promise(setImmediate);
    }
    await until(() => client.answers.length === 1);
    expect(served.responder.seen.length).toBe(1);
  });

  test('an answer of 65,535 octets arrives whole', async () => {
    const client = await connectTo(await serve());
    client.send(ask('big.65535.'), ask('now.', 2));
    await until(() => client.answers.length === 2);
    expect(client.answers.map(({ length }) => length)).toEqual([65535, ask('now.').length]);
  });

  test.each([0, 1, 11])(
    'a connection that sends a length of %i, which no DNS message has, is closed',
    async (length) => {
      const served = await serve();
      const client = await connectTo(served);
      const other = await connectTo(served);
      client.socket.write(Buffer.of(0, length, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
      await until(() => client.closed);
      expect(served.responder.seen).toEqual([]);
      other.send(ask('now.'));
      await until(() => other.answers.length === 1);
    },
  );
});

describe('pipelined queries (RFC 7766 section 6.2.1.1)', () => {
  test('pipelined queries are answered as they become ready, in any order', async () => {
    const { responder, ...served } = await serve();
    const client = await connectTo({ responder, ...served });
    client.send(ask('later.', 1), ask('later.', 2), ask('now.', 3));
    await until(() => client.answers.length === 1);
    responder.answerLate(2);
    await until(() => client.answers.length === 2);
    responder.answerLate(1);
    await until(() => client.answers.length === 3);
    expect(client.ids).toEqual([3, 2, 1]);
    expect(client.answers[2]!.equals(answerTo(ask('later.', 1)))).toBe(true);
  });

  test('queries wait unread while too many of their connection are outstanding', async () => {
    const served = await serve({ outstandingMax: 2 });
    const { responder } = served;
    const client = await connectTo(served);
    client.send(...[1, 2, 3, 4, 5].map((id) => ask('later.', id)));
    await until(() => responder.seen.length === 2);
    client.send(ask('now.', 6));
    // Other connections have room of their own; one answer makes room for one query.
    await askElsewhere(served, 7);
    expect(responder.seen.map(({ id }) => id)).toEqual([1, 2, 7]);
    for (const id of [1, 2, 3, 4, 5]) {
      await until(() => responder.seen.some((query) => query.id === id));
      responder.answerLate(id);
    }
    await until(() => client.answers.length === 6);
    expect(client.ids).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('an answer to a client that has gone is dropped', async () => {
    const { responder, ...served } = await serve();
    const client = await connectTo({ responder, ...served });
    client.send(ask('later.'));
    await until(() => responder.seen.length === 1);
    client.socket.resetAndDestroy();
    await until(() => served.open.value === 0);
    expect(() => responder.answerLate(1)).not.toThrow();
  });
});

describe('a client that takes none of its answers', () => {
  const QUERIES = 400;
  const flood = Array.from({ length: QUERIES }, (_, id) => ask('big.60000.', id));

  test('a client is read again only when it takes answers, and then gets them all', async () => {
    const served = await serve();
    const { responder } = served;
    const client = await connectTo(served);
    client.socket.pause();
    client.send(...flood);
    await until(() => responder.seen.length > 4);
    await untilSettled(served);
    // 256 KiB of ours, and what the kernel buffers: 10 MB at most.
    expect(responder.seen.filter(({ id }) => id < QUERIES).length).toBeLessThan(300);
    client.socket.resume();
    await until(() => client.answers.length === QUERIES);
    expect(client.ids).toEqual(Array.from({ length: QUERIES }, (_, id) => id));
  });

  test('a client that takes none of its answers is cut off in the end', async () => {
    const served = await serve({ writeMs: 100 });
    const client = await connectTo(served);
    client.socket.pause();
    client.send(...flood);
    await until(() => served.open.value === 1);
    await until(() => served.open.value === 0);
  });
});

describe('connections', () => {
  test('a connection beyond the limit is closed at once, and counted', async () => {
    const served = await serve({ connectionsMax: 2 });
    const first = await connectTo(served);
    await connectTo(served);
    const third = await connectTo(served);
    await until(() => third.closed);
    expect([served.open.value, served.refused.value]).toEqual([2, 1]);
    first.socket.destroy();
    await until(() => served.open.value === 1);
    const fourth = await connectTo(served);
    fourth.send(ask('now.'));
    await until(() => fourth.answers.length === 1);
    expect([served.open.value, served.refused.value]).toEqual([2, 1]);
  });

  test('a connection without a whole message in time is closed, though octets drip (RFC 7766 section 6.2.3)', async () => {
    const served = await serve({ firstMs: 100, idleMs: 60_000 });
    const silent = await connectTo(served);
    const dripping = await connectTo(served);
    const asking = await connectTo(served);
    asking.send(ask('now.'));
    const drip = setInterval(() => dripping.socket.write(Buffer.of(0)), 20);
    await until(() => silent.closed && dripping.closed);
    clearInterval(drip);
    expect(asking.closed).toBe(false);
    expect(served.open.value).toBe(1);
  });

  test('a connection that sends no other message in time is closed', async () => {
    const served = await serve({ firstMs: 60_000, idleMs: 100 });
    const asking = await connectTo(served);
    const silent = await connectTo(served);
    asking.send(ask('now.'));
    await until(() => asking.closed);
    expect(asking.answers.length).toBe(1);
    expect(silent.closed).toBe(false);
  });

  test('a connection that waits for an answer is not idle', async () => {
    const served = await serve({ firstMs: 50, idleMs: 50 });
    const client = await connectTo(served);
    client.send(ask('later.'));
    await until(() => served.responder.seen.length === 1);
    // Two sweeps, each of which closes a connection that began after our query.
    for (let sweeps = 0; sweeps < 2; sweeps++) {
      const idle = await connectTo(served);
      await until(() => idle.closed);
    }
    expect(client.closed).toBe(false);
    served.responder.answerLate(1);
    await until(() => client.closed);
    expect(client.ids).toEqual([1]);
  });

  test('a connection that has brought its last allowed query is closed after every answer', async () => {
    const served = await serve({ queriesMax: 3 });
    const client = await connectTo(served);
    client.send(ask('later.', 1));
    await until(() => served.responder.seen.length === 1);
    client.send(ask('now.', 2), ask('now.', 3), ask('now.', 4), ask('later.', 5));
    await until(() => client.answers.length === 2);
    await askElsewhere(served, 6);
    expect(client.closed).toBe(false);
    served.responder.answerLate(1);
    await until(() => client.closed);
    expect(client.ids).toEqual([2, 3, 1]);
    expect(served.responder.seen.map(({ id }) => id)).toEqual([1, 2, 3, 6]);
  });

  test('a client that has ended its side still gets its answers (RFC 7766 section 6.2.4)', async () => {
    const served = await serve();
    const client = await connectTo(served);
    client.socket.end(framed(ask('later.', 1), ask('later.', 2), ask('now.', 3)));
    await until(() => client.answers.length === 1);
    served.responder.answerLate(1);
    await until(() => client.answers.length === 2);
    await askElsewhere(served, 4);
    expect(client.closed).toBe(false);
    served.responder.answerLate(2);
    await until(() => client.closed);
    expect(client.ids).toEqual([3, 1, 2]);
  });

  test('half a message at the end of a connection is ignored', async () => {
    const served = await serve();
    const client = await connectTo(served);
    client.socket.end(framed(ask('now.')).subarray(0, 9));
    await until(() => client.closed);
    expect(served.responder.seen).toEqual([]);
  });
});

describe('closing', () => {
  test('closing waits for outstanding queries, and reads nothing more', async () => {
    const served = await serve();
    const client = await connectTo(served);
    client.send(ask('later.', 1), ask('later.', 2));
    await until(() => served.responder.seen.length === 2);
    let isClosed = false;
    const closed = served.listener.close().then(() => (isClosed = true));
    client.send(ask('now.', 3));
    served.responder.answerLate(1);
    // Message 3 left before answer 1, so the server could have read it by now.
    await until(() => client.answers.length === 1);
    expect(served.responder.seen.length).toBe(2);
    expect(isClosed).toBe(false);
    served.responder.answerLate(2);
    await closed;
    await until(() => client.closed);
    expect(client.ids).toEqual([1, 2]);
  });

  test('closing does not wait for idle clients to close on their side', async () => {
    const served = await serve();
    const client = await connectTo(served); // half-open is fine with it
    client.send(ask('now.'));
    await until(() => client.answers.length === 1);
    await served.listener.close();
    await until(() => client.closed);
  });

  test('closing does not wait for clients that take none of their answers', async () => {
    const served = await serve({ writeMs: 100 });
    const client = await connectTo(served);
    client.socket.pause();
    client.send(...Array.from({ length: 300 }, (_, id) => ask('big.60000.', id)));
    await until(() => served.responder.seen.length > 4);
    await served.listener.close();
    await until(() => served.open.value === 0);
  });

  test('closing frees the port', async () => {
    const { listener } = await serve();
    await listener.close();
    const [responder, open, refused] = [new StubResponder(), new Gauge(), new Counter()];
    const again = await listenTcp(listener.address, responder, {
      settings: TCP_DEFAULTS,
      counters: { open, refused },
    });
    expect(again.address).toEqual(listener.address);
    await again.close();
  });
});

describe('addresses', () => {
  test.each([
    { host: '127.0.0.1', to: '127.0.0.1', family: 1, address: '127.0.0.1' },
    { host: '::1', to: '::1', family: 2, address: '::1' },
    { host: '', to: '127.0.0.1', family: 1, address: '127.0.0.1' },
    { host: '', to: '::1', family: 2, address: '::1' },
  ])('a listener bound to "$host" answers at $to', async ({ host, to, family, address }) => {
    const served = await serve({}, host);
    const client = await connectTo(served, to);
    client.send(ask('later.'));
    await until(() => served.responder.seen.length === 1);
    const [{ path, ...seen }] = served.responder.seen as [(typeof served.responder.seen)[0]];
    expect(seen).toMatchObject({ transport: TCP, family });
    expect(path).toMatchObject({
      remoteAddress: address,
      remotePort: client.socket.localPort,
      localAddress: address,
      localPort: served.listener.address.port,
    });
    expect(served.listener).toMatchObject({ transport: 'tcp', io: 'stream' });
    served.responder.answerLate(1);
  });

  test.each([
    { opened: 'here', sockets: ownSockets(false) },
    { opened: 'by Node', sockets: undefined },
  ])('an unavailable address is reported with a cure, opened $opened', async ({ sockets }) => {
    const { listener } = await serve();
    const counters = { open: new Gauge(), refused: new Counter() };
    const listen = async (address: ListenAddress): Promise<unknown> =>
      listenTcp(address, new StubResponder(), { settings: TCP_DEFAULTS, counters, sockets }).catch(
        (error: unknown) => error,
      );
    const inUse = await listen(listener.address);
    expect(inUse).toBeInstanceOf(ListenError);
    expect(inUse).toMatchObject({
      code: 'EADDRINUSE',
      message:
        `listen tcp 127.0.0.1:${listener.address.port}: bind: address already in use: ` +
        `${readFileSync('/proc/self/comm', 'utf8').trim()} (process ${process.pid}) listens there`,
    });
    expect(await listen({ host: '192.0.2.55', port: 53 })).toMatchObject({
      message:
        'listen tcp 192.0.2.55:53: bind: cannot assign requested address: ' +
        'no interface of this machine has it',
    });
  });
});
