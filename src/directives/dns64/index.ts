/**
 * `dns64 [PREFIX] { prefix ... translate_all allow_ipv4 }`: answers questions for IPv6 addresses of names
 * that have none by their IPv4 addresses, embedded in a prefix that NAT64 routes (RFC 6147, RFC 6052).
 *
 * Owns:    options, which questions and responses are translated, and the answer that is made.
 * Is not:  the asking for IPv4 addresses, which goes through the whole server (query/lookup.ts).
 */
import type { DirectiveUse } from '../../corefile/blocks.ts';
import type { IpNetwork } from '../../net/ip.ts';
import {
  type OptionTable,
  countArguments,
  flag,
  one,
  readOptions,
  readUse,
} from '../../corefile/options.ts';
import type { Token } from '../../corefile/tokens.ts';
import { badValue, parseCidr } from '../../corefile/values.ts';
import { OPCODE_QUERY } from '../../dns/header.ts';
import type { QueryView } from '../../dns/question.ts';
import { NXDOMAIN } from '../../dns/rcode.ts';
import { type Embed, translate, withoutMappedAddresses } from '../../dns/reshape.ts';
import type { NormalizedResponse } from '../../dns/response.ts';
import { A, AAAA, IN } from '../../dns/rrtype.ts';
import type { Counter } from '../../observe/counters.ts';
import { lookUp } from '../../query/lookup.ts';
import type { Query, QueryChain, Sink } from '../../query/query.ts';
import type { Client } from '../../query/responder.ts';
import { Response } from '../../query/response.ts';
import { LATER, PASS, type Verdict } from '../../query/verdict.ts';
import type { BuildContext, Directive, Handler, HitPart } from '../directive.ts';

/** The well-known prefix, 64:ff9b::/96 (RFC 6052 section 2.1). */
const WELL_KNOWN: IpNetwork = {
  family: 6,
  octets: Uint8Array.of(0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
  prefixLength: 96,
  text: '64:ff9b::/96',
};
/** RFC 6052 section 2.2 has 32, 40, 48, 56, 64 and 96; CoreDNS takes all that are whole octets. */
const PREFIX_LENGTHS: readonly number[] = [32, 40, 48, 56, 64, 72, 80, 88, 96];
/** Bits 64 to 71 are zero in any address with an interface identifier (RFC 6052 section 2.2). */
const ZERO_OCTET = 8;
const IPV4_OCTETS = 4;
/** How long an answer is kept where no SOA says so (RFC 6147 section 5.1.7), in seconds. */
const TTL_MAX_SEC = 600;

export interface Dns64Config {
  readonly prefix: IpNetwork;
  /** Whether names that have IPv6 addresses are translated too. */
  readonly translateAll: boolean;
  /** Whether clients that ask over IPv4 are answered so too. */
  readonly allowIpv4: boolean;
}

export const dns64: Directive<Dns64Config> = {
  name: 'dns64',
  repeat: 'last',
  parse: (use) => readUse(use, () => parse(use)),
  build: ([config], context) => new Dns64(config!, context),
};

type Draft = { -readonly [Key in keyof Dns64Config]: Dns64Config[Key] };

const OPTIONS: OptionTable<Draft> = {
  prefix: one((draft, value) => {
    draft.prefix = parsePrefix(value);
  }),
  translate_all: flag((draft) => {
    draft.translateAll = true;
  }),
  allow_ipv4: flag((draft) => {
    draft.allowIpv4 = true;
  }),
};

function parse(use: DirectiveUse): Dns64Config {
  const [prefix] = countArguments(use, 0, 1);
  return readOptions<Draft>(use, OPTIONS, {
    prefix: prefix === undefined ? WELL_KNOWN : parsePrefix(prefix),
    translateAll: false,
    allowIpv4: false,
  });
}

function parsePrefix(token: Token): IpNetwork {
  const prefix = parseCidr(token);
  if (prefix.family !== 6) {
    const what = `invalid netmask 32 IPv6 address: "${prefix.text}"`;
    throw badValue(token, what, `expected an IPv6 prefix such as ${WELL_KNOWN.text}`);
  }
  if (PREFIX_LENGTHS.includes(prefix.prefixLength)) return prefix;
  const lengths = PREFIX_LENGTHS.join(', ');
  throw badValue(token, `invalid prefix length "${prefix.text}"`, `expected one of ${lengths}`);
}

class Dns64 implements Handler {
  readonly name = 'dns64';
  readonly seesHits = false;
  readonly onHits: HitPart = { wants: (view, client) => this.#intercepts(view, client) };
  readonly #config: Dns64Config;
  readonly #embed: Embed;
  /** By address index. */
  readonly #translated: readonly Counter[];
  #chain: QueryChain | undefined;
  #depth = 0;

  constructor(config: Dns64Config, context: BuildContext) {
    this.#config = config;
    this.#embed = embedder(config.prefix);
    this.#translated = context.servers.map((server) =>
      context.metrics.counter('coredns_dns64_requests_translated_total', { server }),
    );
  }

  attach(chain: QueryChain, depth: number): void {
    this.#chain = chain;
    this.#depth = depth;
  }

  onQuery(query: Query): Verdict {
    const { client } = query;
    if (client === undefined || query.opcode !== OPCODE_QUERY) return PASS;
    if (!this.#intercepts(query, client)) return PASS;
    const sink: Sink = { deliver: (_, response) => this.#judge(query, response) };
    this.#chain!.run(query.child(query, this.#depth, sink), this.#depth + 1);
    return LATER;
  }

  /** Clients on IPv4 need no NAT64, unless the Corefile says so; other classes have no addresses. */
  #intercepts(
    asked: Pick<QueryView, 'qtype' | 'qclass'>,
    { family }: Pick<Client, 'family'>,
  ): boolean {
    if (asked.qtype !== AAAA || asked.qclass !== IN) return false;
    return this.#config.allowIpv4 || family === 2;
  }

  /**
   * Passes on the response to the question as asked, or asks for IPv4 addresses instead. IPv4-mapped
   * addresses count as none, and never reach the client (RFC 6147 section 5.1.4).
   */
  #judge(query: Query, response: Response): void {
    if (response.failure !== undefined) {
      query.answer(response);
      return;
    }
    const message = withoutMappedAddresses(response.message);
    if (this.#isFinal(message)) query.answer(response.with(message, this.name));
    else lookUp(query, { qtype: A }, (addresses) => this.#translate(query, message, addresses));
  }

  /** An error counts as an empty answer (RFC 6147 section 5.1.2), except that the name does not exist. */
  #isFinal(message: NormalizedResponse): boolean {
    if (message.rcode === NXDOMAIN && message.hasSoa) return true;
    // hasQtype: the type itself is there, and not just the CNAMEs towards it.
    return message.hasQtype && !this.#config.translateAll;
  }

  #translate(query: Query, asked: NormalizedResponse, addresses: Response): void {
    if (addresses.failure !== undefined) {
      const { message } = addresses.failure;
      query.answer(Response.failed(query, addresses.rcode, message));
      return;
    }
    this.#translated[query.addressIndex]!.value++;
    const ttlMaxSec = asked.hasSoa ? asked.soaTtlSec : TTL_MAX_SEC;
    const translated = translate(addresses.message, query, this.#embed, ttlMaxSec);
    query.answer(new Response(translated, this.name));
  }
}

/** How IPv6 addresses stand for IPv4 ones (RFC 6052 section 2.2). */
export function embedder({ octets: prefix, prefixLength }: IpNetwork): Embed {
  const prefixOctets = prefixLength / 8;
  return (wire, from, out, at) => {
    for (let i = 0; i < prefix.length; i++) out[at + i] = prefix[i]!;
    let to = prefixOctets;
    for (let i = 0; i < IPV4_OCTETS; i++) {
      if (to === ZERO_OCTET) to++;
      out[at + to++] = wire[from + i]!;
    }
  };
}
