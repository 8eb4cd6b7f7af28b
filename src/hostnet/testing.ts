/**
 * A node in memory, for tests: as much of `ip`, `iptables` and `nft` as hostnet uses, and their
 * failures on demand.
 *
 * Owns:    the state of that node, and the commands that it understands.
 */
import { type Hold, HostnetError, type HostnetCode, type Run } from './command.ts';

export class FakeNode {
  /** The rules of each table, by the name of the command: `iptables raw`. As -A lines, in order. */
  readonly rules: Map<string, string[]> = new Map();
  /** Addresses by interface. */
  readonly interfaces: Map<string, string[]> = new Map();
  /** The text of our nftables table. */
  nftTable: string | undefined;
  /** Each command line that was run, in order. */
  readonly lines: string[] = [];
  /** Commands that are not installed. */
  readonly missing: Set<string> = new Set();
  /** Asked before each command: what it fails with, if it does. */
  fail: (line: string, stdin: string) => { code: HostnetCode; said: string } | undefined = () =>
    undefined;
  /** Held processes that live. */
  held = 0;

  readonly run: Run = async (command, args, stdin = '', signal) => {
    const line = [command, ...args].join(' ');
    await Promise.resolve();
    if (signal?.aborted === true) throw new HostnetError('aborted', line, '');
    this.lines.push(line);
    if (this.missing.has(command)) throw new HostnetError('missing', line, '');
    const failure = this.fail(line, stdin);
    if (failure !== undefined) throw new HostnetError(failure.code, line, failure.said);
    if (args[0] === '--version') return 'fake';
    if (command === 'ip') return this.#ip(line, args);
    if (command === 'nft') return this.#nft(line, args, stdin);
    if (command.endsWith('-save')) return this.#save(command.slice(0, -5), args[1]!);
    return this.#restore(command.slice(0, -8), line, stdin);
  };

  readonly hold: Hold = () => {
    let said: ((text: string, isError: boolean) => void) | undefined;
    const endings: ((error: HostnetError) => void)[] = [];
    this.held++;
    return {
      write: (text) => {
        const table = /list (table inet \S+)/.exec(text)?.[1] ?? '';
        const failure = this.fail('nft -i', text);
        queueMicrotask(() => said?.(failure?.said ?? table, failure !== undefined));
      },
      onOutput: (listener) => {
        said = listener;
      },
      onEnd: (listener) => endings.push(listener),
      kill: () => {
        this.held--;
        const ended = new HostnetError('failed', 'nft -i', 'it has ended');
        for (const listener of endings.splice(0)) queueMicrotask(() => listener(ended));
      },
    };
  };

  #ip(line: string, args: readonly string[]): string {
    const device = args.at(-1)!;
    if (line.startsWith('ip -json addr show dev')) {
      const addresses = this.interfaces.get(device);
      if (addresses === undefined) throw new HostnetError('failed', line, 'does not exist.');
      const infos = addresses.map((address) => ({ local: address }));
      return JSON.stringify([{}, { ifname: device, addr_info: infos }]);
    }
    if (line.startsWith('ip link add')) this.interfaces.set(args[2]!, []);
    else if (line.startsWith('ip addr add')) {
      this.interfaces.get(args[4]!)!.push(args[2]!.replace(/\/\d+$/, ''));
    } else if (!this.interfaces.delete(device)) {
      throw new HostnetError('failed', line, `Cannot find device "${device}"`);
    }
    return '';
  }

  #nft(line: string, args: readonly string[], stdin: string): string {
    if (args[0] === 'list') {
      if (this.nftTable === undefined) throw new HostnetError('failed', line, 'No such file');
      return this.nftTable;
    }
    const text = stdin.slice(stdin.indexOf('table inet', stdin.indexOf('delete') + 20));
    this.nftTable = stdin.includes('{') ? text : undefined;
    return '';
  }

  #save(command: string, table: string): string {
    const rules = this.rules.get(`${command} ${table}`) ?? [];
    return [`*${table}`, ':OUTPUT ACCEPT [0:0]', ...rules, 'COMMIT', ''].join('\n');
  }

  #restore(command: string, line: string, batch: string): string {
    let table = '';
    for (const text of batch.split('\n')) {
      if (text.startsWith('*')) table = text.slice(1);
      const rules = this.rules.get(`${command} ${table}`) ?? [];
      this.rules.set(`${command} ${table}`, rules);
      const rule = text.replace(/^-[ID]/, '-A');
      if (text.startsWith('-I')) rules.unshift(rule);
      if (!text.startsWith('-D')) continue;
      const at = rules.indexOf(rule);
      if (at === -1) throw new HostnetError('failed', line, 'Bad rule');
      rules.splice(at, 1);
    }
    return '';
  }

  /** All rules of iptables and ip6tables. */
  get allRules(): string[] {
    return [...this.rules.values()].flat();
  }
}
