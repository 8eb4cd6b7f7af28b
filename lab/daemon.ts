/** The daemon on the lab's node, with the flags and files that the manifests give it. */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LOCAL, SERVICE, UPSTREAM_SERVICE, type Cluster } from './cluster.ts';
import { stop } from './ending.ts';
import { Install, PID_FILE } from './install.ts';

const START_MAX_MS = 20_000;
const POLL_MS = 2;
/** Octets of its output kept for a message about its failure. */
const OUTPUT_MAX = 20_000;

export class Daemon {
  readonly #cluster: Cluster;
  readonly #install: Install;
  readonly #main: string;
  #child: ChildProcess | undefined;
  #output = '';

  /** `root` is the repository, `directory` one for the daemon's files. */
  constructor(cluster: Cluster, root: string, directory: string) {
    this.#cluster = cluster;
    this.#main = join(root, 'dist/main.js');
    this.#install = new Install(directory, join(root, 'deploy/base'), {
      localIp: `${LOCAL},${SERVICE}`,
      upstreamService: UPSTREAM_SERVICE,
    });
    this.#install.setResolvConf('nameserver 10.2.0.20\n');
  }

  /** Gives it a Corefile whose cache of cluster names serves stale answers, or the manifests' own. */
  setServeStale(stale: boolean): void {
    const corefile = this.#install.corefile();
    const option = '$&\n            serve_stale 30s verify';
    this.#install.setCorefile(stale ? corefile.replace(/denial 9984 5$/m, option) : corefile);
  }

  /** Starts it; resolves to the ms until it served and diverted. */
  async start(): Promise<number> {
    this.#cluster.makeDevice();
    const beganMs = performance.now();
    this.#child = await this.#run(beganMs);
    return performance.now() - beganMs;
  }

  /** Starts another beside it, as a DaemonSet with maxSurge does, and stops it once that serves. */
  async replace(): Promise<void> {
    const before = this.#child!;
    this.#child = await this.#run(performance.now());
    await stop(before);
  }

  /** Kills the process that serves, and not the one that it belongs to. */
  killWorker(): void {
    const [worker] = execFileSync('pgrep', ['-P', String(this.#child!.pid)], { encoding: 'utf8' })
      .split('\n')
      .map(Number);
    process.kill(worker!, 'SIGKILL');
  }

  async #run(beganMs: number): Promise<ChildProcess> {
    const argv = this.#install.argv([process.execPath, this.#main, ...this.#install.args()]);
    const child = this.#cluster.node.start(argv, this.#install.environment());
    this.#output = '';
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on('data', (text) => {
        this.#output = (this.#output + String(text)).slice(-OUTPUT_MAX);
      });
    }
    const pidFile = `/proc/${child.pid}/root${PID_FILE}`;
    while (!existsSync(pidFile)) {
      if (child.exitCode !== null || performance.now() - beganMs > START_MAX_MS) {
        throw new Error(`the daemon does not serve:\n${this.#output}`);
      }
      await sleep(POLL_MS);
    }
    return child;
  }

  /** Its output since its last start. */
  get output(): string {
    return this.#output;
  }

  /** With SIGTERM; resolves when it is gone, to the ms until it diverted nothing any more. */
  async stop(): Promise<number> {
    const beganMs = performance.now();
    const child = this.#child;
    if (child === undefined) return 0;
    const ended = stop(child);
    while (child.exitCode === null && this.#diverts()) await sleep(POLL_MS);
    const undivertedMs = performance.now() - beganMs;
    await ended;
    this.#child = undefined;
    return undivertedMs;
  }

  #diverts(): boolean {
    return this.#cluster.node.run('iptables-save -t raw').includes(`PREROUTING -d ${SERVICE}/32`);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const ended = new Promise((resolve) => {
      child.once('close', resolve);
    });
    child.kill('SIGKILL');
    await ended;
    this.#child = undefined;
  }
}
