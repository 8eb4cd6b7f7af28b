/**
 * A node for tests of the daemon as a whole: the namespaces `node`, `pod` and `backend`, kube-proxy's
 * DNAT in both families, DNS servers, and the daemon with the arguments and files of deploy/base.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Install, PID_FILE } from '../../lab/install.ts';
import { until } from '../harness/timing.ts';
import { Namespace } from './namespace.ts';

export const LINK_LOCAL = '169.254.20.10';
export const SERVICE = '10.96.0.10';
export const SERVICE6 = 'fd00:96::a';
export const ADDRESSES: readonly string[] = [LINK_LOCAL, SERVICE, SERVICE6];
export const DEVICE = 'nodelocaldns';
/** Who answers is told by the address in the answer. */
export const KUBE_DNS = '192.0.2.1';
export const STUB = '192.0.2.2';
export const OUTSIDE = '192.0.2.3';
const UPSTREAM_SERVICE = '10.96.0.11';
const BACKEND = '10.2.0.2';
const BACKEND6 = 'fd00:2::2';
export const STUB_AT = '10.2.0.3';
const OUTSIDE_AT = '10.2.0.4';

const ROOT = join(import.meta.dirname, '../..');
const MAIN = process.env['NODELOCALD_MAIN'] ?? join(ROOT, 'dist/main.js');

export class NodeFixture {
  readonly node: Namespace;
  readonly pod: Namespace;
  readonly backend: Namespace;
  readonly install: Install;
  readonly #directory: string;
  readonly #children: ChildProcess[] = [];

  private constructor(namespaces: readonly [Namespace, Namespace, Namespace]) {
    [this.node, this.pod, this.backend] = namespaces;
    this.#directory = mkdtempSync(join(tmpdir(), 'nodelocald-netns-'));
    this.install = new Install(this.#directory, join(ROOT, 'deploy/base'), {
      localIp: ADDRESSES.join(','),
      upstreamService: UPSTREAM_SERVICE,
    });
    this.install.setResolvConf(`nameserver ${OUTSIDE_AT}\n`);
  }

  /** `close` it. */
  static async make(): Promise<NodeFixture> {
    const [node, pod, backend] = [
      await Namespace.make('node'),
      await Namespace.make('pod'),
      await Namespace.make('dns'),
    ];
    const fixture = new NodeFixture([node, pod, backend]);
    await node.link(pod, ['10.1.0.1/24', 'fd00:1::1/64'], ['10.1.0.2/24', 'fd00:1::2/64']);
    const servers = [BACKEND, STUB_AT, OUTSIDE_AT].map((address) => `${address}/24`);
    await node.link(backend, ['10.2.0.1/24', 'fd00:2::1/64'], [...servers, `${BACKEND6}/64`]);
    for (const [namespace, n] of [
      [pod, 1],
      [backend, 2],
    ] as const) {
      await namespace.ip(`route add default via 10.${n}.0.1`);
      await namespace.ip(`-6 route add default via fd00:${n}::1`);
    }
    // An address of a Service is routed somewhere before it is translated.
    await node.ip(`route add default via ${BACKEND}`);
    await node.ip(`-6 route add default via ${BACKEND6}`);
    await node.set('net/ipv4/ip_forward', '1');
    await node.set('net/ipv6/conf/all/forwarding', '1');
    for (const protocol of ['udp', 'tcp']) {
      for (const chain of ['PREROUTING', 'OUTPUT']) {
        const rule = `-t nat -A ${chain} -p ${protocol} --dport 53 -j DNAT`;
        await node.tables('iptables', `${rule} -d ${SERVICE} --to-destination ${BACKEND}`);
        await node.tables('iptables', `${rule} -d ${UPSTREAM_SERVICE} --to-destination ${BACKEND}`);
        await node.tables('ip6tables', `${rule} -d ${SERVICE6} --to-destination ${BACKEND6}`);
      }
    }
    await backend.script(SERVER, [KUBE_DNS, BACKEND, BACKEND6]);
    await backend.script(SERVER, [STUB, STUB_AT]);
    await backend.script(SERVER, [OUTSIDE, OUTSIDE_AT]);
    await fixture.makeDevice();
    return fixture;
  }

  /** The daemon makes it of type dummy, which not every kernel has. */
  async makeDevice(): Promise<void> {
    await this.node.ip(`link add ${DEVICE} type bridge`);
  }

  /** Starts the daemon as its pod does; resolves when it serves. `more` arguments come last. */
  async start(
    more: readonly string[] = [],
    prefix: readonly string[] = [],
  ): Promise<RunningDaemon> {
    const daemon = this.launch([...this.install.args(), ...more], prefix);
    await daemon.serves();
    return daemon;
  }

  /** Starts the program with exactly these arguments, behind `prefix`, and does not wait. */
  launch(
    args: readonly string[] = this.install.args(),
    prefix: readonly string[] = [],
  ): RunningDaemon {
    const argv = this.install.argv([...prefix, process.execPath, MAIN, ...args]);
    return new RunningDaemon(this.#spawn(this.node, argv, { env: this.install.environment() }));
  }

  /** Runs the program with exactly these arguments to its end. */
  async runMain(args: readonly string[]): Promise<{ code: number | null; output: string }> {
    const daemon = this.launch(args);
    return { code: await daemon.ended(), output: daemon.output };
  }

  /** The address that the answer holds, or `nobody`. */
  async ask(
    client: Namespace,
    server: string,
    name: string,
    ...options: readonly string[]
  ): Promise<string> {
    const args = ['+short', '+tries=1', '+time=2', `@${server}`, name, 'A', ...options];
    try {
      return (await client.run('dig', args)).trim();
    } catch {
      return 'nobody'; // dig ends with 9
    }
  }

  /** The body of what is served at `url`, seen from the node. */
  async get(url: string): Promise<string> {
    const script = `fetch(${JSON.stringify(url)}).then((r) => r.text()).then(console.log)`;
    return this.node.run(process.execPath, ['-e', script]);
  }

  /**
   * Asks `server` for `name` every 5 ms from the pod, each time from a new socket, until `meanwhile`
   * is done. Resolves to how many questions got no answer within 1 s, and to the answers in the order
   * in which they changed.
   */
  async askOnAndOn(
    server: string,
    name: string,
    meanwhile: () => Promise<void>,
  ): Promise<{ asked: number; lost: number; answers: string[] }> {
    const child = this.#spawn(this.pod, [process.execPath, '-e', PROBE, server, name], {});
    let printed = '';
    child.stdout!.on('data', (text) => {
      printed += String(text);
    });
    await once(child.stdout!, 'data');
    await meanwhile();
    child.kill('SIGTERM');
    await once(child, 'close');
    return JSON.parse(printed.trim().split('\n').at(-1)!) as {
      asked: number;
      lost: number;
      answers: string[];
    };
  }

  /** The rules of the raw and filter tables of both families, in their order. */
  async rules(): Promise<{ v4: string[]; v6: string[] }> {
    const of = async (command: string): Promise<string[]> => {
      const raw = await this.node.run(`${command}-save`, ['-t', 'raw']);
      const filter = await this.node.run(`${command}-save`, ['-t', 'filter']);
      return `${raw}\n${filter}`
        .replaceAll('-j CT --notrack', '-j NOTRACK') // two spellings of one rule
        .split('\n')
        .filter((line) => line.startsWith('-A'));
    };
    return { v4: await of('iptables'), v6: await of('ip6tables') };
  }

  async close(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    for (const namespace of [this.node, this.pod, this.backend]) await namespace.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #spawn(
    namespace: Namespace,
    argv: readonly string[],
    options: { env?: Record<string, string> },
  ): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', namespace.name, ...argv], {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...options,
    });
    this.#children.push(child);
    return child;
  }
}

export class RunningDaemon {
  readonly #child: ChildProcess;
  #output = '';

  constructor(child: ChildProcess) {
    this.#child = child;
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on('data', (text) => {
        this.#output += String(text);
      });
    }
  }

  get output(): string {
    return this.#output;
  }

  /** What it has logged at the levels that mean trouble. */
  get complaints(): string[] {
    return this.#output.split('\n').filter((line) => /^\[(WARNING|ERROR|FATAL)\]/.test(line));
  }

  get pidFile(): string {
    return `/proc/${this.#child.pid}/root${PID_FILE}`;
  }

  /** Waits for the pidfile. Throws with the output if the daemon ends instead. */
  async serves(): Promise<void> {
    const hasEnded = (): boolean => this.#child.exitCode !== null;
    await until('the daemon serves', () => hasEnded() || existsSync(this.pidFile), 15_000).catch(
      (error: unknown) => {
        throw new Error(`${String(error)}\n${this.#output}`, { cause: error });
      },
    );
    if (hasEnded()) throw new Error(`the daemon has ended:\n${this.#output}`);
  }

  /** Its exit code; null after a signal. */
  async ended(): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      await once(this.#child, 'close');
    }
    return this.#child.exitCode;
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    this.#child.kill(signal);
    return this.ended();
  }
}

/** node-cache's list for an address, in the order in which its inserting leaves each chain. */
function nodeCacheRules(address: string): string[] {
  const host = `${address}/${address.includes(':') ? 128 : 32}`;
  const skip = '-m comment --comment "NodeLocal DNS Cache: skip conntrack" -j NOTRACK';
  const allow = '-m comment --comment "NodeLocal DNS Cache: allow DNS traffic" -j ACCEPT';
  return [
    `-A PREROUTING -d ${host} -p udp -m udp --dport 53 ${skip}`,
    `-A PREROUTING -d ${host} -p tcp -m tcp --dport 53 ${skip}`,
    `-A OUTPUT -s ${host} -p tcp -m tcp --sport 8080 ${skip}`,
    `-A OUTPUT -d ${host} -p tcp -m tcp --dport 8080 ${skip}`,
    `-A OUTPUT -d ${host} -p udp -m udp --dport 53 ${skip}`,
    `-A OUTPUT -d ${host} -p tcp -m tcp --dport 53 ${skip}`,
    `-A OUTPUT -s ${host} -p udp -m udp --sport 53 ${skip}`,
    `-A OUTPUT -s ${host} -p tcp -m tcp --sport 53 ${skip}`,
    `-A INPUT -d ${host} -p udp -m udp --dport 53 ${allow}`,
    `-A INPUT -d ${host} -p tcp -m tcp --dport 53 ${allow}`,
    `-A OUTPUT -s ${host} -p udp -m udp --sport 53 ${allow}`,
    `-A OUTPUT -s ${host} -p tcp -m tcp --sport 53 ${allow}`,
  ];
}

/** node-cache's rules for these addresses as iptables-save prints them: the last address first. */
export function nodeCacheRulesOf(addresses: readonly string[]): string[] {
  const all = addresses.toReversed().flatMap(nodeCacheRules);
  const ofChain = (start: string, action: string): string[] =>
    all.filter((rule) => rule.startsWith(start) && rule.endsWith(action));
  return [
    ...ofChain('-A PREROUTING', 'NOTRACK'),
    ...ofChain('-A OUTPUT', 'NOTRACK'),
    ...ofChain('-A INPUT', 'ACCEPT'),
    ...ofChain('-A OUTPUT', 'ACCEPT'),
  ];
}

/**
 * Answers every question for an A record with the address of its first argument, TTL 1 s, others with
 * no data; on the addresses that follow, UDP and TCP. Prints a line when it listens.
 */
const SERVER = `
  const [answer, ...addresses] = process.argv.slice(1);
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, ...answer.split('.')]);
  const respond = (query) => {
    let end = 12;
    while (query[end] !== 0) end += query[end] + 1;
    const isA = query.readUInt16BE(end + 1) === 1;
    const head = Buffer.from([query[0], query[1], 0x84, 0x80, 0, 1, 0, isA ? 1 : 0, 0, 0, 0, 0]);
    return Buffer.concat([head, query.subarray(12, end + 5), isA ? record : Buffer.alloc(0)]);
  };
  Promise.all(addresses.flatMap((address) => {
    const udp = require('dgram').createSocket(address.includes(':') ? 'udp6' : 'udp4');
    udp.on('message', (query, from) => udp.send(respond(query), from.port, from.address));
    const tcp = require('net').createServer((socket) => {
      let rest = Buffer.alloc(0);
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        rest = Buffer.concat([rest, chunk]);
        while (rest.length > 2 && rest.length >= rest.readUInt16BE(0) + 2) {
          const end = rest.readUInt16BE(0) + 2;
          const response = respond(rest.subarray(2, end));
          rest = rest.subarray(end);
          socket.write(Buffer.concat([Buffer.from([response.length >> 8, response.length & 255]), response]));
        }
      });
    });
    return [
      new Promise((resolve) => udp.bind(53, address, resolve)),
      new Promise((resolve) => tcp.listen(53, address, resolve)),
    ];
  })).then(() => console.log('listening'));
`;

/** Arguments: the server, the name. Prints "asking", and after SIGTERM what askOnAndOn tells. */
const PROBE = `
  const [server, name] = process.argv.slice(1);
  const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]);
  const query = Buffer.from([7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, 1, 0, 1]);
  const waiting = new Set();
  const answers = [];
  let asked = 0;
  const timer = setInterval(() => {
    const socket = require('dgram').createSocket(server.includes(':') ? 'udp6' : 'udp4');
    waiting.add(socket);
    asked++;
    socket.on('error', () => {});
    socket.on('message', (response) => {
      waiting.delete(socket);
      socket.close();
      const answer = (response[3] & 15) === 0 ? response.subarray(-4).join('.') : 'RCODE ' + (response[3] & 15);
      if (answers.at(-1) !== answer) answers.push(answer);
    });
    socket.send(query, 53, server);
  }, 5);
  console.log('asking');
  process.on('SIGTERM', () => {
    clearInterval(timer);
    setTimeout(() => {
      console.log(JSON.stringify({ asked, lost: waiting.size, answers }));
      process.exit();
    }, 1000);
  });
`;
