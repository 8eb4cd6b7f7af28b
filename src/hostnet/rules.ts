/**
 * The firewall rules as data: which packets skip connection tracking, and so kube-proxy's DNAT, and
 * which are let in and out.
 *
 *   a pod's query      PREROUTING: NOTRACK (the diversion)   INPUT: ACCEPT
 *   our response       OUTPUT: NOTRACK                       OUTPUT: ACCEPT
 *   the host's query   OUTPUT: NOTRACK (the diversion)       then over lo, as a pod's
 *   the host's probe   OUTPUT: NOTRACK both ways, on the health port
 *
 * Tracked (-notrack=false), for policies that know connections only, nothing is NOTRACK, and a query is
 * kept from kube-proxy by a translation to the address that it has, before kube-proxy's:
 *   a query to a Service   PREROUTING and OUTPUT of nat: KEEP (the diversion)
 *
 * Owns:    the list of node-cache, in its order, and which rules may stay without a listener.
 * Is not:  a writer of rules: iptables.ts, nftables.ts and owned-table.ts put them in.
 */
import { formatHostPort } from '../net/host-port.ts';
import { type IpAddress, ipFromText } from '../net/ip.ts';

/**
 * How long a rule has its effect once it is in: `always`, until it is removed; `while-listening`,
 * while a socket is bound to its address and port (xt_socket, or nftables' socket expression);
 * `while-alive`, while the process lives that put it in.
 */
type Life = 'always' | 'while-listening' | 'while-alive';

export interface FirewallRule {
  readonly family: 4 | 6;
  readonly table: 'raw' | 'filter' | 'nat';
  readonly chain: 'PREROUTING' | 'INPUT' | 'OUTPUT';
  readonly protocol: 'tcp' | 'udp';
  /** Whether the packet goes to `address` and `port`, or comes from there. */
  readonly side: 'to' | 'from';
  /** Ours, in the spelling of RFC 5952. */
  readonly address: string;
  readonly port: number;
  readonly action: 'NOTRACK' | 'ACCEPT' | 'KEEP';
  readonly life: Life;
  /** Without it, someone else (kube-dns, by kube-proxy) gets the query. */
  readonly diverts: boolean;
}

export interface RuleOptions {
  /** Of both families, duplicates counted once. A text that is not an address throws Error. */
  readonly addresses: readonly string[];
  readonly dnsPort: number;
  readonly healthPort: number;
  /** No rule that diverts may outlive the listening sockets or, where that is impossible, us. */
  readonly crashSafe: boolean;
  /** Connection tracking sees the queries, and our responses; false unless given. */
  readonly tracked?: boolean;
}

/** The comments by which node-cache, and we, know a rule again. */
export const COMMENTS: Readonly<Record<FirewallRule['action'], string>> = {
  NOTRACK: 'NodeLocal DNS Cache: skip conntrack',
  ACCEPT: 'NodeLocal DNS Cache: allow DNS traffic',
  KEEP: 'NodeLocal DNS Cache: keep from DNAT',
};

/**
 * The rules in the order of node-cache's list. It inserts each at the head of its chain, so they
 * stand there the other way round.
 */
export function rulesFor(options: RuleOptions): FirewallRule[] {
  const addresses = new Map<string, IpAddress>();
  for (const text of options.addresses) {
    const ip = ipFromText(text);
    if (ip === undefined) throw new Error(`${JSON.stringify(text)} is not an IP address`);
    addresses.set(ip.text, ip);
  }
  return [...addresses.values()].flatMap((ip) => rulesOf(ip, options));
}

function rulesOf(
  ip: IpAddress,
  { dnsPort, healthPort, crashSafe, tracked = false }: RuleOptions,
): FirewallRule[] {
  const takenOver = !isLinkLocal(ip);
  const base = {
    family: ip.family,
    address: ip.text,
    port: dnsPort,
    life: 'always',
    diverts: false,
  } as const;
  const skip = { ...base, table: 'raw', action: 'NOTRACK' } as const;
  const allow = { ...base, table: 'filter', action: 'ACCEPT' } as const;
  const out = { ...skip, chain: 'OUTPUT' } as const;

  const pods = {
    ...skip,
    chain: 'PREROUTING',
    side: 'to',
    life: crashSafe ? 'while-listening' : 'always',
    diverts: takenOver,
  } as const;
  // A packet in OUTPUT belongs to the socket that sent it, so no socket match can ask who listens.
  // An address that is not taken over needs no safety.
  const host = {
    ...out,
    side: 'to',
    life: crashSafe && takenOver ? 'while-alive' : 'always',
    diverts: takenOver,
  } as const;
  const allowed = [
    { ...allow, chain: 'INPUT', protocol: 'tcp', side: 'to' },
    { ...allow, chain: 'INPUT', protocol: 'udp', side: 'to' },
    { ...allow, chain: 'OUTPUT', protocol: 'tcp', side: 'from' },
    { ...allow, chain: 'OUTPUT', protocol: 'udp', side: 'from' },
  ] as const;
  if (tracked) return takenOver ? [...allowed, ...kept(base)] : [...allowed];
  return [
    { ...pods, protocol: 'tcp' },
    { ...pods, protocol: 'udp' },
    { ...allow, chain: 'INPUT', protocol: 'tcp', side: 'to' },
    { ...allow, chain: 'INPUT', protocol: 'udp', side: 'to' },
    { ...out, protocol: 'tcp', side: 'from' },
    { ...out, protocol: 'udp', side: 'from' },
    { ...allow, chain: 'OUTPUT', protocol: 'tcp', side: 'from' },
    { ...allow, chain: 'OUTPUT', protocol: 'udp', side: 'from' },
    { ...host, protocol: 'tcp' },
    { ...host, protocol: 'udp' },
    { ...out, protocol: 'tcp', side: 'to', port: healthPort },
    { ...out, protocol: 'tcp', side: 'from', port: healthPort },
  ];
}

/**
 * A connection has one translation, and the first that is made is it: to the same address, so that
 * kube-proxy's comes too late, in whichever of its modes.
 */
function kept(base: Pick<FirewallRule, 'family' | 'address' | 'port'>): FirewallRule[] {
  return (['PREROUTING', 'OUTPUT'] as const).flatMap((chain) =>
    (['tcp', 'udp'] as const).map((protocol) => ({
      ...base,
      table: 'nat',
      chain,
      protocol,
      side: 'to',
      action: 'KEEP',
      life: 'while-alive',
      diverts: true,
    })),
  );
}

/** 169.254.0.0/16 and fe80::/10: no Service has such an address, so it is not taken over. */
function isLinkLocal({ octets }: IpAddress): boolean {
  if (octets.length === 4) return octets[0] === 169 && octets[1] === 254;
  return octets[0] === 0xfe && (octets[1]! & 0xc0) === 0x80;
}

/** Whether kube-proxy may send what the host asks there elsewhere, unless a rule of ours diverts it. */
export function isTakenOver(address: string): boolean {
  const ip = ipFromText(address);
  return ip !== undefined && !isLinkLocal(ip) && !OWN_ADDRESSES.test(ip.text);
}

/** The wildcards, which we ask on loopback, and loopback. */
const OWN_ADDRESSES = /^(0\.0\.0\.0|127\..*|::1?)$/;

/** Puts rules in, keeps them so, and takes them out. */
export interface Firewall {
  readonly name: 'iptables' | 'nftables';
  /**
   * Makes `wanted` stand once each, and nothing else of `known`, in one transaction for each
   * family. Resolves to what was changed, a line for each rule; to nothing if all was as it should
   * be. Rejects with HostnetError. Neither list holds rules with the life `while-alive`.
   */
  apply(
    wanted: readonly FirewallRule[],
    known: readonly FirewallRule[],
    signal?: AbortSignal,
  ): Promise<string[]>;
}

/** A rule for people: `raw PREROUTING -p udp to 10.96.0.10:53 NOTRACK`. */
export function describeRule(rule: FirewallRule): string {
  const { table, chain, protocol, side, address, port, action, life } = rule;
  const at = formatHostPort({ host: address, port });
  const limit = life === 'always' ? '' : ` ${life}`;
  return `${table} ${chain} ${protocol} ${side} ${at} ${action}${limit}`;
}
