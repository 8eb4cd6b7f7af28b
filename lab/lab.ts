/** The lab itself: the cluster, the clients, the daemon, and a directory. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from './cluster.ts';
import { writeFill } from './conntrack.ts';
import { Daemon } from './daemon.ts';
import type { Ending } from './ending.ts';
import { Load } from './load.ts';

/** For what is still under way to arrive, and the queries by which `loop` finds loops to be over. */
const SETTLE_MS = 2500;

export class Lab {
  readonly cluster: Cluster;
  readonly load: Load;
  readonly daemon: Daemon;
  /** The file by which the conntrack table is filled. */
  readonly fillFile: string;

  private constructor(cluster: Cluster, root: string, directory: string) {
    this.cluster = cluster;
    this.load = new Load(cluster, root, directory);
    this.daemon = new Daemon(cluster, root, directory);
    this.fillFile = join(directory, 'fill');
  }

  /** `root` is the repository. */
  static async make(ending: Ending, root: string): Promise<Lab> {
    const directory = mkdtempSync(join(tmpdir(), 'nodelocald-lab-'));
    ending.undo(() => rmSync(directory, { recursive: true, force: true }));
    return new Lab(await Cluster.make(ending), root, directory);
  }

  prepareFill(): void {
    writeFill(this.fillFile);
  }

  /** As on a node that has just started: for a daemon that does not run yet. */
  forgetConnections(): void {
    this.cluster.node.run('conntrack -F');
  }

  /** A conntrack table without the entries of the row before, and backends that count from here. */
  async settle(): Promise<void> {
    // Entries of the daemon's connections are needed: without them the DNAT is lost.
    await this.cluster.node.runLong('conntrack -D -p udp');
    await sleep(SETTLE_MS);
    await Promise.all(this.cluster.backends.map((backend) => backend.counts('reset')));
  }
}
