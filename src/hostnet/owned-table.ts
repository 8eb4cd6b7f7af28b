/**
 * Rules that the kernel removes when we die: an nftables table with the flag `owner` (Linux 5.12)
 * belongs to the netlink socket that made it, and goes when that is closed. An `nft -i` holds the
 * socket and reads its commands from a pipe of ours: if we are killed it reads the pipe's end and
 * goes too.
 *
 * It is the only way for packets of the host's own processes, which a socket match cannot catch,
 * and for translations (rules.ts). It works beside iptables of either kind, and costs a process of
 * 1 MB.
 *
 * Owns:    the process and the table, which no other process can change or delete.
 */
import { randomBytes } from 'node:crypto';
import { type Hold, type HeldProcess, HostnetError } from './command.ts';
import { ruleText } from './nftables.ts';
import type { FirewallRule } from './rules.ts';

/** For nft to start and to answer. */
const ANSWER_MS = 3000;

export class OwnedTable {
  /** Like no other's, so that the next worker has its own beside it; pids repeat among containers. */
  readonly name: string = `nodelocald_host_${randomBytes(4).toString('hex')}`;
  readonly #hold: Hold;
  #process: HeldProcess | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(hold: Hold) {
    this.#hold = hold;
  }

  /** Whether the rules are in. */
  get isHeld(): boolean {
    return this.#process !== undefined;
  }

  /**
   * Puts `rules` in, of raw OUTPUT and nat, if none are. Rejects with HostnetError if nft is missing,
   * or the kernel knows no such table.
   */
  async put(rules: readonly FirewallRule[]): Promise<void> {
    if (this.#process !== undefined || rules.length === 0) return;
    const held = this.#hold('nft', ['-i']);
    this.#ended = new Promise((resolve) => {
      held.onEnd(() => {
        if (this.#process === held) this.#process = undefined;
        resolve();
      });
    });
    try {
      await this.#fill(held, rules);
    } catch (error) {
      held.kill();
      throw error;
    }
    this.#process = held;
  }

  #fill(held: HeldProcess, rules: readonly FirewallRule[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const refuse = (code: 'failed' | 'timeout', said: string): void => {
        clearTimeout(timer);
        reject(new HostnetError(code, 'nft -i', said));
      };
      const timer = setTimeout(() => refuse('timeout', ''), ANSWER_MS);
      let printed = '';
      held.onOutput((text, isError) => {
        if (isError) refuse('failed', text.trim().replaceAll(/\s*\n\s*/g, '; '));
        printed += text;
        // Later output is of no interest.
        if (!printed.includes(`table inet ${this.name}`)) return;
        clearTimeout(timer);
        resolve();
      });
      held.onEnd((error) => {
        clearTimeout(timer);
        reject(error);
      });
      // One line is one transaction. The listing shows that it succeeded.
      held.write(`${ownedTableText(this.name, rules)}\nlist table inet ${this.name}\n`);
    });
  }

  /** Takes the rules out: the kernel does, when the process is gone. Resolves when it is. */
  async drop(): Promise<void> {
    const held = this.#process;
    if (held === undefined) return;
    const ended = this.#ended;
    this.#process = undefined;
    held.kill();
    await ended;
  }
}

const CHAINS = [
  { name: 'output_raw', table: 'raw', chain: 'OUTPUT', type: 'filter hook output priority raw' },
  // Before kube-proxy's, which are at -100 in all its modes.
  {
    name: 'prerouting_nat',
    table: 'nat',
    chain: 'PREROUTING',
    type: 'nat hook prerouting priority -110',
  },
  { name: 'output_nat', table: 'nat', chain: 'OUTPUT', type: 'nat hook output priority -110' },
] as const;

/** In one line. */
function ownedTableText(name: string, rules: readonly FirewallRule[]): string {
  const chains = CHAINS.flatMap(({ name: chain, table, chain: of, type }) => {
    const held = rules.filter((rule) => rule.table === table && rule.chain === of);
    if (held.length === 0) return [];
    return [
      `add chain inet ${name} ${chain} { type ${type}; policy accept; }`,
      ...held.map((rule) => `add rule inet ${name} ${chain} ${ruleText(rule)}`),
    ];
  });
  return [`add table inet ${name} { flags owner; }`, ...chains].join('; ');
}
