/**
 * The effect of `rewrite` on a question, for people: `nodelocald explain`.
 *
 * Owns:    the wording; the rules themselves are applied as the handler does.
 */
import { formatDuration } from '../../corefile/values.ts';
import { buildQuery } from '../../dns/build-query.ts';

import { nameFromText } from '../../dns/name.ts';
import { QueryView, readQuery } from '../../dns/question.ts';
import { rcodeName } from '../../dns/rcode.ts';
import { IN, className, typeName } from '../../dns/rrtype.ts';
import { Query } from '../../query/query.ts';
import { type ReplyPath, UDP } from '../../query/responder.ts';
import type { AskedName } from '../directive.ts';
import { Draft, type ResponseRule } from './draft.ts';
import { RuleList } from './rule-list.ts';
import type { Rule } from './rule.ts';

export function explainRewrite(rules: readonly Rule[], asked: AskedName): readonly string[] {
  const draft = draftOf(rules, asked);
  if (draft.invalidName !== undefined) {
    return [`answers SERVFAIL: the name becomes ${draft.invalidName}, which is none`];
  }
  const lines = new Set<string>();
  if (draft.asksOther) {
    const qclass = draft.qclass === IN ? '' : ` ${className(draft.qclass)}`;
    lines.add(`asks ${draft.name}${qclass} ${typeName(draft.qtype)} instead`);
  }
  if (draft.optionsChanged) lines.add('changes the EDNS options of the query');
  for (const rule of draft.responseRules.toReversed()) lines.add(responseText(rule));
  return [...lines];
}

/** The question that the directives below see. */
export function askedBelow(rules: readonly Rule[], asked: AskedName): AskedName {
  const { name, qtype, invalidName } = draftOf(rules, asked);
  return invalidName === undefined ? { name, qtype } : asked;
}

function responseText(rule: ResponseRule): string {
  switch (rule.kind) {
    case 'owner':
      return 'renames the owners of the answer’s records';
    case 'target':
      return 'renames what the answer’s records lead to';
    case 'ttl': {
      const [min, max] = [rule.minSec, rule.maxSec].map((sec) => formatDuration(sec * 1000));
      return min === max ? `sets TTLs to ${min}` : `keeps TTLs from ${min} to ${max}`;
    }
    case 'rcode':
      return `turns ${rcodeName(rule.from)} into ${rcodeName(rule.to)}`;
    case 'cname':
      return 'points some CNAMEs elsewhere, and looks up where they lead';
    default:
      return rule satisfies never;
  }
}

function draftOf(rules: readonly Rule[], asked: AskedName): Draft {
  const draft = new Draft(queryFor(asked));
  new RuleList(rules).apply(draft);
  return draft;
}

/** As a client on this machine would ask, without EDNS. */
function queryFor({ name, qtype }: AskedName): Query {
  const qname = nameFromText(name)!; // it is normalized
  const msg = buildQuery({ name: qname, qtype });
  const view = new QueryView(0);
  readQuery(view, msg, 0, msg.length);
  return new Query(view, HERE, 0, { deliver: () => undefined });
}

const HERE: ReplyPath = {
  transport: UDP,
  family: 1,
  remoteAddress: '127.0.0.1',
  remotePort: 0,
  localAddress: '127.0.0.1',
  localPort: 53,
  send: () => undefined,
};
