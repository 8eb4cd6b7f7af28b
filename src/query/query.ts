/**
 * One query that needs more than the cache: an owned copy of the message, where its answer goes, and
 * how far through the chain it has come.
 *
 * Owns:    the promise that its sink gets exactly one response.
 * Is not:  decoded: records other than the question are read where they are needed (dns/codec.ts).
 */
import { copyOctets } from '../dns/octets.ts';
import { HEADER_OCTETS, opcodeOf, writeU16 } from '../dns/header.ts';
import { LOWER, POINTER_MASK, nameToText } from '../dns/name.ts';
import type { QueryFacts, QueryView } from '../dns/question.ts';
import { type AddressIndex, FIRST_ADDRESS } from './address-index.ts';
import { type LifeEvent, type LifeState, PATIENCE_MS, nextLifeState } from './life.ts';
import type { Metadata } from './metadata.ts';
import type { ReplyPath } from './responder.ts';
import type { Response } from './response.ts';
import type { QueryTrace } from './trace.ts';

/** Takes a query's response when it has come out at the top of what the query was sent into. */
export interface Sink {
  deliver(query: Query, response: Response): void;
}

/** A chain of handlers, as much as a query knows of it. */
export interface QueryChain {
  /** Sends the query through the handlers from depth `from` on. */
  run(query: Query, from: number): void;
  /** Takes `response` back through the handlers above `depth`, up to the query's floor. */
  unwind(query: Query, depth: number, response: Response): void;
  /** Whether the handlers from depth `from` on can expect to answer soon. */
  isReachable(from: number): boolean;
  /**
   * Asks the server that `asker` came to, as a client would; `sink` gets one response, perhaps at
   * once. For lookup.ts, which sees that lookups end.
   */
  lookUp(question: QueryView, asker: Query, sink: Sink): void;
}

export class Query implements QueryFacts {
  /** The message as received, our own copy. `at` is always 0. */
  readonly msg: Uint8Array;
  readonly at = 0;
  readonly end: number;
  readonly nameOctets: number;
  readonly qtype: number;
  readonly qclass: number;
  readonly hasEdns: boolean;
  readonly dnssecOk: boolean;
  readonly checkingDisabled: boolean;
  readonly optAt: number;
  /** Of the lower-cased QNAME (dns/question.ts). */
  readonly nameHash: number;
  readonly hashSeed: number;
  /** The UDP payload size that the client offers; `bufsize` lowers it. */
  payloadOctets: number;
  /** The way to the client; undefined for a query of our own. */
  readonly client: ReplyPath | undefined;
  /** When the message was received, on the monotonic clock. */
  readonly receivedMs: number;
  /** When the client's patience ends, on the same clock. */
  readonly deadlineMs: number;

  /** The handler of the chain that has the query now. */
  depth = 0;
  /** The response stops before this depth, and goes to the sink: 0, or where a refresh was sent in. */
  floor = 0;
  chain: QueryChain | undefined;
  /** Of the address that was asked, among those of the block. */
  addressIndex: AddressIndex = FIRST_ADDRESS;
  /** Whether the walk of a hit has asked the block's cache already, in vain. */
  cacheAsked = false;
  /** Whether a cache above will keep the answer. */
  viaCache = false;
  /** The query that this one was made for, if it is a child or a lookup. */
  asker: Query | undefined;
  /** Facts that directives share; undefined where the block does not say `metadata`. */
  metadata: Metadata | undefined;
  /** The spans of its time; undefined unless `trace` has picked it. */
  trace: QueryTrace | undefined;
  readonly #sink: Sink;
  #state: LifeState = 'waiting';
  #name: string | undefined;
  #lowered: Uint8Array | undefined;

  /**
   * Copies the message that `from` has read. `client` undefined means that we ask ourselves, for
   * instance to refresh an entry.
   */
  constructor(from: QueryFacts, client: ReplyPath | undefined, receivedMs: number, sink: Sink) {
    this.msg = copyOctets(from.msg, from.at, from.end);
    this.end = this.msg.length;
    this.nameOctets = from.nameOctets;
    this.qtype = from.qtype;
    this.qclass = from.qclass;
    this.hasEdns = from.hasEdns;
    this.dnssecOk = from.dnssecOk;
    this.checkingDisabled = from.checkingDisabled;
    this.optAt = from.optAt === 0 ? 0 : from.optAt - from.at;
    this.nameHash = from.nameHash;
    this.hashSeed = from.hashSeed;
    this.payloadOctets = from.payloadOctets;
    this.client = client;
    this.receivedMs = receivedMs;
    this.deadlineMs = receivedMs + PATIENCE_MS;
    this.#sink = sink;
  }

  /**
   * A query made for this one, to be sent into the chain below the handler at `depth`: same client,
   * deadline, listening address, metadata and trace. `sink` gets its response; the caller runs it from
   * `depth + 1`.
   */
  child(facts: QueryFacts, depth: number, sink: Sink): Query {
    const child = new Query(facts, this.client, this.receivedMs, sink);
    child.addressIndex = this.addressIndex;
    child.viaCache = this.viaCache;
    child.metadata = this.metadata;
    child.asker = this;
    child.trace = this.trace;
    // A size that `bufsize` has lowered stays so; an OPT that the client has not sent is the maker's affair.
    if (this.hasEdns) child.payloadOctets = this.payloadOctets;
    child.floor = depth + 1;
    return child;
  }

  /** The QNAME in presentation form, lower-cased, with its final dot. */
  get name(): string {
    return (this.#name ??= nameToText(this.lowered));
  }

  /** The QNAME in wire form, lower-cased. */
  get lowered(): Uint8Array {
    if (this.#lowered === undefined) {
      this.#lowered = copyOctets(this.msg, HEADER_OCTETS, HEADER_OCTETS + this.nameOctets);
      for (let i = 0; i < this.#lowered.length; i++) this.#lowered[i] = LOWER[this.#lowered[i]!]!;
    }
    return this.#lowered;
  }

  get opcode(): number {
    return opcodeOf(this.msg, 0);
  }

  get answered(): boolean {
    return this.#state !== 'waiting';
  }

  /**
   * Takes the answer of the handler that has the query: at once, if it then returns ANSWERED, or later,
   * if it has returned LATER. A second answer, or one after expiry, changes nothing.
   */
  answer(response: Response): void {
    this.#end('answer', response);
  }

  /** Ends the query without its handler, which is still waiting for something. */
  expire(response: Response): void {
    this.#end('expire', response);
  }

  #end(event: LifeEvent, response: Response): void {
    const next = nextLifeState(this.#state, event);
    if (next === this.#state) return;
    this.#state = next;
    this.chain!.unwind(this, this.depth, response);
  }

  /** Called by the chain when the response has passed every handler above the floor. */
  deliver(response: Response): void {
    this.#sink.deliver(this, response);
  }

  /** The message with `payloadOctets` as its OPT's size, for an upstream; the same array each time. */
  toForward(): Uint8Array {
    if (this.optAt !== 0) writeU16(this.msg, this.#optSizeAt(), this.payloadOctets);
    return this.msg;
  }

  #optSizeAt(): number {
    let at = this.optAt;
    for (;;) {
      const length = this.msg[at]!;
      if (length === 0) return at + 1 + 2;
      if (length >= POINTER_MASK) return at + 2 + 2;
      at += length + 1;
    }
  }
}
