/**
 * For tests: responses as lines of a zone file, and back.
 *
 * Owns:    the text form of responses and records in tests.
 */
import { ipFromText } from '../net/ip.ts';
import { type Rdata, type ResourceRecord, decodeMessage, encodeRecord } from './codec.ts';
import { ANCOUNT_AT, HEADER_OCTETS, QDCOUNT_AT, QR, RD, writeU16, writeU32 } from './header.ts';
import { nameFromText } from './name.ts';
import { type NormalizedResponse, normalize } from './response.ts';
import { IN, OPT, classFromName, typeFromName, typeName } from './rrtype.ts';

export interface ResponseText {
  /** `a.test. A`, or `a.test. CH A`; null for none. */
  readonly question?: string | null;
  /** `a.test. 300 A 192.0.2.1`; see {@link recordFromLine}. */
  readonly answers?: readonly string[];
  readonly authorities?: readonly string[];
  readonly additionals?: readonly string[];
  readonly id?: number;
  /** Octets 2 and 3 of the header, besides QR; RD unless given. */
  readonly flags?: number;
  readonly rcode?: number;
  /** An OPT is added behind the additional records. */
  readonly edns?: { readonly dnssecOk?: boolean; readonly options?: Uint8Array };
}

/** The octets of a response, no name compressed. */
export function responseWire(text: ResponseText = {}): Uint8Array {
  const question = text.question === undefined ? 'a.test. A' : text.question;
  const sections = [text.answers ?? [], text.authorities ?? [], text.additionals ?? []];
  const header = new Uint8Array(HEADER_OCTETS);
  writeU16(header, 0, text.id ?? 0);
  writeU16(header, 2, (QR << 8) | (text.flags ?? RD << 8) | ((text.rcode ?? 0) & 15));
  writeU16(header, QDCOUNT_AT, question === null ? 0 : 1);
  sections.forEach((records, i) => {
    const opts = i === 2 && text.edns !== undefined ? 1 : 0;
    writeU16(header, ANCOUNT_AT + 2 * i, records.length + opts);
  });
  return Uint8Array.from(
    Buffer.concat([
      header,
      question === null ? new Uint8Array(0) : questionWire(question),
      ...sections.flat().map((line) => encodeRecord(recordFromLine(line))!),
      text.edns === undefined ? new Uint8Array(0) : optWire(text),
    ]),
  );
}

/** Like {@link responseWire}, in normal form. */
export function response(text: ResponseText = {}): NormalizedResponse {
  const wire = responseWire(text);
  const normalized = normalize(wire, 0, wire.length);
  if (normalized === undefined) throw new Error('a malformed response');
  return normalized;
}

/**
 * `OWNER TTL TYPE RDATA`, the RDATA an address, a target, `PREFERENCE TARGET`, `PRIORITY WEIGHT PORT
 * TARGET`, for SOA the MINIMUM alone, for TXT one string, for RRSIG inception and expiration in Unix
 * time, and octets in hex for all other types.
 */
export function recordFromLine(line: string): ResourceRecord {
  const [name, ttl, type, ...rest] = line.split(' ');
  return {
    name: name!,
    type: typeFromName(type!)!,
    rrClass: IN,
    ttlSec: Number(ttl),
    rdata: rdataFromText(type!, rest),
  };
}

/** The records of a message as such lines; an OPT as `OPT`. Undefined if it is malformed. */
export function recordsToText(wire: Uint8Array): string[] | undefined {
  const decoded = decodeMessage(wire);
  if (decoded === undefined) return undefined;
  const { answers, authorities, additionals } = decoded;
  return [...answers, ...authorities, ...additionals].map(({ name, ttlSec, type, rdata }) =>
    type === OPT ? 'OPT' : `${name} ${ttlSec} ${typeName(type)} ${rdataToText(rdata)}`,
  );
}

function questionWire(question: string): Uint8Array {
  const words = question.split(' ');
  const name = nameFromText(words[0]!)!;
  const wire = new Uint8Array(name.length + 4);
  wire.set(name);
  writeU16(wire, name.length, typeFromName(words.at(-1)!)!);
  writeU16(wire, name.length + 2, words.length === 3 ? classFromName(words[1]!)! : IN);
  return wire;
}

function optWire({ edns, rcode = 0 }: ResponseText): Uint8Array {
  const options = edns?.options ?? new Uint8Array(0);
  const wire = new Uint8Array(11 + options.length);
  writeU16(wire, 1, OPT);
  writeU16(wire, 3, 1232);
  wire[5] = rcode >> 4;
  wire[7] = edns?.dnssecOk === true ? 0x80 : 0;
  writeU16(wire, 9, options.length);
  wire.set(options, 11);
  return wire;
}

function rdataFromText(type: string, words: readonly string[]): Rdata {
  const target = words.at(-1) ?? '';
  const [first, second, third] = words.map(Number);
  switch (type) {
    case 'A':
    case 'AAAA':
      return { kind: 'address', address: target };
    case 'CNAME':
    case 'DNAME':
    case 'NS':
    case 'PTR':
      return { kind: 'name', target };
    case 'MX':
      return { kind: 'mx', preference: first!, target };
    case 'SRV':
      return { kind: 'srv', priority: first!, weight: second!, port: third!, target };
    case 'SOA': {
      const numbers = { serial: 1, refresh: 2, retry: 3, expire: 4, minimum: first! };
      return { kind: 'soa', mname: 'ns.test.', rname: 'admin.test.', ...numbers };
    }
    case 'TXT':
      return { kind: 'texts', texts: [Buffer.from(target)] };
    case 'RRSIG': {
      const octets = new Uint8Array(18 + 1 + 8);
      writeU32(octets, 8, second!);
      writeU32(octets, 12, first!);
      return { kind: 'octets', octets };
    }
    default:
      return { kind: 'octets', octets: Buffer.from(target, 'hex') };
  }
}

function rdataToText(rdata: Rdata): string {
  switch (rdata.kind) {
    case 'address': {
      return ipFromText(rdata.address)?.text ?? rdata.address;
    }
    case 'name':
      return rdata.target;
    case 'mx':
      return `${rdata.preference} ${rdata.target}`;
    case 'srv':
      return `${rdata.priority} ${rdata.weight} ${rdata.port} ${rdata.target}`;
    case 'soa':
      return String(rdata.minimum);
    case 'texts':
      return rdata.texts.map((text) => Buffer.from(text).toString('latin1')).join(' ');
    case 'hinfo':
      return `${rdata.cpu} ${rdata.os}`;
    case 'octets':
      return Buffer.from(rdata.octets).toString('hex');
    default:
      return rdata satisfies never;
  }
}
