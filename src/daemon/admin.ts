/** The HTTP listeners for operators: metrics and health. */
import type { BlockSettings } from '../directives/directive.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';

export class Admin {
  constructor(_metrics: Metrics, _log: Log) {}
  async apply(_settings: readonly BlockSettings[]): Promise<void> {}
  async close(): Promise<void> {}
}
