/** dnsperf as a crowd of clients, each with a socket of its own. */
import { Child } from './process.ts';
import type { Endpoint, Lab } from './lab.ts';

export interface Load {
  readonly at: Endpoint;
  readonly names: Iterable<string>;
  readonly seconds: number;
  readonly perSec: number;
  /** How long a client waits for its one datagram's answer. */
  readonly patienceSec: number;
}

export interface LoadReport {
  readonly sent: number;
  readonly lost: number;
  readonly slowestMs: number;
  readonly rcodes: string;
}

/** As many that the answers to some seconds' queries fit into their sockets' receive buffers. */
const CLIENTS = 200;
const OUTSTANDING_MAX = 60_000;

let files = 0;

/** Asks for the A records of `names` in turn, once each datagram, and tells what came back. */
export async function dnsperf(lab: Lab, load: Load): Promise<LoadReport> {
  const lines = [...load.names].map((name) => `${name} A`);
  const file = lab.write(`dnsperf-${files++}`, `${lines.join('\n')}\n`);
  const { host, port } = load.at;
  const argv =
    `dnsperf -s ${host} -p ${port} -d ${file} -l ${load.seconds} -t ${load.patienceSec} ` +
    `-c ${CLIENTS} -q ${OUTSTANDING_MAX} -Q ${load.perSec}`;
  const child = new Child(lab, 'dnsperf', argv.split(' '));
  const { code } = await child.ended;
  const output = child.stdout + child.stderr;
  if (code !== 0) throw new Error(`dnsperf ended with ${code}\n${output}`);
  const figure = (label: RegExp): number => Number(label.exec(output)?.[1] ?? NaN);
  return {
    sent: figure(/Queries sent:\s+(\d+)/),
    lost: figure(/Queries lost:\s+(\d+)/),
    slowestMs: figure(/Average Latency.*max ([\d.]+)/) * 1000,
    rcodes: (/Response codes:\s+(.*)/.exec(output)?.[1] ?? '').replace(/ [\d.]+ \([\d.]+%\)/g, ''),
  };
}
