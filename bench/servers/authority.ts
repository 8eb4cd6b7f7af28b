/** The upstream of all servers: Debian's knotd with the benchmark's zones, and its count of queries. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { lastWords, hasEnded, type Children } from './children.ts';
import { isPositiveResponse } from './message.ts';
import { freePort } from '../../test/harness/ports.ts';
import { answersWithin } from './probe.ts';
import { program } from '../requirements.ts';
import { clusterZone, exampleZone, hostName } from '../cases/zone.ts';

const START_LIMIT_MS = 10_000;

export class Authority {
  readonly port: number;
  readonly #children: Children;
  readonly #core: number;
  readonly #controlSocket: string;

  private constructor(children: Children, core: number, port: number, controlSocket: string) {
    this.#children = children;
    this.#core = core;
    this.port = port;
    this.#controlSocket = controlSocket;
  }

  /** Starts knotd on `core` and waits until it answers. */
  static async start(children: Children, core: number): Promise<Authority> {
    const port = await freePort();
    const directory = join(children.directory, 'knot');
    mkdirSync(directory);
    writeFileSync(join(directory, 'example.zone'), exampleZone());
    writeFileSync(join(directory, 'cluster.zone'), clusterZone());
    const configuration = join(directory, 'knot.conf');
    const controlSocket = join(directory, 'knot.sock');
    writeFileSync(configuration, knotConfiguration(directory, controlSocket, port));
    const knotd = children.start('knotd', core, [program('knotd'), '-c', configuration]);
    const question = { name: hostName(0), type: 'A' } as const;
    const ended = (): boolean => hasEnded(knotd);
    if (!(await answersWithin(port, question, isPositiveResponse, START_LIMIT_MS, ended))) {
      throw new Error(`knotd does not answer:\n${lastWords(knotd)}`);
    }
    return new Authority(children, core, port, controlSocket);
  }

  /** Queries received since the start, over UDP and TCP. */
  async queries(): Promise<number> {
    const output = await this.#children.run('knotc', this.#core, [
      program('knotc'),
      '-s',
      this.#controlSocket,
      'stats',
      'mod-stats',
    ]);
    let sum = 0;
    for (const found of output.matchAll(/request-protocol\[[^\]]*\] = (\d+)/g)) {
      sum += Number(found[1]);
    }
    return sum;
  }
}

function knotConfiguration(directory: string, controlSocket: string, port: number): string {
  return `
server:
    rundir: ${directory}
    listen: 127.0.0.1@${port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    tcp-idle-timeout: 120
control:
    listen: ${controlSocket}
log:
  - target: stderr
    any: error
database:
    storage: ${directory}
mod-stats:
  - id: count
    request-protocol: on
template:
  - id: default
    storage: ${directory}
    zonefile-sync: -1
    journal-content: none
    global-module: mod-stats/count
zone:
  - domain: example.
    file: example.zone
  - domain: cluster.local.
    file: cluster.zone
`;
}
