import { describe, expect, test } from 'vitest';
import { FLAGS, FlagError, type Flags, flagsFrom, usage } from './flags.ts';
import { parseFlags } from './parse-flags.ts';

const parse = (line: string): Flags => parseFlags(line === '' ? [] : line.split(' '));

test('without flags it is node-cache’s defaults', () => {
  expect(parse('')).toEqual({
    localIps: [],
    interfaceName: 'nodelocaldns',
    setupInterface: true,
    firewall: 'auto',
    crashSafe: true,
    notrack: true,
    skipTeardown: false,
    syncIntervalMs: 60_000,
    drainMs: 5000,
    handover: '',
    cleanup: false,
    conf: '',
    baseCorefile: '/etc/coredns/Corefile.base',
    kubeDnsDirectory: '',
    upstreamService: 'kube-dns',
    healthPort: 8080,
    setupMetricsAt: '0.0.0.0:9353',
    pidFile: '',
    dnsPort: 53,
    quiet: false,
    plugins: false,
    version: false,
    help: false,
    logFormat: 'text',
    udpIo: 'auto',
    supervise: true,
  });
});

describe('flags are written as Go takes them', () => {
  test.each([
    { line: '-conf /etc/Corefile', is: { conf: '/etc/Corefile' } },
    { line: '--conf /etc/Corefile', is: { conf: '/etc/Corefile' } },
    { line: '-conf=/etc/Corefile', is: { conf: '/etc/Corefile' } },
    { line: '-conf=', is: { conf: '' } },
    { line: '-conf=a=b', is: { conf: 'a=b' } },
    { line: '-conf one -conf two', is: { conf: 'two' } },
    { line: '-quiet', is: { quiet: true } },
    { line: '--quiet=true', is: { quiet: true } },
    { line: '-quiet=F', is: { quiet: false } },
    { line: '-quiet -quiet=0', is: { quiet: false } },
    { line: '-setupinterface=false', is: { setupInterface: false } },
    { line: '-dns.port 1053', is: { dnsPort: 1053 } },
    { line: '-dns.port 0', is: { dnsPort: 0 } },
    { line: '-p 65535', is: { dnsPort: 65_535 } },
    { line: '-p 54 -dns.port 55', is: { dnsPort: 54 } },
    { line: '-localip 169.254.20.10,fd00::10', is: { localIps: ['169.254.20.10', 'fd00::10'] } },
    { line: '-localip FD00:0::A', is: { localIps: ['fd00::a'] } },
    { line: '-localip ,169.254.20.10,', is: { localIps: ['169.254.20.10'] } },
    { line: '-setupiptables=false -firewall nftables', is: { firewall: 'none' } },
    { line: '-notrack=false', is: { notrack: false } },
    { line: '-firewall nftables', is: { firewall: 'nftables' } },
    { line: '-drain 30s', is: { drainMs: 30_000 } },
    { line: '-drain 0', is: { drainMs: 0 } },
    { line: '-drain=1m30s', is: { drainMs: 90_000 } },
    { line: '-syncinterval 1', is: { syncIntervalMs: 1000 } },
    { line: '-syncinterval 86400s', is: { syncIntervalMs: 86_400_000 } },
    { line: '-syncinterval 60ns', is: { syncIntervalMs: 60_000 } }, // as node-cache reads it
    { line: '-log-format json -udp-io plain', is: { logFormat: 'json', udpIo: 'plain' } },
    { line: '-corefile x -reloadwithsignal', is: {} }, // node-cache's, without effect
    {
      // The arguments of nodelocaldns.yaml.
      line:
        '-localip 169.254.20.10,10.96.0.10 -conf /etc/Corefile -upstreamsvc kube-dns-upstream ' +
        '-health-port 8081 -skipteardown=true',
      is: {
        localIps: ['169.254.20.10', '10.96.0.10'],
        conf: '/etc/Corefile',
        upstreamService: 'kube-dns-upstream',
        healthPort: 8081,
        skipTeardown: true,
      },
    },
  ])('$line', ({ line, is }) => {
    expect(parse(line)).toMatchObject(is);
  });
});

describe('every flag is read in all four spellings', () => {
  const VALUES: Readonly<Record<string, string>> = {
    localip: '192.0.2.1',
    syncinterval: '30',
    drain: '7s',
    firewall: 'nftables',
    'health-port': '81',
    'dns.port': '1053',
    p: '1054',
    'log-format': 'json',
    'udp-io': 'plain',
  };
  test.each(Object.entries(FLAGS))('-%s', (name, { kind }) => {
    const value = kind === 'switch' ? 'true' : (VALUES[name] ?? `some-${name}`);
    const spellings =
      kind === 'switch'
        ? [[`-${name}`], [`--${name}`], [`-${name}=T`], [`--${name}=1`]]
        : [
            [`-${name}`, value],
            [`--${name}`, value],
            [`-${name}=${value}`],
            [`--${name}=${value}`],
          ];
    const read = spellings.map((argv) => parseFlags(argv));
    expect(new Set(read.map((flags) => JSON.stringify(flags))).size).toBe(1);
    expect(read[0]).toEqual(flagsFrom(new Map([[name, value]])));
  });
});

describe('a value is taken as it is written', () => {
  test.each([
    {
      argv: ['-conf', '-quiet'],
      conf: '-quiet',
      because: 'Go takes the next word, whatever it is',
    },
    { argv: ['-conf', '--quiet=maybe'], conf: '--quiet=maybe', because: 'it is no switch there' },
    { argv: ['-conf', '-'], conf: '-', because: 'a dash alone is a word' },
    { argv: ['-conf', '--', '-quiet'], conf: '--', because: 'so are two' },
    { argv: ['-conf', '7'], conf: '7', because: 'it is no number' },
    { argv: ['-conf', '0x10'], conf: '0x10', because: 'nor is this' },
    { argv: ['-conf', "'x'"], conf: "'x'", because: 'quotes are the shell’s' },
    { argv: ["-conf='x'"], conf: "'x'", because: 'behind = as well' },
    { argv: ['-conf', 'a b=c'], conf: 'a b=c', because: 'blanks and = are letters of a path' },
    { argv: ['-conf', ''], conf: '', because: 'nothing is a value too' },
    { argv: ['-conf', 'true'], conf: 'true', because: 'it is no switch' },
  ])('$argv: $because', ({ argv, conf }) => {
    expect(parseFlags(argv).conf).toBe(conf);
  });

  test('a flag named like a part of every object is refused', () => {
    for (const name of ['__proto__', 'constructor', 'toString', '$0', '_']) {
      expect(() => parseFlags([`-${name}`, 'x'])).toThrow(FlagError);
    }
  });
});

describe('what is refused, and why', () => {
  test.each([
    ['-nonsense', 'flag provided but not defined: -nonsense'],
    ['-cnf x', 'flag provided but not defined: -cnf; did you mean -conf?'],
    ['-toString', 'flag provided but not defined: -toString'],
    ['-conf', 'flag needs an argument: -conf'],
    ['Corefile', 'unexpected argument "Corefile": flags begin with -'],
    ['-quiet false', 'unexpected argument "false": flags begin with -'],
    ['-quiet=maybe', 'invalid value "maybe" for -quiet: expected true or false'],
    ['-dns.port x', 'invalid value "x" for -dns.port: expected a port from 0 to 65535'],
    ['-dns.port 65536', 'invalid value "65536" for -dns.port'],
    ['-dns.port 1e3', 'invalid value "1e3" for -dns.port'],
    ['-p=', 'invalid value "" for -p: expected a port'],
    ['-localip 1.2.3', 'invalid value "1.2.3" for -localip: expected IP addresses'],
    ['-syncinterval 0', 'invalid value "0" for -syncinterval: expected seconds, such as 60'],
    ['-syncinterval 1m', 'invalid value "1m" for -syncinterval'],
    ['-syncinterval 86401', 'invalid value "86401" for -syncinterval'],
    ['-firewall ufw', 'invalid value "ufw" for -firewall: expected auto, iptables, nftables, none'],
    ['-log-format xml', 'invalid value "xml" for -log-format: expected text, json'],
    ['-udp-io fast', 'invalid value "fast" for -udp-io: expected auto, batch, plain'],
  ])('%s: %s', (line, message) => {
    expect(() => parse(line)).toThrow(FlagError);
    expect(() => parse(line)).toThrow(message);
  });
});

test('-help prints every flag with its default', () => {
  const text = usage();
  for (const [name, { help }] of Object.entries(FLAGS)) {
    expect(text).toContain(`  -${name}`);
    expect(text).toContain(help);
  }
  expect(text).toContain(
    '  -dns.port VALUE\n        port of server blocks that name none (default 53)',
  );
});
