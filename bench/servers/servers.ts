/**
 * The servers that are compared, and what makes their configurations equal: one core, one thread or
 * process, caches of as many entries, no query log, no validation, one upstream.
 *
 * Is not:  a judge; what is measured stands in cases.ts.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { hasEnded, lastWords, type Child, type Children } from './children.ts';
import { isPositiveResponse, isResponse } from './message.ts';
import { freePort } from '../../test/harness/ports.ts';
import { answersWithin } from './probe.ts';
import { program } from '../requirements.ts';
import { hostName } from '../cases/zone.ts';

/** The checkout; this file runs from build/bench/servers/. */
export const ROOT: string = resolve(import.meta.dirname, '../../..');
const MAIN = join(ROOT, 'dist/main.js');
/** As in the first line of src/main.ts, and in the image. */
const NODE_FLAGS = ['--max-semi-space-size=1', '--heap-growing-percent=60'];
const START_LIMIT_MS = 10_000;

export type ServerName =
  'floor' | 'nodelocald' | 'unbound' | 'dnsdist' | 'dnsdist-nocache' | 'dnsmasq';

/** How a server is to be set up. */
export interface Setup {
  readonly upstreamPort: number;
  readonly upstreamTransport: 'udp' | 'tcp';
  /** Size of each cache in entries. */
  readonly cacheEntries: number;
}

export interface Server {
  readonly name: ServerName;
  readonly port: number;
  readonly pid: number;
  readonly child: Child;
  /** From the start of the process to its first answer, in ms. */
  readonly startMs: number;
  /** Where our daemon shows its metrics; others have none here. */
  readonly metricsPort: number | undefined;
}

/** Settings that one server needs to be started. */
interface Plan {
  readonly argv: readonly string[];
  readonly configuration: string;
}

interface Place {
  readonly port: number;
  readonly metricsPort: number;
  /** Where `configuration` will be. */
  readonly file: string;
}

/** Programs that a server needs, for requirements.ts. */
export const PROGRAMS: Readonly<Record<ServerName, readonly string[]>> = {
  floor: ['cc'],
  nodelocald: [],
  unbound: ['unbound'],
  dnsdist: ['dnsdist'],
  'dnsdist-nocache': ['dnsdist'],
  dnsmasq: ['dnsmasq'],
};

export const SERVER_NAMES: readonly ServerName[] = [
  'floor',
  'nodelocald',
  'unbound',
  'dnsdist',
  'dnsdist-nocache',
  'dnsmasq',
];

/** Starts a server on `core` and waits for its first answer. Throws with its last words. */
export async function startServer(
  children: Children,
  core: number,
  name: ServerName,
  setup: Setup,
): Promise<Server> {
  const port = await freePort();
  const metricsPort = await freePort();
  const directory = join(children.directory, `${name}-${port}`);
  mkdirSync(directory);
  const file = join(directory, 'configuration');
  const plan = PLANS[name](setup, { port, metricsPort, file });
  writeFileSync(file, plan.configuration);

  const startedMs = performance.now();
  const child = children.start(name, core, plan.argv);
  const question = { name: hostName(0), type: 'A' } as const;
  // The floor sends queries back as they came: a response, but without an answer record.
  const isAnswer = name === 'floor' ? isResponse : isPositiveResponse;
  const ended = (): boolean => hasEnded(child);
  const answers = await answersWithin(port, question, isAnswer, START_LIMIT_MS, ended);
  const startMs = performance.now() - startedMs;
  if (!answers) {
    const how = hasEnded(child) ? 'ended' : `gave no answer within ${START_LIMIT_MS} ms`;
    throw new Error(`${name} ${how}: ${plan.argv.join(' ')}\n${lastWords(child)}`);
  }
  const shownMetricsPort = name === 'nodelocald' ? metricsPort : undefined;
  return { name, port, pid: child.pid, child, startMs, metricsPort: shownMetricsPort };
}

/**
 * Cache hits that our daemon has counted, from its metrics; undefined for other servers, and where
 * the metrics are unavailable.
 */
export async function countedHits(server: Server): Promise<number | undefined> {
  if (server.metricsPort === undefined) return undefined;
  const text = await fetch(`http://127.0.0.1:${server.metricsPort}/metrics`)
    .then((response) => response.text())
    .catch(() => undefined);
  if (text === undefined) return undefined;
  let sum = 0;
  for (const found of text.matchAll(/^coredns_cache_hits_total(?:\{[^}]*\})? (\S+)$/gm)) {
    sum += Number(found[1]);
  }
  return sum;
}

/** Version of a server as one line, for the record. */
export function versionOf(name: ServerName): string {
  switch (name) {
    case 'floor':
      return firstLine(program('cc'), '--version');
    case 'nodelocald':
      return `${firstLine('git', '-C', ROOT, 'describe', '--always', '--dirty')}, Node ${process.version}`;
    case 'unbound':
      return firstLine(program('unbound'), '-V');
    case 'dnsdist':
    case 'dnsdist-nocache':
      return firstLine(program('dnsdist'), '--version');
    case 'dnsmasq':
      return firstLine(program('dnsmasq'), '--version').replace(/ +Copyright.*/, '');
    default:
      return name satisfies never;
  }
}

/** Throws if our daemon has not been built. */
export function requireDaemon(): void {
  if (existsSync(MAIN)) return;
  throw new Error(
    `dist/main.js is missing: npm run build\n` +
      `(to run peers alone: npm run bench -- --only floor,unbound,dnsdist,dnsmasq)`,
  );
}

const PLANS: Readonly<Record<ServerName, (setup: Setup, place: Place) => Plan>> = {
  floor: (_setup, { port, file }) => ({
    argv: [join(file, '../../reflector'), String(port)],
    configuration: '',
  }),
  nodelocald,
  unbound,
  dnsdist: (setup, place) => dnsdist(setup, place, true),
  'dnsdist-nocache': (setup, place) => dnsdist(setup, place, false),
  dnsmasq,
};

function nodelocald(setup: Setup, { port, metricsPort, file }: Place): Plan {
  const transport = setup.upstreamTransport === 'tcp' ? 'force_tcp' : 'prefer_udp';
  return {
    argv: [process.execPath, ...NODE_FLAGS, MAIN, '-conf', file],
    configuration: `.:${port} {
    errors
    bind 127.0.0.1
    cache {
        success ${setup.cacheEntries} 3600
        denial ${setup.cacheEntries} 3600
    }
    forward . 127.0.0.1:${setup.upstreamPort} {
        ${transport}
    }
    prometheus 127.0.0.1:${metricsPort}
}
`,
  };
}

/** Sizes are octets there: 500 and 700 an entry hold what is asked, with room to spare. */
function unbound(setup: Setup, { port, file }: Place): Plan {
  return {
    argv: [program('unbound'), '-d', '-p', '-c', file],
    configuration: `server:
    num-threads: 1
    interface: 127.0.0.1
    port: ${port}
    do-ip6: no
    use-syslog: no
    logfile: ""
    verbosity: 0
    chroot: ""
    username: ""
    directory: ""
    pidfile: ""
    do-not-query-localhost: no
    module-config: "iterator"
    minimal-responses: yes
    msg-cache-size: ${setup.cacheEntries * 700}
    rrset-cache-size: ${setup.cacheEntries * 1000}
    msg-cache-slabs: 1
    rrset-cache-slabs: 1
    infra-cache-slabs: 1
    key-cache-slabs: 1
    outgoing-range: 4096
    num-queries-per-thread: 2048
    incoming-num-tcp: 100
    so-rcvbuf: 4m
forward-zone:
    name: "."
    forward-addr: 127.0.0.1@${setup.upstreamPort}
    forward-tcp-upstream: ${setup.upstreamTransport === 'tcp' ? 'yes' : 'no'}
remote-control:
    control-enable: no
`,
  };
}

/**
 * One shard, since a shard that is full takes no more while others have room. recvmmsg for batches
 * (7.1 instead of 7.9 us an answer) and pipelined upstream connections (29 instead of 41 us a miss)
 * are off by default; a peer is measured at its best.
 */
function dnsdist(setup: Setup, { port, file }: Place, cached: boolean): Plan {
  const tcp = setup.upstreamTransport === 'tcp' ? ', tcpOnly=true, maxInFlight=1000' : '';
  const cache = `getPool(""):setCache(newPacketCache(${setup.cacheEntries}, {numberOfShards=1}))`;
  return {
    argv: [program('dnsdist'), '--supervised', '--disable-syslog', '-C', file],
    configuration: `setSecurityPollSuffix("")
setMaxTCPClientThreads(1)
setUDPMultipleMessagesVectorSize(64)
addLocal("127.0.0.1:${port}")
newServer({address="127.0.0.1:${setup.upstreamPort}"${tcp}})
getServer(0):setUp()
${cached ? cache : ''}
`,
  };
}

function dnsmasq(setup: Setup, { port, file }: Place): Plan {
  return {
    argv: [program('dnsmasq'), '--keep-in-foreground', `--conf-file=${file}`],
    configuration: `port=${port}
listen-address=127.0.0.1
bind-interfaces
no-resolv
no-hosts
no-poll
pid-file=
user=
cache-size=${setup.cacheEntries}
dns-forward-max=4096
server=127.0.0.1#${setup.upstreamPort}
`,
  };
}

function firstLine(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8' }).split('\n')[0]!.trim();
}
