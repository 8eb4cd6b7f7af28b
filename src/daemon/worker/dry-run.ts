/** Everything that a Corefile says is built, as at a start, and nothing of it runs: for `check`. */
import type { DryRun } from '../../cli/check.ts';
import { machineSource } from '../../corefile/source.ts';
import type { Log } from '../../observe/log.ts';
import { Metrics } from '../../observe/metrics.ts';
import { Troubles } from '../../observe/troubles.ts';
import { Upstreams } from '../../upstream/upstreams.ts';
import { loadGeneration } from '../serving/generation.ts';

const nothing = (): void => undefined;

/** Everything worth saying about the Corefile was said when it was parsed. */
const SILENCE: Log = {
  log: nothing,
  debug: nothing,
  info: nothing,
  warning: nothing,
  error: nothing,
  query: nothing,
};

export const dryRun: DryRun = (text, file, { dnsPort }) => {
  const metrics = new Metrics();
  const upstreams = new Upstreams(metrics);
  const surroundings = {
    log: SILENCE,
    metrics,
    upstreams,
    defaultPort: dnsPort,
    ceded: new Set<string>(),
    troubles: new Troubles(metrics),
    onLoop: 'exit' as const,
    fatal: nothing,
  };
  try {
    loadGeneration({ text, file, source: machineSource }, surroundings).stop();
  } finally {
    upstreams.close();
  }
};
