/**
 * The options of an OPT record, for those who change a query's (RFC 6891 section 6.1).
 *
 * Owns:    the form of options and of client subnets (RFC 7871 section 6).
 * Callers: hand over whole OPT records in wire form, their owner the root, as derive.ts makes them.
 */
import { readU16, writeU16 } from './header.ts';
import { OPT_OCTETS, RDATA_OCTETS_MAX } from './limits.ts';
import { OPT } from './rrtype.ts';

export interface EdnsOption {
  /** 0 to 65535. */
  readonly code: number;
  readonly data: Uint8Array;
}

export const OPTION_NSID = 3;
export const OPTION_CLIENT_SUBNET = 8;

/** The options of the record, whose lengths have been found to fit (dns/question.ts). */
export function optionsOf(opt: Uint8Array): EdnsOption[] {
  const options: EdnsOption[] = [];
  for (let at = OPT_OCTETS; at + 4 <= opt.length;) {
    const end = at + 4 + readU16(opt, at + 2);
    options.push({ code: readU16(opt, at), data: opt.slice(at + 4, end) });
    at = end;
  }
  return options;
}

/** An OPT record of version 0 that offers `payloadOctets` and has neither flags nor options. */
export function emptyOpt(payloadOctets: number): Uint8Array {
  const opt = new Uint8Array(OPT_OCTETS);
  writeU16(opt, 1, OPT);
  writeU16(opt, 3, payloadOctets);
  return opt;
}

/** The record with these options in the place of its own; undefined if they are too many octets. */
export function withOptions(
  opt: Uint8Array,
  options: readonly EdnsOption[],
): Uint8Array | undefined {
  const octets = options.reduce((sum, { data }) => sum + 4 + data.length, 0);
  if (octets > RDATA_OCTETS_MAX) return undefined;
  const written = new Uint8Array(OPT_OCTETS + octets);
  written.set(opt.subarray(0, OPT_OCTETS));
  writeU16(written, OPT_OCTETS - 2, octets);
  let at = OPT_OCTETS;
  for (const { code, data } of options) {
    writeU16(written, at, code);
    writeU16(written, at + 2, data.length);
    written.set(data, at + 4);
    at += 4 + data.length;
  }
  return written;
}

/**
 * The data of a client subnet option in a query: the first `bits` of an address of 4 or 16 octets, all
 * others 0, scope 0. `bits` is at most the address's.
 */
export function clientSubnet(address: Uint8Array, bits: number): Uint8Array {
  const octets = Math.ceil(bits / 8);
  const data = new Uint8Array(4 + octets);
  data[1] = address.length === 4 ? 1 : 2;
  data[2] = bits;
  data.set(address.subarray(0, octets), 4);
  if (bits % 8 !== 0) data[3 + octets] = data[3 + octets]! & (0xff00 >> (bits % 8));
  return data;
}
