/**
 * The response to a query on its way back through the chain: written by one handler, seen and
 * perhaps replaced by those above it.
 *
 * Owns:    what a response carries besides its message: writer, RCODE, failure, extended error.
 */
import { writeEmpty } from '../dns/frame.ts';
import { HEADER_OCTETS, RCODE_MASK } from '../dns/header.ts';
import type { QueryFacts } from '../dns/question.ts';
import { type NormalizedResponse, withoutRecords } from '../dns/response.ts';

/** The reason why there is only an RCODE and no message. */
export interface Failure {
  /** For the log of `errors`, in CoreDNS's words. */
  readonly message: string;
  /** Asking again sooner would only fail again: a cache may say so in our place. 0 if unknown. */
  readonly restSec: number;
}

/** An extended DNS error (RFC 8914): sent to clients that speak EDNS. */
export interface ExtendedError {
  /** INFO-CODE, 0 to 65535. */
  readonly code: number;
  /** EXTRA-TEXT; empty for none. */
  readonly text: string;
}

export class Response {
  /** The message in normal form: no OPT, names compressed. Its ID and the copied flags do not matter. */
  readonly message: NormalizedResponse;
  readonly rcode: number;
  /** The directive that wrote it: the label `plugin`. Empty for a bare RCODE. */
  readonly writer: string;
  /**
   * Set if no handler wrote a message and only an RCODE is returned. Such a response is not cached,
   * and `errors` logs it (CoreDNS: a handler that returns an error).
   */
  readonly failure: Failure | undefined;
  readonly extendedError: ExtendedError | undefined;

  constructor(
    message: NormalizedResponse,
    writer: string,
    failure?: Failure,
    extendedError?: ExtendedError,
  ) {
    this.message = message;
    this.rcode = message.rcode;
    this.writer = writer;
    this.failure = failure;
    this.extendedError = extendedError;
  }

  /** Like this one, with another message, written by `writer`. */
  with(message: NormalizedResponse, writer: string): Response {
    return new Response(message, writer, this.failure, this.extendedError);
  }

  /** A bare RCODE with the reason for it. */
  static failed(asked: QueryFacts, rcode: number, message: string, restSec: number = 0): Response {
    return new Response(emptyMessage(asked, rcode), '', { message, restSec });
  }

  /** A message of `writer` that has a question and no records. */
  static empty(asked: QueryFacts, rcode: number, writer: string): Response {
    return new Response(emptyMessage(asked, rcode), writer);
  }
}

function emptyMessage(asked: QueryFacts, rcode: number): NormalizedResponse {
  const wire = new Uint8Array(HEADER_OCTETS + asked.nameOctets + 4);
  writeEmpty(asked, wire, 0, rcode & RCODE_MASK);
  return withoutRecords(wire, asked, rcode);
}
