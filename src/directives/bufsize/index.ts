/**
 * `bufsize [SIZE]`: lowers the UDP payload size that a client offers (RFC 6891 section 6.2.3), and with
 * it what is answered, what is offered upstream, and what the answer's OPT says.
 */
import { countArguments, noBlock, readUse } from '../../corefile/options.ts';
import { parseInteger } from '../../corefile/values.ts';
import { PAYLOAD_OCTETS_MIN } from '../../dns/limits.ts';
import type { Query } from '../../query/query.ts';
import { PASS } from '../../query/verdict.ts';
import type { Directive, Handler, HitPart } from '../directive.ts';

/** The size that fits into a packet of IPv6's least MTU, 1,280 octets, with headers (DNS flag day 2020). */
const DEFAULT_OCTETS = 1232;
const OCTETS_MAX = 4096;

export const bufsize: Directive<number> = {
  name: 'bufsize',
  repeat: 'first',
  parse: (use) =>
    readUse(use, () => {
      const [size] = countArguments(use, 0, 1);
      noBlock(use);
      if (size === undefined) return DEFAULT_OCTETS;
      return parseInteger(size, { min: PAYLOAD_OCTETS_MIN, max: OCTETS_MAX });
    }),
  build: ([octets]) => new Bufsize(octets!),
};

class Bufsize implements Handler {
  readonly name = 'bufsize';
  readonly seesHits = false;
  readonly onHits: HitPart;
  readonly #octets: number;

  constructor(octets: number) {
    this.#octets = octets;
    this.onHits = { payloadOctetsMax: octets };
  }

  /** Lowers and never raises: a client that offers less has a reason. */
  onQuery(query: Query): typeof PASS {
    if (query.payloadOctets > this.#octets) query.payloadOctets = this.#octets;
    return PASS;
  }
}
