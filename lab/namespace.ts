/** Network namespaces, each with its own interfaces, rules, conntrack table and files in /etc. */
import { execFileSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Ending } from './ending.ts';

/** `ip netns exec` puts the files below it over those in /etc. */
const ETC = '/etc/netns';
/** Above iptables' own wait for the lock. */
const DEADLINE_MS = 60_000;

export class Namespace {
  readonly name: string;
  readonly #ending: Ending;

  /** Makes it, with its loopback interface up; it goes when `ending` is closed. */
  constructor(ending: Ending, label: string) {
    this.name = `lab-${process.pid}-${label}`;
    this.#ending = ending;
    ending.undo(() => rmSync(join(ETC, this.name), { recursive: true, force: true }));
    execFileSync('ip', ['netns', 'add', this.name]);
    ending.undo(() => execFileSync('ip', ['netns', 'del', this.name]));
    this.run('ip link set lo up');
  }

  /** Runs a command line without quotes to its end; returns its output. Throws with what it said. */
  run(line: string, stdin: string = ''): string {
    const argv = ['netns', 'exec', this.name, ...line.split(' ')];
    return execFileSync('ip', argv, {
      input: stdin,
      encoding: 'utf8',
      stdio: 'pipe',
      timeout: DEADLINE_MS,
      maxBuffer: 256 << 20,
    });
  }

  /** Like the above, without keeping the caller waiting, for what takes long. The status may be any. */
  async runLong(line: string): Promise<string> {
    const child = this.start(line.split(' '));
    let output = '';
    child.stdout!.on('data', (text) => {
      output += String(text);
    });
    child.stderr!.resume();
    child.stdin!.end();
    await new Promise((resolve) => {
      child.once('close', resolve);
    });
    return output;
  }

  /** Starts a process in here. */
  start(argv: readonly string[], environment?: NodeJS.ProcessEnv): ChildProcess {
    return this.#ending.start(['ip', 'netns', 'exec', this.name, ...argv], environment);
  }

  /** Writes a file that programs started from now on see as /etc/`name`. */
  etc(name: string, text: string): void {
    mkdirSync(join(ETC, this.name), { recursive: true });
    writeFileSync(join(ETC, this.name, name), text);
  }

  /** Joins the two by a pair of interfaces; addresses with their prefix. */
  link(other: Namespace, device: string, here: string, there: string): void {
    this.run(`ip link add ${device} type veth peer name eth0 netns ${other.name}`);
    this.run(`ip addr add ${here} dev ${device}`);
    this.run(`ip link set ${device} up`);
    other.run(`ip addr add ${there} dev eth0`);
    other.run('ip link set eth0 up');
    other.run(`ip route add default via ${here.replace(/\/.*/, '')}`);
  }
}
