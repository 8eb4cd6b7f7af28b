/**
 * A cluster as its DNS shows it: the answers of CoreDNS's kubernetes plugin by the Kubernetes DNS
 * specification (1.0.1), also where a plain zone would answer otherwise. And the rest of the world:
 * names that have addresses, below zones that know all their names.
 */
import type { ResourceRecord } from '../../src/dns/codec.ts';
import { typeFromName, typeName } from '../../src/dns/rrtype.ts';
import type { Synthesis } from '../../src/query/synthesize.ts';

export interface Service {
  readonly name: string;
  readonly namespace: string;
  /** A headless service has no address of its own, but its endpoints'. */
  readonly headless: boolean;
  /** Host names of ready endpoints. */
  readonly endpoints: readonly string[];
  /** Named ports, `_http._tcp`. */
  readonly ports: readonly string[];
}

export interface Cluster {
  readonly namespaces: readonly string[];
  readonly services: readonly Service[];
  /** `10-0-0-1.prod`, as in their names below `pod`. */
  readonly pods: readonly string[];
  /** Whether `svc`, `pod` and the namespaces below `pod` are denied, although there is more below. */
  readonly deniesEmpty: boolean;
}

export const ZONE = 'cluster.local.';
const NXDOMAIN = 3;
const SERVICE_TTL_SEC = 30;

/** The answer of the cluster's DNS; `name` is lower-cased, with final dot. */
export function answerOfCluster(cluster: Cluster, name: string, qtype: number): Synthesis {
  const labels = name === ZONE ? [] : name.slice(0, -ZONE.length - 1).split('.');
  const type = typeName(qtype);
  if (type === 'TXT') return txt(name, labels);
  // CoreDNS: NODATA for every SOA below the apex, whether or not there is the name.
  if (type === 'SOA') return noData();
  const found = addressesAt(cluster, labels);
  if (found === undefined) return { rcode: NXDOMAIN, authorities: [soa()] };
  if (type === 'A') return positive(name, found);
  if (type === 'SRV' && labels.length >= 3) {
    return positive(
      name,
      found.map(() => '') /* one SRV for each address */,
      'SRV',
    );
  }
  return noData();
}

/** Addresses of the name, none if it only has others below it; undefined if it does not exist. */
function addressesAt(cluster: Cluster, labels: readonly string[]): string[] | undefined {
  const empty = cluster.deniesEmpty ? undefined : [];
  if (labels.length === 0) return [];
  if (labels.length === 1) return labels[0] === 'svc' || labels[0] === 'pod' ? empty : undefined;
  if (labels.length === 2 && labels.join('.') === 'ns.dns') return ['10.96.0.10'];
  const [kind, namespace, service, ...left] = labels.toReversed();
  if (namespace === undefined || !cluster.namespaces.includes(namespace)) return undefined;
  if (kind === 'pod') {
    if (service === undefined) return empty;
    const known = left.length === 0 && cluster.pods.includes(`${service}.${namespace}`);
    return known ? [service.replaceAll('-', '.')] : undefined;
  }
  if (kind !== 'svc') return undefined;
  if (service === undefined) return [];
  const found = cluster.services.find((s) => s.name === service && s.namespace === namespace);
  if (found === undefined) return undefined;
  const own = found.headless ? found.endpoints.map((_, i) => `10.0.0.${i + 1}`) : ['10.96.0.1'];
  if (own.length === 0) return undefined; // headless, and nothing is ready
  if (left.length === 0) return own;
  if (left.length === 1) return found.endpoints.includes(left[0]!) ? [own[0]!] : undefined;
  return left.length === 2 && found.ports.includes(left.toReversed().join('.')) ? own : undefined;
}

function txt(name: string, labels: readonly string[]): Synthesis {
  if (labels.join('.') === 'dns-version') return positive(name, [''], 'TXT');
  return { rcode: NXDOMAIN, authorities: [soa()] }; // CoreDNS: empty non-terminals too
}

function noData(): Synthesis {
  return { authorities: [soa()] };
}

function soa(zone: string = ZONE, ttlSec: number = SERVICE_TTL_SEC): ResourceRecord {
  const numbers = { serial: 1, refresh: 7200, retry: 1800, expire: 86400, minimum: ttlSec };
  return {
    name: zone,
    ttlSec,
    type: typeFromName('SOA')!,
    rrClass: 1,
    rdata: {
      kind: 'soa',
      mname: below('ns.dns', zone),
      rname: below('hostmaster', zone),
      ...numbers,
    },
  };
}

function below(labels: string, zone: string): string {
  return zone === '.' ? `${labels}.` : `${labels}.${zone}`;
}

function positive(
  name: string,
  addresses: readonly string[],
  type: string = 'A',
  ttlSec: number = SERVICE_TTL_SEC,
): Synthesis {
  if (addresses.length === 0) return noData();
  const rdataOf = (address: string): ResourceRecord['rdata'] => {
    if (type === 'SRV') return { kind: 'srv', priority: 0, weight: 100, port: 80, target: name };
    if (type === 'TXT') return { kind: 'texts', texts: [Buffer.from('1.1.0')] };
    return { kind: 'address', address };
  };
  const rrType = typeFromName(type)!;
  return {
    answers: addresses.map((address) => ({
      name,
      ttlSec,
      type: rrType,
      rrClass: 1,
      rdata: rdataOf(address),
    })),
  };
}

/** The answer of the world outside: `names` have an address each, all else does not exist. */
export function answerOfWorld(
  names: ReadonlySet<string>,
  zone: string,
  name: string,
  qtype: number,
): Synthesis {
  if (!names.has(name)) return { rcode: NXDOMAIN, authorities: [soa(zone, 300)] };
  if (typeName(qtype) !== 'A') return { authorities: [soa(zone, 300)] };
  return positive(name, ['192.0.2.1'], 'A', 60);
}
