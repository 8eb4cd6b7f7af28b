/** A DNS query made from its parts (RFC 1035 section 4.1): ours to upstreams and to ourselves. */
import { ARCOUNT_AT, HEADER_OCTETS, QDCOUNT_AT, writeU16 } from './header.ts';
import { IN } from './rrtype.ts';

export interface QueryParts {
  /** QNAME in wire form, uncompressed. Not checked. */
  readonly name: Uint8Array;
  readonly qtype: number;
  /** IN unless given. */
  readonly qclass?: number;
  /** 0 unless given. */
  readonly id?: number;
  /** Octets 2 and 3 of the header, the opcode among them; none set unless given. */
  readonly flags?: number;
  /** A whole OPT record in wire form, its owner the root; empty or left out for none. */
  readonly opt?: Uint8Array;
}

/** The message, in memory of its own. */
export function buildQuery(parts: QueryParts): Uint8Array {
  const { name, qtype, qclass = IN, id = 0, flags = 0, opt } = parts;
  const questionEnd = HEADER_OCTETS + name.length + 4;
  const message = new Uint8Array(questionEnd + (opt?.length ?? 0));
  writeU16(message, 0, id);
  writeU16(message, 2, flags);
  writeU16(message, QDCOUNT_AT, 1);
  message.set(name, HEADER_OCTETS);
  writeU16(message, questionEnd - 4, qtype);
  writeU16(message, questionEnd - 2, qclass);
  if (opt !== undefined && opt.length > 0) {
    writeU16(message, ARCOUNT_AT, 1);
    message.set(opt, questionEnd);
  }
  return message;
}
