/**
 * The command line: node-cache's flags in Go's form (`-flag value`, `-flag=value`, with one dash or
 * two; a switch takes no value, or `=false`), and our own.
 */
import { parseArgs } from 'node:util';
import { ipFromText } from '../net/ip.ts';
import { nearest } from '../corefile/suggest.ts';
import { durationOf } from '../corefile/values.ts';
import { PORT_MAX } from '../net/host-port.ts';
import type { LogFormat } from '../observe/log.ts';

const HOUR_MS = 3_600_000;

interface FlagDefinition {
  readonly kind: 'text' | 'switch';
  readonly help: string;
  readonly default: string | boolean;
}

/** Every flag, its default, and what it does: `-help` prints this table. */
export const FLAGS: Readonly<Record<string, FlagDefinition>> = {
  localip: {
    kind: 'text',
    default: '',
    help: 'comma-separated addresses to serve on, of either family: makes this a node-local cache',
  },
  interfacename: { kind: 'text', default: 'nodelocaldns', help: 'interface for those addresses' },
  setupinterface: { kind: 'switch', default: true, help: 'make and keep that interface' },
  setupiptables: { kind: 'switch', default: true, help: 'put in and keep the NOTRACK rules' },
  skipteardown: { kind: 'switch', default: false, help: 'leave interface and rules at the end' },
  syncinterval: { kind: 'text', default: '60', help: 'seconds between checks of both' },
  drain: {
    kind: 'text',
    default: '5s',
    help: 'how long to answer on after SIGTERM, when queries are diverted here no more; with -localip',
  },
  firewall: {
    kind: 'text',
    default: 'auto',
    help: 'auto, iptables, nftables or none: what puts the rules in',
  },
  notrack: {
    kind: 'switch',
    default: true,
    help: 'keep queries out of connection tracking; =false is for policies that need it',
  },
  'crash-safe-diversion': {
    kind: 'switch',
    default: true,
    help: 'rules that divert only while we listen, where the kernel has the socket match',
  },
  cleanup: {
    kind: 'switch',
    default: false,
    help: 'remove all that this program or node-cache can have left on the node, and exit',
  },
  conf: {
    kind: 'text',
    default: '',
    help: 'Corefile to serve, written from -basecorefile where that exists; "stdin" reads it there',
  },
  basecorefile: {
    kind: 'text',
    default: '/etc/coredns/Corefile.base',
    help: 'template of the Corefile, with __PILLAR__ variables',
  },
  corefile: {
    kind: 'text',
    default: '/etc/Corefile',
    help: 'ignored, as by node-cache: see -conf',
  },
  kubednscm: {
    kind: 'text',
    default: '',
    help: 'directory of the kube-dns ConfigMap; /etc/kube-dns if that exists',
  },
  upstreamsvc: {
    kind: 'text',
    default: 'kube-dns',
    help: 'Service to forward cluster names to, by its environment variable; or an address',
  },
  'health-port': {
    kind: 'text',
    default: '8080',
    help: 'port that the rules let health checks use',
  },
  'metrics-listen-address': {
    kind: 'text',
    default: '0.0.0.0:9353',
    help: 'where metrics of the set-up are served, with -localip',
  },
  pidfile: { kind: 'text', default: '', help: 'file to write our process ID to once we serve' },
  reloadwithsignal: {
    kind: 'switch',
    default: false,
    help: 'ignored: a Corefile written from the template is loaded at once',
  },
  'dns.port': { kind: 'text', default: '53', help: 'port of server blocks that name none' },
  p: { kind: 'text', default: '', help: 'the same as -dns.port' },
  quiet: { kind: 'switch', default: false, help: 'do not print what is listened on at start' },
  plugins: { kind: 'switch', default: false, help: 'list the directives and exit' },
  version: { kind: 'switch', default: false, help: 'print the version and exit' },
  help: { kind: 'switch', default: false, help: 'print this and exit' },
  'log-format': { kind: 'text', default: 'text', help: "text (CoreDNS's lines) or json" },
  supervise: {
    kind: 'switch',
    default: true,
    help: 'hold the sockets in a process of their own, which replaces a worker that fails (Linux)',
  },
  handover: {
    kind: 'text',
    default: '',
    help: 'directory in which a daemon started beside this one asks it for sockets and cache',
  },
  'udp-io': {
    kind: 'text',
    default: 'auto',
    help: 'batch (recvmmsg, Linux), plain (node:dgram) or auto',
  },
};

export interface Flags {
  /** Addresses of `-localip`; empty unless this is a node-local cache. */
  readonly localIps: readonly string[];
  readonly interfaceName: string;
  readonly setupInterface: boolean;
  readonly firewall: 'auto' | 'iptables' | 'nftables' | 'none';
  readonly crashSafe: boolean;
  readonly notrack: boolean;
  readonly skipTeardown: boolean;
  readonly syncIntervalMs: number;
  readonly drainMs: number;
  readonly cleanup: boolean;
  readonly conf: string;
  readonly baseCorefile: string;
  readonly kubeDnsDirectory: string;
  readonly upstreamService: string;
  readonly healthPort: number;
  readonly setupMetricsAt: string;
  readonly pidFile: string;
  readonly dnsPort: number;
  readonly quiet: boolean;
  readonly plugins: boolean;
  readonly version: boolean;
  readonly help: boolean;
  readonly logFormat: LogFormat;
  readonly udpIo: 'auto' | 'batch' | 'plain';
  readonly supervise: boolean;
  /** A directory, or empty. */
  readonly handover: string;
}

/** A command line that cannot be understood: the operator's to mend. */
export class FlagError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'FlagError';
  }
}

/** Reads the arguments after the program's name. Throws FlagError. */
export function parseFlags(argv: readonly string[]): Flags {
  const values = readValues(argv);
  const text = (name: string): string => values.get(name) ?? String(FLAGS[name]!.default);
  const on = (name: string): boolean => readSwitch(name, text(name));
  return {
    localIps: readAddresses(text('localip')),
    interfaceName: text('interfacename'),
    setupInterface: on('setupinterface'),
    firewall: on('setupiptables')
      ? readWord('firewall', text('firewall'), ['auto', 'iptables', 'nftables', 'none'])
      : 'none',
    crashSafe: on('crash-safe-diversion'),
    notrack: on('notrack'),
    skipTeardown: on('skipteardown'),
    syncIntervalMs: readSyncInterval(text('syncinterval')),
    drainMs: readDuration('drain', text('drain'), HOUR_MS),
    cleanup: on('cleanup'),
    conf: text('conf'),
    baseCorefile: text('basecorefile'),
    kubeDnsDirectory: text('kubednscm'),
    upstreamService: text('upstreamsvc'),
    healthPort: readPort('health-port', text('health-port')),
    setupMetricsAt: text('metrics-listen-address'),
    pidFile: text('pidfile'),
    dnsPort: readPort(values.has('p') ? 'p' : 'dns.port', values.get('p') ?? text('dns.port')),
    quiet: on('quiet'),
    plugins: on('plugins'),
    version: on('version'),
    help: on('help'),
    logFormat: readWord('log-format', text('log-format'), ['text', 'json']),
    udpIo: readWord('udp-io', text('udp-io'), ['auto', 'batch', 'plain']),
    supervise: on('supervise'),
    handover: text('handover'),
  };
}

/** The text of each flag that was given. */
function readValues(argv: readonly string[]): Map<string, string> {
  const options = Object.fromEntries(
    Object.entries(FLAGS).map(([name, { kind }]) => [
      name,
      { type: kind === 'switch' ? ('boolean' as const) : ('string' as const) },
    ]),
  );
  // Go takes one dash or two for the same; parseArgs reads one dash as letters. And `-switch=false`.
  const args = argv.map((arg) => arg.replace(/^-(?=[a-z])/i, '--'));
  const { tokens } = parseArgs({ args, options, strict: false, tokens: true });
  const values = new Map<string, string>();
  for (const token of tokens) {
    if (token.kind !== 'option') {
      if (token.kind === 'option-terminator') continue;
      throw new FlagError(`unexpected argument ${JSON.stringify(token.value)}: flags begin with -`);
    }
    const flag = Object.hasOwn(FLAGS, token.name) ? FLAGS[token.name] : undefined;
    if (flag === undefined) {
      const meant = nearest(token.name, Object.keys(FLAGS));
      const guess = meant === undefined ? 'see -help' : `did you mean -${meant}?`;
      throw new FlagError(`flag provided but not defined: -${token.name}; ${guess}`);
    }
    if (flag.kind === 'text' && token.value === undefined) {
      throw new FlagError(`flag needs an argument: -${token.name}`);
    }
    values.set(token.name, token.value ?? 'true');
  }
  return values;
}

/** In the spelling of RFC 5952. Blanks and stray commas do no harm; CoreDNS's node-cache ends at both. */
function readAddresses(text: string): string[] {
  return text
    .split(',')
    .map((address) => address.trim())
    .filter((address) => address !== '')
    .map((address) => {
      const ip = ipFromText(address);
      if (ip !== undefined) return ip.text;
      throw new FlagError(`invalid value "${address}" for -localip: expected IP addresses`);
    });
}

/** Seconds, `60` or `60s`. node-cache reads nanoseconds as seconds, so `60ns` is taken for 60 s. */
function readSyncInterval(text: string): number {
  const seconds = Number(/^(\d+)(?:s|ns)?$/.exec(text)?.[1] ?? Number.NaN);
  if (seconds > 0 && seconds <= 86_400) return seconds * 1000;
  throw new FlagError(`invalid value "${text}" for -syncinterval: expected seconds, such as 60`);
}

/** As in a Corefile: `500ms`, `5s`, `1m30s`, or `0`. */
function readDuration(name: string, text: string, maxMs: number): number {
  const ms = durationOf(text);
  if (ms !== undefined && ms >= 0 && ms <= maxMs) return ms;
  throw new FlagError(`invalid value "${text}" for -${name}: expected a duration up to 1h, as 5s`);
}

function readSwitch(name: string, text: string): boolean {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
  throw new FlagError(`invalid value "${text}" for -${name}: expected true or false`);
}

function readPort(name: string, text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= PORT_MAX) return port;
  throw new FlagError(
    `invalid value "${text}" for -${name}: expected a port from 0 to ${PORT_MAX}`,
  );
}

function readWord<Word extends string>(name: string, text: string, words: readonly Word[]): Word {
  const word = words.find((candidate) => candidate === text);
  if (word !== undefined) return word;
  throw new FlagError(`invalid value "${text}" for -${name}: expected ${words.join(', ')}`);
}

/** What `-help` prints. */
export function usage(): string {
  const lines = Object.entries(FLAGS).map(([name, flag]) => {
    const shown = flag.kind === 'switch' || flag.default === '' ? '' : ` (default ${flag.default})`;
    return `  -${name}${flag.kind === 'text' ? ' VALUE' : ''}\n        ${flag.help}${shown}`;
  });
  return `Usage: nodelocald [flags]\n${lines.join('\n')}\n`;
}
