/**
 * The server of one listening address: from a message to an answer.
 *
 * The walk of a hit passes here synchronously; all other queries get an owned copy, walk their
 * block's chain, and come back through `deliver`.
 *
 * Owns:    what CoreDNS's server decides before any directive is asked, the frame of each answer, and
 *          that every query gets one answer in time.
 * Hot path, stop 3 of 6.
 */
import {
  appendOption,
  frameAnswer,
  writeEmpty,
  writeExtendedRcode,
  writeHeaderOnly,
} from '../dns/frame.ts';
import { OPCODE_QUERY, opcodeOf } from '../dns/header.ts';
import {
  QueryView,
  READ_FORMERR,
  READ_FORMERR_QUESTION,
  READ_NOTIMP,
  READ_QUERY,
  READ_SILENCE,
  type Reading,
  readQuery,
} from '../dns/question.ts';
import { BADVERS, FORMERR, NOTIMP, REFUSED, SERVFAIL } from '../dns/rcode.ts';
import { IN } from '../dns/rrtype.ts';
import type { Counter } from '../observe/counters.ts';
import type { Metrics } from '../observe/metrics.ts';
import { HitFacts, NOT_CACHED } from '../query/hit-source.ts';
import { Query, type Sink } from '../query/query.ts';
import {
  ANSWER_LATER,
  type Client,
  NO_ANSWER,
  type Responder,
  type SendSlot,
  TCP,
  UDP,
} from '../query/responder.ts';
import { type ExtendedError, Response } from '../query/response.ts';
import { nowMs, toDs } from '../sys/clock.ts';
import { MESSAGE_OCTETS_MAX, OPT_OCTETS } from '../dns/limits.ts';
import { type ZoneBinding, ZoneTable } from './zone-table.ts';
import type { LookupServer } from './chain.ts';
import { DnsCounters } from './dns-counters.ts';

/** How long after a query's deadline we wait for its handler before we answer SERVFAIL ourselves. */
const EXPIRY_GRACE_MS = 200;
const SWEEP_INTERVAL_MS = 100;
const OPTION_EXTENDED_ERROR = 15;
/** Queries walking the chains of one address: beyond them, memory is worth more than an answer. */
const OUTSTANDING_MAX = 65536;

/** Answers that come later are framed here, one after the other. */
const frameBuffer = Buffer.allocUnsafeSlow(MESSAGE_OCTETS_MAX + 1 + OPT_OCTETS);

export class Server implements Responder, LookupServer {
  /** `dns://127.0.0.1:53`, as in CoreDNS's metrics and logs. */
  readonly label: string;
  #zones: ZoneTable = new ZoneTable([]);
  readonly #view: QueryView;
  /** Of the hit that is answered now. */
  readonly #hitFacts = new HitFacts();
  readonly #dropped: DnsCounters;
  readonly #expired: Counter;
  /** Counters with hits in the current batch. */
  readonly #touched: DnsCounters[] = [];
  /** Queries that walk a chain, oldest first. */
  readonly #walking = new Map<Query, ZoneBinding>();
  readonly #sweep: NodeJS.Timeout;
  readonly #sink: Sink = { deliver: (query, response) => this.#deliver(query, response) };
  #batchMs = 0;
  #batchDs = 0;

  constructor(label: string, hashSeed: number, metrics: Metrics) {
    this.label = label;
    this.#view = new QueryView(hashSeed);
    this.#dropped = new DnsCounters(metrics, label, 'dropped');
    this.#expired = metrics.counter('nodelocald_expired_queries_total', {});
    this.#sweep = setInterval(() => this.#expireOld(), SWEEP_INTERVAL_MS);
    this.#sweep.unref();
  }

  /**
   * Sets the blocks that answer from now on. Queries under way end in the blocks they began in. Off the hot
   * path: at start and reload.
   */
  serve(bindings: readonly ZoneBinding[]): void {
    this.#zones = new ZoneTable(bindings);
    for (const { chain, addressIndex } of bindings) chain.serveAt(addressIndex, this);
  }

  /** Queries that wait for their answer. */
  get outstanding(): number {
    return this.#walking.size;
  }

  /** Stops the sweep; queries that still walk are answered by their handlers, or not at all. */
  close(): void {
    clearInterval(this.#sweep);
  }

  beginBatch(): void {
    this.#batchMs = nowMs();
    this.#batchDs = toDs(this.#batchMs);
  }

  endBatch(): void {
    const touched = this.#touched;
    if (touched.length === 0) return;
    const durationSec = (nowMs() - this.#batchMs) / 1000;
    for (let i = 0; i < touched.length; i++) touched[i]!.endBatch(durationSec);
    touched.length = 0;
  }

  respond(msg: Uint8Array, at: number, end: number, client: Client, slot: SendSlot): number {
    const view = this.#view;
    const reading = readQuery(view, msg, at, end);
    if (reading !== READ_QUERY) return this.#answerUnread(reading, view, slot);
    const binding = this.#zones.find(view);
    if (
      binding === undefined ||
      view.qclass !== IN ||
      (view.hasEdns && view.ednsVersion !== 0) ||
      binding.chain.handlers.length === 0
    ) {
      const refused = this.#refuse(view, binding, client, slot);
      if (refused !== NO_ANSWER) return refused;
    }
    return this.#ask(binding!, view, client, slot);
  }

  /** A query that its block may answer: from the cache now, or through the chain. */
  #ask(binding: ZoneBinding, view: QueryView, client: Client, slot: SendSlot): number {
    const { counters, hits } = binding;
    const { transport } = client;
    if (counters !== undefined) {
      counters.countRequest(
        transport,
        client.family,
        view.qtype,
        view.end - view.at,
        view.dnssecOk,
      );
    }
    let asked = false;
    if (hits !== undefined && opcodeOf(view.msg, view.at) === OPCODE_QUERY) {
      if (view.payloadOctets > hits.payloadOctetsMax) view.payloadOctets = hits.payloadOctetsMax;
      if (!hits.mustWalk(view, client)) {
        const facts = this.#hitFacts;
        const nowDs = this.#batchDs;
        const found = hits.source.answer(view, binding.addressIndex, nowDs, slot, facts);
        if (found > 0) {
          if (counters !== undefined) {
            if (counters.hitsInBatch === 0) this.#touched.push(counters);
            counters.countHit(transport, facts.rcode, facts.plainOctets);
          }
          const octets = hits.arrange(slot.octets, slot.at, found, slot.end - OPT_OCTETS);
          const limit = transport === UDP ? view.payloadOctets : MESSAGE_OCTETS_MAX;
          return frameAnswer(view, slot.octets, slot.at, octets, limit);
        }
        asked = found === NOT_CACHED;
      }
    }
    this.#walk(binding, view, client, asked);
    return ANSWER_LATER;
  }

  /** Sends an owned copy of the query through its block's chain. */
  #walk(binding: ZoneBinding, view: QueryView, client: Client, cacheAsked: boolean): void {
    const query = new Query(view, client.keep(), this.#batchMs, this.#sink);
    query.addressIndex = binding.addressIndex;
    query.cacheAsked = cacheAsked;
    this.#walking.set(query, binding);
    if (this.#walking.size > OUTSTANDING_MAX) {
      query.chain = binding.chain;
      query.answer(Response.failed(query, SERVFAIL, 'too many queries are waiting for an answer'));
      return;
    }
    binding.chain.run(query, 0);
  }

  /**
   * Asks a directive's own question on behalf of a client: blocks and chain as if the client had asked. Off
   * the hot path: the query is a miss by then.
   */
  lookUp(question: QueryView, asker: Query, sink: Sink): void {
    const binding = this.#zones.find(question);
    const counters = binding?.counters;
    const transport = asker.client?.transport ?? TCP;
    const query = new Query(question, asker.client, asker.receivedMs, {
      deliver: (asked, response) => {
        counters?.countResponse(
          transport,
          response.rcode,
          response.writer,
          response.failure === undefined ? response.message.plainOctets : 0,
          (nowMs() - asked.receivedMs) / 1000,
        );
        sink.deliver(asked, response);
      },
    });
    query.asker = asker;
    if (binding === undefined || binding.chain.handlers.length === 0) {
      sink.deliver(query, Response.failed(query, REFUSED, `no block serves ${query.name}`));
      return;
    }
    query.addressIndex = binding.addressIndex;
    counters?.countRequest(
      transport,
      asker.client?.family ?? 1,
      query.qtype,
      query.msg.length,
      query.dnssecOk,
    );
    binding.chain.run(query, 0);
  }

  #deliver(query: Query, response: Response): void {
    const binding = this.#walking.get(query);
    this.#walking.delete(query);
    const client = query.client!;
    const { wire, plainOctets } = response.message;
    frameBuffer.set(wire);
    const limit = client.transport === UDP ? query.payloadOctets : MESSAGE_OCTETS_MAX;
    let octets = frameAnswer(query, frameBuffer, 0, wire.length, limit);
    if (response.extendedError !== undefined && query.hasEdns) {
      octets = appendExtendedError(octets, response.extendedError, limit);
    }
    client.send(frameBuffer, octets);
    binding?.counters?.countResponse(
      client.transport,
      response.rcode,
      response.writer,
      response.failure === undefined ? plainOctets : 0,
      (nowMs() - query.receivedMs) / 1000,
    );
  }

  /** Answers a message that is no query, or stays silent. */
  #answerUnread(reading: Reading, view: QueryView, slot: SendSlot): number {
    const { octets: out, at: outAt } = slot;
    switch (reading) {
      case READ_SILENCE:
        return NO_ANSWER;
      case READ_NOTIMP:
        return writeHeaderOnly(view.msg, view.at, out, outAt, NOTIMP);
      case READ_FORMERR: {
        const octets = writeHeaderOnly(view.msg, view.at, out, outAt, FORMERR);
        out[outAt + 2] = out[outAt + 2]! & 0x87; // opcode 0: the message could not be read
        return octets;
      }
      case READ_FORMERR_QUESTION:
        return writeEmpty(view, out, outAt, FORMERR);
      case READ_QUERY:
        return NO_ANSWER;
      default:
        return reading satisfies never;
    }
  }

  /**
   * The answer to a query that no block may see, in CoreDNS's order: wrong class where nothing
   * forwards, EDNS version, no zone, or the zone of a block in which nothing handles queries.
   * NO_ANSWER if the query is fine after all.
   */
  #refuse(
    view: QueryView,
    binding: ZoneBinding | undefined,
    client: Client,
    slot: SendSlot,
  ): number {
    const { octets: out, at: outAt } = slot;
    const classRefused = view.qclass !== IN && !this.#zones.takesEveryClass;
    if (!classRefused && view.hasEdns && view.ednsVersion !== 0) {
      return writeExtendedRcode(out, outAt, writeEmpty(view, out, outAt, BADVERS), BADVERS);
    }
    if (!classRefused && binding !== undefined && binding.chain.handlers.length > 0) {
      return NO_ANSWER;
    }
    const octets = writeEmpty(view, out, outAt, REFUSED);
    this.#dropped.countRequest(
      client.transport,
      client.family,
      view.qtype,
      view.end - view.at,
      view.dnssecOk,
    );
    this.#dropped.countResponse(client.transport, REFUSED, '', octets, 0);
    return frameAnswer(view, out, outAt, octets, slot.end - outAt);
  }

  /**
   * Answers SERVFAIL where a handler is late: whatever is stuck, the client hears of it in time. Off the hot
   * path: by a timer.
   */
  #expireOld(): void {
    const now = nowMs() - EXPIRY_GRACE_MS;
    for (const query of this.#walking.keys()) {
      if (query.deadlineMs > now) return; // they stand in the order of their deadlines
      this.#expired.value++;
      query.expire(Response.failed(query, SERVFAIL, 'no answer within the client’s patience'));
      this.#walking.delete(query);
    }
  }
}

/** RFC 8914 section 2. The text is for people: where it does not fit, the code does. */
function appendExtendedError(octets: number, { code, text }: ExtendedError, limit: number): number {
  const data = Buffer.concat([Buffer.of(code >> 8, code & 0xff), Buffer.from(text)]);
  const whole = appendOption(frameBuffer, 0, octets, OPTION_EXTENDED_ERROR, data, limit);
  if (whole > octets) return whole;
  return appendOption(frameBuffer, 0, octets, OPTION_EXTENDED_ERROR, data.subarray(0, 2), limit);
}
