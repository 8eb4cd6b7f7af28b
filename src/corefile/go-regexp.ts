/**
 * The Corefile's regular expressions, which are Go's: RE2's syntax, and time linear in the text for
 * every pattern, since clients choose the names.
 *
 * Owns:    the package re2js, loaded with the first pattern: a Corefile without patterns pays nothing,
 *          one with patterns 1 MB; Go's error messages; the bounds on patterns.
 * Is not:  for the path of a hit: 0.1 to 0.4 us for a text that does not match, 3 us for one whose
 *          groups are read.
 */
import { createRequire } from 'node:module';
import type { Matcher, RE2JS } from 're2js';
import { badValue } from './values.ts';
import { CorefileError } from './error.ts';
import type { Token } from './tokens.ts';

/** CoreDNS's limit from 1.14 on, in octets. */
export const PATTERN_OCTETS_MAX = 10_000;

/**
 * Steps of a pattern once its counted repetitions are written out: `(a?){1000}` is 4,000. The time is
 * steps times characters, about 14 ns each: at this bound the worst pattern takes 0.17 s for the longest
 * name (1,004 characters, each octet escaped), and 10 ms for an ordinary one. Go allows a million, where
 * one match takes half a minute. Without counted repetitions a pattern has one step per octet, so
 * PATTERN_OCTETS_MAX is within the bound.
 */
const STEPS_MAX = 12_000;

/** The whole match, then each group by number; undefined for a group that took no part. */
export type GoMatch = readonly [string, ...(string | undefined)[]];

export interface PatternOptions {
  /** Builds the message from Go's own: ``error parsing regexp: missing closing ): `(` ``. */
  readonly what?: (reason: string) => string;
  /** Whether case does not matter, as after `(?i)`. */
  readonly anyCase?: boolean;
}

/** Reads the expression at `token`. Throws CorefileError. */
export function parseGoRegexp(token: Token, options: PatternOptions = {}): GoRegexp {
  const { what = said, anyCase = false } = options;
  const { text } = token;
  const octets = Buffer.byteLength(text);
  if (octets > PATTERN_OCTETS_MAX) {
    throw badValue(token, `regex pattern too long: ${octets} > ${PATTERN_OCTETS_MAX}`);
  }
  let compiled: RE2JS;
  try {
    const engine = loadEngine();
    compiled = engine.compile(text);
    // By option: a prefix (?i) would show in the error.
    if (anyCase) compiled = engine.compile(text, engine.CASE_INSENSITIVE);
  } catch (cause) {
    const hint = hintFor(text);
    throw new CorefileError('COREFILE_VALUE', token, what(goReasonOf(cause)), { cause, hint });
  }
  const steps = compiled.programSize();
  if (steps > STEPS_MAX) {
    const found = `regular expression of ${steps} steps is too large`;
    throw badValue(token, found, `at most ${STEPS_MAX}: repeat less, or fewer times`);
  }
  return new GoRegexp(text, compiled);
}

/** One expression. It matches anywhere in a text, and keeps no state between texts. */
export class GoRegexp {
  /** As the Corefile spells it. */
  readonly source: string;
  /** Not counting the whole match, which is group 0. */
  readonly groupCount: number;
  /** Numbers of the named groups. */
  readonly groupNames: ReadonlyMap<string, number>;
  readonly #compiled: RE2JS;

  constructor(source: string, compiled: RE2JS) {
    this.source = source;
    this.groupCount = compiled.groupCount();
    this.groupNames = new Map(Object.entries(compiled.namedGroups()));
    this.#compiled = compiled;
  }

  test(text: string): boolean {
    return this.#compiled.test(text);
  }

  /** The leftmost match; of several there, the one that the expression prefers. */
  match(text: string): GoMatch | undefined {
    // Most texts do not match, which is found without keeping track of groups.
    if (!this.#compiled.test(text)) return undefined;
    const matcher = this.#compiled.matcher(text);
    if (!matcher.find()) return undefined;
    const groups: (string | undefined)[] = [];
    for (let i = 1; i <= this.groupCount; i++) groups.push(groupOf(matcher, i));
    return [groupOf(matcher, 0) ?? '', ...groups];
  }
}

function groupOf(matcher: Matcher, number: number): string | undefined {
  return matcher.group(number) ?? undefined;
}

let loaded: typeof RE2JS | undefined;

function loadEngine(): typeof RE2JS {
  loaded ??= (createRequire(import.meta.url)('re2js') as { RE2JS: typeof RE2JS }).RE2JS;
  return loaded;
}

function said(reason: string): string {
  return reason;
}

/** Go's message, which always quotes the faulty part, even an empty one. */
function goReasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return 'error parsing regexp';
  const { error, input } = cause as { error?: unknown; input?: unknown };
  if (typeof error !== 'string') return `error parsing regexp: ${cause.message}`;
  return `error parsing regexp: ${error}: \`${typeof input === 'string' ? input : ''}\``;
}

/** Names a feature of other engines that RE2 lacks, if the pattern seems to use one. */
function hintFor(text: string): string | undefined {
  if (/\(\?<?[=!]/.test(text)) return 'look-around is not supported';
  if (/\\[1-9k]|\(\?P=/.test(text)) return 'back-references are not supported';
  if (/[*+?}]\+/.test(text)) return 'possessive repetition is not supported';
  return undefined;
}
