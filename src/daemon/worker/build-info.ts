/** The metrics that say which version runs, and which version of CoreDNS its metrics are named after. */
import type { Metrics } from '../../observe/metrics.ts';
import { VERSION } from './version.ts';

/** Collectors choose the names of CoreDNS's metrics by this version. README.md names it too. */
export const COREDNS_VERSION = '1.13.2';

export function countBuild(metrics: Metrics): void {
  metrics.gauge('coredns_build_info', {
    version: COREDNS_VERSION,
    revision: '',
    goversion: `node ${process.version}`,
  }).value = 1;
  metrics.gauge('nodelocald_build_info', { version: VERSION }).value = 1;
}
