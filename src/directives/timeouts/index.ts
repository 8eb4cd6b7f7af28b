/**
 * `timeouts { read ... write ... idle ... maxtcpqueries ... }`: how long TCP clients are waited for, and
 * how many queries one connection may bring.
 *
 * Owns:    the syntax and ranges.
 * Is not:  the waiting (listen/tcp.ts). Blocks that share an address share its times: the last one that
 *          says a time counts (daemon/serving/generation.ts).
 */
import type { DirectiveUse } from '../../corefile/blocks.ts';
import { CorefileError } from '../../corefile/error.ts';
import {
  type OptionTable,
  noArguments,
  one,
  readOptions,
  readUse,
} from '../../corefile/options.ts';
import type { Token } from '../../corefile/tokens.ts';
import { badValue, formatDuration, isInteger, parseDuration } from '../../corefile/values.ts';
import { TCP_TIMEOUTS, type TimeoutSettings } from '../contributions.ts';
import type { Directive } from '../directive.ts';

const TIMEOUT_MS_MIN = 1000;
const TIMEOUT_MS_MAX = 24 * 3600 * 1000;
const UNLIMITED = -1;

export const timeouts: Directive<TimeoutSettings> = {
  name: 'timeouts',
  repeat: 'accumulate',
  parse: (use) => readUse(use, () => parse(use)),
  contribute: (configs, block) => {
    for (const config of configs) block.add(TCP_TIMEOUTS, config);
  },
};

type Draft = { -readonly [Key in keyof TimeoutSettings]: TimeoutSettings[Key] };

const OPTIONS: OptionTable<Draft> = {
  read: one((draft, value) => {
    draft.firstMs = parseTimeout(value);
  }),
  write: one((draft, value) => {
    draft.writeMs = parseTimeout(value);
  }),
  idle: one((draft, value) => {
    draft.idleMs = parseTimeout(value);
  }),
  maxtcpqueries: one((draft, value) => {
    draft.queriesMax = parseQueriesMax(value);
  }),
};

function parse(use: DirectiveUse): TimeoutSettings {
  noArguments(use);
  const draft = readOptions<Draft>(use, OPTIONS, {});
  if (use.options.length > 0) return draft;
  throw new CorefileError(
    'COREFILE_ARGUMENTS',
    use.place,
    'timeouts block with no timeouts specified',
    { hint: 'give read, write, idle or maxtcpqueries a value, or remove it' },
  );
}

/** Here, and only here, a number without unit is of seconds. */
function parseTimeout(token: Token): number {
  const text = isInteger(token.text) ? `${token.text}s` : token.text;
  let ms: number;
  try {
    ms = parseDuration({ ...token, text });
  } catch {
    throw badValue(token, `failed to parse duration '${text}'`, 'expected one such as 5s');
  }
  if (ms >= TIMEOUT_MS_MIN && ms <= TIMEOUT_MS_MAX) return ms;
  const shown = formatDuration(ms);
  throw badValue(token, `timeout provided '${shown}' needs to be between 1 second and 24 hours`);
}

/** 0 for as many as come. */
function parseQueriesMax(token: Token): number {
  const { text } = token;
  if (!isInteger(text) || !Number.isSafeInteger(Number(text))) {
    throw badValue(token, `invalid value for maxtcpqueries '${text}'`, 'expected a number');
  }
  const queries = Number(text);
  if (queries > 0) return queries;
  if (queries === UNLIMITED) return 0;
  const what = `maxtcpqueries provided '${text}' needs to be -1 (unlimited) or a positive integer`;
  throw badValue(token, what);
}
