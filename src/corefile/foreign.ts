/**
 * Directives of CoreDNS that a node-local cache does not have, each with what to do instead.
 *
 * Owns:    their names: the plugins of CoreDNS 1.14's plugin.cfg that node-cache is built without, those
 *          of older CoreDNS, and the external ones in widest use.
 * Is not:  the list of our own directives: directives/index.ts.
 */
import { nearest } from './suggest.ts';

const ZONE_DATA = 'leave the zone to the cluster DNS, and forward its names there';
const CLUSTER = 'the cluster DNS answers for the cluster: forward . and its address here';
const TRANSPORT = 'server blocks here serve dns:// and tls://';
const FOR_UPSTREAM = 'let the upstream do it: put the line into the Corefile of the cluster DNS';
const FORWARD = 'write forward . and the upstreams';

/** Name to cure, in the order of CoreDNS's plugin.cfg, then those of other origins. */
export const FOREIGN_DIRECTIVES: ReadonlyMap<string, string> = new Map([
  ['root', 'write absolute paths: relative ones start where the process does'],
  ['geoip', 'rewrite and template know no country: ' + FOR_UPSTREAM],
  ['cancel', 'remove it: a query is answered within 4 s here'],
  ['proxyproto', 'remove it: clients on the node come without a proxy'],
  ['quic', TRANSPORT],
  ['grpc_server', TRANSPORT],
  ['https', TRANSPORT],
  ['https3', TRANSPORT],
  ['multisocket', 'remove it: one socket is read in batches of 64 datagrams'],
  ['nsid', 'remove it; whoami and metrics tell which node has answered'],
  ['dnstap', 'log writes a line for each query, prometheus counts them'],
  ['local', 'hosts or template answer names such as localhost'],
  ['acl', 'filter clients by NetworkPolicy, names by template with rcode REFUSED or NXDOMAIN'],
  ['any', 'template ANY ANY answers such queries'],
  ['chaos', 'template CH TXT answers version.bind'],
  ['tsig', FOR_UPSTREAM],
  ['header', FOR_UPSTREAM],
  ['dnssec', FOR_UPSTREAM],
  ['autopath', 'the search list costs little here: see docs/ndots.md; ' + CLUSTER],
  ['minimal', FOR_UPSTREAM],
  ['transfer', ZONE_DATA],
  ['route53', ZONE_DATA],
  ['azure', ZONE_DATA],
  ['clouddns', ZONE_DATA],
  ['k8s_external', CLUSTER],
  ['kubernetes', CLUSTER],
  ['file', 'hosts and template answer from the Corefile; ' + ZONE_DATA],
  ['auto', ZONE_DATA],
  ['secondary', ZONE_DATA],
  ['etcd', ZONE_DATA],
  ['grpc', FORWARD + '; tls://IP is encrypted'],
  ['erratic', 'it is for tests of clients: remove it'],
  ['on', 'start commands outside of the server'],
  ['sign', FOR_UPSTREAM],
  ['view', 'give each set of clients an address of its own, with bind'],
  ['nomad', ZONE_DATA],
  // Removed from CoreDNS in 1.5 and 1.7.
  ['proxy', FORWARD],
  ['federation', CLUSTER],
  ['startup', 'start commands outside of the server'],
  ['shutdown', 'run commands outside of the server'],
  // External plugins.
  ['fanout', FORWARD + ': a slow one is overtaken by another after 250 to 600 ms'],
  ['alternate', 'next in forward hands on to the next forward of the block'],
  ['kubernetai', CLUSTER],
  ['unbound', FORWARD + ': the recursive resolver stands beside us'],
  ['recursor', FORWARD + ': the recursive resolver stands beside us'],
  ['redisc', 'the cache is in memory: write cache'],
  ['redis', ZONE_DATA],
  ['mysql', ZONE_DATA],
  ['records', 'hosts and template answer from the Corefile'],
  ['ads', 'hosts or template answer the names of a block list'],
  ['blocklist', 'hosts or template answer the names of a block list'],
  ['warnlist', 'log writes a line for each query'],
  ['k8s_gateway', CLUSTER],
  ['k8s_event', 'remove it: what goes wrong is in the log and in metrics'],
]);

/** The hint for an unknown directive: the nearest of our own, else of the foreign ones. */
export function directiveHint(name: string, known: Iterable<string>): string | undefined {
  const all = [...known, ...FOREIGN_DIRECTIVES.keys()];
  const meant = nearest(name, known) ?? nearest(name, all);
  return meant === undefined ? undefined : `did you mean "${meant}"?`;
}
