/**
 * The Corefile of Kubernetes' nodelocaldns.yaml, as it stands there, with its __PILLAR__ values filled
 * in: loopback addresses, one for the pods' DNS, one for kube-dns and one for the world outside.
 *
 * One change: `prometheus :9253` listens on every address, which a test must not; it gets an address.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ask, askStream } from '../harness/client.ts';
import { Daemon } from '../harness/daemon.ts';
import { dig, kdig } from '../harness/dig.ts';
import { Knotd } from '../harness/knotd.ts';
import { useLab } from '../harness/lab.ts';
import { AA, RA, type TypeName, query } from '../harness/message.ts';
import { scrape } from '../harness/metrics.ts';
import { sleep } from '../harness/timing.ts';

const lab = useLab();
const LOCAL = lab.address(10);
const KUBE_DNS = lab.address(11);
const at = { host: LOCAL, port: 53 };
const metricsAt = { host: LOCAL, port: 9253 };

const SOA = (zone: string, ttl: number): string =>
  `@ ${ttl} SOA ns.dns.${zone}. hostmaster.${zone}. 1 7200 1800 86400 ${ttl}`;

const cluster = await Knotd.start(
  lab,
  { host: lab.address(20), port: 53 },
  {
    'cluster.local': `
${SOA('cluster.local', 30)}
@ 30 NS ns.dns
ns.dns 30 A 10.96.0.10
kubernetes.default.svc 30 A 10.96.0.1
_https._tcp.kubernetes.default.svc 30 SRV 0 100 443 kubernetes.default.svc
dual.default.svc 30 A 10.96.0.77
dual.default.svc 30 AAAA fd00::77
headless.default.svc 30 A 10.244.0.1
headless.default.svc 30 A 10.244.0.2
headless.default.svc 30 A 10.244.0.3
alias.default.svc 30 CNAME dual.default.svc
`,
    'in-addr.arpa': `
${SOA('in-addr.arpa', 30)}
@ 30 NS ns.dns.cluster.local.
1.0.96.10 30 PTR kubernetes.default.svc.cluster.local.
`,
    'ip6.arpa': `
${SOA('ip6.arpa', 30)}
@ 30 NS ns.dns.cluster.local.
7.7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f 30 PTR dual.default.svc.cluster.local.
`,
  },
);
const outside = await Knotd.start(
  lab,
  { host: lab.address(21), port: 53 },
  {
    'example.com': `
${SOA('example.com', 300)}
@ 300 NS ns
ns 300 A 192.0.2.53
www 300 A 192.0.2.80
www 300 AAAA 2001:db8::80
large 300 TXT ${Array.from({ length: 12 }, (_, i) => `"${String(i).repeat(200).slice(0, 200)}"`).join(' ')}
`,
  },
);

const corefile = readFileSync(join(import.meta.dirname, 'nodelocaldns.Corefile'), 'utf8')
  .replaceAll('__PILLAR__DNS__DOMAIN__', 'cluster.local')
  .replaceAll('__PILLAR__LOCAL__DNS__', LOCAL)
  .replaceAll('__PILLAR__DNS__SERVER__', KUBE_DNS)
  .replaceAll('__PILLAR__CLUSTER__DNS__', cluster.endpoint.host)
  .replaceAll('__PILLAR__UPSTREAM__SERVERS__', outside.endpoint.host)
  .replaceAll('prometheus :9253', `prometheus ${LOCAL}:9253`);
const daemon = await Daemon.start(lab, corefile);

interface Row {
  readonly name: string;
  readonly type: TypeName;
  readonly status: string;
  readonly data: readonly string[];
  readonly zone: string;
  /** The TTL of the first answer: the lowest of all records, within the cache's bounds. */
  readonly ttl: number;
}

const PTR6 = '7.7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa';
const ROWS: readonly Row[] = [
  {
    name: 'kubernetes.default.svc.cluster.local',
    type: 'A',
    status: 'NOERROR',
    data: ['10.96.0.1'],
    zone: 'cluster.local.',
    ttl: 30,
  },
  {
    name: 'dual.default.svc.cluster.local',
    type: 'AAAA',
    status: 'NOERROR',
    data: ['fd00::77'],
    zone: 'cluster.local.',
    ttl: 30,
  },
  {
    name: 'headless.default.svc.cluster.local',
    type: 'A',
    status: 'NOERROR',
    data: ['10.244.0.1', '10.244.0.2', '10.244.0.3'],
    zone: 'cluster.local.',
    ttl: 30,
  },
  {
    name: 'alias.default.svc.cluster.local',
    type: 'A',
    status: 'NOERROR',
    data: ['10.96.0.77', 'dual.default.svc.cluster.local.'],
    zone: 'cluster.local.',
    ttl: 30,
  },
  {
    name: '_https._tcp.kubernetes.default.svc.cluster.local',
    type: 'SRV',
    status: 'NOERROR',
    data: ['0 100 443 kubernetes.default.svc.cluster.local.'],
    zone: 'cluster.local.',
    ttl: 30,
  },
  {
    name: 'www.example.com.default.svc.cluster.local',
    type: 'A',
    status: 'NXDOMAIN',
    data: [],
    zone: 'cluster.local.',
    ttl: 5,
  },
  {
    name: 'kubernetes.default.svc.cluster.local',
    type: 'AAAA',
    status: 'NOERROR',
    data: [],
    zone: 'cluster.local.',
    ttl: 5,
  },
  {
    name: '1.0.96.10.in-addr.arpa',
    type: 'PTR',
    status: 'NOERROR',
    data: ['kubernetes.default.svc.cluster.local.'],
    zone: 'in-addr.arpa.',
    ttl: 30,
  },
  {
    name: '2.0.96.10.in-addr.arpa',
    type: 'PTR',
    status: 'NXDOMAIN',
    data: [],
    zone: 'in-addr.arpa.',
    ttl: 30,
  },
  {
    name: PTR6,
    type: 'PTR',
    status: 'NOERROR',
    data: ['dual.default.svc.cluster.local.'],
    zone: 'ip6.arpa.',
    ttl: 30,
  },
  {
    name: 'www.example.com',
    type: 'A',
    status: 'NOERROR',
    data: ['192.0.2.80'],
    zone: '.',
    ttl: 30,
  },
  {
    name: 'www.example.com',
    type: 'AAAA',
    status: 'NOERROR',
    data: ['2001:db8::80'],
    zone: '.',
    ttl: 30,
  },
  {
    name: 'nowhere.example.com',
    type: 'A',
    status: 'NXDOMAIN',
    data: [],
    zone: '.',
    ttl: 30,
  },
  { name: 'www.example.com', type: 'MX', status: 'NOERROR', data: [], zone: '.', ttl: 30 },
];

describe.each([
  { transport: 'UDP', flag: '+notcp', host: LOCAL },
  { transport: 'TCP', flag: '+tcp', host: KUBE_DNS },
])('over $transport, at one of the two addresses', ({ flag, host }) => {
  const server = `dns://${host}:53`;
  const here = { host, port: 53 };

  test.each(ROWS)('$name $type is $status $data, the second time from the cache', async (row) => {
    const before = await scrape(metricsAt);
    const first = await dig(lab, here, row.name, row.type, flag);
    expect(first).toMatchObject({ status: row.status, warnings: [] });
    expect(first.answers.map(({ data }) => data).sort()).toEqual([...row.data].sort());
    const records = [...first.answers, ...first.authorities];
    for (const { ttl } of records) expect(ttl).toBeLessThanOrEqual(row.ttl);
    if (row.data.length === 0) {
      expect(first.authorities.map(({ type }) => type)).toEqual(['SOA']);
    }

    const second = await kdig(lab, here, row.name, row.type, flag);
    expect(second).toMatchObject({ status: row.status, warnings: [] });
    expect(second.answers.map(({ data }) => data).sort()).toEqual([...row.data].sort());
    expect(second.flags).toContain('aa');

    const after = await scrape(metricsAt);
    const grown = (name: string, labels: Record<string, string>): number =>
      after.sum(name, labels) - before.sum(name, labels);
    const zones = { server, zones: row.zone };
    expect(grown('coredns_cache_requests_total', zones)).toBe(2);
    expect(grown('coredns_cache_hits_total', zones)).toBeGreaterThanOrEqual(1);
    expect(grown('coredns_dns_requests_total', { server, zone: row.zone })).toBe(2);
    expect(
      grown('coredns_dns_responses_total', { server, zone: row.zone, rcode: row.status }),
    ).toBe(2);
  });

  test('an answer of 2,400 octets comes whole', async () => {
    const answer = await dig(lab, here, 'large.example.com', 'TXT', flag);
    expect(answer.status).toBe('NOERROR');
    expect(answer.answers).toHaveLength(1);
    expect(answer.answers[0]!.data.length).toBeGreaterThan(2400);
  });
});

describe('TTLs', () => {
  test('are those of the cache at once, and count down second by second', async () => {
    const message = query('ns.dns.cluster.local', 'A');
    const miss = await ask(lab, at, message);
    expect(new Set(miss.ttls)).toEqual(new Set([30]));
    await sleep(2100);
    const hit = await ask(lab, at, message);
    expect(hit.ttls[0]).toBeGreaterThanOrEqual(27);
    expect(hit.ttls[0]).toBeLessThanOrEqual(28);
    expect(new Set(hit.ttls).size).toBe(1);
    const overTcp = await askStream(lab, at, message);
    expect(overTcp.ttls[0]).toBeLessThanOrEqual(28);
  });

  test('denials of the cluster’s zone live for 5 s, then are asked again', async () => {
    const message = query('gone.cluster.local', 'A');
    const miss = await ask(lab, at, message);
    expect(miss.ttls).toEqual([5]);
    expect(miss.has(AA) || miss.has(RA)).toBe(true);
    const misses = async (): Promise<number> =>
      (await scrape(metricsAt)).sum('coredns_cache_misses_total', { zones: 'cluster.local.' });
    const before = await misses();
    await sleep(3000);
    expect((await ask(lab, at, message)).ttls[0]).toBeLessThanOrEqual(2);
    expect(await misses()).toBe(before);
    await sleep(2200);
    expect((await ask(lab, at, message)).ttls).toEqual([5]);
    expect(await misses()).toBe(before + 1);
  });
});

describe('around it', () => {
  test('health answers OK at the address of the first block', async () => {
    const response = await fetch(`http://${LOCAL}:8080/health`);
    expect(response.status).toBe(200);
    expect(await response.text()).toBe('OK');
  });

  test('loop has found none, and nothing was worth a complaint', async () => {
    await sleep(1000);
    expect(daemon.child.hasEnded).toBe(false);
    expect(daemon.complaints).toEqual([]);
  });

  test('SIGTERM ends it with 0 within its drain', async () => {
    const end = daemon.child.stop();
    await expect(end).resolves.toEqual({ code: 0, signal: null });
  });
});
