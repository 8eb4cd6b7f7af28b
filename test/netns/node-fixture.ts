/**
 * A node for tests of the daemon as a whole: its network (node-network.ts), DNS servers, and the daemon
 * with the arguments and files of deploy/base.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Install, PID_FILE } from '../../lab/install.ts';
import { until } from '../harness/timing.ts';
import type { Namespace, Server } from './namespace.ts';
import { savedRules } from './node-cache-rules.ts';
import {
  ADDRESSES,
  BACKEND,
  BACKEND6,
  NodeNetwork,
  OUTSIDE_AT,
  type ProxyMode,
  STUB_AT,
  UPSTREAM_SERVICE,
} from './node-network.ts';

/** The address in the answer shows who answered. */
export const KUBE_DNS = '192.0.2.1';
export const STUB = '192.0.2.2';
export const OUTSIDE = '192.0.2.3';

const ROOT = join(import.meta.dirname, '../..');
const MAIN = process.env['NODELOCALD_MAIN'] ?? join(ROOT, 'dist/main.js');

export class NodeFixture {
  readonly network: NodeNetwork;
  readonly node: Namespace;
  readonly pod: Namespace;
  readonly install: Install;
  readonly #directory: string;
  readonly #children: ChildProcess[] = [];
  #kubeDns: Server | undefined;

  private constructor(network: NodeNetwork, localIps: readonly string[]) {
    this.network = network;
    this.node = network.node;
    this.pod = network.pod;
    this.#directory = mkdtempSync(join(tmpdir(), 'nodelocald-netns-'));
    this.install = new Install(this.#directory, join(ROOT, 'deploy/base'), {
      localIp: localIps.join(','),
      upstreamService: UPSTREAM_SERVICE,
    });
    this.install.setResolvConf(`nameserver ${OUTSIDE_AT}\n`);
  }

  /** `close` it. */
  static async make(
    mode: ProxyMode = 'iptables',
    localIps: readonly string[] = ADDRESSES,
  ): Promise<NodeFixture> {
    const network = await NodeNetwork.make(mode);
    const fixture = new NodeFixture(network, localIps);
    await fixture.startKubeDns();
    await network.backend.script(SERVER, [STUB, STUB_AT]);
    await network.backend.script(SERVER, [OUTSIDE, OUTSIDE_AT]);
    return fixture;
  }

  async startKubeDns(): Promise<void> {
    this.#kubeDns = await this.network.backend.script(SERVER, [KUBE_DNS, BACKEND, BACKEND6]);
  }

  async stopKubeDns(): Promise<void> {
    await this.#kubeDns?.kill();
  }

  /** Starts the daemon as its pod does; resolves when it serves. `more` arguments come last. */
  async start(
    more: readonly string[] = [],
    prefix: readonly string[] = [],
  ): Promise<RunningDaemon> {
    // Most tests have no use for the time in which it answers on.
    const daemon = this.launch([...this.install.args(), '-drain', '0', ...more], prefix);
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

  /** Asks `server` for `name` from the pod `rate` times a second, until `end` is called. */
  flood(server: string, name: string, rate: number): Flood {
    const argv = [process.execPath, '-e', FLOOD, server, name, String(rate)];
    const child = this.#spawn(this.pod, argv, {});
    let printed = '';
    child.stdout!.on('data', (text) => {
      printed += String(text);
    });
    return {
      end: async () => {
        child.kill('SIGTERM');
        await once(child, 'close');
        return JSON.parse(printed) as { asked: number; lost: number };
      },
    };
  }

  /** The rules of the raw and filter tables of both families, in their order. */
  async rules(): Promise<{ v4: string[]; v6: string[] }> {
    const { run } = this.node;
    return { v4: await savedRules(run, 'iptables'), v6: await savedRules(run, 'ip6tables') };
  }

  async close(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    await this.network.close();
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

export interface Flood {
  /** How many questions there were, and how many had no answer within a second. */
  end(): Promise<{ asked: number; lost: number }>;
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

  /** Its log lines of the levels that mean trouble. */
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

/** Arguments: the server, the name, questions a second. Prints after SIGTERM what flood tells. */
const FLOOD = `
  const [server, name, rate] = process.argv.slice(1);
  const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]);
  // Of several sockets, so that each has its own way through connection tracking.
  const sockets = Array.from({ length: 16 }, () => {
    const socket = require('dgram').createSocket({ type: 'udp4', recvBufferSize: 1 << 22 });
    const waiting = new Set();
    socket.on('error', () => {});
    socket.on('message', (response) => waiting.delete(response.readUInt16BE(0)));
    return { socket, waiting };
  });
  let asked = 0;
  const beganMs = performance.now();
  const timer = setInterval(() => {
    const due = Math.min(((performance.now() - beganMs) * rate) / 1000, asked + 200);
    while (asked < due) {
      const { socket, waiting } = sockets[asked % sockets.length];
      const id = (asked / sockets.length) & 0xffff;
      waiting.add(id);
      asked++;
      const head = [id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
      socket.send(Buffer.from([...head, ...labels, 0, 0, 1, 0, 1]), 53, server);
    }
  }, 2);
  process.on('SIGTERM', () => {
    clearInterval(timer);
    setTimeout(() => {
      const lost = sockets.reduce((sum, { waiting }) => sum + waiting.size, 0);
      process.stdout.write(JSON.stringify({ asked, lost }), () => process.exit());
    }, 1000);
  });
`;
