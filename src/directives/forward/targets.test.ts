import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAs, refusal } from '../testing.ts';
import { forward } from './index.ts';
import { TARGETS_MAX, type To, fileStamp, resolveTargets } from './targets.ts';

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
    ['foo', 'not an IP address or file: "foo"'],
    ['dns.google', 'not an IP address or file: "dns.google"'],
    ['1.1.1', 'not an IP address or file: "1.1.1"'],
    ['1.1.1.1:', 'not an IP address or file: "1.1.1.1:"'],
    ['1.1.1.1:abc', 'not an IP address or file: "1.1.1.1:abc"'],
    ['1.1.1.1:0', 'not an IP address or file: "1.1.1.1:0"'],
    ['1.1.1.1:65536', 'not an IP address or file: "1.1.1.1:65536"'],
    ['[::1', 'not an IP address or file: "[::1"'],
    ['dns://foo', 'not an IP address or file: "dns://foo"'],
    ['tls://', 'invalid address: "tls://"'],
    ['tls://foo', 'invalid address: "tls://foo"'],
    [
      'https://127.0.0.1:443',
      "'https' is not supported as a destination protocol in forward: https://127.0.0.1:443",
    ],
    ['grpc://127.0.0.1', "'grpc' is not supported as a destination protocol in forward"],
    ['quic://127.0.0.1', "'quic' is not supported as a destination protocol in forward"],
    ['unix:///run/x', "'unix' is not supported as a destination protocol in forward"],
  ])('%s: %s', (to, message) => {
    expect(refusalOf(to)).toContain(`Corefile:1:11: forward: ${message}`);
  });
});

const hostsOf = (to: string): string[] => resolveTargets(toOf(to)).map(({ host }) => host);

describe('a file names upstreams (resolv.conf(5))', () => {
  test('in its order, with addresses beside it', () => {
    const resolv = file(
      'resolv.conf',
      '# a comment\nsearch a.test\nnameserver 192.0.2.1\n\tnameserver  2001:db8::1%eth0  \n' +
        'nameserver nonsense\nnameserver\noptions ndots:5\r\nnameserver 192.0.2.2\r\n;nameserver 192.0.2.3',
    );
    expect(toOf(resolv)).toEqual([{ file: resolv }]);
    expect(hostsOf(`${resolv} 192.0.2.9`)).toEqual([
      '192.0.2.1',
      '2001:db8::1',
      '192.0.2.2',
      '192.0.2.9',
    ]);
    expect(resolveTargets(toOf(resolv))[0]).toEqual({
      host: '192.0.2.1',
      port: 53,
      tls: undefined,
    });
  });

  test('that is missing or names none gives none, and may come later', () => {
    const missing = path.join(directory, 'later.conf');
    const to = toOf(missing);
    expect(resolveTargets(to)).toEqual([]);
    file('later.conf', 'search only.test');
    expect(resolveTargets(to)).toEqual([]);
    file('later.conf', 'nameserver 192.0.2.7');
    expect(resolveTargets(to).map(({ host }) => host)).toEqual(['192.0.2.7']);
    expect(hostsOf(directory)).toEqual([]); // a directory is there, and cannot be read
  });

  test(`of more than ${TARGETS_MAX} the first count`, () => {
    const many = Array.from({ length: 20 }, (_, i) => `nameserver 192.0.2.${i}`).join('\n');
    expect(hostsOf(`198.51.100.1 ${file('many.conf', many)}`)).toHaveLength(TARGETS_MAX);
  });

  test('has another stamp when it has changed', () => {
    const at = file('stamp.conf', 'nameserver 192.0.2.1');
    utimesSync(at, 1, 1);
    const before = fileStamp(at);
    expect(fileStamp(at)).toBe(before);
    utimesSync(at, 2, 2);
    const touched = fileStamp(at);
    file('stamp.conf', 'nameserver 192.0.2.11');
    utimesSync(at, 2, 2);
    expect(new Set([before, touched, fileStamp(at), fileStamp(`${at}.gone`)]).size).toBe(4);
  });
});
