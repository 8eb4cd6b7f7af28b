/**
 * A node and its upstreams in namespaces: the daemon and its clients on the node, each upstream behind
 * a link of its own, so that one can be cut off, stopped or refused without the others noticing.
 */
import { join } from 'node:path';
import type { Lab } from '../harness/lab.ts';
import { Child } from '../harness/process.ts';
import { until } from '../harness/timing.ts';
import { Namespace } from './namespace.ts';

const MAIN =
  process.env['NODELOCALD_MAIN'] ?? join(import.meta.dirname, '..', '..', 'dist', 'main.js');
/** Where the daemon answers, on the node. */
const DAEMON = { host: '127.0.0.1', port: 5300 };
/** A Service's address, which the node translates to one upstream for each connection. */
export const SERVICE = '10.96.0.10';

/** One lookup of a client. */
export interface Lookup {
  /** When it was sent, as Date.now() says. */
  readonly atMs: number;
  readonly name: string;
  /** Until the answer; 5000 if there was none within 5 s. */
  readonly tookMs: number;
  /** -1 if there was no answer. */
  readonly rcode: number;
}

export interface Load {
  /** `paced`: `rate` lookups a second. `loop`: `rate` clients, each with one lookup after another. */
  readonly kind: 'paced' | 'loop';
  readonly rate: number;
  readonly seconds: number;
  /** Begins each name; every name is new. */
  readonly prefix?: string;
}

export class UpstreamCluster {
  readonly node: Namespace;
  readonly upstreams: readonly Namespace[];
  readonly addresses: readonly string[];
  readonly #lab: Lab;

  private constructor(lab: Lab, node: Namespace, upstreams: readonly Namespace[]) {
    this.#lab = lab;
    this.node = node;
    this.upstreams = upstreams;
    this.addresses = upstreams.map((_, i) => `10.71.${i}.2`);
  }

  static async make(lab: Lab, count: number): Promise<UpstreamCluster> {
    const node = await Namespace.make('node');
    lab.defer(() => node.close());
    const upstreams: Namespace[] = [];
    for (let i = 0; i < count; i++) {
      const upstream = await Namespace.make(`up${i}`);
      lab.defer(() => upstream.close());
      await node.link(upstream, [`10.71.${i}.1/24`], [`10.71.${i}.2/24`]);
      await upstream.ip(`route add default via 10.71.${i}.1`);
      upstreams.push(upstream);
    }
    return new UpstreamCluster(lab, node, upstreams);
  }

  /** Starts upstream `i` at port 53, over UDP and TCP. */
  async serve(i: number, options: UpstreamOptions = {}): Promise<Child> {
    const argv = [process.execPath, '-e', UPSTREAM, this.addresses[i]!, JSON.stringify(options)];
    const child = this.#spawn(this.upstreams[i]!, `upstream ${i}`, argv);
    await child.ready(() => child.stdout.includes('listening'));
    return child;
  }

  async daemon(forward: string, lines: string = ''): Promise<Child> {
    const corefile = this.#lab.write(
      'Corefile',
      `.:${DAEMON.port} {
    errors
    bind ${DAEMON.host}
    prometheus ${DAEMON.host}:9153
    ${lines}
    forward . ${forward}
}
`,
    );
    const argv = [process.execPath, MAIN, '-conf', corefile];
    const child = this.#spawn(this.node, 'nodelocald', argv);
    await child.ready(() => /^nodelocald-\d/m.test(child.stdout));
    return child;
  }

  /** Clients on the node; their process is of its own, so that what they measure is not what we do. */
  clients({ kind, rate, seconds, prefix = '' }: Load): Clients {
    const argv = [process.execPath, '-e', CLIENTS, kind, String(rate), String(seconds), prefix];
    return new Clients(this.#spawn(this.node, 'clients', argv));
  }

  /**
   * kube-proxy's rules: each connection to the Service goes to one of the first `count` upstreams by
   * chance. May be called again: connections that are there stay where they are.
   */
  async balance(count: number = this.addresses.length): Promise<void> {
    // Packets to there are routed before they are translated.
    await this.node.ip(`route replace default via ${this.addresses[0]!}`);
    await this.node.tables('iptables', '-t nat -F OUTPUT');
    for (const transport of ['tcp', 'udp']) {
      for (const [i, address] of this.addresses.slice(0, count).entries()) {
        const left = count - i;
        const chance = `-m statistic --mode random --probability ${(1 / left).toFixed(5)}`;
        await this.node.tables(
          'iptables',
          `-t nat -A OUTPUT -d ${SERVICE} -p ${transport} --dport 53 ${left > 1 ? `${chance} ` : ''}` +
            `-j DNAT --to-destination ${address}`,
        );
      }
    }
  }

  /** From now on what reaches upstream `i` is treated so; the function that is returned ends that. */
  async treat(i: number, target: string): Promise<() => Promise<void>> {
    const upstream = this.upstreams[i]!;
    await upstream.tables('iptables', `-I INPUT ${target}`);
    return () => upstream.tables('iptables', `-D INPUT ${target}`);
  }

  /** How many queries upstream `i` has answered, probes left out. */
  async answered(i: number, child: Child): Promise<number> {
    const before = child.stdout.length;
    child.kill('SIGUSR2');
    await until(`upstream ${i} has counted`, () =>
      child.stdout.slice(before).includes(' answered'),
    );
    return Number(/(\d+) answered/.exec(child.stdout.slice(before))![1]);
  }

  /** The daemon's metrics as text. */
  async metrics(): Promise<string> {
    const script = `fetch('http://${DAEMON.host}:9153/metrics').then((r) => r.text()).then((t) => console.log(t))`;
    return this.node.run(process.execPath, ['-e', script]);
  }

  #spawn(namespace: Namespace, name: string, argv: readonly string[]): Child {
    return new Child(this.#lab, name, ['ip', 'netns', 'exec', namespace.name, ...argv]);
  }
}

export class Clients {
  readonly #child: Child;

  constructor(child: Child) {
    this.#child = child;
  }

  /** Resolves when they ask. */
  async asking(): Promise<void> {
    await this.#child.ready(() => this.#child.stdout.startsWith('asking'));
  }

  /** Resolves when all have their answers, or have given up. */
  async done(): Promise<readonly Lookup[]> {
    await until('the clients are done', () => this.#child.hasEnded, 60_000);
    const line = this.#child.stdout.split('\n')[1];
    if (line === undefined) throw new Error(`the clients failed: ${this.#child.stderr}`);
    return JSON.parse(line) as readonly Lookup[];
  }
}

/** The value that `share` of the lookups do not exceed, in ms. */
export function quantileMs(lookups: readonly Lookup[], share: number): number {
  const sorted = lookups.map(({ tookMs }) => tookMs).toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]!;
}

/** How many got no answer, or not the one with a record in it. */
export function failed(lookups: readonly Lookup[]): number {
  return lookups.filter(({ rcode }) => rcode !== 0).length;
}

export interface UpstreamOptions {
  /** NOERROR with an A record unless given. */
  readonly rcode?: number;
  /** As CoreDNS: a connection's next query is read when the one before is answered. */
  readonly serial?: boolean;
}

/** Arguments: the address, UpstreamOptions. Names that begin with `slow` take 2 s. SIGUSR2: a count. */
const UPSTREAM = `
  const [address, options] = process.argv.slice(1);
  const { rcode = 0, serial = false } = JSON.parse(options);
  const RECORD = Buffer.from('c00c000100010000001e0004c0000201', 'hex');
  let answered = 0;
  process.on('SIGUSR2', () => console.log(answered + ' answered'));
  const answer = (query) => {
    let end = 12;
    while (query[end] !== 0) end += query[end] + 1;
    const probe = end === 12;
    if (!probe) answered++;
    end += 5;
    const data = rcode === 0 && !probe ? RECORD : Buffer.alloc(0);
    const reply = Buffer.concat([query.subarray(0, end), data]);
    reply.writeUInt16BE(0x8180 | (probe ? 0 : rcode), 2);
    reply.writeUInt16BE(data.length > 0 ? 1 : 0, 6);
    reply.writeUInt32BE(0, 8);
    return reply;
  };
  const waitMs = (query) => (query.toString('latin1', 13, 17) === 'slow' ? 2000 : 0);
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const udp = require('dgram').createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
  udp.on('message', async (query, from) => {
    if (waitMs(query)) await wait(waitMs(query));
    udp.send(answer(query), from.port, from.address);
  });
  const tcp = require('net').createServer((socket) => {
    let left = Buffer.alloc(0);
    const queue = [];
    let busy = false;
    const reply = (query) => {
      const message = answer(query);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(message.length);
      if (!socket.destroyed) socket.write(Buffer.concat([length, message]));
    };
    const work = async () => {
      if (busy) return;
      busy = true;
      for (let query = queue.shift(); query; query = queue.shift()) {
        if (waitMs(query)) await wait(waitMs(query));
        reply(query);
      }
      busy = false;
    };
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      left = Buffer.concat([left, chunk]);
      while (left.length >= 2 && left.length >= 2 + left.readUInt16BE(0)) {
        const end = 2 + left.readUInt16BE(0);
        const query = Buffer.from(left.subarray(2, end));
        left = left.subarray(end);
        if (serial) { queue.push(query); void work(); }
        else if (waitMs(query)) wait(waitMs(query)).then(() => reply(query));
        else reply(query);
      }
    });
  });
  udp.bind(53, address, () => tcp.listen(53, address, 1024, () => console.log('listening')));
`;

/** Arguments: those of Load. Prints "asking", and at the end the lookups. */
const CLIENTS = `
  const [kind, rate, seconds, prefix] = process.argv.slice(1);
  const lookups = [];
  let asked = 0;
  const message = (id, name) => {
    const labels = name.split('.').flatMap((label) => [Buffer.of(label.length), Buffer.from(label)]);
    const query = Buffer.concat([Buffer.alloc(12), ...labels, Buffer.from('0000010001', 'hex')]);
    query.writeUInt16BE(id, 0);
    query[2] = 1;
    query[5] = 1;
    return query;
  };
  const open = () => {
    const socket = require('dgram').createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
    const waiting = new Map();
    socket.on('message', (reply) => waiting.get(reply.readUInt16BE(0))?.(reply[3] & 15));
    return new Promise((resolve) => socket.connect(${DAEMON.port}, '${DAEMON.host}', () => resolve({ socket, waiting })));
  };
  const ask = ({ socket, waiting }) => new Promise((resolve) => {
    const n = asked++;
    const id = n % 65536;
    const name = prefix + 'n' + n + '.' + process.pid + '.test';
    const atMs = Date.now();
    const start = performance.now();
    const end = (rcode) => {
      clearTimeout(timer);
      waiting.delete(id);
      const tookMs = rcode === -1 ? 5000 : performance.now() - start;
      lookups.push({ atMs, name, tookMs: Math.round(tookMs * 10) / 10, rcode });
      resolve();
    };
    const timer = setTimeout(end, 5000, -1);
    waiting.set(id, end);
    socket.send(message(id, name));
  });
  const finish = () => process.stdout.write(JSON.stringify(lookups) + '\\n', () => process.exit());
  const untilMs = performance.now() + Number(seconds) * 1000;
  const loop = async () => {
    const client = await open();
    while (performance.now() < untilMs) await ask(client);
  };
  const paced = async () => {
    const clients = await Promise.all(Array.from({ length: 8 }, open));
    const started = performance.now();
    const pending = [];
    await new Promise((resolve) => {
      const timer = setInterval(() => {
        const due = ((performance.now() - started) / 1000) * Number(rate);
        while (pending.length < due) pending.push(ask(clients[pending.length % clients.length]));
        if (performance.now() < untilMs) return;
        clearInterval(timer);
        resolve();
      }, 5);
    });
    await Promise.all(pending);
  };
  console.log('asking');
  if (kind === 'paced') void paced().then(finish);
  else void Promise.all(Array.from({ length: Number(rate) }, loop)).then(finish);
`;
