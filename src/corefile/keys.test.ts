import { describe, expect, test } from 'vitest';
import { CorefileError } from './error.ts';
import { isPreferredSyntax, normalizeZone, parseKey, zonesFromArgument } from './keys.ts';
import { tokenize } from './tokens.ts';

function read(text: string): string[] {
  const token = tokenize(`"${text}"`, 'Corefile')[0]!;
  const { scheme, zones, port } = parseKey(token, text, 1053);
  return zones.map((zone) => `${scheme} ${zone} ${port}`);
}

describe('a key is [scheme://]zone[:port]', () => {
  test.each([
    ['.', ['dns . 1053']],
    ['.:53', ['dns . 53']],
    ['cluster.local', ['dns cluster.local. 1053']],
    ['cluster.local.:53', ['dns cluster.local. 53']],
    ['Cluster.LOCAL:53', ['dns cluster.local. 53']],
    ['dns://a.test:0', ['dns a.test. 0']],
    ['tls://a.test', ['tls a.test. 853']],
    ['quic://a.test', ['quic a.test. 853']],
    ['grpc://a.test', ['grpc a.test. 443']],
    ['https://a.test', ['https a.test. 443']],
    ['https3://a.test:8443', ['https3 a.test. 8443']],
    ['unix://a.test', ['unix a.test. 0']],
    ['foo://a.test.', ['dns foo://a.test. 1053']],
    ['a.test:dns', ['dns a.test:dns. 1053']],
    ['10.0.0.1', ['dns 10.0.0.1. 1053']],
    ['bücher.test', ['dns b\\195\\188cher.test. 1053']],
    ['10.0.0.0/8', ['dns 10.in-addr.arpa. 1053']],
    ['10.0.2.0/23:53', ['dns 2.0.10.in-addr.arpa. 53', 'dns 3.0.10.in-addr.arpa. 53']],
    ['10.0.3.7/23', ['dns 2.0.10.in-addr.arpa. 1053', 'dns 3.0.10.in-addr.arpa. 1053']],
    ['0.0.0.0/0', ['dns in-addr.arpa. 1053']],
    ['192.0.2.1/32', ['dns 1.2.0.192.in-addr.arpa. 1053']],
    ['2001:db8::/32', ['dns 8.b.d.0.1.0.0.2.ip6.arpa. 1053']],
    ['2001:db8::/31:53', ['dns 8.b.d.0.1.0.0.2.ip6.arpa. 53', 'dns 9.b.d.0.1.0.0.2.ip6.arpa. 53']],
    ['2001::/0', ['dns ip6.arpa. 1053']],
    ['10.0.0.0/33', ['dns 10.0.0.0/33. 1053']],
    ['10.0.0/8', ['dns 10.0.0/8. 1053']],
  ])('the key %s has its scheme, zones and port', (text, keys) => {
    expect(read(text)).toEqual(keys);
  });

  test.each([
    {
      text: '10.0.0.0/17',
      count: 128,
      first: '0.0.10.in-addr.arpa.',
      last: '127.0.10.in-addr.arpa.',
    },
    { text: '10.0.0.0/9', count: 128, first: '0.10.in-addr.arpa.', last: '127.10.in-addr.arpa.' },
    {
      text: '10.0.0.128/25',
      count: 128,
      first: '128.0.0.10.in-addr.arpa.',
      last: '255.0.0.10.in-addr.arpa.',
    },
    {
      text: '2001:db8::/33',
      count: 8,
      first: '0.8.b.d.0.1.0.0.2.ip6.arpa.',
      last: '7.8.b.d.0.1.0.0.2.ip6.arpa.',
    },
    {
      text: '2001:db8:8000::/33',
      count: 8,
      first: '8.8.b.d.0.1.0.0.2.ip6.arpa.',
      last: 'f.8.b.d.0.1.0.0.2.ip6.arpa.',
    },
  ])('the network $text is rounded up to $count zones', ({ text, count, first, last }) => {
    const zones = zonesFromArgument(text);
    expect(zones).toHaveLength(count);
    expect([zones[0], zones.at(-1)]).toEqual([first, last]);
  });

  test.each([
    ['', 'zone is not a valid domain name: ; for all names write "."'],
    [':53', 'zone is not a valid domain name: ; for all names write ".:53"'],
    ['a.test:', 'expecting data after last colon: "a.test:"; write a.test or a.test:53'],
    ['a..test', 'zone is not a valid domain name: a..test'],
    ['a.test:70000', 'address 70000: invalid port; a port is a number from 0 to 65535'],
    ['a.test:-1', 'address -1: invalid port'],
    ['::/0', 'invalid CIDR ::/0; the reverse zone of all IPv6 addresses is ip6.arpa'],
    ['0::/4', 'invalid CIDR 0::/4'],
  ])('the key "%s" is refused: %s', (text, says) => {
    expect(() => read(text)).toThrow(says);
    expect(() => read(text)).toThrow(CorefileError);
    expect(() => read(text)).toThrow('Corefile:1:1: ');
  });
});

test('labels have at most 63 octets, zones at most 255', () => {
  expect(read(`${'a'.repeat(63)}.test`)).toHaveLength(1);
  const label = `${'a'.repeat(64)}.test`;
  expect(() => read(label)).toThrow(`zone is not a valid domain name: ${label}`);
  expect(() => read('a.'.repeat(150))).toThrow('specified zone is too long: 300 > 255');
});

describe('the zones of an argument', () => {
  test.each([
    ['example.org', ['example.org.']],
    ['Example.ORG.', ['example.org.']],
    ['dns://example.org:53', ['example.org.']],
    ['.', ['.']],
    ['10.0.2.0/23', ['2.0.10.in-addr.arpa.', '3.0.10.in-addr.arpa.']],
    ['a..b', []],
    ['a.test:', []],
    ['::/0', []],
    ['', []],
  ])('the zones of the argument "%s" are %j', (text, zones) => {
    expect(zonesFromArgument(text)).toEqual(zones);
  });
});

describe('a normalized zone', () => {
  test.each([
    ['.', '.'],
    ['A.b', 'a.b.'],
    ['a\\.b.C.', 'a\\.b.c.'],
    ['\\097.test', 'a.test.'],
    ['', undefined],
    ['..', undefined],
  ])('the zone "%s" is normalized to %s', (text, zone) => {
    expect(normalizeZone(text)).toBe(zone);
  });

  test.each([
    ['.', true],
    ['cluster.local.', true],
    ['a-b.test.', true],
    ['_tcp.10.in-addr.arpa.', true],
    ['in-addr.arpa.', true],
    ['a_b.test.', false],
    ['-a.test.', false],
    ['*.test.', false],
  ])('the zone %s has the preferred syntax of RFC 1035 section 2.3.1: %s', (zone, is) => {
    expect(isPreferredSyntax(zone)).toBe(is);
  });
});
