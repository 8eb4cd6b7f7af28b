/**
 * What `forward` does with queries: the first forward of the block whose zone holds the name sends
 * it upstream. The engine is src/upstream/.
 *
 * Owns:    the exchanges under way for one block, and their bound.
 */
import { TC } from '../../dns/header.ts';
import type { NormalizedResponse } from '../../dns/response.ts';
import { isInZone, isInZones } from '../../dns/in-zone.ts';
import { NOERROR, REFUSED, SERVFAIL } from '../../dns/rcode.ts';
import type { Counter } from '../../observe/counters.ts';
import type { Query } from '../../query/query.ts';
import { TCP } from '../../query/responder.ts';
import { Response } from '../../query/response.ts';
import { ANSWERED, LATER, PASS, type Verdict } from '../../query/verdict.ts';
import type { ForwardConfig, UpstreamTarget, UpstreamTerms } from '../../upstream/config.ts';
import { Exchange, type ExchangeTerms, type Outcome } from '../../upstream/exchange.ts';
import { Policy } from '../../upstream/policy.ts';
import type { Upstream } from '../../upstream/upstream.ts';
import type { Upstreams } from '../../upstream/upstreams.ts';
import type { BuildContext, Handler } from '../directive.ts';
import type { ForwardUse } from './config.ts';
import { TargetList } from './target-list.ts';
import { UsableTargets } from './usable.ts';

/** An answer must be on its way before the query's own deadline. */
const DEADLINE_MARGIN_MS = 100;
/** Retries pile up on upstreams that are in trouble (RFC 9520 section 3.2: at least 1 s). */
const FAILURE_REST_SEC = 1;
/** What is tried elsewhere, if there is an elsewhere: the trouble of one upstream, not an answer. */
const FAILOVER_DEFAULT: readonly number[] = [SERVFAIL, REFUSED];

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

/** One `forward` line: its upstreams, and what it asks of them. */
class Forwarder {
  readonly #config: Omit<ForwardConfig, 'targets'>;
  readonly #terms: UpstreamTerms;
  readonly #exchangeTerms: ExchangeTerms;
  readonly #registry: Upstreams;
  readonly #rejects: Counter;
  readonly #broken: Counter;
  #upstreams: readonly Upstream[] = [];
  #policy: Policy;
  #outstanding = 0;

  /** `ended` is called once for each query that is sent. */
  constructor(
    use: ForwardUse,
    context: BuildContext,
    ended: (query: Query, outcome: Outcome) => void,
  ) {
    this.#config = use.config;
    const { tcpOptional, failover, attemptsMax } = use.config;
    this.#exchangeTerms = {
      tcpOptional,
      failover: failover ?? FAILOVER_DEFAULT,
      attemptsMax,
      ended: (query, outcome, upstream, beganMs) => {
        this.#outstanding--;
        if (upstream !== undefined) {
          query.metadata?.set('forward/upstream', upstream.label);
          query.trace?.record('connect', beganMs, { 'peer.address': upstream.label });
        }
        ended(query, outcome);
      },
    };
    this.#terms = termsOf(use.config);
    this.#registry = context.upstreams;
    this.#rejects = context.metrics.counter('coredns_forward_max_concurrent_rejects_total', {});
    this.#broken = context.metrics.counter('coredns_forward_healthcheck_broken_total', {});
    this.#policy = new Policy(use.config.policy, [], use.config.failsMax);
    const usable = new UsableTargets(context);
    const list = new TargetList(use, context.log, (targets) => this.#use(usable.choose(targets)));
    context.onStop(() => {
      list.stop();
      this.#use([]);
    });
  }

  matches(query: Query): boolean {
    const { from, except } = this.#config;
    if (from === '.' && except.length === 0) return true; // spares most queries their name as text
    const { name } = query;
    return name === from || (isInZone(name, from) && !isInZones(name, except));
  }

  get isReachable(): boolean {
    return this.#policy.anyUp;
  }

  /** Whether the next line is to be asked after that answer. */
  handsOn({ rcode, answers, wire }: NormalizedResponse): boolean {
    const { next, nextOnNodata } = this.#config;
    const isNodata = rcode === NOERROR && answers === 0 && (wire[2]! & TC) === 0;
    return next.includes(rcode) || (nextOnNodata && isNodata);
  }

  /** A response in place of a try, where there may or can be none. */
  refusal(query: Query): Response | undefined {
    const { concurrentMax, failFast } = this.#config;
    if (concurrentMax > 0 && this.#outstanding >= concurrentMax) {
      this.#rejects.value++;
      const message = `concurrent queries exceeded maximum ${concurrentMax}`;
      return Response.failed(query, REFUSED, message);
    }
    if (this.#upstreams.length === 0) {
      return Response.failed(query, SERVFAIL, 'no nameservers found');
    }
    if (this.#policy.allDown) {
      this.#broken.value++;
      if (failFast) return Response.failed(query, SERVFAIL, 'no healthy proxies');
    }
    return undefined;
  }

  /** `done` is told how it ended, and by whom. */
  send(query: Query): void {
    const { transport } = this.#config;
    // A query of our own (a refresh) goes over TCP, so that it is not cut.
    const clientTransport = query.client?.transport ?? TCP;
    const overStream = transport === 'tcp' || (transport === 'client' && clientTransport === TCP);
    this.#outstanding++;
    new Exchange(
      this.#exchangeTerms,
      query,
      {
        upstreams: this.#policy.order(),
        overStream,
        deadlineMs: query.deadlineMs - DEADLINE_MARGIN_MS,
      },
      this.#registry,
    ).start();
  }

  /** Puts these upstreams in the place of those used so far. */
  #use(targets: readonly UpstreamTarget[]): void {
    const { policy, failsMax } = this.#config;
    const upstreams = targets.map((target) => this.#registry.acquire(target, this.#terms));
    const before = this.#upstreams;
    this.#upstreams = upstreams;
    this.#policy = new Policy(policy, upstreams, failsMax);
    for (const upstream of before) this.#registry.release(upstream, this.#terms);
  }
}

function termsOf(config: Omit<ForwardConfig, 'targets'>): UpstreamTerms {
  const { transport, tcpOptional, ...terms } = config;
  return { ...terms, checkOverStream: transport === 'tcp' && !tcpOptional };
}
