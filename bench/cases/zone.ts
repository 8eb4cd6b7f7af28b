/**
 * The data of the authoritative server: two zones, made again in each run and always equal.
 *
 * `example.` has hosts and sites with a long TTL, a wildcard for names that nobody asked before, and
 * NXDOMAIN for the rest. `cluster.local.` has services as kube-dns has them, with its TTL of 30 s.
 */

/** Names with one A each, as many as the caches hold. */
export const HOSTS = 10_000;
/** Names outside of the cluster that pods look up; every other one has an AAAA. */
export const SITES = 300;
export const NAMESPACES = 5;
export const SERVICES_PER_NAMESPACE = 20;

/** Longer than a run, so that no hit expires under measurement. */
const HIT_TTL_SEC = 3600;
/** The TTL that CoreDNS's kubernetes plugin has in kubeadm's Corefile. */
const CLUSTER_TTL_SEC = 30;

export const hostName = (i: number): string => `h${i}.example`;
export const absentName = (i: number): string => `nx${i}.example`;
export const siteName = (i: number): string => `site${i}.example`;
/** A name below the wildcard; `i` makes it one that nobody asked before. */
export const freshName = (tag: string, i: number): string => `u${i}.${tag}.fresh.example`;
export const namespaceName = (i: number): string => `ns${i}`;
export const serviceName = (i: number): string => `svc${i}`;

export function exampleZone(): string {
  const lines = [
    '$ORIGIN example.',
    `@ ${HIT_TTL_SEC} SOA ns hostmaster 1 3600 600 86400 ${HIT_TTL_SEC}`,
    `@ ${HIT_TTL_SEC} NS ns`,
    `ns ${HIT_TTL_SEC} A 127.0.0.1`,
    `*.fresh ${HIT_TTL_SEC} A 192.0.2.1`,
  ];
  for (let i = 0; i < HOSTS; i++) lines.push(`h${i} ${HIT_TTL_SEC} A ${address(i)}`);
  for (let i = 0; i < SITES; i++) {
    lines.push(`site${i} ${HIT_TTL_SEC} A ${address(i)}`);
    if (i % 2 === 0) lines.push(`site${i} ${HIT_TTL_SEC} AAAA 2001:db8::${i.toString(16)}`);
  }
  return `${lines.join('\n')}\n`;
}

export function clusterZone(): string {
  const lines = [
    '$ORIGIN cluster.local.',
    `@ ${CLUSTER_TTL_SEC} SOA ns.dns hostmaster 1 7200 1800 86400 ${CLUSTER_TTL_SEC}`,
    `@ ${CLUSTER_TTL_SEC} NS ns.dns`,
    `ns.dns ${CLUSTER_TTL_SEC} A 127.0.0.1`,
  ];
  for (let n = 0; n < NAMESPACES; n++) {
    for (let s = 0; s < SERVICES_PER_NAMESPACE; s++) {
      const owner = `${serviceName(s)}.${namespaceName(n)}.svc`;
      lines.push(`${owner} ${CLUSTER_TTL_SEC} A ${address(n * SERVICES_PER_NAMESPACE + s)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** An address of 198.18.0.0/15, the block for benchmarks (RFC 2544); `i` below 65536. */
function address(i: number): string {
  return `198.18.${i >> 8}.${i & 0xff}`;
}
