/** DNS over TLS for clients (RFC 7858), over real sockets. */
import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { type ConnectionOptions, type TLSSocket, connect as connectTls } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { AUTHORITY, CLIENT, FIRST, SECOND, STRANGER } from '../../test/harness/certificates.ts';
import type { ClientAuth } from '../tls/client-auth.ts';
import { Counter, Gauge } from '../observe/counters.ts';
import type { KeyPair } from '../tls/key-pair.ts';
import type { Listener } from './listener.ts';
import { TCP_DEFAULTS, type TcpSettings, listenTcp } from './tcp.ts';
import { StubResponder, ask, until } from './testing.ts';
import { type Secured, TlsStreams } from './tls.ts';

const withAuthority = (pair: { cert: string; key: string }): KeyPair => ({
  ...pair,
  ca: AUTHORITY,
  notAfterSec: 0,
});

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

interface Lab {
  /** The listener's settings, which may change. */
  readonly settings: { -readonly [Key in keyof TcpSettings]: TcpSettings[Key] };
  readonly streams: TlsStreams;
  readonly listener: Listener;
  /** Accepted connections, below TLS. */
  readonly connections: readonly Socket[];
  readonly responder: StubResponder;
  readonly failures: Counter;
  readonly open: Gauge;
  readonly refused: Counter;
}

async function listening(
  clientAuth: ClientAuth = 'nocert',
  settings: Partial<TcpSettings> = {},
): Promise<Lab> {
  const responder = new StubResponder();
  const [failures, refused, open] = [new Counter(), new Counter(), new Gauge()];
  const all = { ...TCP_DEFAULTS, ...settings };
  const streams = new TlsStreams(withAuthority(FIRST), clientAuth, all, failures);
  const at = { host: '127.0.0.1', port: 0 };
  const connections: Socket[] = [];
  const tls: Secured = {
    onStream: (take) => streams.onStream(take),
    secure: (connection) => {
      connections.push(connection);
      streams.secure(connection);
    },
  };
  const listener = await listenTcp(at, responder, {
    settings: all,
    counters: { open, refused },
    tls,
  });
  closing.push(() => listener.close());
  return { settings: all, streams, listener, connections, responder, failures, open, refused };
}

/** Rejects if the server does not want us, which in TLS 1.3 shows with the first read. */
async function dial({ listener }: Lab, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const { port } = listener.address;
  const to = { host: '127.0.0.1', port, ca: AUTHORITY, servername: 'dns.test', ...options };
  const socket = connectTls(to);
  closing.push(() => socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

async function exchange(socket: Socket, id: number): Promise<number> {
  const query = ask('now.', id);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(query.length);
  socket.write(Buffer.concat([length, query]));
  const [answer] = (await Promise.race([
    once(socket, 'data'),
    once(socket, 'close').then(() => {
      throw new Error('closed');
    }),
  ])) as [Buffer];
  return answer.readUInt16BE(2);
}

const nameOf = (socket: TLSSocket): unknown => socket.getPeerCertificate().subject.CN;

describe('queries over TLS', () => {
  test('several queries on one connection are answered', async () => {
    const lab = await listening();
    const socket = await dial(lab);
    for (const id of [1, 2, 3]) expect(await exchange(socket, id)).toBe(id);
    expect(lab.responder.seen.map(({ id }) => id)).toEqual([1, 2, 3]);
    expect(lab.open.value).toBe(1);
    socket.destroy();
    await until(() => lab.open.value === 0);
    expect(lab.failures.value).toBe(0);
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)('a client may use %s', async (version) => {
    const socket = await dial(await listening(), { minVersion: version, maxVersion: version });
    expect(socket.getProtocol()).toBe(version);
    expect(await exchange(socket, 1)).toBe(1);
  });

  test('a client that has only older versions is refused and counted', async () => {
    const lab = await listening();
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' } as const;
    await expect(dial(lab, old)).rejects.toThrow();
    await until(() => lab.failures.value === 1);
  });

  test('a connection that does not speak TLS is closed and counted, and others go on', async () => {
    const lab = await listening();
    const socket = await dial(lab);
    const plain = connect(lab.listener.address.port, '127.0.0.1');
    plain.on('error', () => undefined);
    plain.write(Buffer.concat([Buffer.from([0, 17]), ask('now.')]));
    await once(plain, 'close');
    expect(lab.failures.value).toBe(1);
    expect(await exchange(socket, 7)).toBe(7);
  });

  test('a handshake has as much time as a first message', async () => {
    const lab = await listening('nocert', { firstMs: 300 });
    const idle = connect(lab.listener.address.port, '127.0.0.1');
    await once(idle, 'close');
    expect(lab.failures.value).toBe(1);
    expect(lab.open.value).toBe(0);
  });

  test('the time for a handshake may change while it listens', async () => {
    const lab = await listening('nocert', { firstMs: 60_000 });
    lab.settings.firstMs = 200;
    const idle = connect(lab.listener.address.port, '127.0.0.1');
    await once(idle, 'close');
  });

  test('handshakes count towards the limit of connections', async () => {
    const lab = await listening('nocert', { connectionsMax: 2 });
    const idle = connect(lab.listener.address.port, '127.0.0.1');
    closing.push(() => idle.destroy());
    await once(idle, 'connect');
    await dial(lab);
    await expect(dial(lab)).rejects.toThrow();
    expect(lab.refused.value).toBe(1);
  });

  test('a stream makes room when it ends, however it ends', async () => {
    const lab = await listening('nocert', { connectionsMax: 1, idleMs: 100 });
    for (const end of ['client', 'server', 'abruptly'] as const) {
      const socket = await dial(lab);
      expect(await exchange(socket, 1)).toBe(1);
      if (end === 'client') socket.end();
      if (end === 'abruptly') socket.destroy();
      if (end === 'server') await once(socket, 'end');
      await until(() => lab.open.value === 0);
      await until(() => lab.connections.every(({ closed }) => closed));
    }
    expect(lab.refused.value).toBe(0);
  });

  test('a listener that stops ends its streams', async () => {
    const lab = await listening();
    const socket = await dial(lab);
    expect(await exchange(socket, 1)).toBe(1);
    lab.listener.stop();
    await once(socket, 'end');
  });
});

describe('a new certificate', () => {
  test('a new certificate serves new connections, and earlier ones go on', async () => {
    const lab = await listening();
    const before = await dial(lab);
    lab.streams.use(withAuthority(SECOND), 'nocert');
    const after = await dial(lab);
    expect([nameOf(before), nameOf(after)]).toEqual(['first.test', 'second.test']);
    expect(await exchange(before, 1)).toBe(1);
    expect(await exchange(after, 2)).toBe(2);
  });

  test('a new certificate may come with another client_auth', async () => {
    const lab = await listening();
    await dial(lab);
    lab.streams.use(withAuthority(FIRST), 'require_and_verify');
    const late = await dial(lab);
    await expect(exchange(late, 1)).rejects.toThrow();
  });
});

describe('client_auth (RFC 8310 section 8, as CoreDNS has it)', () => {
  const none = {};
  test.each<{ mode: ClientAuth; who: ConnectionOptions; name: string; served: boolean }>([
    { mode: 'nocert', who: none, name: 'no certificate', served: true },
    { mode: 'nocert', who: STRANGER, name: 'a stranger', served: true },
    { mode: 'request', who: none, name: 'no certificate', served: true },
    { mode: 'request', who: STRANGER, name: 'a stranger', served: true },
    { mode: 'require', who: none, name: 'no certificate', served: false },
    { mode: 'require', who: STRANGER, name: 'a stranger', served: true },
    { mode: 'verify_if_given', who: none, name: 'no certificate', served: true },
    { mode: 'verify_if_given', who: STRANGER, name: 'a stranger', served: false },
    { mode: 'verify_if_given', who: CLIENT, name: 'a known client', served: true },
    { mode: 'require_and_verify', who: none, name: 'no certificate', served: false },
    { mode: 'require_and_verify', who: STRANGER, name: 'a stranger', served: false },
    { mode: 'require_and_verify', who: CLIENT, name: 'a known client', served: true },
  ])('with $mode, is a client with $name served? $served', async ({ mode, who, served }) => {
    const lab = await listening(mode);
    const answered = dial(lab, who).then((socket) => exchange(socket, 9));
    if (served) {
      expect(await answered).toBe(9);
    } else {
      await expect(answered).rejects.toThrow();
      expect(lab.failures.value).toBe(1);
      expect(lab.responder.seen).toEqual([]);
    }
  });
});
