/**
 * The rules through iptables and ip6tables: one reading of each table, a comparison in memory, and
 * one `iptables-restore --noflush` for each family, only if something differs. node-cache runs a
 * process for each rule, each of which may wait 5 s for the lock.
 *
 * Owns:    reading what iptables-save prints, and the batch that iptables-restore gets.
 * Is not:  a full reader of iptables rules: one with anything that ours lack is foreign, and stays.
 */
import { ipFromText } from '../net/ip.ts';
import { HostnetError, type Run } from './command.ts';
import { COMMENTS, type Firewall, type FirewallRule, describeRule } from './rules.ts';

type Table = FirewallRule['table'];
const TABLES: readonly Table[] = ['raw', 'filter'];

/** How long iptables waits for the lock that kube-proxy and CNI plugins take too. */
const LOCK_WAIT_SEC = 5;

/** Another process may change the rules between reading and writing; once more settles that. */
const TRIES = 2;

export class Iptables implements Firewall {
  readonly name = 'iptables' as const;
  readonly #run: Run;

  constructor(run: Run) {
    this.#run = run;
  }

  async apply(
    wanted: readonly FirewallRule[],
    known: readonly FirewallRule[],
    signal?: AbortSignal,
  ): Promise<string[]> {
    const results = await Promise.allSettled(
      ([4, 6] as const).map(async (family) => {
        const of = (rules: readonly FirewallRule[]): FirewallRule[] =>
          rules.filter((r) => r.family === family);
        if (of(wanted).length + of(known).length === 0) return [];
        const command = family === 4 ? 'iptables' : 'ip6tables';
        return this.#applyFamily(command, of(wanted), of(known), signal);
      }),
    );
    // One family's failure must not keep the other from its rules.
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    return results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
  }

  async #applyFamily(
    command: string,
    wanted: readonly FirewallRule[],
    known: readonly FirewallRule[],
    signal?: AbortSignal,
  ): Promise<string[]> {
    for (let attempt = 1; ; attempt++) {
      const saved = await readTables(this.#run, command, signal);
      const change = changeTo(saved, wanted, known);
      if (change.batch === '') return [];
      try {
        await restore(this.#run, command, change.batch, signal);
        return change.changes;
      } catch (error) {
        const again = error instanceof HostnetError && error.code === 'failed';
        if (!again || attempt === TRIES) throw error;
      }
    }
  }
}

/** The raw and filter tables as iptables-save prints them. Without `-t` it would print nat too. */
async function readTables(run: Run, command: string, signal?: AbortSignal): Promise<string> {
  const texts: string[] = [];
  for (const table of TABLES) {
    texts.push(await run(`${command}-save`, ['-t', table], undefined, signal));
  }
  return texts.join('\n');
}

/** Writes a batch, all of it or nothing for each table. */
export async function restore(
  run: Run,
  command: string,
  batch: string,
  signal?: AbortSignal,
): Promise<void> {
  const args = ['--noflush', '--wait', String(LOCK_WAIT_SEC)];
  await run(`${command}-restore`, args, batch, signal);
}

export interface TableChange {
  /** For iptables-restore; empty if there is nothing to do. */
  readonly batch: string;
  /** The effect, a line for each rule. */
  readonly changes: string[];
}

/**
 * The batch after which each of `wanted` stands once, and no other form of a rule of `known`:
 * neither duplicates, nor rules without the comment that older images left, nor the form with the
 * socket match where the one without is wanted, and the other way round.
 */
export function changeTo(
  saved: string,
  wanted: readonly FirewallRule[],
  known: readonly FirewallRule[],
): TableChange {
  const ours = new Set([...known, ...wanted].map(identityOf));
  const missing = new Set(wanted);
  const byForm = new Map(wanted.map((rule) => [formOf(rule), rule]));
  const lines: Record<Table, string[]> = { raw: [], filter: [], nat: [] };
  const changes: string[] = [];
  for (const { table, text, rule, form } of savedRules(saved)) {
    if (rule === undefined || !ours.has(identityOf(rule))) continue;
    const meant = byForm.get(form);
    if (meant !== undefined && missing.delete(meant)) continue;
    lines[table].push(text.replace(/^-A/, '-D'));
    changes.push(`removed: ${table} ${text}`);
  }
  for (const rule of missing) {
    lines[rule.table].push(`-I ${rule.chain} ${specOf(rule)}`);
    changes.push(`added: ${describeRule(rule)}`);
  }
  return { batch: batchOf(lines), changes };
}

/** The batch that removes every rule of node-cache and ours: by comment, or by the shape of `known`. */
export function removalOf(saved: string, known: readonly FirewallRule[]): TableChange {
  const ours = new Set(known.map(identityOf));
  const lines: Record<Table, string[]> = { raw: [], filter: [], nat: [] };
  const changes: string[] = [];
  for (const { table, text, rule, comment } of savedRules(saved)) {
    const byComment = Object.values(COMMENTS).some((ourComment) => ourComment === comment);
    if (!byComment && (rule === undefined || !ours.has(identityOf(rule)))) continue;
    lines[table].push(text.replace(/^-A/, '-D'));
    changes.push(`removed: ${table} ${text}`);
  }
  return { batch: batchOf(lines), changes };
}

function batchOf(lines: Readonly<Record<Table, readonly string[]>>): string {
  return TABLES.filter((table) => lines[table].length > 0)
    .map((table) => `*${table}\n${lines[table].join('\n')}\nCOMMIT\n`)
    .join('');
}

/** A rule's match and target, as node-cache gives them, and as iptables-save prints them back. */
function specOf(rule: FirewallRule): string {
  const { family, protocol, address, port } = rule;
  const prefix = `${address}/${family === 4 ? 32 : 128}`;
  const [host, service] = rule.side === 'to' ? ['-d', '--dport'] : ['-s', '--sport'];
  // Without --nowildcard the match ignores sockets that are bound to no address.
  const socket = rule.life === 'while-listening' ? '-m socket --nowildcard ' : '';
  return (
    `${host} ${prefix} -p ${protocol} -m ${protocol} ${service} ${port} ${socket}` +
    `-m comment --comment "${COMMENTS[rule.action]}" -j ${rule.action}`
  );
}

type Shape = Omit<FirewallRule, 'family' | 'life' | 'diverts'>;

/** Equal for all forms of a rule: with and without comment, with and without socket match. */
function identityOf({ table, chain, protocol, side, address, port, action }: Shape): string {
  return [table, chain, protocol, side, address, port, action].join(' ');
}

function formOf(rule: FirewallRule): string {
  return `${identityOf(rule)} ${rule.life === 'while-listening'} ${COMMENTS[rule.action]}`;
}

interface SavedRule {
  readonly table: Table;
  /** The line as printed: `-A PREROUTING ...`. */
  readonly text: string;
  readonly comment: string | undefined;
  /** Undefined if it matches on anything that none of our rules has. */
  readonly rule: Shape | undefined;
  /** As formOf would have it. */
  readonly form: string;
}

/** The rules of the raw and filter tables in what iptables-save printed. */
function savedRules(saved: string): SavedRule[] {
  const rules: SavedRule[] = [];
  let table: Table | undefined;
  for (const text of saved.split('\n')) {
    if (text.startsWith('*')) table = TABLES.find((name) => text === `*${name}`);
    if (!text.startsWith('-A ') || table === undefined) continue;
    rules.push(readRule(table, text));
  }
  return rules;
}

function readRule(table: Table, text: string): SavedRule {
  const words = wordsOf(text);
  const draft: { -readonly [Key in keyof Shape]?: Shape[Key] } = { table };
  let comment: string | undefined;
  let socket = false;
  let foreign = false;
  for (let i = 0; i < words.length; i++) {
    const option = words[i]!;
    if (option === '--nowildcard') continue;
    // `-j CT --notrack` is what some versions print for NOTRACK.
    if (option === '--notrack') {
      draft.action = 'NOTRACK';
      continue;
    }
    const value = words[++i] ?? '';
    if (option === '-A') draft.chain = oneOf(value, ['PREROUTING', 'INPUT', 'OUTPUT']);
    else if (option === '-p') draft.protocol = oneOf(value, ['tcp', 'udp']);
    else if (option === '-d' && draft.address === undefined) draft.address = hostOf(value);
    else if (option === '-s' && draft.address === undefined) draft.address = hostOf(value);
    else if (option === '--dport' && draft.side === undefined) draft.side = 'to';
    else if (option === '--sport' && draft.side === undefined) draft.side = 'from';
    else if (option === '--comment') comment = value;
    else if (option === '-j' && value !== 'CT') draft.action = oneOf(value, ['NOTRACK', 'ACCEPT']);
    else if (option === '-m' && value === 'socket') socket = true;
    else if (option === '-j' || (option === '-m' && isPlainMatch(value))) continue;
    else foreign = true;
    if (option === '--dport' || option === '--sport') draft.port = Number(value);
  }
  const address = words.includes(draft.side === 'to' ? '-d' : '-s') ? draft.address : undefined;
  const { chain, protocol, side, port, action } = draft;
  const shape =
    foreign || !chain || !protocol || !side || !address || port === undefined || !action
      ? undefined
      : { table, chain, protocol, side, address, port, action };
  const form = shape === undefined ? '' : `${identityOf(shape)} ${socket} ${comment ?? ''}`;
  return { table, text, comment, rule: shape, form };
}

function isPlainMatch(name: string): boolean {
  return name === 'tcp' || name === 'udp' || name === 'comment';
}

function oneOf<Word extends string>(word: string, words: readonly Word[]): Word {
  // A word that none of ours has makes an identity that none of ours has.
  return words.find((known) => known === word) ?? (`other ${word}` as Word);
}

/** `10.96.0.10/32` as `10.96.0.10`; a network stays what it is, and so equals no address of ours. */
function hostOf(text: string): string {
  const host = /^(.*)\/(32|128)$/.exec(text)?.[1] ?? text;
  return ipFromText(host)?.text ?? text;
}

/** A printed rule's words, its double quotes and backslashes resolved. */
function wordsOf(text: string): string[] {
  const words = text.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? [];
  return words.map((word) =>
    word.startsWith('"') ? word.slice(1, -1).replaceAll(/\\(.)/g, '$1') : word,
  );
}
