/**
 * The daemon's flags: node-cache's and our own, with their defaults and what their values mean.
 *
 * Owns:    the table of flags, and the reading of each value.
 * Is not:  the reading of a command line: parse-flags.ts, which the worker does not load.
 */
import { ipFromText } from '../net/ip.ts';
import { durationOf } from '../corefile/values.ts';
import { PORT_MAX } from '../net/host-port.ts';
import type { LogFormat } from '../observe/log.ts';

const HOUR_MS = 3_600_000;

export interface FlagDefinition {
  /** A switch takes no value, or `=false`. */
  readonly kind: 'text' | 'switch';
  readonly help: string;
  readonly default: string | boolean;
  /** The only words that it takes, where they are few. */
  readonly words?: readonly string[];
}

const FIREWALLS = ['auto', 'iptables', 'nftables', 'none'] as const;
const LOG_FORMATS = ['text', 'json'] as const;
const UDP_IO = ['auto', 'batch', 'plain'] as const;

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
    words: FIREWALLS,
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
  'log-format': {
    kind: 'text',
    default: 'text',
    words: LOG_FORMATS,
    help: "text (CoreDNS's lines) or json",
  },
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
    words: UDP_IO,
    help: 'batch (recvmmsg, Linux), plain (node:dgram) or auto',
  },
};

export interface Flags {
  /** Addresses of `-localip`; empty unless this is a node-local cache. */
  readonly localIps: readonly string[];
  readonly interfaceName: string;
  readonly setupInterface: boolean;
  readonly firewall: (typeof FIREWALLS)[number];
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
  readonly udpIo: (typeof UDP_IO)[number];
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

/**
 * What the flags mean; `given` has the text of each one that was given. Throws FlagError for a value that
 * cannot be meant.
 */
export function flagsFrom(given: ReadonlyMap<string, string>): Flags {
  const text = (name: string): string => given.get(name) ?? String(FLAGS[name]!.default);
  const on = (name: string): boolean => readSwitch(name, text(name));
  return {
    localIps: readAddresses(text('localip')),
    interfaceName: text('interfacename'),
    setupInterface: on('setupinterface'),
    firewall: on('setupiptables') ? readWord('firewall', text('firewall'), FIREWALLS) : 'none',
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
    dnsPort: readPort(given.has('p') ? 'p' : 'dns.port', given.get('p') ?? text('dns.port')),
    quiet: on('quiet'),
    plugins: on('plugins'),
    version: on('version'),
    help: on('help'),
    logFormat: readWord('log-format', text('log-format'), LOG_FORMATS),
    udpIo: readWord('udp-io', text('udp-io'), UDP_IO),
    supervise: on('supervise'),
    handover: text('handover'),
  };
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

/** As Go's ParseBool reads it. Throws FlagError for anything else. */
export function readSwitch(name: string, text: string): boolean {
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

/** The flags as `-help` prints them. */
export function usage(): string {
  const lines = Object.entries(FLAGS).map(([name, flag]) => {
    const shown = flag.kind === 'switch' || flag.default === '' ? '' : ` (default ${flag.default})`;
    return `  -${name}${flag.kind === 'text' ? ' VALUE' : ''}\n        ${flag.help}${shown}`;
  });
  return `Usage: nodelocald [flags]\n${lines.join('\n')}\n`;
}
