import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAs, refusal } from '../testing.ts';
import { forward } from './index.ts';
import { TARGETS_MAX, type To } from './targets.ts';

let directory = '';

beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'forward-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string): string {
  const at = path.join(directory, name);
  writeFileSync(at, text);
  return at;
}

const toOf = (to: string, ...options: string[]): readonly To[] =>
  parseAs(forward, `forward . ${to} {\n${options.join('\n')}\n}`).to;

const refusalOf = (to: string, ...options: string[]): string | undefined =>
  refusal(forward, `forward . ${to} {\n${options.join('\n')}\n}`);

describe('an upstream is an address', () => {
  test.each([
    { to: '1.1.1.1', host: '1.1.1.1', port: 53 },
    { to: '1.1.1.1:5353', host: '1.1.1.1', port: 5353 },
    { to: '1.1.1.1:1', host: '1.1.1.1', port: 1 },
    { to: '1.1.1.1:65535', host: '1.1.1.1', port: 65535 },
    { to: '::1', host: '::1', port: 53 },
    { to: '2001:db8::53', host: '2001:db8::53', port: 53 },
    { to: '[::1]:5353', host: '::1', port: 5353 },
    { to: '[::1]', host: '::1', port: 53 }, // 1.14
    { to: 'fe80::1%eth0', host: 'fe80::1%eth0', port: 53 },
    { to: '[fe80::1%eth0]:53', host: 'fe80::1%eth0', port: 53 },
    { to: 'dns://1.1.1.1', host: '1.1.1.1', port: 53 },
    { to: 'dns://[::1]:5353', host: '::1', port: 5353 },
  ])('$to', ({ to, host, port }) => {
    expect(toOf(to)).toEqual([{ target: { host, port, tls: undefined } }]);
  });

  test('several are several, twice the same too', () => {
    expect(toOf('1.1.1.1 1.1.1.1 ::1').map(({ target }) => target?.host)).toEqual([
      '1.1.1.1',
      '1.1.1.1',
      '::1',
    ]);
  });
});

describe('over TLS (RFC 7858)', () => {
  const none = { ca: undefined, cert: undefined, key: undefined };
  test.each([
    { to: 'tls://9.9.9.9', host: '9.9.9.9', port: 853, serverName: undefined },
    { to: 'tls://9.9.9.9:8853', host: '9.9.9.9', port: 8853, serverName: undefined },
    { to: 'tls://9.9.9.9%dns.quad9.net', host: '9.9.9.9', port: 853, serverName: 'dns.quad9.net' },
    {
      to: 'tls://9.9.9.9:853%dns.quad9.net',
      host: '9.9.9.9',
      port: 853,
      serverName: 'dns.quad9.net',
    },
    {
      to: 'tls://9.9.9.9%dns.quad9.net:8853',
      host: '9.9.9.9',
      port: 8853,
      serverName: 'dns.quad9.net',
    },
    { to: 'tls://[::1]:853', host: '::1', port: 853, serverName: undefined },
    { to: 'tls://::1', host: '::1', port: 853, serverName: undefined },
  ])('$to', ({ to, host, port, serverName }) => {
    expect(toOf(to)).toEqual([{ target: { host, port, tls: { serverName, ...none } } }]);
  });

  test('tls_servername is for all that name none themselves', () => {
    const [target] = toOf('tls://9.9.9.9', 'tls_servername a.test');
    expect(target).toMatchObject({ target: { tls: { serverName: 'a.test' } } });
    expect(refusalOf('tls://127.0.0.1:853%a.test', 'tls_servername b.test')).toContain(
      "both forward ('b.test') and proxy level ('a.test') TLS servernames are set for upstream proxy " +
        "'tls://127.0.0.1:853%a.test'",
    );
  });

  test('plain upstreams have nothing of it', () => {
    expect(toOf('1.1.1.1', 'tls', 'tls_servername a.test')).toMatchObject([
      { target: { tls: undefined } },
    ]);
  });

  test('files that are missing or hold no certificate are told of at once', () => {
    expect(refusalOf('tls://9.9.9.9', 'tls /noca')).toContain(
      'Corefile:2:5: forward: tls: error reading /noca: open /noca: no such file or directory',
    );
    expect(refusalOf('tls://9.9.9.9', 'tls /nocert /nokey')).toContain(
      'Corefile:2:5: forward: tls: could not load TLS cert: open /nocert: no such file or directory',
    );
    const junk = file('junk.pem', 'not a certificate');
    expect(refusalOf('tls://9.9.9.9', `tls ${junk}`)).toContain(
      `error reading ${junk}: no PEM data`,
    );
    expect(refusalOf('tls://9.9.9.9', `tls ${junk} ${junk}`)).toContain(
      'could not load TLS cert: ',
    );
  });
});

describe('what is neither an address nor a file is refused', () => {
  test.each([
    ['force_tcp', 'not an IP address or file: "force_tcp"'],
    ['-a.test', 'not an IP address or file: "-a.test"'],
    ['a..test', 'not an IP address or file: "a..test"'],
    ['a.test:0', 'not an IP address or file: "a.test:0"'],
    ['a.test:x', 'not an IP address or file: "a.test:x"'],
    ['1.1.1', 'not an IP address or file: "1.1.1"'],
    ['1.1.1.1:', 'not an IP address or file: "1.1.1.1:"'],
    ['1.1.1.1:abc', 'not an IP address or file: "1.1.1.1:abc"'],
    ['1.1.1.1:0', 'not an IP address or file: "1.1.1.1:0"'],
    ['1.1.1.1:65536', 'not an IP address or file: "1.1.1.1:65536"'],
    ['[::1', 'not an IP address or file: "[::1"'],
    ['dns://', 'not an IP address or file: "dns://"'],
    ['dns:///etc/resolv.conf', 'not an IP address or file: "dns:///etc/resolv.conf"'],
    ['tls://', 'invalid address: "tls://"'],
    ['tls://1.2.3', 'invalid address: "tls://1.2.3"'],
    ['https://', 'invalid address: "https://"'],
    [
      'https://127.0.0.1/dns-query',
      'paths are not allowed in HTTPS upstream addresses (the /dns-query path is used by ' +
        'default): https://127.0.0.1/dns-query',
    ],
    ['https3://127.0.0.1', "'https3' is not supported as a destination protocol in forward"],
    ['grpc://127.0.0.1', "'grpc' is not supported as a destination protocol in forward"],
    ['quic://127.0.0.1', "'quic' is not supported as a destination protocol in forward"],
    ['unix:///run/x', "'unix' is not supported as a destination protocol in forward"],
  ])('%s: %s', (to, message) => {
    expect(refusalOf(to)).toContain(`Corefile:1:11: forward: ${message}`);
  });
});

describe('over HTTPS (RFC 8484)', () => {
  test.each([
    { to: 'https://9.9.9.9', host: '9.9.9.9', port: 443, serverName: undefined },
    { to: 'https://[::1]:8443', host: '::1', port: 8443, serverName: undefined },
    {
      to: 'https://9.9.9.9%dns.quad9.net:8443',
      host: '9.9.9.9',
      port: 8443,
      serverName: 'dns.quad9.net',
    },
  ])('$to', ({ to, host, port, serverName }) => {
    expect(toOf(to)).toMatchObject([
      { target: { host, port, https: 'POST', tls: { serverName } } },
    ]);
  });

  test('doh_method is the method, whether it stands before or after', () => {
    expect(toOf('https://9.9.9.9', 'doh_method GET')).toMatchObject([{ target: { https: 'GET' } }]);
    expect(toOf('https://9.9.9.9', 'doh_method POST')).toMatchObject([
      { target: { https: 'POST' } },
    ]);
    expect(toOf('tls://9.9.9.9', 'doh_method GET')[0]!.target!.https).toBeUndefined();
  });
});

describe('a host name is an upstream that is to be looked up (1.14)', () => {
  test.each([
    { to: 'dns.google', host: 'dns.google', port: 53 },
    { to: 'dns.google.:5353', host: 'dns.google', port: 5353 },
    { to: 'dns://unbound', host: 'unbound', port: 53 },
    { to: 'kube-dns.kube-system.svc', host: 'kube-dns.kube-system.svc', port: 53 },
  ])('$to', ({ to, host, port }) => {
    expect(toOf(to)).toEqual([{ named: { host, port, tls: undefined } }]);
  });

  test.each([
    { to: 'tls://dns.google', options: [], serverName: 'dns.google', port: 853 },
    { to: 'https://dns.google', options: [], serverName: 'dns.google', port: 443 },
    { to: 'tls://a.test%b.test', options: [], serverName: 'b.test', port: 853 },
    { to: 'tls://a.test', options: ['tls_servername c.test'], serverName: 'c.test', port: 853 },
  ])('$to $options must prove to be $serverName', ({ to, options, serverName, port }) => {
    expect(toOf(to, ...options)).toMatchObject([{ named: { port, tls: { serverName } } }]);
  });
});

test('a file is a file, whatever its name', () => {
  const resolv = file('resolv.conf', 'nameserver 192.0.2.1');
  expect(toOf(resolv)).toEqual([{ file: resolv }]);
  expect(toOf('/not/there')).toEqual([{ file: '/not/there' }]);
});

describe('more than 15 upstreams, files counted in, are refused', () => {
  const some = (count: number, net: number): string[] =>
    Array.from({ length: count }, (_, i) => `192.0.${net}.${i + 1}`);
  const resolv = (name: string, count: number): string =>
    file(
      name,
      some(count, 3)
        .map((host) => `nameserver ${host}\n`)
        .join(''),
    );

  test('15 are not', () => {
    expect(toOf(some(TARGETS_MAX, 2).join(' '))).toHaveLength(TARGETS_MAX);
    expect(toOf(`${some(5, 2).join(' ')} ${resolv('ten.conf', 10)}`)).toHaveLength(6);
  });

  test('16 are, at the one with which they are too many', () => {
    expect(refusalOf(some(16, 2).join(' '))).toMatch(
      /^Corefile:1:\d+: forward: more than 15 TOs configured: 16/,
    );
    expect(refusalOf(`192.0.2.1 ${resolv('fifteen.conf', 15)} 192.0.2.2`)).toContain(
      'Corefile:1:21: forward: more than 15 TOs configured: 17',
    );
  });
});
