/**
 * A survey of what else on the node handles the addresses of Services, logged at start, since most
 * troubles of a node-local cache arise between it and kube-proxy.
 *
 * Owns:    which addresses are another's and so not ours to take (`findOwners`), which is quick; and the
 *          words for the rest (`surveyNode`), which reads all rules and decides nothing.
 */
import { HostnetError, type Run, runCommand } from './command.ts';
import { addressesByInterface } from './interface.ts';
import { isTakenOver } from './rules.ts';

export interface NodeSurvey {
  /** How Services are translated, as far as it can be seen; `unknown` also without NET_ADMIN. */
  readonly proxy: 'iptables' | 'ipvs' | 'nftables' | 'cilium' | 'unknown';
  /** iptables' own word for what it writes: `nf_tables`, `legacy`; empty if it is missing. */
  readonly variant: string;
  /** Whole sentences for the log. */
  readonly warnings: readonly string[];
}

export interface SurveyOptions {
  readonly addresses: readonly string[];
  readonly interfaceName: string;
  readonly run?: Run;
}

const IPVS_INTERFACE = 'kube-ipvs0';
/** Interfaces whose addresses IPVS or eBPF programs answer for before any socket of ours could. */
const OWNERS = /^(kube-ipvs0|cilium_.*)$/;

/** Each of `addresses` that such an owner has, with its interface. Never rejects. */
export async function findOwners(
  addresses: readonly string[],
  run: Run = runCommand,
): Promise<ReadonlyMap<string, string>> {
  const owners = new Map<string, string>();
  try {
    const interfaces = addressesByInterface(await run('ip', ['-json', 'addr', 'show']));
    for (const [name, present] of interfaces) {
      if (!OWNERS.test(name)) continue;
      for (const address of addresses) if (present.includes(address)) owners.set(address, name);
    }
  } catch (error) {
    // The first check of the interface reports it.
    if (!(error instanceof HostnetError)) throw error;
  }
  return owners;
}

export interface Interception {
  /** Addresses whose queries come to us; empty with `-setupiptables=false`. */
  readonly diverted: readonly string[];
  /** Left to their owners. */
  readonly ceded: ReadonlyMap<string, string>;
  readonly firewall: 'iptables' | 'nftables' | 'none';
}

/** One line for the operator about how queries flow on this node. */
export function describeNode(
  { proxy, variant }: NodeSurvey,
  { diverted, ceded, firewall }: Interception,
): string {
  const written = firewall === 'iptables' && variant !== '' ? `iptables (${variant})` : firewall;
  const owned = [...ceded].map(
    ([address, name]) => `${address} belongs to ${name}, and is left to it`,
  );
  const translated = diverted.filter((address) => isTakenOver(address));
  return [
    `Node: kube-proxy ${PROXIES[proxy]}`,
    firewall === 'none' ? 'rules are left to others' : `our rules go through ${written}`,
    ...owned,
    ...translated.map((address) => `${address} is a Service's where it is not diverted`),
    diverted.length === 0
      ? 'no queries are diverted here'
      : `queries to ${diverted.join(', ')} are diverted here`,
  ].join('; ');
}

const PROXIES: Readonly<Record<NodeSurvey['proxy'], string>> = {
  iptables: 'in the mode iptables',
  ipvs: 'in the mode ipvs',
  nftables: 'in the mode nftables',
  cilium: 'replaced by cilium',
  unknown: 'not seen',
};

/** Only looks. Never rejects: the survey lacks what cannot be looked at. */
export async function surveyNode(options: SurveyOptions): Promise<NodeSurvey> {
  const run = options.run ?? runCommand;
  const look = async (command: string, args: readonly string[]): Promise<string> => {
    try {
      return await run(command, args);
    } catch (error) {
      if (error instanceof HostnetError) return '';
      throw error;
    }
  };
  const [devices, version, nft, legacy, tables] = await Promise.all([
    look('ip', ['-json', 'addr', 'show']),
    look('iptables', ['--version']),
    look('iptables-nft-save', []),
    look('iptables-legacy-save', []),
    look('nft', ['list', 'tables']),
  ]);
  let interfaces = new Map<string, string[]>();
  try {
    interfaces = addressesByInterface(devices);
  } catch {
    // The first check of the interface reports an `ip` that cannot print JSON.
  }
  const warnings = [
    ...variantWarning(version, hasKubeChains(nft), hasKubeChains(legacy)),
    ...ownerWarnings(interfaces, options),
  ];
  return {
    variant: /\((\w+)\)/.exec(version)?.[1] ?? (version === '' ? '' : 'legacy'),
    proxy: proxyOf(interfaces, hasKubeChains(nft) || hasKubeChains(legacy), tables),
    warnings,
  };
}

function hasKubeChains(saved: string): boolean {
  return /^:KUBE-SERVICES /m.test(saved);
}

function proxyOf(
  interfaces: ReadonlyMap<string, unknown>,
  chains: boolean,
  tables: string,
): NodeSurvey['proxy'] {
  // kube-proxy in the mode ipvs has chains of the same name too.
  if (interfaces.has(IPVS_INTERFACE)) return 'ipvs';
  if (/^table ip6? kube-proxy$/m.test(tables)) return 'nftables';
  if (chains) return 'iptables';
  return interfaces.has('cilium_host') ? 'cilium' : 'unknown';
}

function variantWarning(version: string, nft: boolean, legacy: boolean): string[] {
  const ours = version.includes('nf_tables') ? 'nft' : 'legacy';
  const theirs = ours === 'nft' ? 'legacy' : 'nft';
  if (version === '' || nft === legacy || (ours === 'nft' ? nft : legacy)) return [];
  return [
    `kube-proxy's rules are in iptables-${theirs} and ours go into iptables-${ours}. Both work side ` +
      `by side, but the rules are easier to read in one place: make iptables-${theirs} the ` +
      'iptables of this image, or use --firewall nftables.',
  ];
}

function ownerWarnings(
  interfaces: ReadonlyMap<string, readonly string[]>,
  { addresses, interfaceName }: SurveyOptions,
): string[] {
  return [...interfaces].flatMap(([name, present]) => {
    const shared = addresses.filter((address) => present.includes(address));
    if (name === interfaceName || shared.length === 0) return [];
    const cure =
      name === IPVS_INTERFACE
        ? 'kube-proxy in the mode ipvs owns the addresses of Services: leave it out of -localip, and ' +
          "point kubelet's --cluster-dns to the link-local address"
        : 'two owners answer for it; remove one';
    return [`${shared.join(', ')} is on the interface ${name} too: ${cure}.`];
  });
}
