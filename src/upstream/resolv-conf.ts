/**
 * The upstreams in a file of resolv.conf's form (resolv.conf(5)): its `nameserver` lines, all of them,
 * port 53. Options, search and domain are for stub resolvers, and ignored, as in CoreDNS.
 */
import { isIP } from 'node:net';

/** IP addresses in the order of the file; a zone suffix (`fe80::1%eth0`) is cut, as CoreDNS does. */
export function parseResolvConf(text: string): string[] {
  const hosts: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    const [keyword, address] = line.trim().split(/\s+/);
    if (keyword !== 'nameserver' || address === undefined) continue;
    const host = address.replace(/%.*$/, '');
    if (isIP(host) !== 0) hosts.push(host);
  }
  return hosts;
}
