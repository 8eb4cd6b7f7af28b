import { describe, expect, test } from 'vitest';
import { parseAs, refusal, testParsing } from '../testing.ts';
import type { ForwardUse } from './config.ts';
import { forward } from './index.ts';

const parse = (use: string): ForwardUse => parseAs(forward, use);
const block = (...lines: string[]): string => `forward . 192.0.2.1 {\n${lines.join('\n')}\n}`;

test('what is not said', () => {
  expect(parse('forward . 192.0.2.1').config).toEqual({
    from: '.',
    except: [],
    transport: 'client',
    tcpOptional: false,
    expireMs: 10_000,
    failsMax: 2,
    healthCheck: { intervalMs: 500, recursionDesired: true, domain: '.' },
    policy: 'random',
    concurrentMax: 0,
    next: [],
    nextOnNodata: false,
    failover: undefined,
    failFast: false,
    ageMaxMs: 0,
    idleMax: 0,
    readTimeoutMs: 2000,
    attemptsMax: 0,
  });
});

describe('FROM is one zone', () => {
  test.each([
    { from: '.', is: '.' },
    { from: 'Example.ORG', is: 'example.org.' },
    { from: 'dns://a.test:5353', is: 'a.test.' },
    { from: '10.0.0.0/24', is: '0.0.10.in-addr.arpa.' },
  ])('$from is $is', ({ from, is }) => {
    const context = testParsing();
    expect(parseAs(forward, `forward ${from} 192.0.2.1`, context).config.from).toBe(is);
    expect(context.warnings).toEqual([]);
  });

  test('of a network that is several zones the first is taken, and that is told', () => {
    const context = testParsing();
    const { config } = parseAs(forward, 'forward 10.0.0.0/23 192.0.2.1', context);
    expect(config.from).toBe('0.0.10.in-addr.arpa.');
    expect(context.warnings).toEqual([
      "plugin/forward: Unsupported CIDR notation: '10.0.0.0/23' expands to multiple zones. " +
        "Using only '0.0.10.in-addr.arpa.'.",
    ]);
  });
});

describe('options: the lowest, the highest and what they mean', () => {
  test.each<{ lines: string[]; is: object }>([
    {
      lines: ['except a.test B.test', 'except c.test'],
      is: { except: ['a.test.', 'b.test.', 'c.test.'] },
    },
    {
      lines: ['except 10.0.0.0/23'],
      is: { except: ['0.0.10.in-addr.arpa.', '1.0.10.in-addr.arpa.'] },
    },
    { lines: ['except a..b'], is: { except: [] } }, // CoreDNS drops what is no zone
    { lines: ['force_tcp'], is: { transport: 'tcp', tcpOptional: false } },
    { lines: ['prefer_tcp'], is: { transport: 'tcp', tcpOptional: true } },
    { lines: ['prefer_udp'], is: { transport: 'udp', tcpOptional: false } },
    { lines: ['prefer_udp', 'force_tcp'], is: { transport: 'tcp', tcpOptional: false } },
    { lines: ['prefer_tcp', 'force_tcp'], is: { transport: 'tcp', tcpOptional: false } },
    { lines: ['expire 0s'], is: { expireMs: 0 } },
    { lines: ['expire 1m30s'], is: { expireMs: 90_000 } },
    { lines: ['max_fails 0'], is: { failsMax: 0 } },
    { lines: ['max_fails 4294967295'], is: { failsMax: 4_294_967_295 } },
    { lines: ['max_connect_attempts 0'], is: { attemptsMax: 0 } },
    { lines: ['max_connect_attempts 7'], is: { attemptsMax: 7 } },
    { lines: ['policy random'], is: { policy: 'random' } },
    { lines: ['policy round_robin'], is: { policy: 'round_robin' } },
    { lines: ['policy sequential'], is: { policy: 'sequential' } },
    { lines: ['max_concurrent 0'], is: { concurrentMax: 0 } },
    { lines: ['max_concurrent 1000'], is: { concurrentMax: 1000 } },
    { lines: ['next NXDOMAIN servfail', 'next REFUSED'], is: { next: [3, 2, 5] } },
    { lines: ['next NOERROR'], is: { next: [0] } },
    { lines: ['failover SERVFAIL refused', 'failover NXDOMAIN'], is: { failover: [2, 5, 3] } },
    { lines: ['failover none'], is: { failover: [] } },
    { lines: ['failover SERVFAIL', 'failover none'], is: { failover: [] } },
    { lines: ['failfast_all_unhealthy_upstreams'], is: { failFast: true } },
    { lines: ['max_age 0s'], is: { ageMaxMs: 0 } },
    { lines: ['max_age 10s'], is: { ageMaxMs: 10_000 } },
    { lines: ['expire 1s', 'max_age 1s'], is: { ageMaxMs: 1000 } },
    { lines: ['expire 500ms', 'max_age 500ms'], is: { expireMs: 500, ageMaxMs: 500 } },
    { lines: ['max_age 10s', 'expire 5s'], is: { expireMs: 5000, ageMaxMs: 10_000 } },
    { lines: ['max_idle_conns 0'], is: { idleMax: 0 } },
    { lines: ['max_idle_conns 100'], is: { idleMax: 100 } },
    { lines: ['read_timeout 1ms'], is: { readTimeoutMs: 1 } },
    { lines: ['read_timeout 5s'], is: { readTimeoutMs: 5000 } },
    { lines: ['next_on_nodata'], is: { nextOnNodata: true } },
    { lines: ['health_check 0s'], is: { healthCheck: { intervalMs: 0 } } },
    {
      lines: ['health_check 1s no_rec domain Example.ORG'],
      is: { healthCheck: { intervalMs: 1000, recursionDesired: false, domain: 'example.org.' } },
    },
    {
      lines: ['health_check 1s domain a.test no_rec'],
      is: { healthCheck: { recursionDesired: false, domain: 'a.test.' } },
    },
    {
      lines: ['health_check 1s no_rec', 'health_check 2s'],
      is: { healthCheck: { intervalMs: 2000, recursionDesired: true, domain: '.' } },
    },
  ])('$lines', ({ lines, is }) => {
    expect(parse(block(...lines)).config).toMatchObject(is);
  });
});

describe('what is refused, where, and why', () => {
  test.each([
    ['forward', '1:1: forward: Wrong argument count or unexpected line ending'],
    [
      'forward .',
      "1:9: forward: Wrong argument count or unexpected line ending after '.': forward takes at least 2 arguments, not 1",
    ],
    ['forward a..b 192.0.2.1', "1:9: forward: unable to normalize 'a..b'"],
    [block('expire -1s'), "2:8: forward: expire: expire can't be negative: -1s"],
    [block('expire x'), '2:8: forward: expire: time: invalid duration "x"'],
    [block('expire'), '2:1: forward: expire: Wrong argument count'],
    [
      block('max_fails -1'),
      '2:11: forward: max_fails: strconv.ParseUint: parsing "-1": invalid syntax',
    ],
    [
      block('max_fails 4294967296'),
      '2:11: forward: max_fails: strconv.ParseUint: parsing "4294967296": value out of range',
    ],
    [
      block('max_connect_attempts x'),
      '2:22: forward: max_connect_attempts: strconv.ParseUint: parsing "x": invalid syntax',
    ],
    [
      block('policy foo'),
      "2:8: forward: policy: unknown policy 'foo'; expected random, round_robin, sequential",
    ],
    [block('policy Random'), "2:8: forward: policy: unknown policy 'Random'"],
    [
      block('max_concurrent -1'),
      "2:16: forward: max_concurrent: max_concurrent can't be negative: -1",
    ],
    [
      block('max_concurrent x'),
      '2:16: forward: max_concurrent: strconv.Atoi: parsing "x": invalid syntax',
    ],
    [block('next'), '2:1: forward: next: Wrong argument count'],
    [block('next foo'), '2:6: forward: next: foo is not a valid rcode'],
    [block('next none'), '2:6: forward: next: none is not a valid rcode'],
    [block('failover foo'), '2:10: forward: failover: foo is not a valid rcode'],
    [
      block('failover SERVFAIL NOERROR'),
      '2:19: forward: failover: NoError cannot be used in failover',
    ],
    [block('failover none SERVFAIL'), '2:10: forward: failover: none is not a valid rcode'],
    [
      block('force_tcp yes'),
      "2:11: forward: force_tcp: Wrong argument count or unexpected line ending after 'yes'",
    ],
    [block('prefer_udp yes'), '2:12: forward: prefer_udp: Wrong argument count'],
    [block('failfast_all_unhealthy_upstreams x'), 'Wrong argument count'],
    [block('except'), '2:1: forward: except: Wrong argument count'],
    [block('health_check'), '2:1: forward: health_check: Wrong argument count'],
    [block('health_check -1s'), "2:14: forward: health_check: health_check can't be negative: -1s"],
    [block('health_check 1s foo'), '2:17: forward: health_check: health_check: unknown option foo'],
    [
      block('health_check 1s domain'),
      '2:17: forward: health_check: health_check: domain needs a name',
    ],
    [
      block('health_check 1s domain a..b'),
      '2:24: forward: health_check: health_check: invalid domain name a..b',
    ],
    [block('max_age -1s'), "2:9: forward: max_age: max_age can't be negative: -1s"],
    [block('max_age 5s'), '1:1: forward: max_age (5s) must not be less than expire (10s)'],
    [
      block('expire 30s', 'max_age 29s'),
      '1:1: forward: max_age (29s) must not be less than expire (30s)',
    ],
    [block('max_age'), '2:1: forward: max_age: Wrong argument count'],
    [block('max_idle_conns'), '2:1: forward: max_idle_conns: Wrong argument count'],
    [
      block('max_idle_conns x'),
      '2:16: forward: max_idle_conns: strconv.Atoi: parsing "x": invalid syntax',
    ],
    [block('read_timeout'), '2:1: forward: read_timeout: Wrong argument count'],
    [block('read_timeout 2'), '2:14: forward: read_timeout: time: missing unit in duration "2"'],
    [block('next_on_nodata yes'), '2:16: forward: next_on_nodata: Wrong argument count'],
    [block('doh_method'), '2:1: forward: doh_method: Wrong argument count'],
    [
      block('doh_method post'),
      '2:12: forward: doh_method: doh_method must be either POST or GET; expected POST, GET',
    ],
    [block('resolver'), '2:1: forward: resolver: Wrong argument count'],
    [
      block('resolver 192.0.2.1 dns.test'),
      '2:20: forward: resolver: resolver must be an IP address or IP:port: "dns.test"',
    ],
    [block('source_address'), '2:1: forward: source_address: Wrong argument count'],
    [
      block('source_address 192.0.2.1 192.0.2.2'),
      '2:26: forward: source_address: Wrong argument count',
    ],
    [block('source_address eth0'), '2:16: forward: source_address: invalid IP address: eth0'],
    [
      block('max_idle_conns -1'),
      "2:16: forward: max_idle_conns: max_idle_conns can't be negative: -1",
    ],
    [block('read_timeout 0s'), '2:14: forward: read_timeout: read_timeout must be positive: 0s'],
    [block('read_timeout -1s'), '2:14: forward: read_timeout: read_timeout must be positive: -1s'],
    [block('tls a b c d'), '2:11: forward: tls: Wrong argument count'],
    [block('tls_servername'), '2:1: forward: tls_servername: Wrong argument count'],
    [
      block('max_fail 3'),
      `2:1: forward: "max_fail" is not an option (unknown property 'max_fail'); did you mean "max_fails"?`,
    ],
  ])('%j: %s', (use, message) => {
    const found = refusal(forward, use);
    expect(found).toContain(message);
    expect(found).toMatch(/^Corefile:/);
  });
});

describe('what is not in the configuration of queries', () => {
  test.each([
    { line: 'resolver 192.0.2.1', resolvers: ['192.0.2.1:53'] },
    {
      line: 'resolver 192.0.2.1:5353 ::1 [::1]:54',
      resolvers: ['192.0.2.1:5353', '[::1]:53', '[::1]:54'],
    },
  ])('$line', ({ line, resolvers }) => {
    expect(parse(block(line)).resolvers).toEqual(resolvers);
  });

  test('source_address is for every upstream, and one of the other family is told of', () => {
    const context = testParsing();
    const use = 'forward . 192.0.2.1 [::1]:54 /dev/null {\n source_address 192.0.2.9\n}';
    const { to, source } = parseAs(forward, use, context);
    expect(to.map(({ target }) => target?.source)).toEqual(['192.0.2.9', '192.0.2.9', undefined]);
    expect(source).toBe('192.0.2.9');
    expect(context.warnings).toEqual([
      'plugin/forward: [::1]:54 cannot be asked from source_address 192.0.2.9',
    ]);
  });
});

test('several lines make a chain', () => {
  expect(forward.repeat).toBe('accumulate');
});
