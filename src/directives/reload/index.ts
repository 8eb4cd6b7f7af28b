/**
 * `reload [INTERVAL [JITTER]]`: how often the Corefile is looked at.
 *
 * Is not:  the looking (daemon/serving/reload.ts).
 */
import { countArguments, noBlock, readUse } from '../../corefile/options.ts';
import type { Token } from '../../corefile/tokens.ts';
import { badValue, parseDuration } from '../../corefile/values.ts';
import { RELOAD_INTERVAL, type ReloadSettings } from '../contributions.ts';
import type { Directive } from '../directive.ts';

const DEFAULT_INTERVAL_MS = 30_000;
const DEFAULT_JITTER_MS = 15_000;
const INTERVAL_MS_MIN = 2000;
const JITTER_MS_MIN = 1000;

export const reload: Directive<ReloadSettings> = {
  name: 'reload',
  repeat: 'first',
  parse: (use) =>
    readUse(use, () => {
      const [interval, jitter] = countArguments(use, 0, 2);
      noBlock(use);
      const intervalMs = interval === undefined ? DEFAULT_INTERVAL_MS : parseInterval(interval);
      const jitterMs = jitter === undefined ? DEFAULT_JITTER_MS : parseJitter(jitter);
      return { intervalMs, jitterMs: Math.min(jitterMs, intervalMs / 2) };
    }),
  contribute: ([config], block) => block.add(RELOAD_INTERVAL, config!),
};

function parseInterval(token: Token): number {
  const intervalMs = parseDuration(token);
  if (intervalMs >= INTERVAL_MS_MIN) return intervalMs;
  throw badValue(token, 'interval value must be greater or equal to 2s');
}

/** 0 switches it off, as from CoreDNS 1.14 on. */
function parseJitter(token: Token): number {
  const jitterMs = parseDuration(token);
  if (jitterMs >= JITTER_MS_MIN || jitterMs === 0) return jitterMs;
  throw badValue(token, 'jitter value must be greater or equal to 1s', 'or 0 for none');
}
