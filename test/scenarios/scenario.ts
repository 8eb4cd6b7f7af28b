/**
 * Whole-server behaviour as a transcript: what a client asks, what the upstream sees and answers, what
 * the client gets, while time passes. One block, in this process, on a clock that the test turns.
 *
 *   const s = new Scenario('cache 30');
 *   s.client('a.example. A');
 *   s.upstreamSees('a.example. A');
 *   s.upstreamAnswers('a.example. 100 A 192.0.2.1');
 *   s.clientGets('NOERROR a.example. 30 A 192.0.2.1');
 */
import { expect, vi } from 'vitest';
import { parseUse } from '../../src/corefile/blocks.ts';
import type { Handler } from '../../src/directives/directive.ts';
import { DIRECTIVES } from '../../src/directives/index.ts';
import {
  type TestBuilding,
  type TestLog,
  testBuilding,
  testParsing,
} from '../../src/directives/testing.ts';
import { type ResourceRecord, decodeMessage } from '../../src/dns/codec.ts';
import { rcodeFromName, rcodeName } from '../../src/dns/rcode.ts';
import { typeFromName, typeName } from '../../src/dns/rrtype.ts';
import { FIRST_ADDRESS } from '../../src/query/address-index.ts';
import type { Query } from '../../src/query/query.ts';
import { type Client, type ReplyPath, SendSlot, UDP } from '../../src/query/responder.ts';
import { Response } from '../../src/query/response.ts';
import { synthesize } from '../../src/query/synthesize.ts';
import { queryMessage } from '../../src/query/testing.ts';
import { LATER } from '../../src/query/verdict.ts';
import { Chain } from '../../src/server/chain.ts';
import { hitPathOf } from '../../src/server/hit-path.ts';
import { Server } from '../../src/server/server.ts';

const FAKED = ['performance', 'Date', 'setTimeout', 'setInterval', 'clearTimeout', 'clearInterval'];
const ZONE = '.';

/** Stands where forward stands, and answers when the test says so. */
class Upstream implements Handler {
  readonly name = 'forward';
  readonly seesHits = false;
  readonly takesEveryClass = true;
  readonly waiting: Query[] = [];
  reachable = true;

  onQuery(query: Query): typeof LATER {
    this.waiting.push(query);
    return LATER;
  }

  isReachable(): boolean {
    return this.reachable;
  }
}

/** The handlers of the directives, each of which may stand several times, in the order of the chain. */
function handlersOf(directives: readonly string[], building: TestBuilding): Handler[] {
  const uses = directives.map((text) => parseUse(text));
  return DIRECTIVES.flatMap((directive) => {
    const own = uses.filter(({ name }) => name === directive.name);
    if (own.length === 0) return [];
    const configs = own.map((use) => directive.parse(use, testParsing()));
    return directive.build?.(configs, building) ?? [];
  });
}

type CountedName =
  | 'coredns_cache_misses_total'
  | 'coredns_cache_prefetch_total'
  | 'coredns_cache_served_stale_total'
  | 'nodelocald_cut_answers_total'
  | 'nodelocald_cut_probes_total';

export class Scenario {
  readonly #upstream = new Upstream();
  readonly #server: Server;
  readonly #answers: string[] = [];
  /** The questions of clients, by the ID of their message. */
  readonly #questions = new Map<number, string>();
  #lastId = 0;
  readonly #metrics;
  readonly #log: TestLog;

  /** The block's directives but `forward`, as in a Corefile. Time stands still until `pass`. */
  constructor(...directives: readonly string[]) {
    vi.useFakeTimers({ toFake: FAKED as never });
    const building = testBuilding();
    this.#metrics = building.metrics;
    this.#log = building.log;
    const handlers = handlersOf(directives, building);
    const panics = building.metrics.counter('coredns_panics_total', {});
    const chain = new Chain([...handlers, this.#upstream], panics, building.log);
    this.#server = new Server('dns://:53', 1, building.metrics);
    const hits = hitPathOf(chain.handlers);
    this.#server.serve([
      { zone: ZONE, chain, counters: undefined, hits, addressIndex: FIRST_ADDRESS },
    ]);
  }

  end(): void {
    this.#server.close();
    vi.useRealTimers();
  }

  /** `NAME TYPE`, and perhaps `do`, `cd`. */
  client(question: string): this {
    const [name, type, ...flags] = question.split(' ');
    const id = ++this.#lastId;
    this.#questions.set(id, `${name} ${type}`);
    const message = queryMessage(name!, type!, {
      id,
      edns: 1232,
      dnssecOk: flags.includes('do'),
      checkingDisabled: flags.includes('cd'),
    });
    const out = new Uint8Array(4096);
    this.#server.beginBatch();
    const octets = this.#server.respond(
      message,
      0,
      message.length,
      this.#asClient(),
      new SendSlot(out),
    );
    if (octets > 0) this.#record(out, octets);
    this.#server.endBatch();
    return this;
  }

  /** The oldest query that waits at the upstream; `nothing` if none does. */
  upstreamSees(question: string): this {
    const [query] = this.#upstream.waiting;
    const seen = query === undefined ? 'nothing' : `${query.name} ${typeName(query.qtype)}`;
    expect(seen).toBe(question);
    return this;
  }

  /** How many queries wait at the upstream. */
  upstreamHolds(count: number): this {
    expect(this.#upstream.waiting).toHaveLength(count);
    return this;
  }

  /**
   * Answers the oldest waiting query: `[RCODE] [RECORD][; RECORD]`, a record being `NAME TTL TYPE
   * DATA`; those of type SOA go to the authority section.
   */
  upstreamAnswers(answer: string): this {
    const query = this.#upstream.waiting.shift()!;
    const [, rcodeText, rest] = /^(?:([A-Z]+)(?: |$))?(.*)$/.exec(answer)!;
    const records = rest!.split('; ').filter(Boolean).map(readRecord);
    const soa = typeFromName('SOA');
    query.answer(
      synthesize(query, 'forward', {
        rcode: rcodeFromName(rcodeText ?? 'NOERROR')!,
        answers: records.filter(({ type }) => type !== soa),
        authorities: records.filter(({ type }) => type === soa),
      }),
    );
    return this;
  }

  /** The oldest waiting query fails, as when every attempt has timed out. */
  upstreamFails(): this {
    const query = this.#upstream.waiting.shift()!;
    query.answer(Response.failed(query, rcodeFromName('SERVFAIL')!, 'i/o timeout', 1));
    return this;
  }

  /** Every upstream falls silent, or is heard of again. */
  upstreamIsReachable(reachable: boolean): this {
    this.#upstream.reachable = reachable;
    return this;
  }

  /** The oldest answer that no client has taken: `RCODE [RECORD; RECORD]`, or `nothing`. */
  clientGets(answer: string): this {
    expect(this.#answers.shift() ?? 'nothing').toBe(answer);
    return this;
  }

  /** The lines of the log since the last look. */
  logged(): string[] {
    return this.#log.lines.splice(0);
  }

  pass(seconds: number): this {
    vi.advanceTimersByTime(seconds * 1000);
    return this;
  }

  /** The value of a counter whose labels are the server's. */
  counts(name: CountedName): number {
    return this.#metrics.counter(name, { server: 'dns://:53', zones: ZONE, view: '' }).value;
  }

  #asClient(): Client {
    const path: ReplyPath = {
      transport: UDP,
      family: 1,
      remoteAddress: '127.0.0.1',
      remotePort: 1024,
      localAddress: '127.0.0.1',
      localPort: 53,
      send: (message, octets) => this.#record(message, octets),
    };
    return { transport: UDP, family: 1, keep: () => path };
  }

  #record(message: Uint8Array, octets: number): void {
    const decoded = decodeMessage(message.subarray(0, octets))!;
    // A client sees its own question as it spelled it, whatever became of it on the way.
    const [question] = decoded.questions;
    const told = `${question!.name} ${typeName(question!.qtype)}`;
    expect(told).toBe(this.#questions.get(decoded.id));
    const records = [...decoded.answers, ...decoded.authorities].map(recordText);
    this.#answers.push([rcodeName(decoded.rcode), records.join('; ')].filter(Boolean).join(' '));
  }
}

const NAMED_TYPES: readonly string[] = ['CNAME', 'NS', 'PTR', 'DNAME'];

function readRecord(text: string): ResourceRecord {
  const [name, ttl, type, ...data] = text.split(' ');
  const record = { name: name!, type: typeFromName(type!)!, rrClass: 1, ttlSec: Number(ttl) };
  if (type === 'SOA') {
    return {
      ...record,
      rdata: {
        kind: 'soa',
        mname: 'ns.',
        rname: 'admin.',
        serial: 1,
        refresh: 2,
        retry: 3,
        expire: 4,
        minimum: Number(data[0] ?? 5),
      },
    };
  }
  if (type === 'SRV') {
    const [priority, weight, port] = data.map(Number);
    const rdata = { priority: priority!, weight: weight!, port: port!, target: data[3]! };
    return { ...record, rdata: { kind: 'srv', ...rdata } };
  }
  if (NAMED_TYPES.includes(type!)) return { ...record, rdata: { kind: 'name', target: data[0]! } };
  return { ...record, rdata: { kind: 'address', address: data[0]! } };
}

function recordText({ name, ttlSec, type, rdata }: ResourceRecord): string {
  const data =
    rdata.kind === 'address'
      ? rdata.address
      : rdata.kind === 'name' || rdata.kind === 'srv'
        ? rdata.target
        : undefined;
  return [name, ttlSec, typeName(type), data].filter((part) => part !== undefined).join(' ');
}
