/**
 * The handlers of one block, in the order of directives/index.ts: down with the query, up with the
 * response.
 *
 * Owns:    that a handler which throws, against its contract, costs one query a SERVFAIL and no other
 *          query anything (CoreDNS recovers from panics likewise).
 */
import type { Handler } from '../directives/directive.ts';
import type { QueryView } from '../dns/question.ts';
import { SERVFAIL } from '../dns/rcode.ts';
import type { Counter } from '../observe/counters.ts';
import type { Log } from '../observe/log.ts';
import type { AddressIndex } from '../query/address-index.ts';
import type { Query, QueryChain, Sink } from '../query/query.ts';
import { Response } from '../query/response.ts';
import { PASS } from '../query/verdict.ts';

/** The server of one address, as chains ask it. */
export interface LookupServer {
  lookUp(question: QueryView, asker: Query, sink: Sink): void;
}

export class Chain implements QueryChain {
  readonly handlers: readonly Handler[];
  readonly #panics: Counter;
  readonly #log: Log;
  /** By address index. */
  readonly #servers: LookupServer[] = [];

  constructor(handlers: readonly Handler[], panics: Counter, log: Log) {
    this.handlers = handlers;
    this.#panics = panics;
    this.#log = log;
    handlers.forEach((handler, depth) => handler.attach?.(this, depth));
  }

  run(query: Query, from: number): void {
    query.chain = this;
    const { handlers } = this;
    for (let depth = from; depth < handlers.length; depth++) {
      const handler = handlers[depth]!;
      query.trace?.enter(depth, handler.name);
      if (handler.onQuery === undefined) continue;
      query.depth = depth;
      try {
        if (handler.onQuery(query) !== PASS) return;
      } catch (error) {
        query.answer(this.#recover(query, error));
        return;
      }
    }
    query.depth = handlers.length;
    const last = handlers.at(-1)?.name ?? '';
    query.answer(Response.failed(query, SERVFAIL, `plugin/${last}: no next plugin found`));
  }

  /** Called by the server of each address that the block listens on. */
  serveAt(addressIndex: AddressIndex, server: LookupServer): void {
    this.#servers[addressIndex] = server;
  }

  lookUp(question: QueryView, asker: Query, sink: Sink): void {
    this.#servers[asker.addressIndex]!.lookUp(question, asker, sink);
  }

  isReachable(from: number): boolean {
    for (let depth = from; depth < this.handlers.length; depth++) {
      if (this.handlers[depth]!.isReachable?.() === false) return false;
    }
    return true;
  }

  unwind(query: Query, depth: number, response: Response): void {
    let current = response;
    query.trace?.leave(depth);
    for (let above = depth - 1; above >= query.floor; above--) {
      const handler = this.handlers[above]!;
      // Its work on the response is taken to be quick: its span ends before.
      query.trace?.leave(above);
      if (handler.onResponse === undefined) continue;
      try {
        current = handler.onResponse(query, current);
      } catch (error) {
        current = this.#recover(query, error);
      }
    }
    query.deliver(current);
  }

  #recover(query: Query, error: unknown): Response {
    this.#panics.value++;
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#log.error(`Recovered from panic in server: ${query.name} ${reason}`);
    return Response.failed(query, SERVFAIL, 'a handler failed; this is a bug in nodelocald');
  }
}
