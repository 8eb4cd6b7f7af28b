/**
 * `errors [stdout] { ... }`: logs each query that ended in an error: nobody wrote a message, and the
 * reason for it came back instead (`Response.failure`).
 *
 * A bare RCODE without a reason, as `hosts` and `template` return, is no error.
 *
 * Owns:    the syntax, and the form of an error's log line.
 */
import type { DirectiveUse, OptionLine } from '../../corefile/blocks.ts';
import { CorefileError } from '../../corefile/error.ts';
import { parseGoRegexp } from '../../corefile/go-regexp.ts';
import {
  type OptionTable,
  countArguments,
  flag,
  option,
  readOptions,
  readUse,
} from '../../corefile/options.ts';
import type { Token } from '../../corefile/tokens.ts';
import { badValue, parseDuration } from '../../corefile/values.ts';
import { typeName } from '../../dns/rrtype.ts';
import type { Level, Log } from '../../observe/log.ts';
import type { Query } from '../../query/query.ts';
import type { Response } from '../../query/response.ts';
import type { BuildContext, Directive, Handler } from '../directive.ts';
import { type ConsolidateConfig, Consolidation } from './consolidation.ts';

export interface ErrorsConfig {
  /** Taken for CoreDNS's sake: a failing handler's stack is always logged. */
  readonly stacktrace: boolean;
  readonly consolidate: readonly ConsolidateConfig[];
}

export const errors: Directive<ErrorsConfig> = {
  name: 'errors',
  repeat: 'refuse',
  parse: (use) => readUse(use, () => parse(use)),
  build: (configs, context) => new Errors(configs[0]!, context),
};

interface Draft {
  stacktrace: boolean;
  readonly consolidate: ConsolidateConfig[];
}

const OPTIONS: OptionTable<Draft> = {
  stacktrace: flag((draft) => {
    draft.stacktrace = true;
  }),
  consolidate: option(2, 4, (draft, args, line) => {
    draft.consolidate.push(parseConsolidate(args, line));
  }),
};

function parse(use: DirectiveUse): ErrorsConfig {
  const [target] = countArguments(use, 0, 1);
  if (target !== undefined && target.text !== 'stdout') {
    throw badValue(target, `invalid log file: ${target.text}`, 'expected stdout, or nothing');
  }
  return readOptions(use, OPTIONS, { stacktrace: false, consolidate: [] });
}

const LEVELS: ReadonlyMap<string, Level> = new Map([
  ['warning', 'warning'],
  ['error', 'error'],
  ['info', 'info'],
  ['debug', 'debug'],
]);
const SHOW_FIRST = 'show_first';

/** `consolidate DURATION REGEXP [LEVEL] [show_first]` */
function parseConsolidate(args: readonly Token[], line: OptionLine): ConsolidateConfig {
  const [duration, pattern, ...words] = args;
  if (duration === undefined || pattern === undefined) {
    throw new CorefileError('COREFILE_ARGUMENTS', line.name, 'Wrong argument count');
  }
  const periodMs = parseDuration(duration);
  let level: Level | undefined;
  let showFirst = false;
  for (const word of words) {
    const found = LEVELS.get(word.text);
    if (found === undefined && word.text !== SHOW_FIRST) throw unknownWord(word, level, showFirst);
    if (found === undefined) {
      showFirst = true;
    } else if (showFirst) {
      throw badValue(word, 'log level must come before show_first in consolidate');
    } else if (level === undefined) {
      level = found;
    } else {
      throw badValue(word, 'multiple log levels specified in consolidate');
    }
  }
  return {
    pattern: parseGoRegexp(pattern),
    periodMs,
    level: level ?? 'error',
    showFirst,
  };
}

function unknownWord(word: Token, level: Level | undefined, showFirst: boolean): CorefileError {
  const what =
    level === undefined && !showFirst
      ? `unknown log level argument in consolidate: ${word.text}`
      : `unknown option in consolidate: ${word.text}`;
  return badValue(word, what, `expected ${[...LEVELS.keys(), SHOW_FIRST].join(', ')}`);
}

class Errors implements Handler {
  readonly name = 'errors';
  /** Hits are no errors. */
  readonly seesHits = false;
  readonly #consolidations: readonly Consolidation[];
  readonly #log: Log;
  #stopped = false;

  constructor(config: ErrorsConfig, context: BuildContext) {
    this.#log = context.log;
    this.#consolidations = config.consolidate.map((of) => new Consolidation(of, context.log));
    context.onStop(() => {
      this.#stopped = true;
      for (const consolidation of this.#consolidations) consolidation.flush();
    });
  }

  onResponse(query: Query, response: Response): Response {
    const message = response.failure?.message ?? '';
    if (message !== '') this.#report(query, response.rcode, message);
    return response;
  }

  #report(query: Query, rcode: number, message: string): void {
    const line = `plugin/errors: ${rcode} ${query.name} ${typeName(query.qtype)}: ${message}`;
    const consolidation = this.#stopped
      ? undefined
      : this.#consolidations.find((candidate) => candidate.matches(message));
    if (consolidation === undefined) this.#log.error(line);
    else consolidation.count(line);
  }
}
