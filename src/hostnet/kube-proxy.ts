/**
 * What else on the node concerns itself with the addresses of Services, told at start, since most of
 * what goes wrong with a node-local cache goes wrong between it and kube-proxy.
 *
 * Is not:  used to decide anything: each line names its cure.
 */
import { HostnetError, type Run, runCommand } from './command.ts';
import { addressesByInterface } from './interface.ts';

export interface NodeSurvey {
  /** How Services are translated, as far as it can be seen; `unknown` also without NET_ADMIN. */
  readonly proxy: 'iptables' | 'ipvs' | 'nftables' | 'unknown';
  /** Whole sentences for the log. */
  readonly warnings: readonly string[];
}

export interface SurveyOptions {
  readonly addresses: readonly string[];
  readonly interfaceName: string;
  readonly run?: Run;
}

const IPVS_INTERFACE = 'kube-ipvs0';

/** Looks only. Never rejects: what cannot be looked at is not told. */
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
    // An `ip` that cannot print JSON is told of by the first check of the interface.
  }
  const warnings = [
    ...variantWarning(version, hasKubeChains(nft), hasKubeChains(legacy)),
    ...ownerWarnings(interfaces, options),
  ];
  return {
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
  return chains ? 'iptables' : 'unknown';
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
