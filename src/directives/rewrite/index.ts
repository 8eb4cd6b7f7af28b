/**
 * `rewrite [continue|stop] FIELD ...`: asks another question than the client has asked, and makes the
 * response an answer to the client's.
 *
 * Owns:    which form of rule stands where. Each form reads its own words: name.ts, question.ts,
 *          response.ts, edns0.ts. handler.ts applies them.
 */
import type { DirectiveUse } from '../../corefile/blocks.ts';
import { CorefileError, quote } from '../../corefile/error.ts';
import { noBlock, readUse } from '../../corefile/options.ts';
import { nearest } from '../../corefile/suggest.ts';
import { badValue } from '../../corefile/values.ts';
import type { Directive, ParseContext } from '../directive.ts';
import { parseEdns0 } from './edns0.ts';
import { askedBelow, explainRewrite } from './explain.ts';
import { Rewrite } from './handler.ts';
import { parseName } from './name.ts';
import { parseClass, parseType } from './question.ts';
import { parseCname, parseRcode, parseTtl } from './response.ts';
import type { Action, Rule, Words } from './rule.ts';

export const rewrite: Directive<Rule> = {
  name: 'rewrite',
  repeat: 'accumulate',
  parse: (use, { warn }) => readUse(use, () => parse(use, warn)),
  build: (rules) => new Rewrite(rules),
  explain: (rules, asked) => (asked === undefined ? undefined : explainRewrite(rules, asked)),
  asksInstead: askedBelow,
};

type Warn = ParseContext['warn'];

const FIELDS: ReadonlyMap<string, (words: Words, warn: Warn) => Action> = new Map([
  ['name', parseName],
  ['type', parseType],
  ['class', parseClass],
  ['edns0', parseEdns0],
  ['ttl', parseTtl],
  ['rcode', parseRcode],
  ['cname', parseCname],
]);

const MODES: readonly string[] = ['continue', 'stop'];

/** The words stand on the line, or, if it has less than two, in the block: then all in one row. */
function parse(use: DirectiveUse, warn: Warn): Rule {
  const { args, options } = use;
  const inBlock = args.length < 2;
  const words = inBlock ? [...args, ...options.flatMap((line) => [line.name, ...line.args])] : args;
  const [first] = words;
  if (first === undefined) {
    throw new CorefileError('COREFILE_ARGUMENTS', use.place, 'no rule type specified for rewrite', {
      hint: EXPECTED,
    });
  }
  const mode = MODES.find((word) => word === first.text.toLowerCase());
  const [field, ...rest] = mode === undefined ? words : words.slice(1);
  if (field === undefined) {
    const what = `${mode} rule must begin with a rule type`;
    throw new CorefileError('COREFILE_ARGUMENTS', first, what, { hint: EXPECTED });
  }
  const name = field.text.toLowerCase();
  if (name === 'answer') throw badValue(field, 'response rewrites must begin with a name rule');
  const read = FIELDS.get(name);
  if (read === undefined) {
    const meant = nearest(name, FIELDS.keys());
    const hint = meant === undefined ? EXPECTED : `did you mean ${quote(meant)}?`;
    throw badValue(field, `invalid rule type ${quote(field.text)}`, hint);
  }
  const action = read({ field, args: rest }, warn);
  if (!inBlock) noBlock(use);
  return { ...action, continues: mode === 'continue' };
}

const EXPECTED = `expected ${[...FIELDS.keys()].join(', ')}`;
