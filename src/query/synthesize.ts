/**
 * Answers of our own making: what `hosts`, `template` and `whoami` say, framed as CoreDNS frames it.
 *
 * Owns:    the header of such an answer (AA set; RA, AD and TC unset; opcode, RD and CD as asked) and
 *          its question, spelled as the client spelled it.
 * Is not:  what the records say.
 */
import { type ResourceRecord, encodeRecord } from '../dns/codec.ts';
import {
  AA,
  ANCOUNT_AT,
  ARCOUNT_AT,
  HEADER_OCTETS,
  NSCOUNT_AT,
  TC,
  readU16,
  writeU16,
} from '../dns/header.ts';
import { writeEmpty } from '../dns/frame.ts';
import { MESSAGE_OCTETS_MAX } from '../dns/limits.ts';
import { NOERROR, SERVFAIL } from '../dns/rcode.ts';
import { normalize, withoutRecords } from '../dns/response.ts';
import type { Query } from './query.ts';
import { type ExtendedError, Response } from './response.ts';

/** An answer as data. Sections that are left out are empty. */
export interface Synthesis {
  /** NOERROR unless given; 0 to 15. */
  readonly rcode?: number;
  readonly answers?: readonly ResourceRecord[];
  readonly authorities?: readonly ResourceRecord[];
  readonly additionals?: readonly ResourceRecord[];
  /** TC; set at any rate where records are left out. */
  readonly truncated?: boolean;
  readonly extendedError?: ExtendedError | undefined;
}

/** One message is written at a time, and normalize copies it. */
const scratch = new Uint8Array(MESSAGE_OCTETS_MAX);

/**
 * The response of the directive `writer`. Records beyond 65,535 octets are left out, and TC is set. A
 * record that cannot be written makes it a bare SERVFAIL that says so: the directive that made the
 * record is at fault, which `errors` should show.
 */
export function synthesize(query: Query, writer: string, synthesis: Synthesis): Response {
  const out = scratch;
  let at = writeEmpty(query, out, 0, synthesis.rcode ?? NOERROR);
  let flags = out[2]! | AA | (synthesis.truncated === true ? TC : 0);
  for (const [countAt, records] of [
    [ANCOUNT_AT, synthesis.answers ?? []],
    [NSCOUNT_AT, synthesis.authorities ?? []],
    [ARCOUNT_AT, synthesis.additionals ?? []],
  ] as const) {
    for (const record of records) {
      const wire = encodeRecord(record);
      if (wire === undefined) return unwritable(query, record.name);
      if (at + wire.length > MESSAGE_OCTETS_MAX) {
        flags |= TC;
        break;
      }
      out.set(wire, at);
      at += wire.length;
      writeU16(out, countAt, readU16(out, countAt) + 1);
    }
  }
  out[2] = flags;
  const hasRecords = at > HEADER_OCTETS + query.nameOctets + 4;
  // Most answers without records are made in great number: `template IN AAAA`, hosts without IPv6.
  const message = hasRecords
    ? normalize(out, 0, at)
    : withoutRecords(out.slice(0, at), query, synthesis.rcode ?? NOERROR);
  if (message === undefined) return unwritable(query, query.name);
  return new Response(message, writer, undefined, synthesis.extendedError);
}

function unwritable(query: Query, name: string): Response {
  return Response.failed(query, SERVFAIL, `a record of ${name} cannot be written`);
}
