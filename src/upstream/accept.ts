/**
 * Whether octets that came from an upstream answer the query that we sent (RFC 5452 section 9.1):
 * a response, our ID (checked by who found the query by it), exactly our question.
 *
 * Owns:    the reasons not to believe a response.
 */
import { HEADER_OCTETS, QDCOUNT_AT, QR, TC, readU16 } from '../dns/header.ts';
import { namesEqual } from '../dns/name.ts';
import { type NormalizedResponse, normalize } from '../dns/response.ts';

/** Why a response is not believed: the label `reason`. */
export type Disbelief = 'not-a-response' | 'wrong-question' | 'malformed' | 'truncated-stream';

/** The message that we sent, with a QNAME of `nameOctets`. */
export interface SentQuery {
  readonly query: Uint8Array;
  readonly nameOctets: number;
}

/**
 * The response in normal form, or why it is not believed. On a stream nothing may be truncated (RFC 7766
 * section 5).
 */
export function acceptResponse(
  { query, nameOctets }: SentQuery,
  msg: Uint8Array,
  at: number,
  end: number,
  stream: boolean,
): NormalizedResponse | Disbelief {
  const questionOctets = nameOctets + 4;
  if (end - at < HEADER_OCTETS) return 'malformed';
  if ((msg[at + 2]! & QR) === 0) return 'not-a-response';
  // An upstream that cannot read our query may answer with a header alone (RFC 1035 section 4.1.1).
  const headerOnly = readU16(msg, at + QDCOUNT_AT) === 0 && end - at === HEADER_OCTETS;
  if (headerOnly && (msg[at + 3]! & 0x0f) !== 0)
    return headerAnswer(query, questionOctets, msg, at);
  if (readU16(msg, at + QDCOUNT_AT) !== 1) return 'wrong-question';
  if (end - at < HEADER_OCTETS + questionOctets) return 'wrong-question';
  if (!namesEqual(query, HEADER_OCTETS, msg, at + HEADER_OCTETS, nameOctets)) {
    return 'wrong-question';
  }
  const typeAt = HEADER_OCTETS + nameOctets;
  for (let i = typeAt; i < typeAt + 4; i++) {
    if (query[i] !== msg[at + i]) return 'wrong-question';
  }
  if (stream && (msg[at + 2]! & TC) !== 0) return 'truncated-stream';
  return normalize(msg, at, end) ?? 'malformed';
}

/** A header-only error, with our question put in. */
function headerAnswer(
  query: Uint8Array,
  questionOctets: number,
  msg: Uint8Array,
  at: number,
): NormalizedResponse | Disbelief {
  const full = new Uint8Array(HEADER_OCTETS + questionOctets);
  full.set(query.subarray(0, full.length));
  full.set(msg.subarray(at, at + HEADER_OCTETS));
  full[QDCOUNT_AT + 1] = 1;
  return normalize(full, 0, full.length) ?? 'malformed';
}
