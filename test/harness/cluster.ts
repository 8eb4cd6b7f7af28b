/**
 * A node as Kubernetes' nodelocaldns.yaml makes it: that Corefile, knotd as kube-dns and another one
 * as the world outside, all on loopback addresses.
 *
 * One change to the Corefile: `prometheus :9253` listens on every address, which a test must not, so
 * it gets one. Ports are the manifest's own: 53, 9253 and 8080.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon } from './daemon.ts';
import { Knotd } from './knotd.ts';
import type { Endpoint, Lab } from './lab.ts';

/** Services besides the named ones, `s0` to `s199` in the namespace `load`; as many hosts outside. */
export const SERVICES = 200;

export interface Cluster {
  readonly daemon: Daemon;
  /** The values of __PILLAR__LOCAL__DNS__ and __PILLAR__DNS__SERVER__: both are served. */
  readonly local: string;
  readonly kubeDns: string;
  readonly metricsAt: Endpoint;
}

const REVERSE_OF_FD00_77 = `7.7.${'0.'.repeat(28)}d.f`;

function soa(zone: string, ttlSec: number): string {
  return `@ ${ttlSec} SOA ns.dns.${zone}. hostmaster.${zone}. 1 7200 1800 86400 ${ttlSec}`;
}

function numbered(line: (i: number) => string): string {
  return Array.from({ length: SERVICES }, (_, i) => line(i)).join('\n');
}

const CLUSTER_ZONES = {
  'cluster.local': `
${soa('cluster.local', 30)}
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
${numbered((i) => `s${i}.load.svc 30 A 10.97.0.${i}`)}
`,
  'in-addr.arpa': `
${soa('in-addr.arpa', 30)}
@ 30 NS ns.dns.cluster.local.
1.0.96.10 30 PTR kubernetes.default.svc.cluster.local.
`,
  'ip6.arpa': `
${soa('ip6.arpa', 30)}
@ 30 NS ns.dns.cluster.local.
${REVERSE_OF_FD00_77} 30 PTR dual.default.svc.cluster.local.
`,
};

const OUTSIDE_ZONES = {
  'example.com': `
${soa('example.com', 300)}
@ 300 NS ns
ns 300 A 192.0.2.53
www 300 A 192.0.2.80
www 300 AAAA 2001:db8::80
large 300 TXT ${Array.from({ length: 12 }, () => `"${'x'.repeat(200)}"`).join(' ')}
*.wild 300 A 192.0.2.99
${numbered((i) => `h${i} 300 A 198.51.100.${i}`)}
`,
};

export async function startCluster(lab: Lab): Promise<Cluster> {
  const local = lab.address(10);
  const kubeDns = lab.address(11);
  const cluster = await Knotd.start(lab, { host: lab.address(20), port: 53 }, CLUSTER_ZONES);
  const outside = await Knotd.start(lab, { host: lab.address(21), port: 53 }, OUTSIDE_ZONES);
  const corefile = readFileSync(join(import.meta.dirname, 'nodelocaldns.Corefile'), 'utf8')
    .replaceAll('__PILLAR__DNS__DOMAIN__', 'cluster.local')
    .replaceAll('__PILLAR__LOCAL__DNS__', local)
    .replaceAll('__PILLAR__DNS__SERVER__', kubeDns)
    .replaceAll('__PILLAR__CLUSTER__DNS__', cluster.endpoint.host)
    .replaceAll('__PILLAR__UPSTREAM__SERVERS__', outside.endpoint.host)
    .replaceAll('prometheus :9253', `prometheus ${local}:9253`);
  const daemon = await Daemon.start(lab, corefile);
  return { daemon, local, kubeDns, metricsAt: { host: local, port: 9253 } };
}
