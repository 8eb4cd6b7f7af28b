/** The usual set-up: the daemon before a fake upstream, each on an address of the lab's own. */
import { Daemon } from './daemon.ts';
import { type Behaviour, FakeUpstream } from './fake-upstream.ts';
import type { Endpoint, Lab } from './lab.ts';
import { type Scrape, scrape } from './metrics.ts';

/** Below the ephemeral ports, so that no client's socket has taken it. */
export const DNS_PORT = 5300;
export const METRICS_PORT = 9153;

export interface PairOptions {
  /** Lines of the server block besides errors, prometheus, bind and forward; `cache` unless given. */
  readonly lines?: string;
  /** Lines of forward's own block; `force_tcp` unless given. */
  readonly forward?: string;
  /** For Node, before the program's name. */
  readonly nodeFlags?: readonly string[];
}

export interface Pair {
  readonly daemon: Daemon;
  readonly upstream: FakeUpstream;
  /** Where the daemon answers. */
  readonly at: Endpoint;
  metrics(): Promise<Scrape>;
}

/** Addresses from here on are those of pairs; a test's own ones are below. */
const FIRST_ADDRESS = 150;
let pairs = 0;

export async function startPair(
  lab: Lab,
  behaviour: Behaviour,
  options: PairOptions = {},
): Promise<Pair> {
  const first = FIRST_ADDRESS + 2 * pairs++;
  const host = lab.address(first);
  const at = { host, port: DNS_PORT };
  const upstreamAt = { host: lab.address(first + 1), port: DNS_PORT };
  const upstream = await FakeUpstream.start(lab, upstreamAt, behaviour);
  const daemon = await Daemon.start(
    lab,
    `
.:${DNS_PORT} {
    errors
    prometheus ${host}:${METRICS_PORT}
    bind ${host}
    ${options.lines ?? 'cache'}
    forward . ${upstream.to} {
        ${options.forward ?? 'force_tcp'}
    }
}
`,
    [],
    options.nodeFlags,
  );
  return { daemon, upstream, at, metrics: () => scrape({ host, port: METRICS_PORT }) };
}
