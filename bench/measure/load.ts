/** Load and its figures: dnsperf for throughput, bench/latency.c for the time of each answer. */
import { join } from 'node:path';
import type { Children } from '../servers/children.ts';
import { numberIn } from './json-line.ts';
import { program } from '../requirements.ts';
import type { QueryFile } from '../cases/traffic.ts';

export interface LoadShape {
  readonly port: number;
  readonly queries: QueryFile;
  readonly transport: 'udp' | 'tcp';
  /** Sockets that queries come from. */
  readonly clients: number;
  /** Queries unanswered at any time, at most. */
  readonly outstanding: number;
}

/** A report of dnsperf. */
export interface LoadReport {
  readonly sent: number;
  readonly answered: number;
  readonly qps: number;
  /** Share of answers with each RCODE, 0 to 1. */
  readonly rcodes: ReadonlyMap<string, number>;
}

export interface LatencyReport {
  readonly sent: number;
  readonly answered: number;
  readonly qps: number;
  readonly avgUs: number;
  readonly p99Us: number;
  readonly maxUs: number;
}

/** Names of the C programs in bench/, compiled into the run's directory. */
export const C_PROGRAMS = ['reflector', 'latency'] as const;

export class Load {
  readonly #children: Children;
  readonly #core: number;

  constructor(children: Children, core: number) {
    this.#children = children;
    this.#core = core;
  }

  /** As many queries as are answered, for `seconds`. */
  async saturate(shape: LoadShape, seconds: number): Promise<LoadReport> {
    return parseDnsperf(await this.#dnsperf(shape, ['-l', String(seconds)]));
  }

  /** Each query of the file once, gently, so that none is lost. */
  async once(shape: LoadShape): Promise<LoadReport> {
    return parseDnsperf(await this.#dnsperf({ ...shape, outstanding: 20 }, ['-n', '1']));
  }

  /**
   * The time of each answer at `qps` for `seconds`; `qps` 0 is one at a time, over UDP only. Where
   * `sharesCore` the client sleeps between queries, which adds its own waking up to each time.
   */
  async latency(
    shape: LoadShape,
    qps: number,
    seconds: number,
    sharesCore: boolean,
  ): Promise<LatencyReport> {
    if (shape.transport === 'tcp') {
      const limits = ['-v', '-Q', String(Math.round(qps)), '-l', String(seconds)];
      return latencyFromDnsperf(await this.#dnsperf(shape, limits));
    }
    const output = await this.#children.run('latency', this.#core, [
      join(this.#children.directory, 'latency'),
      String(shape.port),
      shape.queries.binary,
      String(Math.round(qps)),
      String(seconds),
      sharesCore ? 'sleep' : 'spin',
    ]);
    return {
      sent: numberIn(output, 'sent'),
      answered: numberIn(output, 'answered'),
      qps: numberIn(output, 'qps'),
      avgUs: numberIn(output, 'avgUs'),
      p99Us: numberIn(output, 'p99Us'),
      maxUs: numberIn(output, 'maxUs'),
    };
  }

  async #dnsperf(shape: LoadShape, limits: readonly string[]): Promise<string> {
    const { port, transport, queries, clients, outstanding } = shape;
    const argv = [program('dnsperf'), '-s', '127.0.0.1', '-p', String(port), '-m', transport];
    argv.push('-d', queries.text, '-c', String(clients), '-T', '1', '-t', '2');
    argv.push('-q', String(outstanding), ...limits);
    return await this.#children.run('dnsperf', this.#core, argv);
  }
}

function parseDnsperf(output: string): LoadReport {
  const number = (pattern: RegExp): number => {
    const found = pattern.exec(output);
    if (found === null) throw new Error(`dnsperf said nothing like ${pattern}:\n${output}`);
    return Number(found[1]);
  };
  const answered = number(/Queries completed: +(\d+)/);
  const rcodes = new Map<string, number>();
  const line = /Response codes: +(.*)/.exec(output)?.[1] ?? '';
  for (const found of line.matchAll(/(\w+) (\d+)/g)) {
    rcodes.set(found[1]!, answered > 0 ? Number(found[2]) / answered : 0);
  }
  return {
    sent: number(/Queries sent: +(\d+)/),
    answered,
    qps: number(/Queries per second: +([\d.]+)/),
    rcodes,
  };
}

/** From `dnsperf -v`, which prints a line `> NOERROR name type seconds` for each answer. */
function latencyFromDnsperf(output: string): LatencyReport {
  const timesUs = [...output.matchAll(/^> .* (\d+\.\d+)$/gm)].map(
    (found) => Number(found[1]) * 1e6,
  );
  timesUs.sort((a, b) => a - b);
  const at = (share: number): number => timesUs[Math.floor(timesUs.length * share)] ?? Number.NaN;
  const { sent, answered, qps } = parseDnsperf(output);
  const avgUs = timesUs.reduce((sum, time) => sum + time, 0) / timesUs.length;
  return { sent, answered, qps, avgUs, p99Us: at(0.99), maxUs: at(0.999999) };
}
