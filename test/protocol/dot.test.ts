/** DNS over TLS to upstreams (RFC 7858), against unbound with a certificate of the test's own. */
import { describe, expect, test } from 'vitest';
import { ask } from '../harness/client.ts';
import { Daemon } from '../harness/daemon.ts';
import { type Endpoint, useLab } from '../harness/lab.ts';
import { NOERROR, SERVFAIL, query } from '../harness/message.ts';
import { scrape } from '../harness/metrics.ts';
import { DNS_PORT, METRICS_PORT } from '../harness/pair.ts';
import { SecureUnbound } from '../harness/secure-unbound.ts';
import { sleep, timed } from '../harness/timing.ts';

const lab = useLab();
const PATIENCE_MS = 4500;

const unbound = await SecureUnbound.start(lab, lab.address(10), 'dns.test');
let daemons = 0;

/** A daemon that forwards to `to` with these options. */
async function forwarding(to: string, options: string): Promise<{ at: Endpoint; daemon: Daemon }> {
  const at = { host: lab.address(20 + daemons++), port: DNS_PORT };
  const corefile = `.:${DNS_PORT} {
    errors
    bind ${at.host}
    prometheus ${at.host}:${METRICS_PORT}
    forward . ${to} {
        ${options}
    }
}
`;
  return { at, daemon: await Daemon.start(lab, corefile) };
}

describe('an upstream over TLS', () => {
  const { host, port } = unbound.endpoint;
  const ca = `tls ${unbound.certificate}`;

  test.each([
    {
      what: 'tls_servername',
      to: `tls://${host}:${port}`,
      options: `${ca}\n tls_servername dns.test`,
    },
    { what: '%name', to: `tls://${host}:${port}%dns.test`, options: ca },
    { what: '%name before the port', to: `tls://${host}%dns.test:${port}`, options: ca },
    { what: 'no name: the address is verified', to: `tls://${host}:${port}`, options: ca },
  ])('$what', async ({ to, options }) => {
    const before = await unbound.statistic('num.query.tls');
    const { at, daemon } = await forwarding(to, options);
    const reply = await ask(lab, at, query('www.example', 'A'));
    expect(reply).toMatchObject({ rcode: NOERROR, answers: [{ data: '192.0.2.1' }] });
    expect(await unbound.statistic('num.query.tls')).toBe(before + 1);
    expect(daemon.complaints).toEqual([]);
  });

  test.each([
    {
      what: 'the certificate is for another name',
      options: `${ca}\n tls_servername other.test`,
      says: /Hostname\/IP does not match certificate's altnames.*other\.test/,
    },
    {
      what: 'its authority is not known',
      options: 'tls_servername dns.test',
      says: /self-signed certificate/,
    },
  ])('$what: SERVFAIL, the reason in the log, no query sent', async ({ options, says }) => {
    const before = await unbound.statistic('num.query.tls');
    const { at, daemon } = await forwarding(`tls://${host}:${port}`, options);
    const { value, tookMs } = await timed(() => ask(lab, at, query('www.example', 'A')));
    expect(value.rcode).toBe(SERVFAIL);
    expect(tookMs).toBeLessThan(PATIENCE_MS);
    await sleep(200); // the log is written behind
    expect(daemon.complaints.join('\n')).toMatch(
      new RegExp(
        `plugin/errors: 2 www\\.example\\. A: dial tcp ${host}:${port}: tls: .*${says.source}`,
      ),
    );
    expect(await unbound.statistic('num.query.tls')).toBe(before);
  });

  test('a port where no upstream listens gives SERVFAIL in time', async () => {
    const { at } = await forwarding(`tls://${host}:1`, ca);
    const { value, tookMs } = await timed(() => ask(lab, at, query('www.example', 'A')));
    expect(value.rcode).toBe(SERVFAIL);
    expect(tookMs).toBeLessThan(PATIENCE_MS);
  });

  test('many queries share few connections', async () => {
    const { at } = await forwarding(`tls://${host}:${port}`, ca);
    const replies = await Promise.all(
      Array.from({ length: 200 }, (_, i) => ask(lab, at, query(`n${i}.example`, 'A'))),
    );
    expect(replies.every(({ rcode }) => rcode === NOERROR)).toBe(true);
    const metrics = await scrape({ host: at.host, port: METRICS_PORT });
    const opened = metrics.sum('coredns_proxy_conn_cache_misses_total', { proto: 'tcp-tls' });
    expect(opened).toBeLessThanOrEqual(8);
  });

  test('a new connection resumes the session of the one before (RFC 8446 section 2.2)', async () => {
    const { at } = await forwarding(`tls://${host}:${port}`, `${ca}\n expire 100ms\n max_age 1s`);
    const before = await unbound.statistic('num.query.tls.resume');
    for (let i = 0; i < 3; i++) {
      expect((await ask(lab, at, query(`r${i}.example`, 'A'))).rcode).toBe(NOERROR);
      await sleep(1500); // idle connections are looked for every second
    }
    expect(await unbound.statistic('num.query.tls.resume')).toBeGreaterThanOrEqual(before + 2);
  });
});
