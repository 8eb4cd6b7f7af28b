/** The node's connection tracking: what it counts, what it holds, and filling it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Namespace } from './namespace.ts';

export interface ConntrackCounters {
  readonly insertFailed: number;
  readonly drop: number;
  readonly clashResolve: number;
}

/** Nobody else's addresses (RFC 2544). */
const FILL_NETWORK = '198.18';
const FILL_TARGET = '198.19.0.1';
const PORTS_OF_ADDRESS = 1 << 14;
const FIRST_PORT = 1024;
const FILL_SEC = 600;
/** A fuller table would take too much of the machine: some 320 octets an entry. */
export const FILL_MAX = 1 << 20;
const SAMPLE_MS = 250;

/** The limit, which is the machine's: a namespace cannot set it. */
export function entriesMax(): number {
  return Number(readFileSync('/proc/sys/net/netfilter/nf_conntrack_max', 'utf8'));
}

function entryCount(node: Namespace): number {
  return Number(node.run('conntrack -C'));
}

/** Sums over the processors. */
export function counters(node: Namespace): ConntrackCounters {
  const printed = node.run('conntrack -S');
  const sum = (name: string): number =>
    [...printed.matchAll(new RegExp(`\\b${name}=(\\d+)`, 'g'))]
      .map(([, digits]) => Number(digits))
      .reduce((total, n) => total + n, 0);
  return {
    insertFailed: sum('insert_failed'),
    drop: sum('drop'),
    clashResolve: sum('clash_resolve'),
  };
}

/** How many entries are queries to one of `addresses`. */
export async function entriesTo(node: Namespace, addresses: readonly string[]): Promise<number> {
  let found = 0;
  for (const address of addresses) {
    const printed = await node.runLong(`conntrack -L -d ${address}`);
    found += printed.split('\n').filter((line) => line.includes(`dst=${address} `)).length;
  }
  return found;
}

/** Counts the entries again and again until it is stopped, and keeps the highest count. */
export class Peak {
  #most = 0;
  #going = true;
  readonly #done: Promise<void>;

  constructor(node: Namespace) {
    this.#done = this.#look(node);
  }

  async #look(node: Namespace): Promise<void> {
    while (this.#going) {
      this.#most = Math.max(this.#most, entryCount(node));
      await sleep(SAMPLE_MS);
    }
  }

  async end(): Promise<number> {
    this.#going = false;
    await this.#done;
    return this.#most;
  }
}

/** Writes to `file` what `fill` reads: more entries than there is room for. */
export function writeFill(file: string): void {
  const count = Math.min(entriesMax(), FILL_MAX) + 100;
  const lines: string[] = [];
  for (let i = 0; i < count; i++) {
    const n = Math.floor(i / PORTS_OF_ADDRESS);
    const source = `${FILL_NETWORK}.${Math.floor(n / 200)}.${(n % 200) + 1}`;
    const port = FIRST_PORT + (i % PORTS_OF_ADDRESS);
    // The kernel throws out what is not assured to make room for what is new.
    lines.push(
      `-A -p udp -s ${source} -d ${FILL_TARGET} --sport ${port} --dport 9 -r ${FILL_TARGET} ` +
        `-q ${source} --reply-port-src 9 --reply-port-dst ${port} -u SEEN_REPLY,ASSURED -t ${FILL_SEC}`,
    );
  }
  writeFileSync(file, `${lines.join('\n')}\n`);
}

/** Fills the table, which takes seconds; it ends with the first entry that found no room. */
export async function fill(node: Namespace, file: string): Promise<void> {
  await node.runLong(`conntrack -R ${file}`);
}

/** Takes out what `fill` put in. */
export async function drain(node: Namespace): Promise<void> {
  await node.runLong(`conntrack -D -d ${FILL_TARGET}`);
}
