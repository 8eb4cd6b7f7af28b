/**
 * Queries made from queries: the same flags and EDNS, another question.
 *
 * Owns:    the message of such a query, whose records other than OPT are left out: they may point into
 *          a question that is gone.
 * Is not:  sent anywhere: see lookup.ts for the whole server, and `Query.child` for the chain below.
 */
import { buildQuery } from '../dns/build-query.ts';
import { HEADER_OCTETS, readU16 } from '../dns/header.ts';
import { skipName } from '../dns/name.ts';
import { type QueryFacts, QueryView, READ_QUERY, readQuery } from '../dns/question.ts';

/** The parts of a question that are to be different; a part that is left out stays as it is. */
export interface Change {
  /** QNAME in wire form, uncompressed, spelled as it shall be asked. */
  readonly name?: Uint8Array;
  readonly qtype?: number;
  readonly qclass?: number;
  /** The whole OPT record in wire form, its owner the root; empty for none. */
  readonly opt?: Uint8Array;
}

const NO_OPT = new Uint8Array(0);

/** The OPT record of a query in wire form, its owner the root; empty if it has none. A copy. */
export function optOf(asked: QueryFacts): Uint8Array {
  if (!asked.hasEdns) return NO_OPT;
  const { msg } = asked;
  const from = skipName(msg, asked.optAt, asked.end);
  const octets = 10 + readU16(msg, from + 8);
  const opt = new Uint8Array(1 + octets);
  opt.set(msg.subarray(from, from + octets), 1);
  return opt;
}

/**
 * The query `asked` with another question or OPT, read and ready to become a Query. Undefined if `name`
 * is no name, or `opt` no OPT record.
 */
export function derive(asked: QueryFacts, change: Change): QueryView | undefined {
  const { msg, at } = asked;
  const nameFrom = at + HEADER_OCTETS;
  const name = change.name ?? msg.subarray(nameFrom, nameFrom + asked.nameOctets);
  const opt = change.opt ?? optOf(asked);
  const derived = buildQuery({
    name,
    qtype: change.qtype ?? asked.qtype,
    qclass: change.qclass ?? asked.qclass,
    id: readU16(msg, at),
    flags: readU16(msg, at + 2),
    opt,
  });
  const view = new QueryView(asked.hashSeed);
  const whole = readQuery(view, derived, 0, derived.length) === READ_QUERY;
  // A name with octets behind its root label would have moved the type and class.
  return whole && view.nameOctets === name.length ? view : undefined;
}
