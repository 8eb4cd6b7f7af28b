/**
 * `cache`: its syntax. The place in the chain is in handler.ts; the engine, which knows nothing of
 * Corefiles, is src/cache/.
 *
 * Owns:    the syntax, defaults and ranges.
 */
import type {
  CacheConfig,
  CutZone,
  PrefetchConfig,
  StaleConfig,
  StoreConfig,
} from '../../cache/config.ts';
import { CorefileError } from '../../corefile/error.ts';
import { zonesFromArguments } from '../../corefile/keys.ts';
import {
  type OptionTable,
  flag,
  once,
  one,
  option,
  readOptions,
  readUse,
} from '../../corefile/options.ts';
import type { Token } from '../../corefile/tokens.ts';
import {
  badValue,
  isInteger,
  parseDuration,
  parseInteger,
  parsePercentage,
  parseWord,
} from '../../corefile/values.ts';
import type { Directive } from '../directive.ts';
import { explainCache } from './explain.ts';
import { CacheHandler } from './handler.ts';

const SUCCESS_TTL_MAX_SEC = 3600;
const DENIAL_TTL_MAX_SEC = 1800;
const TTL_MIN_SEC = 5;
const ENTRIES_MAX = 10_000;
const SERVFAIL_SEC = 5;
const FIVE_MINUTES_MS = 300_000;
const HOUR_SEC = 3600;

/** The options so far, while the directive is read. */
interface Draft {
  success: StoreConfig;
  denial: StoreConfig;
  servfailSec: number;
  prefetch: PrefetchConfig | undefined;
  stale: Omit<StaleConfig, 'preferPositive'> | undefined;
  preferPositive: Token | undefined;
  keepTtl: boolean;
  /** By kind; no zones are those of the cache. */
  readonly cuts: Map<CutZone['kind'], { readonly line: Token; readonly zones: readonly Token[] }>;
}

const OPTIONS: OptionTable<Draft> = {
  success: option(1, 3, (draft, args) => {
    draft.success = readStore(draft.success, args);
  }),
  denial: option(1, 3, (draft, args) => {
    draft.denial = readStore(draft.denial, args);
  }),
  prefetch: option(1, 3, (draft, args) => {
    draft.prefetch = readPrefetch(args);
  }),
  serve_stale: option(0, 5, (draft, args) => {
    draft.stale = readStale(args);
  }),
  serve_stale_policy: once(
    one((draft, policy) => {
      parseWord(policy, ['prefer_positive']);
      draft.preferPositive = policy;
    }),
  ),
  servfail: one((draft, duration) => {
    draft.servfailSec = readServfail(duration);
  }),
  disable: option(1, Infinity, (draft, [kind, ...zones]) => {
    const store = parseWord(
      kind!,
      ['success', 'denial'],
      () => 'cache type for disable must be "success" or "denial"',
    );
    draft[store] = { ...draft[store], disabledZones: zonesFromArguments(zones, ['.']) };
  }),
  nxdomain_cut: option(1, Infinity, (draft, [kind, ...zones]) => {
    draft.cuts.set(parseWord(kind!, ['kubernetes', 'plain', 'search']), { line: kind!, zones });
  }),
  keepttl: flag((draft) => {
    draft.keepTtl = true;
  }),
};

export const cache: Directive<CacheConfig> = {
  name: 'cache',
  repeat: 'refuse',

  parse: (use, { zones }) =>
    readUse(use, () => {
      const [first, ...rest] = use.args;
      const hasTtl = first !== undefined && isInteger(first.text);
      const ttlSec = hasTtl ? readTtl(first) : undefined;
      const draft = readOptions(use, OPTIONS, initialDraft(ttlSec));
      if (draft.preferPositive !== undefined && draft.stale === undefined) {
        throw new CorefileError(
          'COREFILE_CONFLICT',
          draft.preferPositive,
          'serve_stale_policy requires serve_stale',
        );
      }
      const cached = zonesFromArguments(hasTtl ? rest : use.args, zones);
      return {
        zones: cached,
        success: draft.success,
        denial: draft.denial,
        servfailSec: draft.servfailSec,
        prefetch: draft.prefetch,
        stale:
          draft.stale === undefined
            ? undefined
            : { ...draft.stale, preferPositive: draft.preferPositive !== undefined },
        keepTtl: draft.keepTtl,
        cutZones: readCuts(draft.cuts, cached),
      };
    }),

  build: ([config], context) => new CacheHandler(config!, context),

  explain: ([config], asked) => explainCache(config!, asked?.name),
};

function initialDraft(ttlSec: number | undefined): Draft {
  const store = { entriesMax: ENTRIES_MAX, ttlMinSec: TTL_MIN_SEC, disabledZones: [] };
  return {
    success: { ...store, ttlMaxSec: ttlSec ?? SUCCESS_TTL_MAX_SEC },
    denial: { ...store, ttlMaxSec: ttlSec ?? DENIAL_TTL_MAX_SEC },
    servfailSec: SERVFAIL_SEC,
    prefetch: undefined,
    stale: undefined,
    preferPositive: undefined,
    keepTtl: false,
    cuts: new Map(),
  };
}

/** A later line for a kind replaces the earlier one. */
function readCuts(cuts: Draft['cuts'], cached: readonly string[]): CutZone[] {
  return [...cuts].flatMap(([kind, { line, zones }]) =>
    zonesFromArguments(zones, cached).map((zone) => {
      if (kind === 'kubernetes' && zone === '.') {
        throw badValue(line, 'the root is no cluster domain', 'expected one, as cluster.local');
      }
      if (kind === 'search' && zone === '.') {
        throw badValue(line, 'the root is no search domain', 'expected one, as ec2.internal');
      }
      return { zone, kind };
    }),
  );
}

function readTtl(token: Token): number {
  const ttlSec = parseInteger(token);
  if (ttlSec > 0) return ttlSec;
  throw badValue(
    token,
    `cache TTL can not be zero or negative: ${ttlSec}`,
    'expected seconds, at least 1',
  );
}

/** CAPACITY [TTL [MINTTL]]; an argument that is not given leaves its value as it is. */
function readStore(store: StoreConfig, args: readonly Token[]): StoreConfig {
  const [capacity, ttl, minTtl] = args;
  const minTtlSec = minTtl === undefined ? store.ttlMinSec : parseInteger(minTtl);
  if (minTtlSec < 0) {
    throw badValue(
      minTtl!,
      `cache min TTL can not be negative: ${minTtlSec}`,
      'expected seconds, at least 0',
    );
  }
  return {
    entriesMax: parseInteger(capacity!),
    ttlMaxSec: ttl === undefined ? store.ttlMaxSec : readTtl(ttl),
    ttlMinSec: minTtlSec,
    disabledZones: store.disabledZones,
  };
}

/** AMOUNT [DURATION [PERCENTAGE%]]; an AMOUNT of 0 is off. */
function readPrefetch([amount, window, percent]: readonly Token[]): PrefetchConfig | undefined {
  const hits = parseInteger(amount!);
  if (hits < 0) {
    throw badValue(amount!, `prefetch amount should be positive: ${hits}`, 'expected at least 0');
  }
  const config = {
    hits,
    windowMs: window === undefined ? 60_000 : parseDuration(window),
    percent: percent === undefined ? 10 : parsePercentage(percent, { min: 10, max: 90 }),
  };
  return hits === 0 ? undefined : config;
}

/** [DURATION [immediate [TTL [RECHECK]] | verify [TIMEOUT [TTL [RECHECK]]]]] */
function readStale(args: readonly Token[]): Omit<StaleConfig, 'preferPositive'> | undefined {
  const [duration, modeToken, ...tail] = args;
  const durationSec = duration === undefined ? HOUR_SEC : parseDuration(duration) / 1000;
  if (durationSec < 0) throw badValue(duration!, 'invalid negative duration for serve_stale');
  const mode =
    modeToken === undefined
      ? 'immediate'
      : parseWord(
          modeToken,
          ['immediate', 'verify'],
          (found) => `invalid value for serve_stale refresh mode: ${found}`,
          { anyCase: true },
        );
  const [timeout, ttl, recheck, extra] = mode === 'verify' ? tail : [undefined, ...tail];
  if (extra !== undefined) {
    throw new CorefileError(
      'COREFILE_ARGUMENTS',
      extra,
      `Wrong argument count or unexpected line ending after '${extra.text}'`,
      { hint: 'expected serve_stale DURATION immediate TTL RECHECK' },
    );
  }
  const verifyTimeoutMs = timeout === undefined ? 0 : parseDuration(timeout);
  if (verifyTimeoutMs < 0) {
    throw badValue(timeout!, 'invalid negative timeout for serve_stale verify');
  }
  const ttlSec = ttl === undefined ? 0 : parseDuration(ttl) / 1000;
  if (!Number.isInteger(ttlSec) || ttlSec < 0) {
    throw badValue(ttl!, 'serve_stale response TTL must be a whole number of seconds');
  }
  const recheckMs = recheck === undefined ? 0 : parseDuration(recheck);
  if (recheckMs > FIVE_MINUTES_MS || recheckMs < 0) {
    throw badValue(
      recheck!,
      'serve_stale failure recheck cannot exceed 5 minutes',
      'expected a duration from 0s to 5m',
    );
  }
  if (durationSec === 0) return undefined;
  return { durationSec, mode, verifyTimeoutMs, ttlSec, recheckMs };
}

function readServfail(token: Token): number {
  const ms = parseDuration(token);
  if (ms < 0) throw badValue(token, 'invalid negative ttl for servfail');
  if (ms > FIVE_MINUTES_MS) {
    throw badValue(token, 'caching SERVFAIL responses over 5 minutes is not permitted');
  }
  return Math.floor(ms / 1000);
}
