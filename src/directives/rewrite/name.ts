/**
 * `name [exact|prefix|suffix|substring|regex] FROM TO [answer ...]`: another name is asked for, and the
 * records of the response are named as the client asked.
 *
 * Owns:    the syntax of these rules, and the rules for the response that follow from them.
 */
import { CorefileError } from '../../corefile/error.ts';
import { type GoRegexp, parseGoRegexp } from '../../corefile/go-regexp.ts';
import type { Token } from '../../corefile/tokens.ts';
import { badValue } from '../../corefile/values.ts';
import { lowerText } from '../../dns/name.ts';
import { isInZone } from '../../dns/in-zone.ts';
import type { ResponseRule } from './draft.ts';
import {
  type MatchKind,
  type Replace,
  checkGroups,
  kindOf,
  normalizeText,
  replaceRegexp,
  replaceText,
} from './match.ts';
import { type Action, type Words, wrongCount } from './rule.ts';

export function parseName(words: Words): Action {
  const { args } = words;
  if (args.length < 2) throw wrongCount(words, 'too few arguments for a name rule');
  if (args.length === 2) return nameAction('exact', args[0]!, args[1]!, NO_ANSWERS);
  const [kindWord, from, to, ...rest] = args as readonly [Token, Token, Token, ...Token[]];
  const kind = kindOf(kindWord.text);
  if (kind === undefined) {
    const what =
      'name rule supports only exact, prefix, suffix, substring, and regex name matching';
    throw badValue(kindWord, `${what}, received: ${lowerText(kindWord.text)}`);
  }
  return nameAction(kind, from, to, parseAnswers(kind, rest));
}

interface Answers {
  readonly auto: boolean;
  readonly rules: readonly ResponseRule[];
}

const NO_ANSWERS: Answers = { auto: false, rules: [] };

function nameAction(kind: MatchKind, from: Token, to: Token, answers: Answers): Action {
  const { auto, rules } = answers;
  if (kind === 'regex') {
    const pattern = parsePattern(from, to);
    return renaming(undefined, replaceRegexp(pattern, normalizeText(to.text)), auto, rules);
  }
  const fromText = normalizeText(from.text);
  const toText = normalizeText(to.text);
  const replace = replaceText(kind, fromText, toText);
  if (kind === 'exact') {
    checkAsPattern(to, from);
    return renaming(fromText, replace, true, rules);
  }
  if (kind === 'suffix' && auto) {
    return renaming(undefined, replace, false, [...both(endsOf(toText, fromText)), ...rules]);
  }
  return renaming(undefined, replace, auto, rules);
}

/** With `auto`, the response gets the name back that this rule has found. */
function renaming(
  onlyName: string | undefined,
  replace: Replace,
  auto: boolean,
  rules: readonly ResponseRule[],
): Action {
  return {
    onlyName,
    apply: (draft) => {
      const { name } = draft;
      const renamed = replace(name);
      if (renamed === undefined) return false;
      draft.rename(renamed);
      if (auto) draft.responseRules.push(...both(remap(draft.name, name)));
      draft.responseRules.push(...rules);
      return true;
    },
  };
}

/**
 * `from` and the names below it become `to` and the names below that. Upstreams may spell names in any
 * case (RFC 4343); what is not replaced stays as they spell it.
 */
function remap(from: string, to: string): Replace {
  return (name) => {
    const lowered = lowerText(name);
    if (lowered === from) return to;
    // Everything is below the root, so that nothing would remain of the name.
    if (from === '.' || !isInZone(lowered, from)) return undefined;
    return name.slice(0, name.length - from.length) + (to === '.' ? '' : to);
  };
}

/** Replaces the ending `from` by `to`. */
function endsOf(from: string, to: string): Replace {
  return (name) =>
    lowerText(name).endsWith(from) ? name.slice(0, name.length - from.length) + to : undefined;
}

function both(replace: Replace): readonly ResponseRule[] {
  return [
    { kind: 'owner', replace },
    { kind: 'target', replace },
  ];
}

/** `answer auto`, `answer name FROM TO`, `answer value FROM TO`, in any number. */
function parseAnswers(kind: MatchKind, args: readonly Token[]): Answers {
  const [first] = args;
  if (first === undefined) return NO_ANSWERS;
  if (args.length < 2) throw refuseArguments(first, `invalid arguments for ${kind} rule`);
  if (first.text !== 'answer') {
    const what = 'exceeded the number of arguments for a non-answer rule argument';
    throw refuseArguments(first, `${what} for ${kind} rule`);
  }
  let auto: Token | undefined;
  const rules: ResponseRule[] = [];
  for (let at = 0; at < args.length;) {
    if (args[at]!.text === 'answer') at++; // may be left out from the second on
    const type = args[at++];
    if (type === undefined) {
      throw refuseArguments(args.at(-1)!, `type missing for answer rule for ${kind} rule`);
    }
    if (type.text === 'auto') {
      auto = type;
    } else if (type.text === 'name' || type.text === 'value') {
      rules.push(parseAnswer(kind, type, args[at], args[at + 1]));
      at += 2;
    } else {
      const what = `invalid type "${type.text}" for answer rule for ${kind} rule`;
      throw badValue(type, what, 'expected auto, name or value');
    }
  }
  if (auto !== undefined && rules.some((rule) => rule.kind === 'owner')) {
    // CoreDNS's spelling is "anwer".
    const what = 'auto name answer rule cannot be combined with explicit name answer rules';
    throw new CorefileError('COREFILE_CONFLICT', auto, what);
  }
  return { auto: auto !== undefined, rules };
}

function parseAnswer(
  kind: MatchKind,
  type: Token,
  from: Token | undefined,
  to: Token | undefined,
): ResponseRule {
  if (from === undefined || to === undefined) {
    const what = `${type.text} answer rule for ${kind} rule: 2 arguments required`;
    throw refuseArguments(from ?? type, what);
  }
  const pattern = parsePattern(from, to);
  return {
    kind: type.text === 'name' ? 'owner' : 'target',
    replace: replaceRegexp(pattern, normalizeText(to.text)),
  };
}

function refuseArguments(place: Token, what: string): CorefileError {
  return new CorefileError('COREFILE_ARGUMENTS', place, what);
}

function parsePattern(from: Token, to: Token): GoRegexp {
  const pattern = parseGoRegexp(from, {
    what: (reason) => `invalid regex matching pattern: ${from.text}: ${reason}`,
  });
  checkGroups(to, pattern);
  return pattern;
}

/**
 * CoreDNS reads the new name of an exact rule as a pattern too, and refuses what is none. Plain names
 * are spared that, and the regular expressions' engine is not loaded for them.
 */
function checkAsPattern(to: Token, from: Token): void {
  if (/^[\w.-]*$/.test(to.text) && !from.text.includes('{')) return;
  parsePattern(to, from);
}
