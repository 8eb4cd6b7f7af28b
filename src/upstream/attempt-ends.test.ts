/**
 * Every way in which an attempt can end, with upstreams on loopback: each end is reported once to
 * counters and health, and then once to the owner.
 */
import { type Socket as UdpSocket, createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type Http2SecureServer, createSecureServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AUTHORITY, FIRST } from '../../test/harness/certificates.ts';
import type { Counter } from '../observe/counters.ts';
import { type MetricName, Metrics, type Series } from '../observe/metrics.ts';
import type { AttemptOutcome } from './attempt.ts';
import type { UpstreamTarget } from './config.ts';
import { Asker, LoopbackUpstream, TERMS, framed, responseFor } from './testing.ts';
import { Upstream } from './upstream.ts';

let server: LoopbackUpstream;
let metrics: Metrics;
let upstream: Upstream;
let ended: { readonly to: 'health' | 'owner'; readonly outcome: AttemptOutcome }[];
let clock: NodeJS.Timeout;
/** How far the time that the upstream is given is ahead of the true one. */
let aheadMs: number;
const closing: (() => void)[] = [];

beforeEach(async () => {
  server = await LoopbackUpstream.start();
  metrics = new Metrics();
  ended = [];
  aheadMs = 0;
});

afterEach(async () => {
  clearInterval(clock);
  upstream.close();
  for (const close of closing.splice(0)) close();
  await server.close();
});

/** Notes what it hears beside what health hears. */
class NotingAsker extends Asker {
  override onAnswered(...args: Parameters<Asker['onAnswered']>): void {
    ended.push({ to: 'owner', outcome: 'answered' });
    super.onAnswered(...args);
  }

  override onFailed(...args: Parameters<Asker['onFailed']>): void {
    ended.push({ to: 'owner', outcome: args[2] });
    super.onFailed(...args);
  }
}

function use(target: UpstreamTarget): void {
  upstream = new Upstream(target, metrics);
  upstream.join({ ...TERMS, failsMax: 0 }); // no checks of its own
  const { health } = upstream;
  const attemptEnded = health.attemptEnded.bind(health);
  vi.spyOn(health, 'attemptEnded').mockImplementation((attempt, outcome) => {
    if (attempt.purpose === 'query') ended.push({ to: 'health', outcome });
    attemptEnded(attempt, outcome);
  });
  clock = setInterval(() => setImmediate(() => upstream.tick(performance.now() + aheadMs)), 5);
}

function ask(overStream: boolean): NotingAsker {
  const asker = new NotingAsker();
  const attempt = asker.attempt(upstream, 'q.test.');
  attempt.overStream = overStream;
  if (overStream) upstream.sendStream(attempt);
  else upstream.sendDatagram(attempt);
  return asker;
}

async function untilEnded(asker: Asker): Promise<void> {
  await vi.waitUntil(() => asker.ends > 0, { timeout: 6000, interval: 1 });
}

/** Lets time pass quickly until then: 50 ms in 2. */
async function untilGivenUp(asker: Asker): Promise<void> {
  const hasEnded = (): boolean => {
    aheadMs += 50;
    return asker.ends > 0;
  };
  await vi.waitUntil(hasEnded, { timeout: 6000, interval: 2 });
}

/** What the counters say of queries: `answered 1` and the like. */
function counted(): string[] {
  return seriesOf('nodelocald_upstream_attempts_total')
    .filter(({ labels }) => labels['purpose'] === 'query')
    .map(({ labels, data }) => `${labels['outcome']} ${(data as Counter).value}`);
}

function seriesOf(name: MetricName): readonly Series[] {
  for (const [each, , series] of metrics.families()) if (each === name) return series;
  return [];
}

function expectOneEnd(asker: Asker, outcome: AttemptOutcome): void {
  expect(ended).toEqual([
    { to: 'health', outcome },
    { to: 'owner', outcome },
  ]);
  expect(asker.ends).toBe(1);
  expect(counted()).toEqual([`${outcome} 1`]);
}

describe('an attempt over a stream', () => {
  test('that is answered ends once', async () => {
    use(server.target);
    const asker = ask(true);
    await untilEnded(asker);
    expectOneEnd(asker, 'answered');
  });

  test('whose answer comes twice ends once', async () => {
    server.behaviour = ({ socket, query }) => {
      const answer = framed(responseFor(query));
      socket.write(Buffer.concat([answer, answer]));
    };
    use(server.target);
    const asker = ask(true);
    await vi.waitUntil(() =>
      seriesOf('nodelocald_upstream_bad_responses_total').some(
        ({ labels }) => labels['reason'] === 'unknown-id',
      ),
    );
    expectOneEnd(asker, 'answered');
  });

  test('whose answer is not believed ends once', async () => {
    server.behaviour = ({ socket, query }) => void socket.write(framed(query));
    use(server.target);
    const asker = ask(true);
    await untilEnded(asker);
    expectOneEnd(asker, 'bad-response');
  });

  test('whose connection is refused ends once', async () => {
    await server.close();
    use(server.target);
    const asker = ask(true);
    await untilEnded(asker);
    expectOneEnd(asker, 'unreachable');
  });

  test('whose connection is reset before it has served ends once', async () => {
    server.behaviour = ({ socket }) => void socket.resetAndDestroy();
    use(server.target);
    const asker = ask(true);
    await untilEnded(asker);
    expectOneEnd(asker, 'unreachable');
  });

  test('whose connection is reset after it has served ends once', async () => {
    use(server.target);
    await untilEnded(ask(true));
    ended = [];
    server.behaviour = ({ socket }) => void socket.resetAndDestroy();
    const asker = ask(true);
    await untilEnded(asker);
    expect(ended).toEqual([
      { to: 'health', outcome: 'closed' },
      { to: 'owner', outcome: 'closed' },
    ]);
  });

  test('that is never answered ends once, after it was doubted once', async () => {
    server.behaviour = () => undefined;
    use(server.target);
    const asker = ask(true);
    await vi.waitUntil(() => server.seen.length === 1);
    await untilGivenUp(asker);
    expectOneEnd(asker, 'timeout');
    expect(asker.silent).toBe(1);
  });

  test('that is doubted and then answered ends once', async () => {
    let answer: (() => void) | undefined;
    server.behaviour = (seen) => {
      answer = () => seen.answer();
    };
    use(server.target);
    const asker = ask(true);
    await vi.waitUntil(() => asker.silent === 1, { timeout: 3000 });
    answer!();
    await untilEnded(asker);
    expectOneEnd(asker, 'answered');
  });

  test('whose upstream is removed ends once', async () => {
    server.behaviour = () => undefined;
    use(server.target);
    const asker = ask(true);
    await vi.waitUntil(() => server.seen.length === 1);
    upstream.close();
    await untilEnded(asker);
    expectOneEnd(asker, 'closed');
  });

  test('at an upstream that was removed before ends once', async () => {
    use(server.target);
    upstream.close();
    const asker = ask(true);
    await untilEnded(asker);
    expectOneEnd(asker, 'unreachable');
  });

  test('that is withdrawn ends once, and its owner is not called', async () => {
    server.behaviour = () => undefined;
    use(server.target);
    const asker = new NotingAsker();
    const attempt = asker.attempt(upstream, 'q.test.');
    upstream.sendStream(attempt);
    await vi.waitUntil(() => server.seen.length === 1);
    attempt.withdraw();
    attempt.withdraw();
    server.seen[0]!.answer();
    upstream.close();
    expect(ended).toEqual([{ to: 'health', outcome: 'withdrawn' }]);
    expect(counted()).toEqual(['withdrawn 1']);
  });

  test('whose TLS handshake fails ends once', async () => {
    server.onConnection = (socket) => void socket.write('this is not TLS');
    const tls = { serverName: undefined, ca: undefined, cert: undefined, key: undefined };
    use({ ...server.target, tls });
    const asker = ask(true);
    await untilEnded(asker);
    expectOneEnd(asker, 'unreachable');
    expect(asker.failure!.reason).toMatch(/tls: handshake failed/);
  });

  test('that HTTP answers with status 500 ends once', async () => {
    const https = await startHttps();
    https.on('stream', (stream) => stream.respond({ ':status': 500 }, { endStream: true }));
    const { port } = https.address() as AddressInfo;
    const tls = { serverName: 'first.test', ca: AUTHORITY, cert: undefined, key: undefined };
    use({ host: '127.0.0.1', port, tls, https: 'POST' });
    const asker = ask(true);
    await untilEnded(asker);
    expectOneEnd(asker, 'bad-response');
    expect(asker.failure!.reason).toBe('https: status 500');
  });
});

async function startHttps(): Promise<Http2SecureServer> {
  const https = createSecureServer({ cert: FIRST.cert, key: FIRST.key });
  https.listen(0, '127.0.0.1');
  await once(https, 'listening');
  closing.push(() => void https.close());
  return https;
}

describe('an attempt over UDP', () => {
  async function startUdp(): Promise<UdpSocket> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    closing.push(() => void socket.close());
    use({ host: '127.0.0.1', port: socket.address().port, tls: undefined });
    return socket;
  }

  test('that is answered ends once', async () => {
    const udp = await startUdp();
    udp.on('message', (query, { port }) => udp.send(responseFor(query), port, '127.0.0.1'));
    const asker = ask(false);
    await untilEnded(asker);
    expectOneEnd(asker, 'answered');
  });

  test('that the kernel does not send ends once', async () => {
    use({ host: '255.255.255.255', port: 53, tls: undefined }); // EACCES: a broadcast
    const asker = ask(false);
    await untilEnded(asker);
    expectOneEnd(asker, 'unreachable');
  });

  test('that nobody receives ends once', async () => {
    use(server.target); // TCP only. The socket is not connected: ICMP is not reported to it
    const asker = ask(false);
    await untilGivenUp(asker);
    expectOneEnd(asker, 'timeout');
  });

  test('that is never answered, but for what is not believed, ends once', async () => {
    const udp = await startUdp();
    udp.on('message', (query, { port }) => udp.send(query, port, '127.0.0.1'));
    const asker = ask(false);
    await untilGivenUp(asker);
    expectOneEnd(asker, 'timeout');
    expect(asker.silent).toBe(1);
  });

  test('whose upstream is removed ends once', async () => {
    await startUdp();
    const asker = ask(false);
    upstream.close();
    await untilEnded(asker);
    expectOneEnd(asker, 'timeout');
  });
});
