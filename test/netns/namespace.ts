/**
 * Network namespaces for tests, each with its own interfaces, rules and conntrack table. Needs root.
 * Nothing in them reaches the machine's own network.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Hold, type Run, holdCommand, runCommand } from '../../src/hostnet/command.ts';

let made = 0;

export class Namespace {
  readonly name: string;
  readonly #children: ChildProcess[] = [];

  private constructor(name: string) {
    this.name = name;
  }

  /** With its loopback interface up. `close` it. */
  static async make(label: string): Promise<Namespace> {
    const namespace = new Namespace(`nlt-${process.pid}-${made++}-${label}`);
    await runCommand('ip', ['netns', 'add', namespace.name]);
    // An interface is usable at once, not after the second in which duplicates are looked for.
    await namespace.set('net/ipv6/conf/default/accept_dad', '0');
    await namespace.ip('link set lo up');
    return namespace;
  }

  /** Runs a program in here; the Run that hostnet gets. */
  readonly run: Run = (command, args, stdin, signal) =>
    runCommand('ip', ['netns', 'exec', this.name, command, ...args], stdin, signal);

  /** The Hold that hostnet gets. */
  readonly hold: Hold = (command, args) =>
    holdCommand('ip', ['netns', 'exec', this.name, command, ...args]);

  /** Sets a kernel parameter, by its path below /proc/sys. */
  async set(parameter: string, value: string): Promise<void> {
    await this.run('tee', [`/proc/sys/${parameter}`], value);
  }

  /** `ip` with arguments that hold no blanks. */
  async ip(args: string): Promise<string> {
    return this.run('ip', args.split(' '));
  }

  /** A line of iptables and ip6tables. */
  async tables(command: 'iptables' | 'ip6tables', args: string): Promise<void> {
    await this.run(command, args.split(' '));
  }

  /** Joins this namespace and `other` by a pair of interfaces with the addresses. */
  async link(other: Namespace, here: readonly string[], there: readonly string[]): Promise<void> {
    const [a, b] = [`v${made++}`, `v${made++}`];
    await this.ip(`link add ${a} type veth peer name ${b} netns ${other.name}`);
    for (const [namespace, device, addresses] of [
      [this, a, here],
      [other, b, there],
    ] as const) {
      for (const address of addresses) {
        const nodad = address.includes(':') ? ' nodad' : '';
        await namespace.ip(`addr add ${address} dev ${device}${nodad}`);
      }
      await namespace.ip(`link set ${device} up`);
    }
  }

  /** Starts a process that answers `answer` to everything on the addresses, over UDP and TCP. */
  async serve(answer: string, addresses: readonly string[], port: number = 53): Promise<Server> {
    return this.script(SERVER, [answer, String(port), ...addresses]);
  }

  /** Starts a script of CommonJS in here; resolves when it prints something. */
  async script(text: string, args: readonly string[]): Promise<Server> {
    const child = this.#node(text, args);
    await once(child.stdout!, 'data');
    return {
      kill: async () => {
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
      },
    };
  }

  /** Who answers at each `TRANSPORT ADDRESS`, or `nobody`, asked all at once. */
  async ask(questions: readonly string[]): Promise<string[]> {
    const child = this.#node(CLIENT, questions);
    let printed = '';
    child.stdout!.on('data', (text) => {
      printed += String(text);
    });
    await once(child, 'close');
    return printed.trim().split('\n');
  }

  /**
   * Asks over UDP every 5 ms, each time from a new socket, until `meanwhile` is done and half a
   * second more. Resolves to how many got no answer, and to the time between the first and the last
   * of these.
   */
  async askOnAndOn(address: string, meanwhile: () => Promise<void>): Promise<Losses> {
    const child = this.#node(PROBE, [address]);
    let printed = '';
    child.stdout!.on('data', (text) => {
      printed += String(text);
    });
    await once(child.stdout!, 'data');
    await meanwhile();
    child.kill('SIGTERM');
    await once(child, 'close');
    const [asked, lost, spanMs] = printed.trim().split(/\s+/).slice(1).map(Number);
    return { asked: asked!, lost: lost!, spanMs: spanMs! };
  }

  /** The entries of the conntrack table that name `address`. */
  async tracked(address: string): Promise<string[]> {
    const family = address.includes(':') ? 'ipv6' : 'ipv4';
    const printed = await this.run('conntrack', ['-L', '-f', family]);
    return printed.split('\n').filter((line) => line.includes(`=${address} `));
  }

  #node(script: string, args: readonly string[]): ChildProcess {
    const node = [process.execPath, '-e', script, ...args];
    const child = spawn('ip', ['netns', 'exec', this.name, ...node], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#children.push(child);
    return child;
  }

  async close(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    await runCommand('ip', ['netns', 'del', this.name]);
  }
}

export interface Losses {
  readonly asked: number;
  readonly lost: number;
  readonly spanMs: number;
}

export interface Server {
  /** With SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
}

/** Arguments: the answer, the port, the addresses. Prints a line when it listens on all. */
const SERVER = `
  const [answer, port, ...addresses] = process.argv.slice(1);
  const waits = addresses.flatMap((address) => {
    const udp = require('dgram').createSocket(address.includes(':') ? 'udp6' : 'udp4');
    udp.on('message', (_, from) => udp.send(answer, from.port, from.address));
    const tcp = require('net').createServer((socket) => socket.end(answer));
    return [
      new Promise((resolve) => udp.bind(Number(port), address, resolve)),
      new Promise((resolve) => tcp.listen(Number(port), address, resolve)),
    ];
  });
  Promise.all(waits).then(() => console.log('listening'));
`;

/** Arguments: each "udp ADDRESS" or "tcp ADDRESS". Prints an answer a line, "nobody" after 2 s. */
const CLIENT = `
  const ask = (question) => new Promise((resolve) => {
    const [transport, address] = question.split(' ');
    setTimeout(resolve, 2000, 'nobody');
    if (transport === 'udp') {
      const socket = require('dgram').createSocket(address.includes(':') ? 'udp6' : 'udp4');
      socket.on('error', () => resolve('nobody'));
      socket.on('message', (text) => resolve(String(text)));
      socket.connect(53, address, (error) => { if (!error) socket.send('?'); });
    } else {
      const socket = require('net').connect(53, address);
      socket.on('error', () => resolve('nobody'));
      socket.on('data', (text) => resolve(String(text)));
    }
  });
  Promise.all(process.argv.slice(1).map(ask)).then((answers) => {
    process.stdout.write(answers.join('\\n'), () => process.exit());
  });
`;

/** Argument: the address. Prints "asking", and after SIGTERM what askOnAndOn tells. */
const PROBE = `
  const [address] = process.argv.slice(1);
  const waiting = new Set();
  let asked = 0;
  const timer = setInterval(() => {
    const socket = require('dgram').createSocket(address.includes(':') ? 'udp6' : 'udp4');
    const atMs = performance.now();
    asked++;
    waiting.add(atMs);
    socket.on('error', () => {});
    socket.on('message', () => { waiting.delete(atMs); socket.close(); });
    socket.send('?', 53, address);
  }, 5);
  console.log('asking');
  process.on('SIGTERM', () => setTimeout(() => {
    clearInterval(timer);
    setTimeout(() => {
      const lost = [...waiting];
      console.log(asked, lost.length, lost.length ? lost.at(-1) - lost[0] : 0);
      process.exit();
    }, 500);
  }, 500));
`;
