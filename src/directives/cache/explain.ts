/** The lines of `nodelocald explain` for `cache`. */
import type { CacheConfig, StoreConfig } from '../../cache/config.ts';
import { formatDuration } from '../../corefile/values.ts';
import { isInZones } from '../../dns/in-zone.ts';

/** A line each. Empty if `name`, normalized, is not cached. */
export function explainCache(config: CacheConfig, name: string | undefined): readonly string[] {
  const { success, denial, servfailSec, prefetch, stale, keepTtl, zones } = config;
  if (name !== undefined && !isInZones(name, zones)) return [];
  const lines = [
    storeLine('answers', success, name),
    storeLine('denials', denial, name),
    servfailSec === 0 ? 'failures are not kept' : `failures are kept ${seconds(servfailSec)}`,
  ];
  if (prefetch !== undefined) {
    const { hits, windowMs, percent } = prefetch;
    lines.push(
      `refreshed ahead in the last ${percent}% of the TTL, after ${hits} hits no further apart than ` +
        formatDuration(windowMs),
    );
  }
  if (stale !== undefined) {
    const when = stale.mode === 'verify' ? 'if the upstream fails' : 'while it is refreshed';
    lines.push(`an answer past its end is served for ${seconds(stale.durationSec)} more, ${when}`);
  }
  if (keepTtl) lines.push('clients see the TTL of the upstream, not counted down');
  for (const { zone, kind } of config.cutZones) {
    lines.push(`an NXDOMAIN denies the names below it too: ${zone} (nxdomain_cut ${kind})`);
  }
  return lines;
}

function storeLine(what: string, store: StoreConfig, name: string | undefined): string {
  const { ttlMinSec, ttlMaxSec, entriesMax, disabledZones } = store;
  if (name !== undefined && isInZones(name, disabledZones)) return `${what} are not kept`;
  const bounds =
    ttlMinSec >= ttlMaxSec
      ? `with a TTL of ${seconds(ttlMaxSec)}`
      : `with a TTL from ${seconds(ttlMinSec)} to ${seconds(ttlMaxSec)}`;
  const but = disabledZones.length === 0 ? '' : `, but not of ${disabledZones.join(' ')}`;
  return `${what} are kept ${bounds}, ${entriesMax} at most${but}`;
}

function seconds(count: number): string {
  return formatDuration(count * 1000);
}
