/**
 * `--cleanup`: removes all that we or node-cache could have left on the node, whichever the address
 * family and the firewall's kind. To be run when nothing serves any more; running it twice does no
 * harm.
 *
 * Owns:    what is looked for: interface, rules and tables of every kind.
 */
import { HostnetError, type Run, runCommand } from './command.ts';
import { HostInterface } from './interface.ts';
import { removalOf, restore } from './iptables.ts';
import { DELETE_TABLE, TABLE } from './nftables.ts';
import { type FirewallRule, rulesFor } from './rules.ts';

export interface CleanUpOptions {
  /** The addresses of `-localip`. Rules with our comment are found without them. */
  readonly addresses: readonly string[];
  readonly dnsPort: number;
  readonly healthPort: number;
  readonly interfaceName: string;
  readonly run?: Run;
}

export interface CleanUpResult {
  /** A line each; empty on a clean node. */
  readonly removed: readonly string[];
  /** Failures to look at something or to remove it. */
  readonly failures: readonly HostnetError[];
}

/** The plain name is one of the two variants; both may hold rules, and either may be missing. */
const IPTABLES_VARIANTS = ['iptables', 'iptables-nft', 'iptables-legacy'];

/** Never rejects. */
export async function cleanUp(options: CleanUpOptions): Promise<CleanUpResult> {
  const run = options.run ?? runCommand;
  const device = new HostInterface(run, {
    name: options.interfaceName,
    kind: 'dummy',
    addresses: [],
  });
  const removed: string[] = [];
  const failures: HostnetError[] = [];
  const attempt = async (work: () => Promise<readonly string[]>): Promise<void> => {
    try {
      removed.push(...(await work()));
    } catch (error) {
      if (!(error instanceof HostnetError)) throw error;
      // A program that is not installed has left nothing.
      if (error.code !== 'missing') failures.push(error);
    }
  };

  const addresses = new Set(options.addresses);
  await attempt(async () => {
    // The interface still has the addresses of an earlier -localip.
    for (const address of (await device.addresses()) ?? []) addresses.add(address);
    return [];
  });
  const known = rulesFor({ ...options, addresses: [...addresses], crashSafe: false });
  for (const variant of IPTABLES_VARIANTS) {
    for (const command of [variant, variant.replace('ip', 'ip6')]) {
      await attempt(() => removeRules(run, command, known));
    }
  }
  await attempt(() => removeTable(run));
  await attempt(async () =>
    (await device.remove()) ? [`interface ${options.interfaceName}`] : [],
  );
  return { removed, failures };
}

async function removeRules(
  run: Run,
  command: string,
  known: readonly FirewallRule[],
): Promise<string[]> {
  // Without -t, which would make tables of the variant that this node does not use.
  const saved = await run(`${command}-save`, []);
  const { batch, changes } = removalOf(saved, known);
  if (batch !== '') await restore(run, command, batch);
  return changes.map((line) => `${command}: ${line}`);
}

async function removeTable(run: Run): Promise<string[]> {
  const tables = await run('nft', ['list', 'tables']);
  if (!tables.split('\n').includes(`table inet ${TABLE}`)) return [];
  await run('nft', ['-f', '-'], DELETE_TABLE);
  return [`nftables: removed: table inet ${TABLE}`];
}
