/**
 * The handler of `rewrite`: a query that a rule matches is asked as another (a child, sent through
 * the chain below), and the response to that is made the answer to the query as it came.
 *
 * So everything above, the cache, the log and the client, knows the client's question only, and below
 * only the rewritten one is known.
 *
 * Owns:    the child query, and which response goes to the client where rules fail.
 */
import { SERVFAIL } from '../../dns/rcode.ts';
import { lowerText, nameFromText } from '../../dns/name.ts';
import { type RecordChange, type Rename, cnamesOf, redirect, reshape } from '../../dns/reshape.ts';
import type { NormalizedResponse } from '../../dns/response.ts';
import { lookUp } from '../../query/lookup.ts';
import type { Query, QueryChain } from '../../query/query.ts';
import { Response } from '../../query/response.ts';
import { ANSWERED, LATER, PASS, type Verdict } from '../../query/verdict.ts';
import type { Handler } from '../directive.ts';
import { Draft, type ResponseRule } from './draft.ts';
import type { Replace } from './match.ts';
import { RuleList } from './rule-list.ts';
import type { Rule } from './rule.ts';

export class Rewrite implements Handler {
  readonly name = 'rewrite';
  readonly seesHits = false;
  readonly #rules: RuleList;
  #chain: QueryChain | undefined;
  #depth = 0;

  constructor(rules: readonly Rule[]) {
    this.#rules = new RuleList(rules);
  }

  attach(chain: QueryChain, depth: number): void {
    this.#chain = chain;
    this.#depth = depth;
  }

  onQuery(query: Query): Verdict {
    const draft = new Draft(query);
    this.#rules.apply(draft);
    if (draft.invalidName !== undefined) {
      return fail(query, `invalid name after rewrite: ${draft.invalidName}`);
    }
    if (!draft.isChanged) return PASS;
    const facts = draft.facts();
    if (facts === undefined) return fail(query, 'query is too large after rewrite');
    const child = query.child(facts, this.#depth, {
      deliver: (_, response) => this.#take(draft, response),
    });
    this.#chain!.run(child, this.#depth + 1);
    return LATER;
  }

  /** The response of the chain below. */
  #take(draft: Draft, response: Response): void {
    const { query, responseRules } = draft;
    if (query.answered) return; // it has expired meanwhile
    if (response.failure === undefined) {
      const cnames = responseRules.filter(({ kind }) => kind === 'cname').toReversed();
      this.#follow(draft, response, response.message, cnames);
    } else {
      answerFailed(query, response, rcodeAfter(responseRules, response.rcode));
    }
  }

  /** Points CNAMEs elsewhere, and goes on with what is found there. */
  #follow(
    draft: Draft,
    response: Response,
    message: NormalizedResponse,
    rules: readonly ResponseRule[],
  ): void {
    const { query, qtype, qclass } = draft;
    for (const [i, rule] of rules.entries()) {
      const elsewhere = rule.kind === 'cname' ? findElsewhere(message, rule.replace) : undefined;
      if (elsewhere === undefined) continue;
      const { index, target, name } = elsewhere;
      lookUp(query, { name, qtype, qclass }, (found) => {
        if (query.answered) return;
        if (found.failure !== undefined) {
          answerFailed(query, found, found.rcode);
          return;
        }
        const redirected = redirect(message, index, target, found.message);
        this.#follow(draft, response, redirected, rules.slice(i + 1));
      });
      return;
    }
    this.#answer(draft, response, message);
  }

  #answer(draft: Draft, response: Response, message: NormalizedResponse): void {
    const { query, responseRules } = draft;
    const rcode = rcodeAfter(responseRules, message.rcode);
    const unchanged =
      !draft.asksOther && rcode === message.rcode && !responseRules.some(isOfRecords);
    const answer = unchanged
      ? message
      : reshape(message, query, rcode, changeOfRecords(responseRules));
    query.answer(response.with(answer, this.name));
  }
}

function fail(query: Query, message: string): typeof ANSWERED {
  query.answer(Response.failed(query, SERVFAIL, message));
  return ANSWERED;
}

/** Passes the failure on as one of the query that the client has sent. */
function answerFailed(query: Query, { failure }: Response, rcode: number): void {
  const { message, restSec } = failure!;
  query.answer(Response.failed(query, rcode, message, restSec));
}

interface Elsewhere {
  readonly index: number;
  readonly target: string;
  /** The target in wire form. */
  readonly name: Uint8Array;
}

/** The first CNAME that the rule points elsewhere. */
function findElsewhere(message: NormalizedResponse, replace: Replace): Elsewhere | undefined {
  for (const { index, target } of cnamesOf(message)) {
    const lowered = lowerText(target);
    const replaced = replace(lowered);
    const name = replaced === undefined ? undefined : nameFromText(replaced);
    if (replaced !== undefined && name !== undefined && replaced !== lowered) {
      return { index, target: replaced, name };
    }
  }
  return undefined;
}

function rcodeAfter(rules: readonly ResponseRule[], rcode: number): number {
  return rules.reduceRight(
    (now, rule) => (rule.kind === 'rcode' && rule.from === now ? rule.to : now),
    rcode,
  );
}

function isOfRecords({ kind }: ResponseRule): boolean {
  return kind === 'owner' || kind === 'target' || kind === 'ttl';
}

/** The change of the rules to each record, the last rule's first. */
function changeOfRecords(rules: readonly ResponseRule[]): RecordChange {
  const renamed =
    (wanted: 'owner' | 'target'): Rename =>
    (name) =>
      rules.reduceRight(
        (now, rule) => (rule.kind === wanted ? (rule.replace(now) ?? now) : now),
        name,
      );
  return {
    owner: renamed('owner'),
    target: renamed('target'),
    ttl: (ttlSec) =>
      rules.reduceRight(
        (now, rule) =>
          rule.kind === 'ttl' ? Math.min(Math.max(now, rule.minSec), rule.maxSec) : now,
        ttlSec,
      ),
  };
}
