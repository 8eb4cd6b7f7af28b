/**
 * The contract of a directive: its Corefile syntax, and its place to act.
 *
 * A directive parses each of its uses in a server block, may contribute to what the server does for the
 * block (where it listens, what is served over HTTP: contributions.ts), and may build a handler for the
 * block's chain. Its position in the chain is its position in directives/index.ts.
 *
 * Owns:    the interfaces between directives and the rest of the daemon.
 */
import type { DirectiveUse, ServerBlock } from '../corefile/blocks.ts';
import type { QueryView } from '../dns/question.ts';
import type { HostPort } from '../net/host-port.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Troubles } from '../observe/troubles.ts';
import type { HitSource } from '../query/hit-source.ts';
import type { Query, QueryChain } from '../query/query.ts';
import type { Client } from '../query/responder.ts';
import type { Response } from '../query/response.ts';
import type { Verdict } from '../query/verdict.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import type { Contributions } from './contributions.ts';

/**
 * The meaning of a second use in one server block: an error; another item of a list; or only the first
 * or the last one counts, in silence (CoreDNS decided, directive by directive).
 */
export type Repeat = 'refuse' | 'accumulate' | 'first' | 'last';

export interface Directive<Config> {
  readonly name: string;
  readonly repeat: Repeat;
  /** Reads one use. Throws CorefileError, and nothing else. Has no side effects. */
  parse(use: DirectiveUse, context: ParseContext): Config;
  /** Says what the server shall do for the block, besides its chain. `configs` has an element at least. */
  contribute?(configs: readonly Config[], block: Contributions): void;
  /**
   * Looks at a block as a whole, whether it uses the directive or not, when all directives are read.
   * Throws CorefileError.
   */
  review?(block: ServerBlock, context: ParseContext): void;
  /** Present if it says where its block listens, which is unknown if one of its uses is wrong. */
  readonly placesBlock?: true;
  /** Present if it counts as a part of the chain although it builds no handler. */
  readonly isInChain?: true;
  /** Makes the block's handler, if this directive handles queries. */
  build?(configs: readonly Config[], context: BuildContext): Handler | undefined;
  /**
   * For `nodelocald explain`: what it does with queries, or with the one that is asked about; a line
   * each, and none if it does nothing with it. Where it is absent, or undefined comes back, the
   * Corefile's own text is shown.
   */
  explain?(configs: readonly Config[], asked: AskedName | undefined): readonly string[] | undefined;
  /** Likewise: the question that it asks instead of the one that came, and directives below it see. */
  asksInstead?(configs: readonly Config[], asked: AskedName): AskedName;
}

/** A question that somebody wants explained. */
export interface AskedName {
  /** Normalized: lower-case, final dot. */
  readonly name: string;
  readonly qtype: number;
}

export interface ParseContext {
  /** The block's zones, normalized: what an option means that says "default: the block's zones". */
  readonly zones: readonly string[];
  /** The port of keys without one: `-dns.port`. */
  readonly defaultPort: number;
  /** Something that works, and is probably not meant. */
  readonly warn: (message: string) => void;
}

/** An address, and what is spoken there. */
export interface ListenPoint extends HostPort {
  readonly scheme: 'dns' | 'tls';
}

export interface BuildContext {
  readonly zones: readonly string[];
  /** Labels of the servers that the block belongs to, as metrics have them: `dns://127.0.0.1:53`. */
  readonly servers: readonly string[];
  /** The listeners that serve plain DNS. */
  readonly listeners: readonly HostPort[];
  readonly log: Log;
  readonly metrics: Metrics;
  readonly upstreams: Upstreams;
  /**
   * Something that a reload keeps while its block is unchanged: the value made under that name when
   * the same block was loaded before, or else the one that `create` makes now.
   */
  keep<T>(name: string, create: () => T): T;
  /** Runs once the block serves. */
  onStart(action: () => void): void;
  /** Runs when the block has stopped serving: a reload has replaced it, or the process ends. */
  onStop(action: () => void): void;
  /** For what is amiss while the block is served; what it begins, it ends. */
  readonly troubles: Troubles;
  /** The action of `loop` where the Corefile names none. */
  readonly onLoop: 'exit' | 'disable';
  /** Ends the process with exit code 1 after logging the reason: `loop` found a loop. */
  readonly fatal: (message: string) => void;
}

/**
 * One directive in the chain of one block. A chain holds only handlers that have something to do for
 * each query.
 */
export interface Handler {
  /** The directive's name: for the label `plugin`, and for errors. */
  readonly name: string;
  /** Receives its place, once: for handlers that send queries of their own into the chain below. */
  attach?(chain: QueryChain, depth: number): void;
  /**
   * Answers (`query.answer`, then ANSWERED), keeps the query for later (LATER), or passes. Never
   * throws. Absent in handlers that only look at responses.
   */
  onQuery?(query: Query): Verdict;
  /**
   * Sees the response on its way back, if the query had passed this handler. Returns it, or another
   * one in its place. Never throws. A handler above the cache changes nothing in the response,
   * which other queries that waited for it share.
   */
  onResponse?(query: Query, response: Response): Response;
  /**
   * Whether this handler must see queries that the cache below it can answer. If one must, hits take
   * the walk of a miss.
   */
  readonly seesHits: boolean;
  /** Whether queries of other classes than IN are for it too; if they are, the server lets them in. */
  readonly takesEveryClass?: boolean;
  /** Whether it can expect an answer soon; absent means yes. False while every upstream is silent. */
  isReachable?(): boolean;
  /** In the cache's handler: what the server asks before it makes a query walk the chain. */
  readonly hits?: HitSource | undefined;
  /** Its effect, above the cache, on hits that it need not see as queries. */
  readonly onHits?: HitPart;
}

/**
 * The part of a handler above the cache in hits, on their own short walk, in place of being asked and
 * shown the response. Hot path: no allocation, no throw.
 */
export interface HitPart {
  /** The most that counts of the UDP payload size that a client offers, in octets; 512 or more. */
  readonly payloadOctetsMax?: number;
  /** Whether this query must walk the chain after all. */
  wants?(view: QueryView, client: Client): boolean;
  /**
   * Puts the records of an answer into another order: of `octets` octets at `out[at]`, in normal form
   * and not framed yet. Returns its length afterwards, for which there is room before `end`.
   */
  arrange?(out: Uint8Array, at: number, octets: number, end: number): number;
}
