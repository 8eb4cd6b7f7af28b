/**
 * A day of pods' lookups in miniature, the same each time: 1,000 names of which 20 % are outside the
 * cluster, asked for with `ndots:5` and four search suffixes, A and AAAA side by side. The day's
 * ups and downs are there; its 24 hours are two minutes each.
 */
import type { Cluster, Service } from './cluster-model.ts';

export const NODE_DOMAIN = 'ec2.internal.';
const NAMESPACES = ['shop', 'search', 'billing', 'monitoring'];
const INTERNAL = 800;
const EXTERNAL = 200;
const HOUR_SEC = 120;
const NDOTS = 5;

/** One lookup of a pod: the names that its libc asks for, in order, until there is an address. */
export interface Lookup {
  readonly atSec: number;
  readonly candidates: readonly string[];
  /** Whether it is for a name outside the cluster. */
  readonly external: boolean;
}

export interface Traffic {
  readonly cluster: Cluster;
  readonly world: ReadonlySet<string>;
  readonly lookups: readonly Lookup[];
}

/** `perSec` lookups on the average of a day. */
export function dayOfTraffic(perSec: number): Traffic {
  const random = mulberry32(8020);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
  const services = Array.from({ length: INTERNAL }, (_, i): Service => {
    const headless = random() < 0.2;
    return {
      name: `svc-${i}`,
      namespace: pick(NAMESPACES),
      headless,
      endpoints: headless ? [`svc-${i}-0`, `svc-${i}-1`] : [],
      ports: ['_http._tcp'],
    };
  });
  const external = Array.from({ length: EXTERNAL }, (_, i) => externalName(i, pick, random));
  const cluster = { namespaces: NAMESPACES, services, pods: [], deniesEmpty: false };
  // Popularity by Zipf's law, over internal and external names alike.
  const ranked = shuffle([...services, ...external], random);
  const cumulative: number[] = [];
  for (let rank = 1, sum = 0; rank <= ranked.length; rank++) cumulative.push((sum += 1 / rank));

  const lookups: Lookup[] = [];
  const daySec = 24 * HOUR_SEC;
  for (let atSec = 0; ;) {
    // Twice the average at noon, next to nothing at midnight.
    const rate = perSec * (1.05 - Math.cos((2 * Math.PI * atSec) / daySec));
    atSec += -Math.log(1 - random()) / rate;
    if (atSec >= daySec) break;
    const drawn = random() * cumulative.at(-1)!;
    const target = ranked[cumulative.findIndex((sum) => sum >= drawn)]!;
    const namespace = pick(NAMESPACES);
    const typed = typeof target === 'string' ? target : serviceName(target, namespace, random);
    const external = typeof target === 'string';
    lookups.push({ atSec, candidates: candidatesOf(typed, namespace), external });
  }
  return { cluster, world: new Set(external), lookups };
}

/** The names that glibc and musl ask for: the search list first where there are fewer dots than `ndots`. */
function candidatesOf(typed: string, namespace: string): string[] {
  if (typed.endsWith('.') && typed.split('.').length > NDOTS) return [typed];
  const bare = typed.replace(/\.$/, '');
  const searched = [
    `${namespace}.svc.cluster.local.`,
    'svc.cluster.local.',
    'cluster.local.',
    NODE_DOMAIN,
  ].map((suffix) => `${bare}.${suffix}`);
  return [...searched, `${bare}.`];
}

/** How programs spell services: short, with the namespace, with `svc`, in full. */
function serviceName(service: Service, from: string, random: () => number): string {
  const { name, namespace, endpoints } = service;
  const own = endpoints.length > 0 && random() < 0.5 ? `${endpoints[0]!}.${name}` : name;
  const spelling = random();
  if (namespace === from && spelling < 0.5) return own;
  if (spelling < 0.7) return `${own}.${namespace}`;
  if (spelling < 0.85) return `${own}.${namespace}.svc`;
  return `${own}.${namespace}.svc.cluster.local`;
}

/** Of two to five labels, mostly under `com`, as in the traffic of clouds. */
function externalName(i: number, pick: <T>(from: readonly T[]) => T, random: () => number): string {
  const tlds = ['com', 'com', 'com', 'com', 'com', 'net', 'net', 'io', 'io', 'org', 'dev', 'de'];
  const domain = `${pick(['acme', 'cloud', 'api', 'data', 'pay'])}${i}.${pick(tlds)}.`;
  const labels = Math.floor(random() * 4);
  return `${['www.', 'eu-1.', 'blob.'].slice(0, labels).join('')}${domain}`;
}

function shuffle<T>(list: T[], random: () => number): T[] {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
  return list;
}

/** A small generator of even quality for a given seed, so that every run sees the same day. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
