/** `type FROM TO` and `class FROM TO`: another type or class is asked for; the answer stays as it is. */
import { badValue } from '../../corefile/values.ts';
import type { Token } from '../../corefile/tokens.ts';
import { classFromName, typeFromName } from '../../dns/rrtype.ts';
import { type Action, type Words, wrongCount } from './rule.ts';

export function parseType(words: Words): Action {
  const [from, to] = twoNumbers(words, 'type', typeFromName);
  return {
    onlyName: undefined,
    apply: (draft) => {
      if (draft.qtype !== from) return false;
      draft.qtype = to;
      return true;
    },
  };
}

export function parseClass(words: Words): Action {
  const [from, to] = twoNumbers(words, 'class', classFromName);
  return {
    onlyName: undefined,
    apply: (draft) => {
      if (draft.qclass !== from) return false;
      draft.qclass = to;
      return true;
    },
  };
}

function twoNumbers(
  words: Words,
  field: 'type' | 'class',
  read: (name: string) => number | undefined,
): readonly [number, number] {
  const [from, to] = words.args;
  if (from === undefined || to === undefined || words.args.length > 2) {
    throw wrongCount(words, `${field} rules must have exactly two arguments`);
  }
  const number = (token: Token): number => {
    const name = token.text.toUpperCase();
    const value = read(name);
    if (value === undefined) throw badValue(token, `invalid ${field} "${name}"`);
    return value;
  };
  return [number(from), number(to)];
}
