/**
 * Messages as data, for everyone off the hot path: built from records, and decoded to be looked into
 * (RFC 1035 section 4).
 *
 * Owns:    the only import of dns-packet, which throws on bad input; nothing here does.
 * Is not:  the reading of queries (dns/question.ts) nor what is relayed (dns/response.ts): a test
 *          holds the readings equal.
 *
 * dns-packet joins labels with dots and reads them as UTF-8, which loses a dot or an odd octet inside
 * a label. So names pass through it nowhere: they are written and read by dns/name.ts.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { createRequire } from 'node:module';
import type * as DnsPacket from 'dns-packet';
import type { Answer } from 'dns-packet';
import { HEADER_OCTETS, QR, opcodeOf, readU16, readU32, writeU16, writeU32 } from './header.ts';
import { CHARACTER_STRING_OCTETS_MAX, NAME_OCTETS_MAX, RDATA_OCTETS_MAX } from './limits.ts';
import { expandName, nameFromText, nameToText } from './name.ts';
import { A, AAAA, CNAME, DNAME, HINFO, MX, NS, PTR, SOA, SRV, TXT } from './rrtype.ts';

/** RDATA as data. Names are in presentation form; what has no form of its own here is `octets`. */
export type Rdata =
  | { readonly kind: 'address'; readonly address: string }
  | { readonly kind: 'name'; readonly target: string }
  | { readonly kind: 'mx'; readonly preference: number; readonly target: string }
  | SrvRdata
  | SoaRdata
  | { readonly kind: 'texts'; readonly texts: readonly Uint8Array[] }
  | { readonly kind: 'hinfo'; readonly cpu: string; readonly os: string }
  | { readonly kind: 'octets'; readonly octets: Uint8Array };

/** RFC 2782. */
export interface SrvRdata {
  readonly kind: 'srv';
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: string;
}

/** RFC 1035 section 3.3.13; all numbers but the serial in seconds. */
export interface SoaRdata {
  readonly kind: 'soa';
  readonly mname: string;
  readonly rname: string;
  readonly serial: number;
  readonly refresh: number;
  readonly retry: number;
  readonly expire: number;
  readonly minimum: number;
}

export interface ResourceRecord {
  /** The owner, in presentation form. */
  readonly name: string;
  readonly type: number;
  readonly rrClass: number;
  readonly ttlSec: number;
  readonly rdata: Rdata;
}

export interface DecodedMessage {
  readonly id: number;
  readonly isResponse: boolean;
  readonly opcode: number;
  /** Octets 2 and 3 of the header as one number: flags, opcode and RCODE. */
  readonly flags: number;
  /** The header's four bits; an OPT may hold more of it. */
  readonly rcode: number;
  readonly questions: readonly DecodedQuestion[];
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  /** An OPT is among them, as `octets`. */
  readonly additionals: readonly ResourceRecord[];
}

export interface DecodedQuestion {
  readonly name: string;
  readonly qtype: number;
  readonly qclass: number;
}

/** Octets of a record behind its owner's name: type, class, TTL, RDLENGTH. */
const FIXED_OCTETS = 10;

/**
 * RDATA in wire form, names uncompressed, or undefined if it cannot be written: an address that is
 * none, a name that is none, a string over 255 octets, a number out of range, a kind that `type` does
 * not have. `octets` are taken for any type, unchecked.
 */
export function encodeRdata(type: number, rdata: Rdata): Uint8Array | undefined {
  switch (rdata.kind) {
    case 'octets':
      return rdata.octets;
    case 'address': {
      // dns-packet would read 1.2.3 as 1.2.3.0, and an IPv4 address as the head of an IPv6 one.
      const { address } = rdata;
      if (type === A && isIPv4(address)) {
        return throughPacket({ type: 'A', name: '.', data: address });
      }
      if (type === AAAA && isIPv6(address) && !address.includes('%')) {
        return throughPacket({ type: 'AAAA', name: '.', data: address });
      }
      return undefined;
    }
    case 'texts': {
      if (rdata.texts.some((text) => text.length > CHARACTER_STRING_OCTETS_MAX)) return undefined;
      const data = rdata.texts.map((text) => Buffer.from(text));
      return throughPacket({ type: 'TXT', name: '.', data });
    }
    case 'hinfo': {
      const { cpu, os } = rdata;
      const longest = Math.max(Buffer.byteLength(cpu), Buffer.byteLength(os));
      if (longest > CHARACTER_STRING_OCTETS_MAX) return undefined;
      return throughPacket({ type: 'HINFO', name: '.', data: { cpu, os } });
    }
    case 'name':
      return nameFromText(rdata.target);
    case 'mx':
      return join([u16s(rdata.preference), nameFromText(rdata.target)]);
    case 'srv':
      return join([u16s(rdata.priority, rdata.weight, rdata.port), nameFromText(rdata.target)]);
    case 'soa': {
      const { serial, refresh, retry, expire, minimum } = rdata;
      return join([
        nameFromText(rdata.mname),
        nameFromText(rdata.rname),
        u32s(serial, refresh, retry, expire, minimum),
      ]);
    }
    default:
      rdata satisfies never;
      return undefined;
  }
}

/** A record in wire form, names uncompressed, or undefined if it cannot be written. */
export function encodeRecord(record: ResourceRecord): Uint8Array | undefined {
  const owner = nameFromText(record.name);
  const rdata = encodeRdata(record.type, record.rdata);
  if (owner === undefined || rdata === undefined) return undefined;
  if (rdata.length > RDATA_OCTETS_MAX) return undefined;
  const wire = new Uint8Array(owner.length + FIXED_OCTETS + rdata.length);
  wire.set(owner);
  const at = owner.length;
  writeU16(wire, at, record.type);
  writeU16(wire, at + 2, record.rrClass);
  writeU32(wire, at + 4, record.ttlSec);
  writeU16(wire, at + 8, rdata.length);
  wire.set(rdata, at + FIXED_OCTETS);
  return wire;
}

/**
 * Decodes the message in `msg`. Returns undefined if it is malformed: cut, a name that loops, RDATA
 * that does not hold what its type says. Octets behind the last record are ignored.
 */
export function decodeMessage(msg: Uint8Array): DecodedMessage | undefined {
  const packet = decoded(msg);
  if (packet === undefined) return undefined;
  const reader = new Reader(msg);
  const questions = (packet.questions ?? []).map(() => reader.question());
  const [answers, authorities, additionals] = [
    packet.answers ?? [],
    packet.authorities ?? [],
    packet.additionals ?? [],
  ].map((section) => section.map((record) => reader.record(record)));
  if (reader.malformed) return undefined;
  return {
    id: readU16(msg, 0),
    isResponse: (msg[2]! & QR) !== 0,
    opcode: opcodeOf(msg, 0),
    flags: readU16(msg, 2),
    rcode: msg[3]! & 0x0f,
    questions,
    answers: answers!,
    authorities: authorities!,
    additionals: additionals!,
  };
}

/** Walks the message behind dns-packet, which has found it readable, for names and numbers. */
class Reader {
  malformed = false;
  readonly #msg: Uint8Array;
  readonly #name = new Uint8Array(NAME_OCTETS_MAX);
  #at = HEADER_OCTETS;

  constructor(msg: Uint8Array) {
    this.#msg = msg;
  }

  question(): DecodedQuestion {
    const name = this.#nameHere();
    const at = this.#at;
    this.#at += 4;
    this.#checkEnd(this.#at);
    return { name, qtype: readU16(this.#msg, at), qclass: readU16(this.#msg, at + 2) };
  }

  record(packet: Answer): ResourceRecord {
    const msg = this.#msg;
    const name = this.#nameHere();
    const at = this.#at;
    const type = readU16(msg, at);
    const end = at + FIXED_OCTETS + readU16(msg, at + 8);
    this.#checkEnd(end);
    this.#at = at + FIXED_OCTETS;
    const rdata = this.malformed ? NOTHING : this.#rdata(type, end, packet);
    this.#at = end;
    return { name, type, rrClass: readU16(msg, at + 2), ttlSec: readU32(msg, at + 4), rdata };
  }

  #rdata(type: number, end: number, packet: Answer): Rdata {
    const msg = this.#msg;
    const at = this.#at;
    switch (type) {
      case A:
      case AAAA:
      case HINFO:
      case TXT:
        return packetRdata(packet, end - at) ?? this.#fail();
      case CNAME:
      case DNAME:
      case NS:
      case PTR:
        return this.#ended({ kind: 'name', target: this.#nameHere() }, end);
      case MX:
        this.#at += 2;
        return this.#ended(
          { kind: 'mx', preference: readU16(msg, at), target: this.#nameHere() },
          end,
        );
      case SRV: {
        this.#at += 6;
        const [priority, weight] = [readU16(msg, at), readU16(msg, at + 2)];
        const port = readU16(msg, at + 4);
        return this.#ended({ kind: 'srv', priority, weight, port, target: this.#nameHere() }, end);
      }
      case SOA: {
        const [mname, rname] = [this.#nameHere(), this.#nameHere()];
        const from = this.#at;
        this.#at += 20;
        const [serial, refresh, retry, expire, minimum] = [0, 4, 8, 12, 16].map((field) =>
          readU32(msg, from + field),
        );
        return this.#ended(
          {
            kind: 'soa',
            mname,
            rname,
            serial: serial!,
            refresh: refresh!,
            retry: retry!,
            expire: expire!,
            minimum: minimum!,
          },
          end,
        );
      }
      default:
        return { kind: 'octets', octets: msg.slice(at, end) };
    }
  }

  #nameHere(): string {
    const msg = this.#msg;
    if (this.malformed || expandName(msg, this.#at, msg.length, this.#name, 0) < 0) {
      this.malformed = true;
      return '.';
    }
    let next = this.#at;
    while (msg[next]! !== 0 && msg[next]! < 0xc0) next += msg[next]! + 1;
    this.#at = next + (msg[next] === 0 ? 1 : 2);
    return nameToText(this.#name);
  }

  #ended(rdata: Rdata, end: number): Rdata {
    return this.#at === end ? rdata : this.#fail();
  }

  #fail(): Rdata {
    this.malformed = true;
    return NOTHING;
  }

  #checkEnd(end: number): void {
    if (end > this.#msg.length) this.malformed = true;
  }
}

const NOTHING: Rdata = { kind: 'octets', octets: new Uint8Array(0) };

/**
 * The RDATA that dns-packet has read of a record whose RDATA of `octets` holds no name; undefined if
 * it has read another length than the record says.
 */
function packetRdata(packet: Answer, octets: number): Rdata | undefined {
  if (packet.type === 'A' || packet.type === 'AAAA') {
    if (octets !== (packet.type === 'A' ? 4 : 16)) return undefined;
    return { kind: 'address', address: packet.data };
  }
  if (packet.type === 'HINFO') {
    const { cpu, os } = packet.data;
    if (octets !== Buffer.byteLength(cpu) + Buffer.byteLength(os) + 2) return undefined;
    return { kind: 'hinfo', cpu, os };
  }
  if (packet.type === 'TXT') {
    const texts = Array.isArray(packet.data) ? packet.data : [packet.data];
    return { kind: 'texts', texts: texts.map((text) => Uint8Array.from(Buffer.from(text))) };
  }
  return undefined;
}

function decoded(msg: Uint8Array): ReturnType<typeof DnsPacket.decode> | undefined {
  try {
    return packet().decode(Buffer.from(msg.buffer, msg.byteOffset, msg.byteLength));
  } catch {
    return undefined;
  }
}

let loaded: typeof DnsPacket | undefined;

/** Loaded when it is first needed: 3 MB that a node with a plain Corefile never uses. */
function packet(): typeof DnsPacket {
  loaded ??= createRequire(import.meta.url)('dns-packet') as typeof DnsPacket;
  return loaded;
}

/** The RDATA of a record that dns-packet encodes: what follows a root owner and the fixed part. */
function throughPacket(answer: Answer): Uint8Array | undefined {
  try {
    const wire = packet().encode({ answers: [answer] });
    return Uint8Array.from(wire.subarray(HEADER_OCTETS + 1 + FIXED_OCTETS));
  } catch {
    return undefined;
  }
}

function u16s(...values: number[]): Uint8Array | undefined {
  if (values.some((value) => !Number.isInteger(value) || value < 0 || value > 0xffff)) {
    return undefined;
  }
  return Uint8Array.from(values.flatMap((value) => [value >> 8, value & 0xff]));
}

function u32s(...values: number[]): Uint8Array | undefined {
  if (values.some((value) => !Number.isInteger(value) || value < 0 || value > 0xffffffff)) {
    return undefined;
  }
  return Uint8Array.from(
    values.flatMap((value) => [
      value >>> 24,
      (value >>> 16) & 0xff,
      (value >>> 8) & 0xff,
      value & 0xff,
    ]),
  );
}

function join(parts: readonly (Uint8Array | undefined)[]): Uint8Array | undefined {
  const present = parts.filter((part) => part !== undefined);
  return present.length === parts.length ? Uint8Array.from(Buffer.concat(present)) : undefined;
}
