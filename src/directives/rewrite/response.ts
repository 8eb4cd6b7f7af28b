/**
 * The rules that change nothing but the response: `ttl`, `rcode` and `cname`, each with a match of the
 * name that was asked for (`cname`: of the name that a CNAME leads to).
 *
 * Owns:    the syntax of these rules.
 */
import { parseGoRegexp } from '../../corefile/go-regexp.ts';
import type { Token } from '../../corefile/tokens.ts';
import { badValue } from '../../corefile/values.ts';
import { lowerText } from '../../dns/name.ts';
import { RCODE_MASK } from '../../dns/header.ts';
import { SERVFAIL, rcodeFromName } from '../../dns/rcode.ts';
import type { ResponseRule } from './draft.ts';
import {
  type NameTest,
  type Replace,
  kindOf,
  normalizeText,
  replaceRegexp,
  replaceText,
  testRegexp,
  testText,
} from './match.ts';
import { type Action, type Words, wrongCount } from './rule.ts';

/** A TTL with its highest bit set counts as 0 (RFC 2181 section 8). */
const TTL_SEC_MAX = 0x7fffffff;
const U32_MAX = 0xffffffff;
/** CoreDNS's limit on codes given as numbers. */
const RCODE_MAX = 23;

/** `ttl [MATCH] NAME SECONDS|[MIN]-[MAX]` */
export function parseTtl(words: Words): Action {
  const { args } = words;
  if (args.length < 2) {
    throw wrongCount(words, `too few (${args.length}) arguments for a ttl rule`);
  }
  if (args.length > 3)
    throw wrongCount(words, "invalid TTL '' for a ttl rule", 'too many arguments');
  const range = args.at(-1)!;
  const response = parseTtlRange(range);
  return responding(parseTest('ttl', args.slice(0, -1)), response);
}

function parseTtlRange(token: Token): ResponseRule {
  const { text } = token;
  const [low, high, ...rest] = text.split('-');
  const refused = badValue(
    token,
    `invalid TTL '${text}' for a ttl rule`,
    'expected seconds, as 30, or their bounds, as 5-30, 5- or -30',
  );
  if (low === undefined || rest.length > 0 || text === '-') throw refused;
  const seconds = (digits: string, otherwise: number): number => {
    if (digits === '') return otherwise;
    if (!/^\d{1,10}$/.test(digits) || Number(digits) > U32_MAX) throw refused;
    return Math.min(Number(digits), TTL_SEC_MAX);
  };
  if (high === undefined && low === '') throw refused;
  const minSec = seconds(low, 0);
  const maxSec = high === undefined ? minSec : seconds(high, TTL_SEC_MAX);
  if (minSec > maxSec) throw refused;
  return { kind: 'ttl', minSec, maxSec };
}

/** `rcode [MATCH] NAME FROM TO` */
export function parseRcode(words: Words, warn: (message: string) => void): Action {
  const { args } = words;
  if (args.length < 3) {
    throw wrongCount(words, `too few (${args.length}) arguments for a rcode rule`);
  }
  if (args.length > 4) {
    const what = "invalid matching RCODE '' for a rcode rule";
    throw wrongCount(words, what, 'too many arguments');
  }
  const to = args.at(-1)!;
  const code = { from: rcodeOf(args.at(-2)!, 'matching'), to: rcodeOf(to, 'replacement') };
  if (code.to > RCODE_MASK) {
    warn(`plugin/rewrite: an answer cannot carry the RCODE ${to.text}: clients will see SERVFAIL`);
    code.to = SERVFAIL;
  }
  const response: ResponseRule = { kind: 'rcode', ...code };
  return responding(parseTest('rcode', args.slice(0, -2)), response);
}

function rcodeOf(token: Token, role: string): number {
  const { text } = token;
  if (/^\d{1,9}$/.test(text) && Number(text) <= RCODE_MAX) return Number(text);
  const code = RCODE_ALIASES.get(text.toUpperCase()) ?? rcodeFromName(text);
  if (code === undefined) {
    const what = `invalid ${role} RCODE '${text}' for a rcode rule`;
    throw badValue(token, what, `expected a name such as NXDOMAIN, or a number up to ${RCODE_MAX}`);
  }
  return code;
}

const RCODE_ALIASES: ReadonlyMap<string, number> = new Map([
  ['NOTIMPL', 4],
  ['BADSIG', 16],
]);

/** The match of `ttl` and `rcode`: `NAME`, or `MATCH NAME`. */
function parseTest(field: 'ttl' | 'rcode', args: readonly Token[]): NameTest {
  const [first, second] = args as readonly [Token, Token | undefined];
  if (second === undefined) return testText('exact', first.text);
  const kind = kindOf(first.text);
  if (kind === undefined) {
    const what = `${field} rule supports only exact, prefix, suffix, substring, and regex name matching`;
    throw badValue(first, what, `found ${first.text}`);
  }
  if (kind !== 'regex') return testText(kind, second.text);
  return testRegexp(
    parseGoRegexp(second, {
      what: (reason) => `invalid regex pattern in a ${field} rule: ${second.text}: ${reason}`,
    }),
  );
}

function responding({ onlyName, matches }: NameTest, response: ResponseRule): Action {
  return {
    onlyName,
    apply: (draft) => {
      if (!matches(draft.name)) return false;
      draft.responseRules.push(response);
      return true;
    },
  };
}

/** `cname [MATCH] FROM TO` */
export function parseCname(words: Words): Action {
  const { args } = words;
  if (args.length !== 2 && args.length !== 3) {
    throw wrongCount(words, `too few (${args.length}) arguments for a cname rule`);
  }
  const response: ResponseRule = { kind: 'cname', replace: parseCnameReplace(args) };
  return {
    onlyName: undefined,
    apply: (draft) => {
      draft.responseRules.push(response);
      return true;
    },
  };
}

/** Only `exact` gets final dots (from CoreDNS 1.14 on); the others are compared as written. */
function parseCnameReplace(args: readonly Token[]): Replace {
  const from = args.at(-2)!;
  const to = args.at(-1)!;
  const kind = args.length === 2 ? 'exact' : kindOf(args[0]!.text);
  if (kind === undefined) {
    const what = `unknown cname rewrite type: ${lowerText(args[0]!.text)}`;
    throw badValue(args[0]!, what, 'expected exact, prefix, suffix, substring or regex');
  }
  if (kind === 'exact') return replaceText(kind, normalizeText(from.text), normalizeText(to.text));
  if (kind !== 'regex') return replaceText(kind, lowerText(from.text), lowerText(to.text));
  // CoreDNS lower-cases the pattern, \S and \W included, to find names in lower case.
  const pattern = parseGoRegexp(from, {
    anyCase: true,
    what: (reason) => `invalid cname rewrite regex pattern: ${reason}`,
  });
  return replaceRegexp(pattern, lowerText(to.text));
}
