/** The means that every case is handed: options, processes, upstream, load, and where results go. */
import type { Authority } from './servers/authority.ts';
import type { Children } from './servers/children.ts';
import type { Load } from './measure/load.ts';
import type { Options } from './options.ts';
import type { Results } from './report/results.ts';
import { startServer, type Server, type ServerName, type Setup } from './servers/servers.ts';

export class Bench {
  readonly options: Options;
  readonly children: Children;
  readonly authority: Authority;
  readonly load: Load;
  readonly results: Results;

  constructor(
    options: Options,
    children: Children,
    authority: Authority,
    load: Load,
    results: Results,
  ) {
    this.options = options;
    this.children = children;
    this.authority = authority;
    this.load = load;
    this.results = results;
  }

  /** The servers of `names` that the command line wants. */
  selected(names: readonly ServerName[]): ServerName[] {
    const { only } = this.options;
    return names.filter((name) => only.length === 0 || only.includes(name));
  }

  startServer(name: ServerName, setup: Setup): Promise<Server> {
    return startServer(this.children, this.options.serverCore, name, setup);
  }

  /** Progress, for whoever waits: on stderr, apart from the results. */
  say(text: string): void {
    process.stderr.write(`${text}\n`);
  }

  /** Something that the reader of the results must know. Said once. */
  warn(text: string): void {
    if (this.results.warnings.includes(text)) return;
    this.results.warnings.push(text);
    this.say(`warning: ${text}`);
  }
}
