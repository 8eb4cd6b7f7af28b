/**
 * The few DNS messages that the benchmark makes itself (RFC 1035 section 4.1).
 *
 * Is not:  the daemon's codec, on purpose: what measures must not share code with what is measured.
 */
const HEADER_SIZE = 12;
const RD = 0x01;
const TYPES: Readonly<Record<QueryType, number>> = { A: 1, AAAA: 28 };

type QueryType = 'A' | 'AAAA';

export interface Question {
  /** Domain name without the final dot; labels of 63 octets at most, which is not checked. */
  readonly name: string;
  readonly type: QueryType;
}

/** A query with RD, without EDNS, as musl and dnsperf send it; `id` is 0 to 65535. */
export function encodeQuery(question: Question, id: number): Buffer {
  const msg = Buffer.alloc(HEADER_SIZE + question.name.length + 2 + 4);
  msg.writeUInt16BE(id, 0);
  msg[2] = RD;
  msg.writeUInt16BE(1, 4); // QDCOUNT
  let at = HEADER_SIZE;
  for (const label of question.name.split('.')) {
    msg[at++] = label.length;
    at += msg.write(label, at, 'latin1');
  }
  at += 1; // the root's empty label
  msg.writeUInt16BE(TYPES[question.type], at);
  msg.writeUInt16BE(1, at + 2); // IN
  return msg;
}

/** Whether `msg` has QR. */
export function isResponse(msg: Buffer): boolean {
  return msg.length >= HEADER_SIZE && (msg[2]! & 0x80) !== 0;
}

/** Whether `msg` is a response with RCODE NOERROR and at least one answer record. */
export function isPositiveResponse(msg: Buffer): boolean {
  return isResponse(msg) && (msg[3]! & 0x0f) === 0 && msg.readUInt16BE(6) > 0;
}
