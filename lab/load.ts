/** The clients: threads in each pod that call getaddrinfo(), and what came of it. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Cluster } from './cluster.ts';
import type { Namespace } from './namespace.ts';

/** One client process's line, or several in one. */
export interface Lookups {
  readonly lookups: number;
  readonly failed: number;
  /** Had not ended 16 s after the last began. */
  readonly unfinished: number;
  readonly slowestMs: number;
  readonly over1s: number;
  readonly over5s: number;
  /** Workers with a lookup of more than 1 s. */
  readonly stalledWorkers: number;
  /** Sum over the workers of the seconds in which they got no answer. */
  readonly silentWorkerSeconds: number;
  /** The longest time without any answer in a pod. */
  readonly gapMs: number;
}

export interface LoadShape {
  /** Over all pods together. */
  readonly workers: number;
  readonly seconds: number;
  /** 0 for a closed loop: each lookup follows the one before. */
  readonly paceMs: number;
  /** Of names that nobody asked for before. */
  readonly coldPercent: number;
  readonly hotNames: number;
}

export class Load {
  readonly #program: string;
  readonly #cluster: Cluster;
  #runs = 0;

  /** Compiles the program into `directory`. */
  constructor(cluster: Cluster, root: string, directory: string) {
    this.#cluster = cluster;
    this.#program = join(directory, 'clients');
    const source = join(root, 'lab/clients.c');
    execFileSync('cc', ['-O2', '-pthread', '-o', this.#program, source], { stdio: 'inherit' });
  }

  /** Runs the load; each pod's lookups, by the address that it asked. */
  async run(shape: LoadShape, nameservers: readonly string[]): Promise<Map<string, Lookups>> {
    const run = this.#runs++;
    const results = await Promise.all(
      this.#cluster.pods.map(async (pod, i) => {
        const address = nameservers[i % nameservers.length]!;
        this.#cluster.setNameserver(pod, address);
        return { address, line: await this.#runIn(pod, shape, `${run}-${i}`) };
      }),
    );
    const byAddress = new Map<string, Lookups>();
    for (const { address, line } of results) {
      const before = byAddress.get(address);
      byAddress.set(address, before === undefined ? line : sum(before, line));
    }
    return byAddress;
  }

  async #runIn(pod: Namespace, shape: LoadShape, tag: string): Promise<Lookups> {
    const { workers, seconds, paceMs, coldPercent, hotNames } = shape;
    const numbers = [workers / this.#cluster.pods.length, seconds, paceMs, coldPercent, hotNames];
    const child = pod.start([this.#program, ...numbers.map(String), tag]);
    let output = '';
    child.stdout!.on('data', (text) => {
      output += String(text);
    });
    await new Promise((resolve) => {
      child.once('close', resolve);
    });
    if (output === '') throw new Error(`the clients in ${pod.name} ended without a result`);
    return JSON.parse(output) as Lookups;
  }
}

/** Of two pods. */
export function sum(a: Lookups, b: Lookups): Lookups {
  return {
    lookups: a.lookups + b.lookups,
    failed: a.failed + b.failed,
    unfinished: a.unfinished + b.unfinished,
    slowestMs: Math.max(a.slowestMs, b.slowestMs),
    over1s: a.over1s + b.over1s,
    over5s: a.over5s + b.over5s,
    stalledWorkers: a.stalledWorkers + b.stalledWorkers,
    silentWorkerSeconds: a.silentWorkerSeconds + b.silentWorkerSeconds,
    gapMs: Math.max(a.gapMs, b.gapMs),
  };
}
