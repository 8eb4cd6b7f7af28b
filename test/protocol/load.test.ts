/** A node's day in short: dnsperf for 30 s, and 200 clients that look names up as glibc does. */
import { describe, expect, test } from 'vitest';
import { DatagramClient } from '../harness/client.ts';
import { SERVICES, startCluster } from '../harness/cluster.ts';
import { useLab } from '../harness/lab.ts';
import { NOERROR, NXDOMAIN, query } from '../harness/message.ts';
import { scrape } from '../harness/metrics.ts';
import { run } from '../harness/process.ts';

const lab = useLab();
const { daemon, local, metricsAt } = await startCluster(lab);
const at = { host: local, port: 53 };

const FILE_QUERIES = 50_000;
/** Bounded, since others may need the machine as well; a node sees a tenth of that. */
const QUERIES_PER_SEC_MAX = 5000;

/** Of ten names: six services, two denials of the search list, a host outside, and one never seen. */
function nameOf(i: number): string {
  const k = (i * 7919) % SERVICES;
  if (i % 10 < 6) return `s${k}.load.svc.cluster.local`;
  if (i % 10 < 8) return `h${k}.example.com.load.svc.cluster.local`;
  return i % 10 === 8 ? `h${k}.example.com` : `u${i}.wild.example.com`;
}

describe.each([
  { transport: 'udp', clients: 20, seconds: 30 },
  { transport: 'tcp', clients: 20, seconds: 12 },
])(
  'dnsperf over $transport for $seconds s, $clients clients, 50,000 queries in its file',
  (row) => {
    test('load loses no query, sees no SERVFAIL, and leaves no complaint in the log', async () => {
      const lines = Array.from(
        { length: FILE_QUERIES },
        (_, i) => `${nameOf(i)} ${i % 2 === 0 ? 'A' : 'AAAA'}`,
      );
      const file = lab.write('queries', `${lines.join('\n')}\n`);
      const options = `-s ${local} -p 53 -d ${file} -m ${row.transport} -l ${row.seconds} -t 5 -c ${row.clients}`;
      const argv = `dnsperf ${options} -q 100 -Q ${QUERIES_PER_SEC_MAX}`.split(' ');
      const { code, stdout, stderr } = await run(lab, argv);
      const output = stdout + stderr;
      const figure = (label: string): number =>
        Number(new RegExp(`${label}:\\s+([\\d.]+)`).exec(output)?.[1] ?? NaN);
      expect(code, output).toBe(0);
      expect(figure('Queries sent'), output).toBeGreaterThan(FILE_QUERIES);
      expect(figure('Queries lost'), output).toBe(0);
      expect(figure('Queries completed')).toBe(figure('Queries sent'));
      const rcodes = /Response codes:\s+(.*)/.exec(output)?.[1] ?? '';
      expect(rcodes.replace(/ [\d.]+ \([\d.]+%\)/g, '')).toBe('NOERROR, NXDOMAIN');
      expect(daemon.complaints).toEqual([]);
    }, 60_000);
  },
);

/** The queries that ndots:5 makes of one lookup: names in order, until one exists. */
const SEARCH = ['load.svc.cluster.local', 'svc.cluster.local', 'cluster.local', ''];

class Stub {
  readonly #client: DatagramClient;
  #id: number;
  slowestMs = 0;

  constructor(client: DatagramClient, id: number) {
    this.#client = client;
    this.#id = id;
  }

  /** Asks for A and AAAA from one socket at once, as glibc does. Returns the RCODE of A. */
  async both(name: string): Promise<number> {
    const startMs = performance.now();
    const ids = [this.#nextId(), this.#nextId()];
    this.#client.send(query(name, 'A', { id: ids[0]! }));
    this.#client.send(query(name, 'AAAA', { id: ids[1]! }));
    let rcode = -1;
    for (let left = 2; left > 0; left--) {
      const octets = await this.#client.nextOctets();
      if (octets === undefined) throw new Error(`no answer for ${name} within 5 s`);
      const id = octets.readUInt16BE(0);
      if (!ids.includes(id)) throw new Error(`an answer of ID ${id} to nobody`);
      if (id === ids[0]) rcode = octets[3]! & 0x0f;
    }
    this.slowestMs = Math.max(this.slowestMs, performance.now() - startMs);
    return rcode;
  }

  /** A name of up to four dots, through the search list. */
  async resolve(name: string): Promise<number> {
    let rcode = NXDOMAIN;
    for (const suffix of SEARCH) {
      rcode = await this.both(suffix === '' ? name : `${name}.${suffix}`);
      if (rcode === NOERROR) break;
    }
    return rcode;
  }

  #nextId(): number {
    this.#id = (this.#id + 1) & 0xffff;
    return this.#id;
  }
}

describe('200 clients, A and AAAA from one socket each', () => {
  const CLIENTS = 200;
  const ROUNDS = 20;

  test.each([
    { what: 'one hot service', name: () => `s1.load` },
    { what: 'a service each', name: (i: number) => `s${i}.load` },
    {
      what: 'a host outside each, through the search list',
      name: (i: number) => `h${i}.example.com`,
    },
    {
      what: 'a name never seen, each and every time',
      name: (i: number, round: number) => `c${i}r${round}.wild.example.com`,
    },
  ])('$what: no lookup over 1 s, none lost', async ({ name }) => {
    const stubs = await Promise.all(
      Array.from(
        { length: CLIENTS },
        async (_, i) => new Stub(await DatagramClient.open(lab, at), i * 300),
      ),
    );
    for (let round = 0; round < ROUNDS; round++) {
      // All start at once, which is what overflows a small receive buffer.
      const rcodes = await Promise.all(stubs.map((stub, i) => stub.resolve(name(i, round))));
      expect(rcodes.every((rcode) => rcode === NOERROR)).toBe(true);
    }
    expect(Math.max(...stubs.map(({ slowestMs }) => slowestMs))).toBeLessThan(1000);
    expect(daemon.complaints).toEqual([]);
  });

  test('the load of 200 clients takes eight connections at most to each upstream', async () => {
    const metrics = await scrape(metricsAt);
    const connections = metrics.samples.filter(
      ({ name }) => name === 'nodelocald_upstream_connections',
    );
    expect(connections.length).toBeGreaterThan(0);
    for (const { value } of connections) expect(value).toBeLessThanOrEqual(8);
    expect(metrics.sum('coredns_panics_total')).toBe(0);
  });
});
