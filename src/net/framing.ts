/**
 * DNS over a stream: each message has its length before it, in two octets (RFC 1035 section 4.2.2).
 *
 * Owns:    finding whole messages in what has arrived.
 * Is not:  a judge of lengths: a message too short for a header is the caller's affair.
 */
export const LENGTH_OCTETS = 2;

/** `partial`, the beginning of an unfinished message, with `chunk` after it. */
export function joined(partial: Buffer | undefined, chunk: Buffer): Buffer {
  return partial === undefined ? chunk : Buffer.concat([partial, chunk]);
}

/** The end of the message whose length stands at `at`; 0 if it has not arrived as a whole. */
export function messageEnd(data: Uint8Array, at: number): number {
  if (data.length - at < LENGTH_OCTETS) return 0;
  const end = at + LENGTH_OCTETS + ((data[at]! << 8) | data[at + 1]!);
  return end > data.length ? 0 : end;
}

/** Writes the length of a message of `octets` octets, which stands behind it. */
export function writeLength(out: Uint8Array, at: number, octets: number): void {
  out[at] = octets >> 8;
  out[at + 1] = octets;
}
