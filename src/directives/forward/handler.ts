/**
 * The handler of a block's `forward` lines: the first line whose zone holds the name gets the query, and
 * hands it on to the next line with the answers that its `next` names.
 *
 * Owns:    the order of the lines, and what a client gets where none of them has an answer.
 * Is not:  one line (forwarder.ts), nor what a query goes through upstream (src/upstream/).
 */
import { SERVFAIL } from '../../dns/rcode.ts';
import type { Query } from '../../query/query.ts';
import { Response } from '../../query/response.ts';
import { ANSWERED, LATER, PASS, type Verdict } from '../../query/verdict.ts';
import type { Outcome } from '../../upstream/exchange.ts';
import type { BuildContext, Handler } from '../directive.ts';
import type { ForwardUse } from './config.ts';
import { Forwarder } from './forwarder.ts';

/** Retries pile up on upstreams that are in trouble (RFC 9520 section 3.2: at least 1 s). */
const FAILURE_REST_SEC = 1;

export class ForwardHandler implements Handler {
  readonly name = 'forward';
  readonly seesHits = false;
  readonly takesEveryClass = true;
  readonly #forwarders: readonly Forwarder[];

  constructor(uses: readonly ForwardUse[], context: BuildContext) {
    this.#forwarders = uses.map(
      (use, at) => new Forwarder(use, context, (query, outcome) => this.#ended(query, at, outcome)),
    );
  }

  onQuery(query: Query): Verdict {
    for (let i = 0; i < this.#forwarders.length; i++) {
      if (this.#forwarders[i]!.matches(query)) return this.#send(query, i);
    }
    return PASS;
  }

  isReachable(): boolean {
    return this.#forwarders.some((forwarder) => forwarder.isReachable);
  }

  #send(query: Query, at: number): Verdict {
    const forwarder = this.#forwarders[at]!;
    const refusal = forwarder.refusal(query);
    if (refusal !== undefined) {
      query.answer(refusal);
      return ANSWERED;
    }
    forwarder.send(query);
    return LATER;
  }

  #ended(query: Query, at: number, outcome: Outcome): void {
    if (typeof outcome === 'string') {
      query.answer(Response.failed(query, SERVFAIL, outcome, FAILURE_REST_SEC));
      return;
    }
    const next = this.#forwarders[at + 1];
    if (next === undefined || !this.#forwarders[at]!.handsOn(outcome)) {
      query.answer(new Response(outcome, this.name));
    } else if (next.matches(query)) {
      this.#send(query, at + 1);
    } else {
      const message = 'plugin/forward: no next plugin found';
      query.answer(Response.failed(query, SERVFAIL, message));
    }
  }
}
