/** DNS over TLS served (RFC 7858): asked by kdig and openssl, and while the certificate changes. */
import { once } from 'node:events';
import { renameSync, symlinkSync } from 'node:fs';
import { type TLSSocket, connect } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { AUTHORITY, FIRST, SECOND, type TestPair } from '../harness/certificates.ts';
import { Daemon, launchMain } from '../harness/daemon.ts';
import { kdig } from '../harness/dig.ts';
import { useLab } from '../harness/lab.ts';
import { query } from '../harness/message.ts';
import { scrape } from '../harness/metrics.ts';
import { DNS_PORT, METRICS_PORT } from '../harness/pair.ts';
import { run } from '../harness/process.ts';
import { sleep, until } from '../harness/timing.ts';

const lab = useLab();
const host = lab.address(1);
const TLS_PORT = 8853;
const at = { host, port: TLS_PORT };
const ca = lab.write('ca.pem', AUTHORITY);

/** Puts a pair in place as kubelet does: one rename. */
let versions = 0;
function putPair({ cert, key }: TestPair): void {
  const name = `pair-${++versions}`;
  lab.write(`${name}.crt`, cert);
  lab.write(`${name}.key`, key);
  for (const kind of ['crt', 'key']) {
    symlinkSync(`${name}.${kind}`, `${lab.directory}/next.${kind}`);
    renameSync(`${lab.directory}/next.${kind}`, `${lab.directory}/tls.${kind}`);
  }
}

putPair(FIRST);
const daemon = await Daemon.start(
  lab,
  `tls://.:${TLS_PORT} .:${DNS_PORT} {
    bind ${host}
    tls tls.crt tls.key
    errors
    prometheus ${host}:${METRICS_PORT}
    hosts {
        192.0.2.1 a.test
    }
}
`,
);

/** The name on the certificate that openssl is shown. */
async function shownTo(...options: readonly string[]): Promise<string | undefined> {
  const to = `${host}:${TLS_PORT}`;
  const argv = ['openssl', 's_client', '-connect', to, '-CAfile', ca, '-verify_return_error'];
  const { stdout } = await run(lab, [...argv, ...options]);
  return /subject=\s*CN ?= ?(\S+)/.exec(stdout)?.[1];
}

describe('a tls:// key', () => {
  test('a tls:// key is announced beside the plain one', () => {
    expect(daemon.child.stdout).toContain(`tls://.:${TLS_PORT} on ${host}\n`);
    expect(daemon.child.stdout).toContain(`.:${DNS_PORT} on ${host}\n`);
  });

  test('a tls:// key answers kdig, which verifies the certificate', async () => {
    const strict = [`+tls-ca=${ca}`, '+tls-host=dns.test'];
    const answer = await kdig(lab, at, ...strict, 'a.test', 'A');
    expect(answer.status).toBe('NOERROR');
    expect(answer.answers[0]?.data).toBe('192.0.2.1');
    expect(answer.text).toMatch(/TLS session \(TLS1\.3\)/);
  });

  test('a tls:// key answers openssl', async () => {
    expect(await shownTo()).toBe('first.test');
    expect(await shownTo('-tls1_2')).toBe('first.test');
    expect(await shownTo('-tls1_1')).toBeUndefined();
  });

  test('a tls:// key leaves the plain key of its block plain', async () => {
    const answer = await kdig(lab, { host, port: DNS_PORT }, 'a.test', 'A');
    expect(answer.answers[0]?.data).toBe('192.0.2.1');
  });

  test('a tls:// key counts its queries as TCP of its own server (CoreDNS)', async () => {
    await kdig(lab, at, '+tls', 'a.test', 'AAAA');
    const metrics = await scrape({ host, port: METRICS_PORT });
    const labels = { server: `tls://${host}:${TLS_PORT}`, proto: 'tcp', type: 'AAAA' };
    expect(metrics.sum('coredns_dns_requests_total', labels)).toBe(1);
    expect(metrics.sum('nodelocald_tls_certificate_not_after_seconds')).toBeGreaterThan(4e9);
  });
});

/** Asks one query after the other on one connection, and counts those that were answered in time. */
class Asker {
  answered = 0;
  closed = false;
  readonly #socket: TLSSocket;

  private constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on('close', () => {
      this.closed = true;
    });
    socket.on('data', () => {
      this.answered++;
      this.#ask();
    });
    this.#ask();
  }

  static async dial(): Promise<Asker> {
    const socket = connect({ ...at, ca: AUTHORITY, servername: 'dns.test' });
    lab.defer(() => socket.destroy());
    await once(socket, 'secureConnect');
    return new Asker(socket);
  }

  get certificate(): unknown {
    return this.#socket.getPeerCertificate().subject.CN;
  }

  stop(): void {
    this.#socket.destroy();
  }

  #ask(): void {
    const message = query('a.test', 'A');
    const length = Buffer.alloc(2);
    length.writeUInt16BE(message.length);
    this.#socket.write(Buffer.concat([length, message]));
  }
}

describe('a certificate that is replaced under load', () => {
  test('a replaced certificate serves new connections at once, and no connection is lost', async () => {
    const before = await Promise.all(Array.from({ length: 20 }, () => Asker.dial()));
    putPair(SECOND);
    await until('the new certificate is served', async () => (await shownTo()) === 'second.test');
    const after = await Asker.dial();
    expect(after.certificate).toBe('second.test');
    const counts = before.map(({ answered }) => answered);
    await sleep(200);
    for (const [i, asker] of before.entries()) {
      expect(asker.closed).toBe(false);
      expect(asker.answered).toBeGreaterThan(counts[i]!);
    }
    expect(after.answered).toBeGreaterThan(0);
    for (const asker of [...before, after]) asker.stop();
  });

  test('a pair that does not match is logged and counted, and the certificate before it stays', async () => {
    putPair({ cert: FIRST.cert, key: SECOND.key });
    await until('it is logged', () => daemon.complaints.length > 0);
    expect(daemon.complaints.join()).toContain('could not load TLS cert, the previous one stays');
    expect(await shownTo()).toBe('second.test');
    const metrics = await scrape({ host, port: METRICS_PORT });
    const loads = 'nodelocald_tls_certificate_loads_total';
    expect(metrics.sum(loads, { result: 'ok' })).toBe(1);
    expect(metrics.sum(loads, { result: 'failed' })).toBe(1);
  });

  test('a certificate is replaced by another file that the Corefile names', async () => {
    lab.write('other.crt', FIRST.cert);
    lab.write('other.key', FIRST.key);
    const text = daemon.corefile.split('/').at(-1)!;
    lab.write(
      text,
      `tls://.:${TLS_PORT} {\n bind ${host}\n tls other.crt other.key\n hosts {\n 192.0.2.2 a.test\n }\n}\n`,
    );
    daemon.child.kill('SIGHUP');
    await until('the other certificate', async () => (await shownTo()) === 'first.test');
    expect((await kdig(lab, at, '+tls', 'a.test', 'A')).answers[0]?.data).toBe('192.0.2.2');
  });
});

test.each([
  ['tls://. {\n errors\n}', 'add the directive tls CERT KEY to the block'],
  ['https://. {\n}', 'https:// is not served'],
  ['tls://. {\n tls none.crt tls.key\n}', 'open none.crt: no such file or directory'],
])('%j is refused: %s', async (text, says) => {
  const child = launchMain(lab, ['-conf', lab.write('Refused', text)]);
  expect((await child.ended).code).toBe(1);
  expect(child.stderr).toContain(says);
});
