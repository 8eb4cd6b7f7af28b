/** Debian's authoritative server as upstream, with zones of the test's own. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { askOrSilence } from './client.ts';
import type { Endpoint, Lab } from './lab.ts';
import { query } from './message.ts';
import { Child } from './process.ts';

/** Zone name, without final dot, to its records as a zone file has them. */
export type Zones = Readonly<Record<string, string>>;

let started = 0;

export class Knotd {
  readonly endpoint: Endpoint;
  readonly #lab: Lab;
  readonly #configuration: string;
  readonly #probe: string;
  #child: Child | undefined;

  private constructor(lab: Lab, endpoint: Endpoint, configuration: string, probe: string) {
    this.#lab = lab;
    this.endpoint = endpoint;
    this.#configuration = configuration;
    this.#probe = probe;
  }

  /** Starts it and waits until it answers. */
  static async start(lab: Lab, endpoint: Endpoint, zones: Zones): Promise<Knotd> {
    const directory = join(lab.directory, `knot-${++started}`);
    mkdirSync(directory);
    for (const [zone, records] of Object.entries(zones)) {
      writeFileSync(join(directory, `${zone}.zone`), `$ORIGIN ${zone}.\n${records}\n`);
    }
    const configuration = join(directory, 'knot.conf');
    writeFileSync(configuration, configurationFor(directory, endpoint, Object.keys(zones)));
    const knotd = new Knotd(lab, endpoint, configuration, Object.keys(zones)[0]!);
    await knotd.startAgain();
    return knotd;
  }

  async startAgain(): Promise<void> {
    const child = new Child(this.#lab, 'knotd', ['knotd', '-c', this.#configuration]);
    this.#child = child;
    await child.ready(async () => {
      const soa = query(this.#probe, 'SOA');
      const reply = await askOrSilence(this.#lab, this.endpoint, soa, 200);
      return reply?.rcode === 0 && reply.answers.length === 1;
    });
  }

  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#child?.ended;
  }
}

function configurationFor(
  directory: string,
  { host, port }: Endpoint,
  zones: readonly string[],
): string {
  return `
server:
    rundir: ${directory}
    listen: ${host}@${port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    tcp-idle-timeout: 120
control:
    listen: ${join(directory, 'knot.sock')}
log:
  - target: stderr
    any: error
database:
    storage: ${directory}
template:
  - id: default
    storage: ${directory}
    zonefile-sync: -1
    journal-content: none
zone:
${zones.map((zone) => `  - domain: ${zone}.\n    file: ${zone}.zone`).join('\n')}
`;
}
