/** DNS over HTTPS to upstreams (RFC 8484): against unbound, and against one that misbehaves as a test asks. */
import { readFileSync } from 'node:fs';
import {
  type Http2SecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  createSecureServer,
} from 'node:http2';
import { createServer as createHttp1Server } from 'node:https';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { ask } from '../harness/client.ts';
import { Daemon } from '../harness/daemon.ts';
import { type Endpoint, useLab } from '../harness/lab.ts';
import { NOERROR, SERVFAIL, aRecord, query, responseTo } from '../harness/message.ts';
import { scrape } from '../harness/metrics.ts';
import { DNS_PORT, METRICS_PORT } from '../harness/pair.ts';
import { SecureUnbound } from '../harness/secure-unbound.ts';
import { sleep, timed, until } from '../harness/timing.ts';

const lab = useLab();
const PATIENCE_MS = 4500;
const DOH_PORT = 8443;

const unbound = await SecureUnbound.start(lab, lab.address(10), 'doh.test', 'https');
const ca = `tls ${unbound.certificate}`;
let daemons = 0;

/** A daemon that forwards to `to` with these options. */
async function forwarding(to: string, options: string): Promise<{ at: Endpoint; daemon: Daemon }> {
  const at = { host: lab.address(20 + daemons++), port: DNS_PORT };
  const corefile = `.:${DNS_PORT} {
    errors
    cache
    bind ${at.host}
    prometheus ${at.host}:${METRICS_PORT}
    forward . ${to} {
        ${options}
    }
}
`;
  return { at, daemon: await Daemon.start(lab, corefile) };
}

/** One exchange, as the server sees it. */
interface Exchanged {
  readonly headers: IncomingHttpHeaders;
  readonly message: Buffer;
  readonly stream: ServerHttp2Stream;
  readonly answer: (headers?: Readonly<Record<string, string | number>>, body?: Buffer) => void;
}

/** unbound's certificate and key. */
function identity(): { readonly cert: Buffer; readonly key: Buffer } {
  return {
    cert: readFileSync(unbound.certificate),
    key: readFileSync(unbound.certificate.replace('cert.pem', 'key.pem')),
  };
}

/** A server with unbound's certificate that behaves as a test asks. */
class FakeDoh {
  readonly exchanged: Exchanged[] = [];
  readonly sessions: ServerHttp2Session[] = [];
  behaviour: (exchanged: Exchanged) => void = (exchanged) => exchanged.answer();
  readonly #server: Http2SecureServer;

  private constructor(server: Http2SecureServer) {
    this.#server = server;
  }

  static async start(host: string): Promise<FakeDoh> {
    const server = createSecureServer(identity());
    const fake = new FakeDoh(server);
    server.on('session', (session) => {
      fake.sessions.push(session);
      session.on('error', () => undefined);
    });
    server.on('stream', (stream, headers) => fake.#take(stream, headers));
    lab.defer(() => fake.close());
    server.listen(DOH_PORT, host);
    await once(server, 'listening');
    return fake;
  }

  close(): void {
    for (const session of this.sessions) session.destroy();
    this.#server.close();
  }

  #take(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const chunks: Buffer[] = [];
    stream.on('error', () => undefined);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      if (stream.aborted) return;
      const encoded = /\?dns=([\w-]*)$/.exec(headers[':path']!)?.[1];
      const message =
        encoded === undefined ? Buffer.concat(chunks) : Buffer.from(encoded, 'base64url');
      const answer: Exchanged['answer'] = (extra = {}, body) => {
        if (stream.destroyed) return;
        stream.respond({ ':status': 200, 'content-type': 'application/dns-message', ...extra });
        stream.end(body ?? responseTo(message, { answers: [aRecord('www.example', 100)] }));
      };
      const exchanged = { headers, message, stream, answer };
      if (message.length < 13) return; // a connection that was not needed was closed
      if (message[12] === 0) {
        answer({}, responseTo(message, {})); // a health check
        return;
      }
      this.exchanged.push(exchanged);
      this.behaviour(exchanged);
    });
  }
}

describe('unbound', () => {
  const { host, port } = unbound.endpoint;

  test.each([
    { what: 'POST, the address is verified', to: `https://${host}:${port}`, options: ca },
    {
      what: 'GET, tls_servername',
      to: `https://${host}:${port}`,
      options: `${ca}\n doh_method GET\n tls_servername doh.test`,
    },
    { what: '%name', to: `https://${host}:${port}%doh.test`, options: ca },
  ])('$what', async ({ to, options }) => {
    const before = await unbound.statistic('num.query.https');
    const { at, daemon } = await forwarding(to, options);
    const replies = await Promise.all(
      Array.from({ length: 50 }, (_, i) => ask(lab, at, query(`n${i}.example`, 'A'))),
    );
    for (const reply of replies) {
      expect(reply).toMatchObject({ rcode: NOERROR, answers: [{ data: '192.0.2.1' }] });
    }
    expect(await unbound.statistic('num.query.https')).toBeGreaterThanOrEqual(before + 50);
    expect(daemon.complaints).toEqual([]);
    const metrics = await scrape({ host: at.host, port: METRICS_PORT });
    const opened = metrics.sum('coredns_proxy_conn_cache_misses_total', { proto: 'https' });
    expect(opened).toBeGreaterThan(0);
    expect(opened).toBeLessThanOrEqual(8);
  });

  test('a certificate for another name gives SERVFAIL in time, and no query is sent', async () => {
    const before = await unbound.statistic('num.query.https');
    const { at, daemon } = await forwarding(
      `https://${host}:${port}`,
      `${ca}\n tls_servername other.test`,
    );
    const { value, tookMs } = await timed(() => ask(lab, at, query('www.example', 'A')));
    expect(value.rcode).toBe(SERVFAIL);
    expect(tookMs).toBeLessThan(PATIENCE_MS);
    await until('it is logged', () => daemon.complaints.join().includes('altnames'));
    expect(await unbound.statistic('num.query.https')).toBe(before);
  });
});

describe('a server that a test controls', () => {
  test('queries are sent with ID 0 and their media type, over one connection (section 4.1)', async () => {
    const host = lab.address(100);
    const fake = await FakeDoh.start(host);
    const { at } = await forwarding(
      `https://${host}:${DOH_PORT}`,
      `${ca}\n tls_servername doh.test`,
    );
    const reply = await ask(lab, at, query('www.example', 'A', { id: 4711 }));
    expect(reply).toMatchObject({ id: 4711, rcode: NOERROR });
    await ask(lab, at, query('two.example', 'A'));
    const [first] = fake.exchanged;
    expect(first!.message.readUInt16BE(0)).toBe(0);
    expect(first!.headers).toMatchObject({
      ':method': 'POST',
      ':path': '/dns-query',
      ':authority': `doh.test:${DOH_PORT}`,
      'content-type': 'application/dns-message',
      accept: 'application/dns-message',
    });
    expect(fake.sessions).toHaveLength(1);
  });

  test('TTLs count from the age of the HTTP response (section 5.1)', async () => {
    const host = lab.address(101);
    const fake = await FakeDoh.start(host);
    const { at } = await forwarding(
      `https://${host}:${DOH_PORT}`,
      `${ca}\n tls_servername doh.test`,
    );
    fake.behaviour = (exchanged) => exchanged.answer({ age: 40 });
    expect((await ask(lab, at, query('www.example', 'A'))).answers[0]!.ttl).toBe(60);
  });

  test.each<{ what: string; behaviour: (exchanged: Exchanged) => void }>([
    { what: 'status 503', behaviour: ({ answer }) => answer({ ':status': 503 }) },
    {
      what: 'another media type',
      behaviour: ({ answer }) => answer({ 'content-type': 'text/html' }),
    },
    { what: 'nothing', behaviour: ({ answer }) => answer({}, Buffer.alloc(0)) },
    {
      what: 'another question',
      behaviour: ({ answer, message }) => {
        const other = responseTo(message, {});
        other[13] = 0x78;
        answer({}, other);
      },
    },
    { what: 'more than a message', behaviour: ({ answer }) => answer({}, Buffer.alloc(70_000)) },
    { what: 'a reset stream', behaviour: ({ stream }) => stream.close(7) },
    { what: 'a lost connection', behaviour: ({ stream }) => stream.session?.destroy() },
    { what: 'silence', behaviour: () => undefined },
  ])(
    '$what: SERVFAIL in time, two attempts at most, and then all is well',
    async ({ behaviour }) => {
      const host = lab.address(110 + daemons);
      const fake = await FakeDoh.start(host);
      const { at, daemon } = await forwarding(
        `https://${host}:${DOH_PORT}`,
        `${ca}\n tls_servername doh.test`,
      );
      fake.behaviour = behaviour;
      const { value, tookMs } = await timed(() => ask(lab, at, query('www.example', 'A')));
      expect(value.rcode).toBe(SERVFAIL);
      expect(tookMs).toBeLessThan(PATIENCE_MS);
      expect(fake.exchanged.length).toBeLessThanOrEqual(2);
      fake.behaviour = (exchanged) => exchanged.answer();
      const next = await timed(() => ask(lab, at, query('next.example', 'A')));
      expect(next.value.rcode).toBe(NOERROR);
      expect(next.tookMs).toBeLessThan(2000);
      expect(daemon.child.hasEnded).toBe(false);
    },
  );

  test('after GOAWAY queries under way are answered, and the next one takes a new connection', async () => {
    const host = lab.address(102);
    const fake = await FakeDoh.start(host);
    const { at } = await forwarding(
      `https://${host}:${DOH_PORT}`,
      `${ca}\n tls_servername doh.test`,
    );
    fake.behaviour = ({ stream, answer }) => {
      stream.session!.goaway();
      setTimeout(answer, 100);
    };
    expect((await ask(lab, at, query('www.example', 'A'))).rcode).toBe(NOERROR);
    await sleep(50);
    fake.behaviour = ({ answer }) => answer();
    expect((await ask(lab, at, query('two.example', 'A'))).rcode).toBe(NOERROR);
    expect(fake.sessions).toHaveLength(2);
  });

  test('an upstream with HTTP/1.1 only gives SERVFAIL, and the log says why', async () => {
    const host = lab.address(103);
    const server = createHttp1Server(identity());
    lab.defer(() => void server.close());
    server.listen(DOH_PORT, host);
    await once(server, 'listening');
    const { at, daemon } = await forwarding(
      `https://${host}:${DOH_PORT}`,
      `${ca}\n tls_servername doh.test`,
    );
    expect((await ask(lab, at, query('www.example', 'A'))).rcode).toBe(SERVFAIL);
    await until('it is logged', () => /HTTP\/2|ALPN|protocol/i.test(daemon.complaints.join()));
  });
});
