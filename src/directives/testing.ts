/**
 * For tests of directives: what parsing and building them need, and what they say.
 *
 * Owns:    the contexts for parsing and building in tests, and a log that keeps its lines.
 */
import { parseUse } from '../corefile/blocks.ts';
import { CorefileError } from '../corefile/error.ts';
import type { Level, Log } from '../observe/log.ts';
import { Metrics } from '../observe/metrics.ts';
import { Troubles } from '../observe/troubles.ts';
import { Upstreams } from '../upstream/upstreams.ts';
import { type Contribution, Contributions } from './contributions.ts';
import type { BuildContext, Directive, ParseContext } from './directive.ts';
import type { HostPort } from '../net/host-port.ts';

export interface TestParsing extends ParseContext {
  readonly warnings: string[];
}

export function testParsing(zones: readonly string[] = ['.']): TestParsing {
  const warnings: string[] = [];
  return { zones, defaultPort: 53, warnings, warn: (message) => void warnings.push(message) };
}

/** Parses one use, written as in a Corefile. */
export function parseAs<Config>(
  directive: Directive<Config>,
  text: string,
  context: ParseContext = testParsing(),
): Config {
  return directive.parse(parseUse(text), context);
}

/** The message of the CorefileError that the use deserves; undefined if it deserves none. */
export function refusal<Config>(
  directive: Directive<Config>,
  text: string,
  context: ParseContext = testParsing(),
): string | undefined {
  try {
    parseAs(directive, text, context);
    return undefined;
  } catch (error) {
    if (error instanceof CorefileError) return error.message;
    throw error;
  }
}

/** The values that the uses of one block, each written as in a Corefile, contribute under `key`. */
export function contributed<Config, Value>(
  directive: Directive<Config>,
  key: Contribution<Value>,
  ...uses: readonly string[]
): readonly Value[] {
  const block = new Contributions();
  const configs = uses.map((text) => parseAs(directive, text));
  directive.contribute?.(configs, block);
  return block.all(key);
}

export interface TestBuilding extends BuildContext {
  readonly log: TestLog;
  readonly fatals: string[];
  start(): void;
  stop(): void;
}

export function testBuilding(
  zones: readonly string[] = ['.'],
  listeners: readonly HostPort[] = [],
): TestBuilding {
  const starts: (() => void)[] = [];
  const stops: (() => void)[] = [];
  const fatals: string[] = [];
  const metrics = new Metrics();
  return {
    zones,
    servers: ['dns://:53'],
    listeners,
    log: new TestLog(),
    metrics,
    upstreams: new Upstreams(metrics),
    fatals,
    troubles: new Troubles(metrics),
    onLoop: 'exit',
    keep: (_name, create) => create(),
    onStart: (action) => void starts.push(action),
    onStop: (action) => void stops.push(action),
    fatal: (message) => void fatals.push(message),
    start: () => starts.forEach((action) => action()),
    stop: () => stops.forEach((action) => action()),
  };
}

/** Keeps the lines as they would be printed. */
export class TestLog implements Log {
  readonly lines: string[] = [];

  log(level: Level, message: string): void {
    this.lines.push(`[${level.toUpperCase()}] ${message}`);
  }
  debug(message: string): void {
    this.log('debug', message);
  }
  info(message: string): void {
    this.log('info', message);
  }
  warning(message: string): void {
    this.log('warning', message);
  }
  error(message: string): void {
    this.log('error', message);
  }
  query(line: string): void {
    this.log('info', line);
  }
}
