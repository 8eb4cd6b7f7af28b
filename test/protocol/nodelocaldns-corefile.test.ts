/**
 * The Corefile of Kubernetes' nodelocaldns.yaml, as it stands there, with its __PILLAR__ values filled
 * in: loopback addresses, one for the pods' DNS, one for kube-dns and one for the world outside.
 *
 * One change: `prometheus :9253` listens on every address, which a test must not; it gets an address.
 */
import { describe, expect, test } from 'vitest';
import { ask, askStream } from '../harness/client.ts';
import { startCluster } from '../harness/cluster.ts';
import { dig, kdig } from '../harness/dig.ts';
import { useLab } from '../harness/lab.ts';
import { AA, RA, type TypeName, query } from '../harness/message.ts';
import { scrape } from '../harness/metrics.ts';
import { sleep } from '../harness/timing.ts';

const lab = useLab();
const { daemon, local, kubeDns, metricsAt } = await startCluster(lab);
const at = { host: local, port: 53 };

async function clusterMisses(): Promise<number> {
  const metrics = await scrape(metricsAt);
  return metrics.sum('coredns_cache_misses_total', { zones: 'cluster.local.' });
}

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
  { transport: 'UDP', flag: '+notcp', host: local },
  { transport: 'TCP', flag: '+tcp', host: kubeDns },
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
  test('TTLs are those of the cache at once, and count down second by second', async () => {
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
    const before = await clusterMisses();
    await sleep(3000);
    expect((await ask(lab, at, message)).ttls[0]).toBeLessThanOrEqual(2);
    expect(await clusterMisses()).toBe(before);
    await sleep(2200);
    expect((await ask(lab, at, message)).ttls).toEqual([5]);
    expect(await clusterMisses()).toBe(before + 1);
  });
});

describe('around it', () => {
  test('health answers OK at the address of the first block', async () => {
    const response = await fetch(`http://${local}:8080/health`);
    expect(response.status).toBe(200);
    expect(await response.text()).toBe('OK');
  });

  test('loop finds no loop, and the log has no complaint', async () => {
    await sleep(1000);
    expect(daemon.child.hasEnded).toBe(false);
    expect(daemon.complaints).toEqual([]);
  });

  test('SIGTERM ends the daemon with 0 within its drain', async () => {
    const end = daemon.child.stop();
    await expect(end).resolves.toEqual({ code: 0, signal: null });
  });
});
