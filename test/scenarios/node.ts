/**
 * A node: blocks with a cache each, in this process, before upstreams that answer at once. Time stands
 * still until the caller lets some pass.
 */
import { vi } from 'vitest';
import { parseUse } from '../../src/corefile/blocks.ts';
import { cache } from '../../src/directives/cache/index.ts';
import type { Handler } from '../../src/directives/directive.ts';
import { testBuilding, testParsing } from '../../src/directives/testing.ts';
import { type DecodedMessage, decodeMessage } from '../../src/dns/codec.ts';
import { rcodeName } from '../../src/dns/rcode.ts';
import { FIRST_ADDRESS } from '../../src/query/address-index.ts';
import type { Query } from '../../src/query/query.ts';
import { type Client, type ReplyPath, SendSlot, UDP } from '../../src/query/responder.ts';
import { type Synthesis, synthesize } from '../../src/query/synthesize.ts';
import { queryMessage } from '../../src/query/testing.ts';
import { ANSWERED } from '../../src/query/verdict.ts';
import { Chain } from '../../src/server/chain.ts';
import { hitPathOf } from '../../src/server/hit-path.ts';
import { Server } from '../../src/server/server.ts';

const FAKED = ['performance', 'Date', 'setTimeout', 'setInterval', 'clearTimeout', 'clearInterval'];

/** An upstream's answer to a lower-cased name with final dot. */
export type Authority = (name: string, qtype: number) => Synthesis;

export interface Block {
  readonly zone: string;
  /** Its `cache`, as in a Corefile. */
  readonly cache: string;
  readonly upstream: Authority;
}

export class Node {
  readonly #server: Server;
  readonly #out = new Uint8Array(4096);
  readonly #client: Client;
  #answer: Uint8Array | undefined;

  constructor(blocks: readonly Block[]) {
    vi.useFakeTimers({ toFake: FAKED as never });
    const bindings = blocks.map((block) => {
      const building = testBuilding([block.zone]);
      const config = cache.parse(parseUse(block.cache), testParsing([block.zone]));
      const handler = cache.build!([config], building)!;
      const panics = building.metrics.counter('coredns_panics_total', {});
      const chain = new Chain([handler, this.#upstream(block)], panics, building.log);
      const hits = hitPathOf(chain.handlers);
      return { zone: block.zone, chain, counters: undefined, hits, addressIndex: FIRST_ADDRESS };
    });
    this.#server = new Server('dns://:53', 1, testBuilding().metrics);
    this.#server.serve(bindings);
    const path: ReplyPath = {
      transport: UDP,
      family: 1,
      remoteAddress: '127.0.0.1',
      remotePort: 1024,
      localAddress: '127.0.0.1',
      localPort: 53,
      send: (message, octets) => this.#record(message, octets),
    };
    this.#client = { transport: UDP, family: 1, keep: () => path };
  }

  /** Takes the clock with it. */
  end(): void {
    this.#server.close();
    vi.useRealTimers();
  }

  pass(ms: number): void {
    vi.advanceTimersByTime(ms);
  }

  /** The answer to `name` (with final dot) and `type`, as octets. */
  ask(name: string, type: string): Uint8Array {
    const message = queryMessage(name, type, { edns: 1232 });
    const out = this.#out;
    this.#answer = undefined;
    this.#server.beginBatch();
    const end = message.length;
    const octets = this.#server.respond(message, 0, end, this.#client, new SendSlot(out));
    if (octets > 0) this.#record(out, octets);
    this.#server.endBatch();
    if (this.#answer === undefined) throw new Error(`${name} ${type} was not answered at once`);
    return this.#answer;
  }

  #record(message: Uint8Array, octets: number): void {
    this.#answer = message.slice(0, octets);
  }

  #upstream({ upstream }: Block): Handler {
    return {
      name: 'forward',
      seesHits: false,
      onQuery: (query: Query) => {
        query.answer(synthesize(query, 'forward', upstream(query.name, query.qtype)));
        return ANSWERED;
      },
    };
  }
}

/** Everything that a client can see in an answer, except its TTLs. */
export function toldOf(octets: Uint8Array): string {
  return told(decodeMessage(octets)!);
}

/** Likewise, of its sections. */
export function told(answer: Pick<DecodedMessage, 'rcode' | 'answers' | 'authorities'>): string {
  const { rcode, answers, authorities } = answer;
  const records = [...answers, ...authorities].map(
    ({ name, type, rdata }) => `${name} ${type} ${JSON.stringify(rdata)}`,
  );
  return [rcodeName(rcode), ...records].join('; ');
}
