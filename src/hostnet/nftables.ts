/**
 * The rules natively in nftables: one table of our own, replaced in one transaction. For nodes
 * without iptables.
 *
 *   table inet nodelocald
 *     prerouting, output_raw   at priority raw (-300), before connection tracking (-200)
 *     input, output            at priority filter (0)
 *
 * A verdict of ours ends only our own chain: `accept` here does not keep another table from dropping
 * the packet, which the ACCEPT of iptables, at the head of the one filter table, does. A node whose
 * own nftables rules drop by default needs a rule there.
 *
 * Owns:    the table's name and text.
 */
import { HostnetError, type Run } from './command.ts';
import { COMMENTS, type Firewall, type FirewallRule, describeRule } from './rules.ts';

export const TABLE = 'nodelocald';

interface Chain {
  readonly name: string;
  readonly hook: string;
  readonly priority: 'raw' | 'filter';
  readonly holds: (rule: FirewallRule) => boolean;
}

const CHAINS: readonly Chain[] = [
  {
    name: 'prerouting',
    hook: 'prerouting',
    priority: 'raw',
    holds: ({ chain }) => chain === 'PREROUTING',
  },
  {
    name: 'output_raw',
    hook: 'output',
    priority: 'raw',
    holds: ({ table, chain }) => table === 'raw' && chain === 'OUTPUT',
  },
  { name: 'input', hook: 'input', priority: 'filter', holds: ({ chain }) => chain === 'INPUT' },
  {
    name: 'output',
    hook: 'output',
    priority: 'filter',
    holds: ({ table, chain }) => table === 'filter' && chain === 'OUTPUT',
  },
];

/** Adding before deleting makes deleting succeed whether or not the table is there. */
export const DELETE_TABLE = `add table inet ${TABLE}\ndelete table inet ${TABLE}\n`;

export class Nftables implements Firewall {
  readonly name = 'nftables' as const;
  readonly #run: Run;
  /** How nft printed the table after our last writing; undefined before the first. */
  #printed: string | undefined;
  #written = '';

  constructor(run: Run) {
    this.#run = run;
  }

  /** `known` is not needed: all that is in the table is ours. */
  async apply(
    wanted: readonly FirewallRule[],
    _known: readonly FirewallRule[],
    signal?: AbortSignal,
  ): Promise<string[]> {
    const script = wanted.length === 0 ? DELETE_TABLE : DELETE_TABLE + tableText(wanted);
    if (this.#written === script && (await this.#print(signal)) === this.#printed) return [];
    // A table left by an earlier process is replaced too: that is atomic, so no query notices.
    await this.#run('nft', ['-f', '-'], script, signal);
    this.#written = script;
    this.#printed = await this.#print(signal);
    return wanted.length === 0
      ? [`removed: nftables table inet ${TABLE}`]
      : wanted.map((rule) => `added: ${describeRule(rule)}`);
  }

  /** Undefined if there is no such table. */
  async #print(signal?: AbortSignal): Promise<string | undefined> {
    try {
      return await this.#run('nft', ['list', 'table', 'inet', TABLE], undefined, signal);
    } catch (error) {
      if (error instanceof HostnetError && error.said.includes('No such file')) return undefined;
      throw error;
    }
  }
}

/** The table with `rules`, their order turned round as iptables' inserting does it. */
export function tableText(rules: readonly FirewallRule[]): string {
  const chains = CHAINS.map(({ name, hook, priority, holds }) => {
    const lines = rules
      .filter(holds)
      .toReversed()
      .map((rule) => `    ${ruleText(rule)}\n`);
    const head = `    type filter hook ${hook} priority ${priority}; policy accept;\n`;
    return `  chain ${name} {\n${head}${lines.join('')}  }\n`;
  });
  return `table inet ${TABLE} {\n${chains.join('')}}\n`;
}

/** One rule in nft's language. */
export function ruleText(rule: FirewallRule): string {
  const ip = rule.family === 4 ? 'ip' : 'ip6';
  const [host, service] = rule.side === 'to' ? ['daddr', 'dport'] : ['saddr', 'sport'];
  // The socket expression ends the rule where there is no socket, whatever is asked of it.
  // `transparent` can be asked of every socket, `wildcard` not of a connection half open.
  const socket = rule.life === 'while-listening' ? 'socket transparent { 0, 1 } ' : '';
  const action =
    rule.action === 'KEEP' ? `dnat ${ip} to ${rule.address}` : rule.action.toLowerCase();
  return (
    `${ip} ${host} ${rule.address} ${rule.protocol} ${service} ${rule.port} ${socket}` +
    `${action} comment "${COMMENTS[rule.action]}"`
  );
}
