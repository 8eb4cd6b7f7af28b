/**
 * How rules find names: `exact`, `prefix`, `suffix`, `substring` and `regex`, and what a name becomes.
 *
 * Owns:    the words, and CoreDNS's reading of them: all but `regex` compare text, with dots, whose
 *          final dot is added; so `prefix foo-` means names that begin with `foo-.`
 * Is not:  aware of labels. The result may be no name; callers check it.
 */
import { CorefileError } from '../../corefile/error.ts';
import type { GoMatch, GoRegexp } from '../../corefile/go-regexp.ts';
import type { Token } from '../../corefile/tokens.ts';
import { lowerText, nameFromText, nameToText } from '../../dns/name.ts';

export type MatchKind = (typeof KINDS)[number];
const KINDS = ['exact', 'prefix', 'suffix', 'substring', 'regex'] as const;

/** Gives the new form of a name, or undefined if the name does not match. */
export type Replace = (name: string) => string | undefined;

/** The kind that a word names, in any case. */
export function kindOf(word: string): MatchKind | undefined {
  const lowered = word.toLowerCase();
  return KINDS.find((kind) => kind === lowered);
}

/** As CoreDNS normalizes names: lower case, a final dot. It may still be no name. */
export function normalizeText(text: string): string {
  const lowered = lowerText(text);
  const wire = nameFromText(lowered);
  if (wire !== undefined && lowered !== '') return nameToText(wire);
  return hasFinalDot(lowered) ? lowered : `${lowered}.`;
}

/** A dot behind an odd number of backslashes belongs to a label. */
function hasFinalDot(text: string): boolean {
  const backslashes = /(\\*)\.$/.exec(text)?.[1];
  return backslashes !== undefined && backslashes.length % 2 === 0;
}

/** Replaces what matches: the whole name, its beginning or end, or each occurrence. */
export function replaceText(kind: Exclude<MatchKind, 'regex'>, from: string, to: string): Replace {
  switch (kind) {
    case 'exact':
      return (name) => (name === from ? to : undefined);
    case 'prefix':
      return (name) => (name.startsWith(from) ? to + name.slice(from.length) : undefined);
    case 'suffix':
      return (name) =>
        name.endsWith(from) ? name.slice(0, name.length - from.length) + to : undefined;
    case 'substring':
      return (name) => (name.includes(from) ? name.replaceAll(from, () => to) : undefined);
    default:
      return kind satisfies never;
  }
}

/** The whole name becomes `to`, with what the groups took. */
export function replaceRegexp(pattern: GoRegexp, to: string): Replace {
  return (name) => {
    const match = pattern.match(name);
    return match === undefined ? undefined : fillIn(to, match);
  };
}

/** Puts groups in the place of `{0}`, `{1}` and so on; one that took no part is empty. */
function fillIn(text: string, groups: GoMatch): string {
  return text.replaceAll(/\{(\d+)\}/g, (braces, digits: string) => {
    // {01} is no group to CoreDNS, nor is one that the expression does not have.
    if (digits.length > 1 && digits.startsWith('0')) return braces;
    return Number(digits) < groups.length ? (groups[Number(digits)] ?? '') : braces;
  });
}

/**
 * Refuses a replacement that uses more groups than the expression has. As in CoreDNS it is their
 * number that counts, and that of `{0}`, the whole match, with it.
 */
export function checkGroups(to: Token, from: GoRegexp): void {
  const used = new Set(to.text.match(/\{(?:0|[1-9]\d?|100)\}/g));
  if (used.size <= from.groupCount) return;
  const what =
    `the rewrite regex pattern (${to.text}) uses more subexpressions than its corresponding ` +
    `matching regex pattern (${from.source})`;
  const hint = used.has('{0}') ? 'for the whole match, put the pattern in parentheses' : undefined;
  throw new CorefileError('COREFILE_VALUE', to, what, { hint });
}

/** Whether a rule concerns a name; `onlyName` is the only one that it does, if there is only one. */
export interface NameTest {
  readonly onlyName: string | undefined;
  readonly matches: (name: string) => boolean;
}

export function testText(kind: Exclude<MatchKind, 'regex'>, text: string): NameTest {
  const from = normalizeText(text);
  const replace = replaceText(kind, from, '');
  return {
    onlyName: kind === 'exact' ? from : undefined,
    matches: (name) => replace(name) !== undefined,
  };
}

export function testRegexp(pattern: GoRegexp): NameTest {
  return { onlyName: undefined, matches: (name) => pattern.test(name) };
}
