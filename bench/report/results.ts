/** Measurements, before anything judges them. */
import type { ServerName } from '../servers/servers.ts';

/** One measurement of one server under load. Times in microseconds of CPU per answered query. */
export interface Sample {
  readonly qps: number;
  readonly userUs: number;
  readonly systemUs: number;
  /** CPU time used per time passed: 1 is a core fully busy. */
  readonly busy: number;
  /** Upstream queries per answered query. */
  readonly upstreamShare: number;
  /** Queries without an answer per query sent. */
  readonly lostShare: number;
}

/** How long answers took in one measurement, in microseconds. */
export interface LatencySample {
  readonly qps: number;
  readonly avgUs: number;
  readonly p99Us: number;
}

/** One server in one case of traffic; samples of the same index were taken side by side. */
export interface Row {
  readonly caseName: string;
  readonly server: ServerName;
  readonly samples: Sample[];
  readonly latencies: LatencySample[];
  rssMb: number;
  pssMb: number;
  anonymousMb: number;
}

/** A single number that is not about traffic, measured once or more. */
export interface Figure {
  readonly caseName: string;
  readonly server: ServerName;
  readonly what: string;
  readonly unit: string;
  readonly values: readonly number[];
}

export class Results {
  readonly rows: Row[] = [];
  readonly figures: Figure[] = [];
  /** Remarks that a reader of the figures needs: servers left out, hits that were none. */
  readonly warnings: string[] = [];

  row(caseName: string, server: ServerName): Row | undefined {
    return this.rows.find((row) => row.caseName === caseName && row.server === server);
  }

  figure(caseName: string, server: ServerName, what: string): Figure | undefined {
    return this.figures.find(
      (figure) => figure.caseName === caseName && figure.server === server && figure.what === what,
    );
  }
}

/** The middle of `values`, NaN without any. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle]!;
  return sorted.length === 0 ? Number.NaN : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function cpuUs(sample: Sample): number {
  return sample.userUs + sample.systemUs;
}

/**
 * The median of the ratios of measurements taken side by side, so that what slows the whole machine
 * down for a while cancels. Need not equal the ratio of the medians.
 */
export function pairedRatio(left: readonly number[], right: readonly number[]): number {
  const pairs = Math.min(left.length, right.length);
  return median(Array.from({ length: pairs }, (_, i) => left[i]! / right[i]!));
}
