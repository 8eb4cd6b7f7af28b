/**
 * `whoami`: answers every query with the address and port that it came from.
 *
 * Owns:    the two records of the answer.
 */
import { noArguments, noBlock, readUse } from '../../corefile/options.ts';
import type { ResourceRecord } from '../../dns/codec.ts';
import { nameToText } from '../../dns/name.ts';
import { HEADER_OCTETS } from '../../dns/header.ts';
import { A, AAAA, SRV } from '../../dns/rrtype.ts';
import type { Query } from '../../query/query.ts';
import { TCP } from '../../query/responder.ts';
import { synthesize } from '../../query/synthesize.ts';
import { ANSWERED, PASS, type Verdict } from '../../query/verdict.ts';
import type { Directive, Handler } from '../directive.ts';

export const whoami: Directive<true> = {
  name: 'whoami',
  repeat: 'first',
  parse: (use) =>
    readUse(use, () => {
      noArguments(use);
      noBlock(use);
      return true;
    }),
  build: () => new Whoami(),
};

class Whoami implements Handler {
  readonly name = 'whoami';
  readonly seesHits = false;

  onQuery(query: Query): Verdict {
    const { client } = query;
    if (client === undefined) return PASS; // a query of our own has no address
    // As the client spelled it.
    const owner = nameToText(query.msg, HEADER_OCTETS);
    const proto = client.transport === TCP ? '_tcp' : '_udp';
    const common = { rrClass: query.qclass, ttlSec: 0 };
    const address: ResourceRecord = {
      ...common,
      name: owner,
      type: client.family === 1 ? A : AAAA,
      rdata: { kind: 'address', address: client.remoteAddress.replace(/%.*$/, '') },
    };
    const port: ResourceRecord = {
      ...common,
      name: owner === '.' ? `${proto}.` : `${proto}.${owner}`,
      type: SRV,
      rdata: { kind: 'srv', priority: 0, weight: 0, port: client.remotePort, target: '.' },
    };
    query.answer(synthesize(query, this.name, { additionals: [address, port] }));
    return ANSWERED;
  }
}
