/**
 * `template` in a whole server: CNAMEs that are followed, extended errors in the answer's OPT, and what
 * a cache above it keeps.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { parseUse } from '../../src/corefile/blocks.ts';
import { cache } from '../../src/directives/cache/index.ts';
import type { Handler } from '../../src/directives/directive.ts';
import { template } from '../../src/directives/template/index.ts';
import { type TestBuilding, testBuilding, testParsing } from '../../src/directives/testing.ts';
import { type ResourceRecord, decodeMessage } from '../../src/dns/codec.ts';
import { rcodeName } from '../../src/dns/rcode.ts';
import { A, className, typeName } from '../../src/dns/rrtype.ts';
import { FIRST_ADDRESS } from '../../src/query/address-index.ts';
import { type Client, type ReplyPath, SendSlot, UDP } from '../../src/query/responder.ts';
import { synthesize } from '../../src/query/synthesize.ts';
import { type AskOptions, queryMessage } from '../../src/query/testing.ts';
import { ANSWERED } from '../../src/query/verdict.ts';
import { Chain } from '../../src/server/chain.ts';
import { hitPathOf } from '../../src/server/hit-path.ts';
import { Server } from '../../src/server/server.ts';

/** The handler that stands for these uses in one block. */
function build(uses: string, context: TestBuilding): Handler {
  const parsing = testParsing(context.zones);
  // Each begins a line, and its options are indented.
  const configs = uses
    .split(/\n(?=template)/)
    .map((use) => template.parse(parseUse(use.trim()), parsing));
  return template.build!(configs, context)!;
}

function shown({ name, ttlSec, rrClass, type, rdata }: ResourceRecord): string {
  const { kind, ...data } = rdata;
  const text =
    kind === 'octets' ? Buffer.from(rdata.octets).toString('hex') : Object.values(data).join(' ');
  return `${name} ${ttlSec} ${className(rrClass)} ${typeName(type)} ${text}`;
}

/** A whole server in this process: the uses, perhaps below a cache, above what knows the name `known.`. */
class TestServer {
  readonly #server: Server;
  readonly #out = new Uint8Array(4096);
  readonly #sent: Uint8Array[] = [];

  constructor(uses: string, cacheUse?: string) {
    const context = testBuilding();
    const panics = context.metrics.counter('coredns_panics_total', {});
    const handlers = [build(uses, context), KNOWN];
    if (cacheUse !== undefined) {
      handlers.unshift(cache.build!([cache.parse(parseUse(cacheUse), testParsing())], context)!);
    }
    const chain = new Chain(handlers, panics, context.log);
    this.#server = new Server('dns://:53', 1, context.metrics);
    const hits = hitPathOf(chain.handlers);
    this.#server.serve([
      { zone: '.', chain, counters: undefined, hits, addressIndex: FIRST_ADDRESS },
    ]);
    servers.push(this.#server);
  }

  /** The octets of the one answer. */
  ask(name: string, type: string, options: AskOptions = {}): Uint8Array {
    const path: ReplyPath = {
      transport: UDP,
      family: 1,
      remoteAddress: '127.0.0.1',
      remotePort: 1024,
      localAddress: '127.0.0.1',
      localPort: 53,
      send: (message, octets) => void this.#sent.push(message.slice(0, octets)),
    };
    const client: Client = { transport: UDP, family: 1, keep: () => path };
    const msg = queryMessage(name, type, options);
    this.#server.beginBatch();
    const octets = this.#server.respond(msg, 0, msg.length, client, new SendSlot(this.#out));
    this.#server.endBatch();
    if (octets > 0) this.#sent.push(this.#out.slice(0, octets));
    expect(this.#sent).toHaveLength(1);
    return this.#sent.pop()!;
  }

  answers(name: string, type: string): string[] {
    return decodeMessage(this.ask(name, type))!.answers.map(shown);
  }

  rcode(name: string, type: string): string {
    return rcodeName(decodeMessage(this.ask(name, type))!.rcode);
  }
}

const servers: Server[] = [];
afterEach(() => servers.splice(0).forEach((server) => server.close()));

/** Stands where forward stands. */
const KNOWN: Handler = {
  name: 'forward',
  seesHits: false,
  onQuery: (query) => {
    const isKnown = query.name === 'known.' && query.qtype === A;
    const record = { name: query.name, type: A, rrClass: 1, ttlSec: 30 } as const;
    const rdata = { kind: 'address', address: '192.0.2.99' } as const;
    query.answer(
      synthesize(query, 'forward', {
        rcode: query.name === 'known.' ? 0 : 3,
        answers: isKnown ? [{ ...record, rdata }] : [],
      }),
    );
    return ANSWERED;
  },
};

describe('a CNAME among the answers', () => {
  const alias = (target: string): string =>
    `template IN ANY alias {\n match ^alias[.]$\n answer "alias 60 CNAME ${target}"\n fallthrough\n}`;

  test('a CNAME is followed through the whole server, for addresses', () => {
    const server = new TestServer(alias('known'));
    expect(server.answers('alias.', 'A')).toEqual([
      'alias. 60 IN CNAME known.',
      'known. 30 IN A 192.0.2.99',
    ]);
    expect(server.answers('alias.', 'AAAA')).toEqual(['alias. 60 IN CNAME known.']);
    expect(server.answers('alias.', 'MX')).toEqual(['alias. 60 IN CNAME known.']);
  });

  test('a CNAME that leads nowhere stands alone, and the RCODE is the template’s', () => {
    const server = new TestServer(alias('nowhere'));
    expect(server.answers('alias.', 'A')).toEqual(['alias. 60 IN CNAME nowhere.']);
    expect(server.rcode('alias.', 'A')).toBe('NOERROR');
  });

  test('a CNAME of another template is followed as well', () => {
    const server = new TestServer(
      'template IN A a {\n answer "a 60 CNAME b"\n}\ntemplate IN A b {\n answer "b 60 CNAME known"\n}',
    );
    expect(server.answers('a.', 'A')).toEqual([
      'a. 60 IN CNAME b.',
      'b. 60 IN CNAME known.',
      'known. 30 IN A 192.0.2.99',
    ]);
  });

  test('a CNAME that leads to itself, or never ends, gets one answer all the same', () => {
    const itself = new TestServer(alias('alias'), 'cache 30');
    expect(itself.answers('alias.', 'A')).toEqual(
      ['alias. 60 IN CNAME alias.'].map((line) => line.replace(' 60 ', ' 30 ')),
    );
    const endless = new TestServer(
      'template IN A {\n answer "{{ .Name }} 60 CNAME x{{ .Name }}"\n}',
    );
    const answers = endless.answers('a.', 'A');
    expect(answers[0]).toBe('a. 60 IN CNAME xa.');
    expect(answers.length).toBeLessThan(20);
  });

  test('each of several CNAMEs is followed, in order', () => {
    const server = new TestServer(
      'template IN A alias {\n answer "alias 60 CNAME known"\n answer "alias 60 A 192.0.2.1"\n answer "b 60 CNAME known"\n}',
    );
    expect(server.answers('alias.', 'A')).toEqual([
      'alias. 60 IN CNAME known.',
      'known. 30 IN A 192.0.2.99',
      'alias. 60 IN A 192.0.2.1',
      'b. 60 IN CNAME known.',
      'known. 30 IN A 192.0.2.99',
    ]);
  });
});

describe('an extended DNS error (RFC 8914)', () => {
  const uses = 'template IN A {\n rcode NXDOMAIN\n ederror 21 "not here"\n}';

  test('an extended error is sent to a client that speaks EDNS', () => {
    const wire = Buffer.from(new TestServer(uses).ask('a.', 'A', { edns: 1232 }));
    const option = Buffer.concat([Buffer.from([0, 15, 0, 10, 0, 21]), Buffer.from('not here')]);
    expect(wire.subarray(-16)).toEqual(Buffer.concat([Buffer.from([0, 14]), option]));
    const { additionals } = decodeMessage(wire)!;
    expect(additionals).toHaveLength(1);
  });

  test('an extended error is not sent to a client without EDNS', () => {
    const { additionals } = decodeMessage(new TestServer(uses).ask('a.', 'A'))!;
    expect(additionals).toEqual([]);
  });

  test('an extended error comes through a cache', () => {
    const wire = new TestServer(uses, 'cache 30').ask('a.', 'A', { edns: 1232 });
    expect(Buffer.from(wire).toString('latin1')).toContain('not here');
  });

  test('where there is no room, an extended error is sent without its text, and then not at all', () => {
    const filling = (octets: number): string => {
      const strings = [200, 200, octets - 400]
        .map((length) => `\\"${'x'.repeat(length)}\\"`)
        .join(' ');
      return `template IN TXT {\n ederror 21 "not here"\n answer "a TXT ${strings}"\n}`;
    };
    // Header and question 19, the record's head 12 and three lengths, an OPT 11.
    const lengthFor = (room: number): number => 512 - 19 - 12 - 3 - 11 - room;
    const optOctets = (room: number): number => {
      const wire = new TestServer(filling(lengthFor(room))).ask('a.', 'TXT', { edns: 512 });
      const { additionals, answers } = decodeMessage(wire)!;
      expect(answers).toHaveLength(1);
      const { rdata } = additionals[0]!;
      return rdata.kind === 'octets' ? rdata.octets.length : -1;
    };
    expect([20, 14, 13, 6, 5].map(optOctets)).toEqual([14, 14, 6, 6, 0]);
  });
});

describe('below a cache', () => {
  test('an NXDOMAIN of a template holds for the type that it was made for, and not for the name', () => {
    const soa = 'authority "{{ .Zone }} 60 SOA a b 1 1 1 1 60"';
    const server = new TestServer(`template IN AAAA {\n rcode NXDOMAIN\n ${soa}\n}`, 'cache 30');
    expect(server.rcode('known.', 'AAAA')).toBe('NXDOMAIN');
    expect(server.rcode('known.', 'AAAA')).toBe('NXDOMAIN');
    expect(server.answers('known.', 'A')).toEqual(['known. 30 IN A 192.0.2.99']);
  });

  test('answers of a template are kept as others are', () => {
    const server = new TestServer(
      'template IN A {\n answer "{{ .Name }} 7 A 192.0.2.{{ .Message.Id }}"\n}'.replace(
        '{{ .Message.Id }}',
        '1',
      ),
      'cache 30',
    );
    expect(server.answers('a.', 'A')).toEqual(['a. 7 IN A 192.0.2.1']);
    expect(server.answers('A.', 'A')).toEqual(['A. 7 IN A 192.0.2.1']);
  });
});
