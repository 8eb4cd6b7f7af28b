/**
 * One `forward` line: which names it takes, its upstreams, and what it asks of them.
 *
 * Owns:    the queries of the line that are under way, and their bound (`max_concurrent`).
 * Is not:  the order of the lines of a block (handler.ts).
 */
import { TC } from '../../dns/header.ts';
import { isInZone, isInZones } from '../../dns/in-zone.ts';
import { NOERROR, REFUSED, SERVFAIL } from '../../dns/rcode.ts';
import type { NormalizedResponse } from '../../dns/response.ts';
import type { Counter } from '../../observe/counters.ts';
import type { Query } from '../../query/query.ts';
import { TCP } from '../../query/responder.ts';
import { Response } from '../../query/response.ts';
import type { ForwardConfig, UpstreamTarget, UpstreamTerms } from '../../upstream/config.ts';
import { Exchange, type ExchangeTerms, type Outcome } from '../../upstream/exchange.ts';
import { Policy } from '../../upstream/policy.ts';
import type { Upstream } from '../../upstream/upstream.ts';
import type { Upstreams } from '../../upstream/upstreams.ts';
import type { BuildContext } from '../directive.ts';
import type { ForwardUse } from './config.ts';
import { TargetList } from './target-list.ts';
import { UsableTargets } from './usable.ts';

/** An answer must be on its way before the query's own deadline. */
const DEADLINE_MARGIN_MS = 100;
/** RCODEs that are tried elsewhere, if there is an elsewhere: one upstream's trouble, not an answer. */
const FAILOVER_DEFAULT: readonly number[] = [SERVFAIL, REFUSED];

export class Forwarder {
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

  /** Whether the line takes the query: its name is in FROM, and not in `except`. */
  matches(query: Query): boolean {
    const { from, except } = this.#config;
    if (from === '.' && except.length === 0) return true; // spares most queries their name as text
    const { name } = query;
    return name === from || (isInZone(name, from) && !isInZones(name, except));
  }

  /** Whether nothing is known against one of its upstreams at least. */
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

  /** Begins an exchange; the constructor's `ended` is called with its outcome. */
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
