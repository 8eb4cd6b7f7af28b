/**
 * `log [NAMES...] [FORMAT] { class ... }`: a line for each answered query.
 *
 * Owns:    the rules: which names, which classes of response, which format.
 * Is not:  the line (format.ts) nor the writing of it (observe/log.ts).
 */
import { type ResponseClass, classify } from '../../cache/ttl-policy.ts';
import type { DirectiveUse } from '../../corefile/blocks.ts';
import { type OptionTable, oneOrMore, readOptions, readUse } from '../../corefile/options.ts';
import type { Token } from '../../corefile/tokens.ts';
import { parseWord } from '../../corefile/values.ts';
import { lowerText, nameFromText, nameToText } from '../../dns/name.ts';
import { isInZone } from '../../dns/in-zone.ts';
import type { Log } from '../../observe/log.ts';
import type { Metadata } from '../../query/metadata.ts';
import type { Query } from '../../query/query.ts';
import type { Response } from '../../query/response.ts';
import { nowMs } from '../../sys/clock.ts';
import type { Directive, Handler, ParseContext } from '../directive.ts';
import { DEFAULT_FORMAT, LineFormat } from './format.ts';

const CLASSES = ['all', 'success', 'denial', 'error'] as const;
/** Which responses are logged. */
export type LogClass = (typeof CLASSES)[number];

export interface LogConfig {
  /** Normalized. */
  readonly names: readonly string[];
  readonly format: string;
  readonly classes: ReadonlySet<LogClass>;
}

export const log: Directive<LogConfig> = {
  name: 'log',
  repeat: 'accumulate',
  parse: (use, context) => readUse(use, () => parse(use, context)),
  build: (configs, context) => new QueryLog(configs, context.log),
};

const OPTIONS: OptionTable<Set<LogClass>> = {
  class: oneOrMore((classes, first, rest) => {
    for (const word of [first, ...rest]) {
      classes.add(parseWord(word, CLASSES, (found) => `invalid Class: ${found}`));
    }
  }),
};

function parse(use: DirectiveUse, context: ParseContext): LogConfig {
  const names = [...use.args];
  let format = DEFAULT_FORMAT;
  const last = names.at(-1);
  if (last?.text.includes('{') === true) {
    if (names.length > 1) {
      format = last.text;
      names.pop();
    } else {
      context.warn(
        `plugin/log: ${last.file}:${last.line}: a single argument is a name, never a format: for a ` +
          `format write log . "${last.text}"`,
      );
    }
  }
  const classes = readOptions(use, OPTIONS, new Set<LogClass>());
  if (classes.size === 0) classes.add('all');
  return { names: names.length === 0 ? ['.'] : names.flatMap(nameOf), format, classes };
}

/** As in CoreDNS, what is no domain name is no error, and matches nothing. */
function nameOf(token: Token): string[] {
  const wire = nameFromText(token.text);
  return wire === undefined ? [] : [lowerText(nameToText(wire))];
}

interface Rule {
  readonly name: string;
  readonly format: LineFormat;
  readonly classes: ReadonlySet<LogClass>;
}

class QueryLog implements Handler {
  readonly name = 'log';
  readonly seesHits = true;
  readonly #rules: readonly Rule[];
  readonly #log: Log;

  constructor(configs: readonly LogConfig[], to: Log) {
    this.#rules = configs.flatMap(({ names, format, classes }) => {
      const compiled = new LineFormat(format);
      return names.map((name) => ({ name, format: compiled, classes }));
    });
    this.#log = to;
  }

  onResponse(query: Query, response: Response): Response {
    if (query.client === undefined) return response; // a refresh of our own
    const rule = this.#ruleFor(query.name);
    if (rule === undefined) return response;
    if (query.metadata !== undefined) setLabels(query.metadata, query, response);
    if (isWanted(rule, query, response)) {
      this.#log.query(rule.format.line(query, response, nowMs() - query.receivedMs));
    }
    return response;
  }

  /** The first rule that fits decides, also if its classes then leave the line out. */
  #ruleFor(name: string): Rule | undefined {
    const rules = this.#rules;
    for (let i = 0; i < rules.length; i++) {
      if (isInZone(name, rules[i]!.name)) return rules[i];
    }
    return undefined;
  }
}

function isWanted({ classes }: Rule, query: Query, response: Response): boolean {
  if (classes.has('all')) return true;
  if (response.failure !== undefined) return classes.has('error');
  return classes.has(logClassOf(classOf(query, response)));
}

function classOf(query: Query, response: Response): ResponseClass {
  return classify(response.message, query.opcode, Math.floor(Date.now() / 1000));
}

/** CoreDNS's words for them, from 1.14 on. */
const TYPE_LABELS: Readonly<Record<ResponseClass, string>> = {
  positive: 'NOERROR',
  'no-data': 'NODATA',
  'name-error': 'NXDOMAIN',
  'server-error': 'SERVERERROR',
  delegation: 'DELEGATION',
  'other-error': 'OTHERERROR',
  meta: 'META',
};

function setLabels(metadata: Metadata, query: Query, response: Response): void {
  metadata.set('log/type', () => TYPE_LABELS[classOf(query, response)]);
  metadata.set('log/class', () => logClassOf(classOf(query, response)));
}

function logClassOf(responseClass: ResponseClass): LogClass {
  switch (responseClass) {
    case 'positive':
    case 'delegation':
      return 'success';
    case 'no-data':
    case 'name-error':
      return 'denial';
    case 'server-error':
    case 'other-error':
    case 'meta':
      return 'error';
    default:
      return responseClass satisfies never;
  }
}
