/**
 * Corefiles after those that public clusters run (files/), each with what its author meant: who is
 * asked for which name, over what, and for how long the answer is kept.
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parseCorefile } from '../../src/corefile/blocks.ts';
import { formErrors, formatCorefile } from '../../src/corefile/format.ts';
import { machineSource } from '../../src/corefile/source.ts';
import { DIRECTIVE_NAMES } from '../../src/directives/configure.ts';
import { NO_KUBE_DNS_CONFIG, expandCorefile } from '../../src/node-cache/pillar.ts';
import { parseKubeDnsConfig } from '../../src/node-cache/kube-dns-config.ts';
import { AUTHORITY, FIRST } from '../harness/certificates.ts';
import { ServedCorefile } from './served-corefile.ts';

const FILES = join(import.meta.dirname, 'files');
const directory = mkdtempSync(join(tmpdir(), 'corefiles-'));
afterAll(() => rmSync(directory, { recursive: true }));

function placed(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

/** The contents of the machine's files, by path. */
const MACHINE: Readonly<Record<string, string>> = {
  '/etc/resolv.conf': placed('resolv.conf', 'nameserver 10.0.0.2\nsearch example\n'),
  '/etc/dns-tls/tls.crt': placed('tls.crt', `${FIRST.cert}${AUTHORITY}`),
  '/etc/dns-tls/tls.key': placed('tls.key', FIRST.key),
};

/** Question, answer (`@` is the name asked), upstreams that were asked. */
type Ask = readonly [question: string, answer: string, upstreams: string];

interface Case {
  readonly file: string;
  /** Asked at this label; all others of the file are in `also`. */
  readonly at: string;
  readonly asks: readonly Ask[];
  readonly also?: Readonly<Record<string, readonly Ask[]>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly template?: (text: string) => string;
  /** Lines that the log has at load. */
  readonly warns?: readonly RegExp[];
}

const LOCAL = 'dns://169.254.20.10:53';
const NODE = '10.0.0.2:53';

/** An answer, or a denial, that is kept so many seconds. */
const address = (ttlSec: number): string => `NOERROR @ ${ttlSec} A 192.0.2.1`;
const address6 = (ttlSec: number): string => `NOERROR @ ${ttlSec} AAAA 2001:db8::1`;
const pointer = (ttlSec: number): string => `NOERROR @ ${ttlSec} PTR host.example.`;
const denial = (ttlSec: number): string => `NXDOMAIN @ ${ttlSec} SOA`;
const nothing = (ttlSec: number): string => `NOERROR @ ${ttlSec} SOA`;

/** The names of the add-on's zones, over TCP to `cluster`; all others to `world`. */
function addOn(cluster: string, world: string): Ask[] {
  return [
    ['kubernetes.default.svc.cluster.local A', address(30), `${cluster} tcp`],
    ['kubernetes.default.svc.cluster.local A', address(30), ''],
    ['nx.default.svc.cluster.local A', denial(5), `${cluster} tcp`],
    ['nx.default.svc.cluster.local AAAA', denial(5), `${cluster} tcp`],
    ['nx.default.svc.cluster.local AAAA', denial(5), ''],
    ['none.default.svc.cluster.local AAAA', nothing(5), `${cluster} tcp`],
    ['short.default.svc.cluster.local A', address(7), `${cluster} tcp`],
    ['www.example.org A', address(30), `${world} udp`],
    ['WWW.Example.ORG A', address(30), ''],
    ['other.example.org A tcp', address(30), `${world} tcp`],
    ['nx.example.org A', denial(30), `${world} udp`],
    ['fail.example.org A', 'SERVFAIL', `${world} udp`],
  ];
}

const reverse = (cluster: string): Ask[] => [
  ['7.0.244.10.in-addr.arpa PTR', pointer(30), `${cluster} tcp`],
  ['1.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR', pointer(30), `${cluster} tcp`],
];

const pillar =
  (kubeDns = NO_KUBE_DNS_CONFIG) =>
  (text: string): string =>
    expandCorefile(text, {
      localIps: ['169.254.20.10', '10.96.0.10'],
      clusterDnsIp: '10.96.0.11',
      kubeDns,
      dnsPort: 53,
    }).text;

const CASES: readonly Case[] = [
  {
    file: 'addon',
    at: LOCAL,
    template: pillar(),
    asks: [...addOn('10.96.0.11:53', NODE), ...reverse('10.96.0.11:53')],
    also: { 'dns://10.96.0.10:53': [['a.cluster.local A', address(30), '10.96.0.11:53 tcp']] },
  },
  {
    file: 'addon-stub-domains',
    at: LOCAL,
    template: pillar(
      parseKubeDnsConfig(
        new Map([
          ['stubDomains', '{"corp.example": ["10.5.0.1", "10.5.0.2:5353"]}'],
          ['upstreamNameservers', '["8.8.8.8"]'],
        ]),
      ),
    ),
    asks: [
      ['a.cluster.local A', address(30), '10.96.0.11:53 tcp'],
      ['www.example.org A', address(30), '8.8.8.8:53 udp'],
      ['www.corp.example A', address(30), '10.5.0.1:53 udp|10.5.0.2:5353 udp'],
    ],
    also: {
      'dns://10.96.0.10:53': [['corp.example A', address(30), '10.5.0.1:53 udp|10.5.0.2:5353 udp']],
    },
  },
  {
    file: 'kubespray',
    at: 'dns://169.254.25.10:53',
    asks: [...addOn('10.233.0.3:53', NODE), ...reverse('10.233.0.3:53')],
  },
  {
    file: 'kubespray-external-zones',
    at: 'dns://169.254.25.10:53',
    asks: [
      ...addOn('10.233.0.3:53', NODE).slice(0, 7),
      ['www.example.com A', address(5), '1.1.1.1:53 udp|2.2.2.2:53 udp'],
      ['www.example.io A', address(30), `${NODE} udp`],
      ['a.corp.example.org A', address(300), '192.168.0.53:53 udp'],
      ['internal.corp.example.org A', address(300), '192.168.0.53:53 udp'],
    ],
    also: {
      'dns://169.254.25.10:1053': [
        ['www.example.io A', address(5), '1.1.1.1:53 udp|2.2.2.2:53 udp'],
        ['www.example.com A', 'REFUSED', ''],
      ],
    },
  },
  {
    file: 'kops',
    at: LOCAL,
    asks: [...addOn('100.64.0.10:53', NODE), ...reverse('100.64.0.10:53')],
  },
  {
    file: 'kops-forward-to-kube-dns',
    at: LOCAL,
    asks: [
      ...addOn('100.64.0.10:53', '100.64.0.10:53'),
      ['7.0.244.10.in-addr.arpa PTR', pointer(30), '100.64.0.10:53 udp'],
    ],
  },
  {
    file: 'kops-ipv6-only',
    at: 'dns://[fd00:90::10]:53',
    asks: [
      ['a.cluster.local AAAA', address6(30), '[fd00:5e4f:ce::a]:53 tcp'],
      ['www.example.org AAAA', address6(30), '[fd00:ec2::253]:53 udp'],
      ['nx.example.org AAAA', denial(30), '[fd00:ec2::253]:53 udp'],
    ],
  },
  {
    file: 'rke2',
    at: LOCAL,
    asks: [...addOn('10.43.0.10:53', '10.43.0.10:53'), ...reverse('10.43.0.10:53')],
    also: { 'dns://10.43.0.10:53': [['a.cluster.local A', address(30), '10.43.0.10:53 tcp']] },
  },
  {
    file: 'k3s-hosts',
    at: LOCAL,
    warns: [/No files matching import glob pattern: custom\/\*\.override/, /custom\/\*\.server/],
    asks: [
      ['node-1 A', 'NOERROR @ 30 A 192.168.1.11', ''],
      ['node-2.lan A', 'NOERROR @ 30 A 192.168.1.12', ''],
      ['node-1 AAAA', 'NOERROR', ''],
      ['12.1.168.192.in-addr.arpa PTR', 'NOERROR @ 30 PTR node-2.; @ 30 PTR node-2.lan.', ''],
      ['node-3.lan A', address(30), `${NODE} udp`],
    ],
  },
  {
    file: 'aks',
    at: 'dns://169.254.10.10:53',
    asks: [
      ['www.example.org A', address(3600), '168.63.129.16:53 udp'],
      ['a.default.svc.cluster.local A', address(3600), '10.0.0.10:53 tcp'],
      ['fail.example.org A', 'SERVFAIL', '168.63.129.16:53 udp'],
      ['fail.example.org A', 'SERVFAIL', '168.63.129.16:53 udp'],
      ['www.x.internal.cloudapp.net A', address(3600), '168.63.129.16:53 udp'],
      ['a.default.svc.b.x.internal.cloudapp.net A', 'NXDOMAIN', ''],
    ],
    also: {
      'dns://169.254.10.11:53': [
        ['www.example.org A', address(3600), '10.0.0.10:53 udp'],
        ['a.default.svc.cluster.local A', address(3600), ''], // its block has one cache
      ],
    },
  },
  {
    file: 'gke',
    at: LOCAL,
    asks: [
      ['a.cluster.local A', address(30), '10.8.0.10:53 tcp'],
      ['www.example.org A', address(30), '10.8.0.10:53 udp'],
      ['fail.example.org A', 'SERVFAIL', '10.8.0.10:53 udp, 169.254.169.254:53 udp'],
    ],
    also: { 'dns://10.8.0.9:53': [['www.example.org A', address(30), '']] },
  },
  {
    file: 'talos',
    at: LOCAL,
    asks: [
      ...addOn('10.96.0.10:53', '169.254.116.108:53'),
      ['7.0.244.10.in-addr.arpa PTR', pointer(30), '10.96.0.10:53 tcp'],
    ],
  },
  {
    file: 'gardener',
    at: LOCAL,
    warns: [/No files matching/, /No files matching/],
    asks: [
      ['a.cluster.local A', address(30), '100.64.0.11:53 tcp'],
      ['nx.cluster.local A', denial(5), '100.64.0.11:53 tcp'],
      ['www.example.org A tcp', address(30), '100.64.0.11:53 udp|10.250.0.2:53 udp'],
      ['7.0.244.10.in-addr.arpa PTR', pointer(30), '100.64.0.11:53 tcp'],
      ['www.corp.example.com A', address(60), '10.250.9.9:53 udp'],
    ],
    also: { 'dns://100.64.0.10:53': [['a.corp.example.com A', address(60), '10.250.9.9:53 udp']] },
  },
  {
    file: 'deckhouse',
    at: LOCAL,
    asks: [
      ['a.cluster.local A', address(30), '10.222.0.11:53 tcp'],
      ['nx.cluster.local A', denial(5), '10.222.0.11:53 tcp'],
      ['www.example.org A tcp', address(30), `${NODE} udp`],
      ['fail.example.org A', 'SERVFAIL', `${NODE} udp`],
      ['fail.example.org A', 'SERVFAIL', `${NODE} udp`],
    ],
    also: { 'dns://10.222.0.10:53': [['b.cluster.local A', address(30), '10.222.0.11:53 tcp']] },
  },
  {
    file: 'sweetops',
    at: LOCAL,
    asks: [
      ['a.cluster.local A', address(30), '172.20.0.10:53 tcp'],
      ['nx.cluster.local A', denial(30), '172.20.0.10:53 tcp'],
      ['www.example.org A', address(30), '172.20.0.10:53 udp'],
    ],
  },
  { file: 'cilium-lrp', at: 'dns://0.0.0.0:53', asks: addOn('10.96.0.10:53', NODE) },
  {
    file: 'eks',
    at: LOCAL,
    asks: [
      ...addOn('172.20.31.7:53', NODE),
      ['ip-10-0-1-7.eu-west-1.compute.internal A', address(60), '169.254.169.253:53 udp'],
      ['ip-10-0-1-7.ec2.internal A', address(60), '169.254.169.253:53 udp'],
      ['s3.eu-west-1.amazonaws.com A', address(300), '169.254.169.253:53 udp'],
      ['ec2.internal.example A', address(30), `${NODE} udp`],
    ],
    also: { 'dns://172.20.0.10:53': [['a.cluster.local A', address(30), '172.20.31.7:53 tcp']] },
  },
  {
    file: 'no-ipv6',
    at: LOCAL,
    asks: [
      ['www.example.org AAAA', 'NOERROR', ''],
      ['www.example.org A', address(30), `${NODE} udp`],
      ['a.cluster.local AAAA', address6(30), '10.96.0.10:53 tcp'],
      ['nx.example.org AAAA', 'NOERROR', ''],
    ],
  },
  {
    file: 'search-domain-nxdomain',
    at: LOCAL,
    asks: [
      ['www.example.com.corp.example.com A', 'NXDOMAIN', ''],
      ['www.example.com.corp.example.com AAAA', 'NXDOMAIN', ''],
      ['git.corp.example.com A', address(30), '10.0.0.53:53 udp'],
      ['ip-10-1-2-3.ip.example.com A', 'NOERROR @ 30 A 10.1.2.3', ''],
      ['other.ip.example.com A', 'SERVFAIL', ''],
      ['www.example.com A', address(30), '10.0.0.53:53 udp'],
    ],
  },
  {
    file: 'dot-upstreams',
    at: LOCAL,
    asks: [
      ['www.example.org A', address(300), '1.1.1.1:853 tls'],
      ['fail.example.org A', 'SERVFAIL', '1.1.1.1:853 tls, 1.0.0.1:853 tls'],
      ['a.cluster.local A', address(30), '10.96.0.10:53 udp'],
    ],
  },
  {
    file: 'conditional-hosts',
    at: LOCAL,
    asks: [
      ['registry.corp.example A', 'NOERROR @ 30 A 10.1.2.3', ''],
      ['registry.corp.example AAAA', 'NOERROR @ 30 AAAA fd00:1::3', ''],
      ['other.corp.example A', address(30), `${NODE} udp`],
      ['registry.corp.example MX', 'NOERROR', ''],
    ],
  },
  {
    file: 'corporate-zones',
    at: LOCAL,
    asks: [
      ['www.corp.example A', address(600), '10.20.0.53:53 udp'],
      ['short.lab.example A', address(30), '10.20.0.53:53 udp'],
      ['nx.lab.example A', denial(60), '10.20.0.53:53 udp'],
      ['9.0.21.10.in-addr.arpa PTR', pointer(600), '10.20.0.53:53 udp'],
      ['9.5.168.192.in-addr.arpa PTR', pointer(600), '10.20.0.53:53 udp'],
      ['9.6.168.192.in-addr.arpa PTR', pointer(30), `${NODE} udp`],
      ['www.PARTNER.example A', address(30), '10.99.0.53:5353 udp'],
      ['web.service.consul A', 'SERVFAIL', ''],
      ['xcorp.example A', address(30), `${NODE} udp`],
    ],
  },
  {
    file: 'rewrite-suffix',
    at: LOCAL,
    asks: [
      ['web.default.svc.old.example A', address(30), '10.96.0.10:53 udp'],
      ['web.default.svc.old.example A', address(30), ''],
      ['web.default.svc.cluster.local A', address(30), '10.96.0.10:53 udp'],
      ['git.example.com A', address(30), '10.96.0.10:53 udp'],
      ['www.example.com A', address(30), `${NODE} udp`],
    ],
  },
  {
    file: 'rewrite-regex',
    at: LOCAL,
    asks: [
      ['web-shop.apps.example.com A', address(30), '10.96.0.10:53 udp'],
      ['www.example.com A', address(30), '10.96.0.10:53 udp'],
    ],
  },
  {
    file: 'tuned-cache',
    at: LOCAL,
    asks: [
      ['a.cluster.local A', address(30), '10.96.0.10:53 tcp'],
      ['nx.cluster.local A', denial(5), '10.96.0.10:53 tcp'],
      ['fail.cluster.local A', 'SERVFAIL', '10.96.0.10:53 tcp'],
      ['fail.cluster.local A', 'SERVFAIL', '10.96.0.10:53 tcp'],
      ['www.example.org A', address(300), `${NODE} udp`],
      ['nx.example.org A', denial(10), `${NODE} udp`],
      ['fail.example.org A', 'SERVFAIL', `${NODE} udp`],
      ['fail.example.org A', 'SERVFAIL', ''],
    ],
  },
  {
    file: 'dual-stack',
    at: LOCAL,
    asks: [
      ['a.cluster.local A', address(30), '10.96.0.10:53 tcp|[fd00:10:96::a]:53 tcp'],
      ['www.example.org A', address(30), '[2001:db8::53]:53 udp'],
      ['fail.example.org A', 'SERVFAIL', '[2001:db8::53]:53 udp, [2001:db8::54]:5353 udp'],
    ],
    also: { 'dns://[fd00:90::10]:53': [['www.example.org A', address(30), '']] },
  },
  {
    file: 'gitops-snippets',
    at: LOCAL,
    env: {
      LOCAL_IP: '169.254.20.10',
      SERVICE_IP: '10.96.0.10',
      METRICS_PORT: '9253',
      CLUSTER_DOMAIN: 'cluster.local',
      CLUSTER_DNS: '10.96.0.11',
    },
    asks: [
      ...addOn('10.96.0.11:53', NODE),
      ['www.stub.example A', address(120), '10.5.5.5:53 udp'],
    ],
    also: { 'dns://10.96.0.10:53': [['b.stub.example A', address(120), '10.5.5.5:53 udp']] },
  },
  {
    file: 'minimal',
    at: 'dns://127.0.0.53:53',
    asks: [
      ['www.example.org A', address(3600), '9.9.9.9:53 udp'],
      ['nx.example.org A', denial(1800), '9.9.9.9:53 udp'],
      ['short.example.org A', address(7), '9.9.9.9:53 udp'],
    ],
  },
  {
    file: 'development',
    at: 'dns://:1053',
    asks: [
      ['www.example.org A', address(5), `${NODE} udp`],
      ['me.whoami.test A', 'NOERROR', ''],
    ],
  },
  {
    file: 'yandex-cloud',
    at: LOCAL,
    asks: [
      ['a.cluster.local A tcp', address(30), '10.96.128.3:53 udp'],
      ['7.0.244.10.in-addr.arpa PTR', pointer(30), '10.96.128.3:53 tcp'],
      ['www.example.org A tcp', address(30), '10.96.128.3:53 udp'],
    ],
    also: { 'dns://10.96.128.2:53': [['b.cluster.local A', address(30), '10.96.128.3:53 udp']] },
  },
  {
    file: 'alibaba-cloud',
    at: LOCAL,
    asks: [
      ['a.cluster.local A', address(30), '172.21.0.10:53 udp'],
      ['www.example.org A', address(30), '100.100.2.136:53 udp'],
      ['fail.example.org A', 'SERVFAIL', '100.100.2.136:53 udp, 100.100.2.138:53 udp'],
    ],
  },
  {
    file: 'consul',
    at: LOCAL,
    asks: [
      ['web.service.consul A', address(10), '127.0.0.1:8600 udp'],
      ['web.service.consul A', address(10), ''],
      ['nx.service.consul A', denial(10), '127.0.0.1:8600 udp'],
      ['nx.service.consul A', denial(10), '127.0.0.1:8600 udp'],
      ['a.internal.example A', address(30), `${NODE} udp`],
      ['a.internal.example A', address(30), `${NODE} udp`],
    ],
  },
  {
    file: 'split-by-address',
    at: LOCAL,
    asks: [
      ['www.example.org A', address(30), '10.96.0.10:53 udp'],
      ['a.cluster.local A', address(30), '10.96.0.10:53 udp'],
    ],
    also: {
      'dns://169.254.20.11:53': [
        ['www.example.org A', address(30), `${NODE} udp`],
        ['a.cluster.local A', address(5), '10.96.0.10:53 tcp'],
      ],
    },
  },
  {
    file: 'served-over-tls',
    at: LOCAL,
    asks: [['www.example.org A', address(30), `${NODE} udp`]],
    also: {
      'tls://169.254.20.10:853': [
        ['www.example.org A tcp', address(30), ''],
        ['other.example.org A tcp', address(30), `${NODE} tcp`],
      ],
    },
  },
  {
    file: 'failover-chain',
    at: LOCAL,
    asks: [
      ['www.corp.example A', address(30), '10.20.0.53:53 udp'],
      ['nx.example.org A', denial(30), '10.20.0.53:53 udp, 1.1.1.1:53 udp'],
    ],
  },
];

describe.each(CASES)('$file', ({ file, at, asks, also = {}, env, template, warns = [] }) => {
  const served = new ServedCorefile(join(FILES, `${file}.Corefile`), {
    files: MACHINE,
    env,
    expand: template,
  });
  afterAll(() => served.close());

  test('is served where it says, and its warnings are those that it deserves', () => {
    expect(served.labels.toSorted()).toEqual([at, ...Object.keys(also)].toSorted());
    const lines = served.log.lines.filter((line) => !line.startsWith('[DEBUG]'));
    expect(lines).toEqual(warns.map((warning) => expect.stringMatching(warning)));
  });

  const all = [[at, asks] as const, ...Object.entries(also)].flatMap(([label, own]) =>
    own.map(([question, answer, upstreams]) => ({ label, question, answer, upstreams })),
  );
  test.each(all)('$label $question: $answer, asked: $upstreams', async (asked) => {
    const told = await served.ask(asked.label, asked.question);
    expect(told.answer).toBe(asked.answer);
    // Where the policy is random, each of several is right.
    expect(asked.upstreams.split('|')).toContain(told.upstreams);
  });
});

/** All that it says, places left out. */
function meaning(text: string, file: string): unknown {
  const source = { ...machineSource, env: () => 'set' };
  return parseCorefile(text, { file, known: DIRECTIVE_NAMES, source }).blocks.map(
    ({ keys, uses }) => [
      keys.map((key) => `${key.scheme} ${key.zone} ${key.port}`),
      uses.map((use) => [use.name, use.args, use.options].map(wordsOf)),
    ],
  );
}

function wordsOf(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (key, of: unknown) => (PLACES.includes(key) ? null : of)),
  );
}

const PLACES: readonly string[] = ['file', 'line', 'column', 'length', 'endLine', 'startsLine'];

test.each(CASES)('$file has a canonical form that says the same', ({ file }) => {
  const path = join(FILES, `${file}.Corefile`);
  const text = readFileSync(path, 'utf8');
  expect(formErrors(text, path)).toEqual([]);
  const formatted = formatCorefile(text);
  expect(formatCorefile(formatted)).toBe(formatted);
  expect(meaning(formatted, path)).toEqual(meaning(text, path));
});

test('every file has a table, and there are thirty at least', () => {
  const files = readdirSync(FILES).filter((name) => name.endsWith('.Corefile'));
  const tables = CASES.map(({ file }) => `${file}.Corefile`);
  expect(tables.toSorted()).toEqual(files.toSorted());
  expect(files.length).toBeGreaterThanOrEqual(30);
});
