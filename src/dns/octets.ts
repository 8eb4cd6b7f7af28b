/**
 * Copies of octets.
 *
 * `slice` copies a Uint8Array, but on a Buffer, which is a Uint8Array too, it only makes another view
 * of the same memory. What sockets give us are Buffers.
 */
export function copyOctets(octets: Uint8Array, from: number = 0, to?: number): Uint8Array {
  return new Uint8Array(octets.subarray(from, to));
}
