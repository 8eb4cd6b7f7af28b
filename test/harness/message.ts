/**
 * DNS messages for tests, octet by octet, so that wrong ones can be made as easily as right ones.
 *
 * Is not:  the daemon's own code: a mistake there must not be able to hide here.
 */
import { decode } from 'dns-packet';

export const TYPES = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  DS: 43,
  RRSIG: 46,
  ANY: 255,
} as const;
export type TypeName = keyof typeof TYPES;

export const QR = 0x8000;
export const AA = 0x0400;
export const TC = 0x0200;
export const RD = 0x0100;
export const RA = 0x0080;
export const AD = 0x0020;
export const CD = 0x0010;

export const NOERROR = 0;
export const FORMERR = 1;
export const SERVFAIL = 2;
export const NXDOMAIN = 3;
export const NOTIMP = 4;
export const REFUSED = 5;
export const BADVERS = 16;

const CLASS_IN = 1;
export const CLASS_CH = 3;

const HEADER_OCTETS = 12;

export function u16(value: number): Buffer {
  return Buffer.of((value >> 8) & 0xff, value & 0xff);
}

export function u32(value: number): Buffer {
  const octets = Buffer.alloc(4);
  octets.writeUInt32BE(value);
  return octets;
}

/** A name on the wire, spelled as given, uncompressed. No escapes. */
export function wireName(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '');
  return Buffer.concat([
    ...labels.flatMap((label) => [Buffer.of(label.length), Buffer.from(label, 'latin1')]),
    Buffer.of(0),
  ]);
}

export interface EdnsOptions {
  readonly payload?: number;
  readonly version?: number;
  readonly dnssecOk?: boolean;
  /** The OPT's data, well-formed or not. */
  readonly data?: Buffer;
  /** The RDLENGTH to write, if not the true one. */
  readonly length?: number;
}

export function opt(options: EdnsOptions = {}): Buffer {
  const data = options.data ?? Buffer.alloc(0);
  return Buffer.concat([
    Buffer.of(0),
    u16(TYPES.OPT),
    u16(options.payload ?? 1232),
    Buffer.of(0, options.version ?? 0, options.dnssecOk === true ? 0x80 : 0, 0),
    u16(options.length ?? data.length),
    data,
  ]);
}

/** An EDNS option. */
export function option(code: number, data: Buffer): Buffer {
  return Buffer.concat([u16(code), u16(data.length), data]);
}

export interface QueryOptions {
  readonly id?: number;
  /** Header flags besides the opcode; RD unless given. */
  readonly flags?: number;
  readonly opcode?: number;
  readonly qclass?: number;
  readonly edns?: EdnsOptions;
  /** QDCOUNT to ARCOUNT, if not the truth. */
  readonly counts?: readonly [number, number, number, number];
  /** Octets behind the last record. */
  readonly trailing?: Buffer;
}

let lastId = 0;

export function header(id: number, flags: number, counts: readonly number[]): Buffer {
  return Buffer.concat([u16(id), u16(flags), ...counts.map(u16)]);
}

/** A query. `type` may be any number. */
export function query(name: string, type: TypeName | number, options: QueryOptions = {}): Buffer {
  lastId = (lastId + 1) & 0xffff;
  const { id = lastId, flags = RD, opcode = 0, qclass = CLASS_IN, edns, trailing } = options;
  const additional = edns === undefined ? 0 : 1;
  return Buffer.concat([
    header(id, flags | (opcode << 11), options.counts ?? [1, 0, 0, additional]),
    wireName(name),
    u16(typeof type === 'number' ? type : TYPES[type]),
    u16(qclass),
    ...(edns === undefined ? [] : [opt(edns)]),
    ...(trailing === undefined ? [] : [trailing]),
  ]);
}

/** A resource record of class IN. */
function record(name: string, type: TypeName, ttlSec: number, data: Buffer): Buffer {
  return Buffer.concat([
    wireName(name),
    u16(TYPES[type]),
    u16(CLASS_IN),
    u32(ttlSec),
    u16(data.length),
    data,
  ]);
}

export function aRecord(name: string, ttlSec: number, address: string = '192.0.2.1'): Buffer {
  return record(name, 'A', ttlSec, Buffer.from(address.split('.').map(Number)));
}

/** AAAA of 2001:db8::`last`. */
export function aaaaRecord(name: string, ttlSec: number, last: number = 1): Buffer {
  return record(name, 'AAAA', ttlSec, Buffer.from(`20010db8${'00'.repeat(11)}0${last}`, 'hex'));
}

export function cnameRecord(name: string, ttlSec: number, target: string): Buffer {
  return record(name, 'CNAME', ttlSec, wireName(target));
}

export function nsRecord(name: string, ttlSec: number, target: string): Buffer {
  return record(name, 'NS', ttlSec, wireName(target));
}

export function soaRecord(zone: string, ttlSec: number, minimumSec: number): Buffer {
  const numbers = [1, 3600, 600, 86_400, minimumSec].map(u32);
  const data = Buffer.concat([wireName(`ns.${zone}`), wireName(`admin.${zone}`), ...numbers]);
  return record(zone, 'SOA', ttlSec, data);
}

export function txtRecord(name: string, ttlSec: number, octets: number): Buffer {
  const strings: Buffer[] = [];
  for (let left = octets; left > 0; left -= 256) {
    const length = Math.min(left, 256) - 1;
    strings.push(Buffer.of(length), Buffer.alloc(length, 'x'));
  }
  return record(name, 'TXT', ttlSec, Buffer.concat(strings));
}

export interface ResponseOptions {
  readonly id?: number;
  /** Flags besides QR and the query's RD, e.g. RA | AA. RA unless given. */
  readonly flags?: number;
  readonly rcode?: number;
  readonly answers?: readonly Buffer[];
  readonly authorities?: readonly Buffer[];
  readonly additionals?: readonly Buffer[];
  /** The question section, if not the query's own. */
  readonly question?: Buffer;
}

/** The octets of the question of `message`, which must be well-formed. */
export function questionOf(message: Buffer): Buffer {
  let at = HEADER_OCTETS;
  while (message[at]! !== 0) at += message[at]! + 1;
  return message.subarray(HEADER_OCTETS, at + 5);
}

/** A response to the query in `message`. */
export function responseTo(message: Buffer, options: ResponseOptions = {}): Buffer {
  const { answers = [], authorities = [], additionals = [] } = options;
  const flags =
    QR | (message.readUInt16BE(2) & RD) | (options.flags ?? RA) | (options.rcode ?? NOERROR);
  return Buffer.concat([
    header(options.id ?? message.readUInt16BE(0), flags, [
      1,
      answers.length,
      authorities.length,
      additionals.length,
    ]),
    options.question ?? questionOf(message),
    ...answers,
    ...authorities,
    ...additionals,
  ]);
}

/**
 * Where the last record that the header announces ends, by the lengths in the message; what RDATA
 * holds is not looked at. Throws if that is beyond the message.
 */
export function recordsEndAt(message: Buffer): number {
  const counts = [4, 6, 8, 10].map((at) => message.readUInt16BE(at));
  let at = HEADER_OCTETS;
  for (const [section, count] of counts.entries()) {
    for (let left = count; left > 0; left--) {
      while (message.readUInt8(at) !== 0 && message[at]! < 0xc0) at += message[at]! + 1;
      at += message.readUInt8(at) === 0 ? 1 : 2;
      at += section === 0 ? 4 : 10 + message.readUInt16BE(at + 8);
    }
  }
  return at;
}

/** A name as text, as spelled; the message must be well-formed and the name uncompressed. */
export function nameAt(message: Buffer, at: number): string {
  const labels: string[] = [];
  while (message[at]! !== 0) {
    labels.push(message.toString('latin1', at + 1, at + 1 + message[at]!));
    at += message[at]! + 1;
  }
  return labels.join('.');
}

export interface ReplyRecord {
  readonly name: string;
  readonly type: string;
  readonly ttl: number;
  readonly data: unknown;
}

/** A response that a client received. */
export class Reply {
  readonly wire: Buffer;
  readonly id: number;
  readonly flags: number;
  /** With its extended bits. */
  readonly rcode: number;
  /** QDCOUNT to ARCOUNT. */
  readonly counts: readonly number[];
  /** As spelled; undefined if there is no question. */
  readonly question: { name: string; type: number; qclass: number } | undefined;
  readonly answers: readonly ReplyRecord[];
  readonly authorities: readonly ReplyRecord[];
  /** Without the OPT. */
  readonly additionals: readonly ReplyRecord[];
  readonly opt:
    { payload: number; dnssecOk: boolean; version: number; codes: number[] } | undefined;

  /** Throws if the octets are no well-formed message. */
  constructor(wire: Buffer) {
    this.wire = wire;
    this.id = wire.readUInt16BE(0);
    this.flags = wire.readUInt16BE(2);
    this.counts = [4, 6, 8, 10].map((at) => wire.readUInt16BE(at));
    const packet = decode(wire);
    const records = [packet.answers, packet.authorities, packet.additionals].map(
      (section) => (section ?? []) as unknown as (ReplyRecord & Record<string, unknown>)[],
    );
    this.answers = records[0]!;
    this.authorities = records[1]!;
    this.additionals = records[2]!.filter(({ type }) => type !== 'OPT');
    const found = records[2]!.find(({ type }) => type === 'OPT');
    const extended = Number(found?.['extendedRcode'] ?? 0);
    this.rcode = (extended << 4) | (this.flags & 0x0f);
    this.opt =
      found === undefined
        ? undefined
        : {
            payload: Number(found['udpPayloadSize']),
            dnssecOk: Boolean(found['flag_do']),
            version: Number(found['ednsVersion']),
            codes: (found['options'] as { code: number }[]).map(({ code }) => code),
          };
    if (this.counts[0] === 1) {
      const end = HEADER_OCTETS + questionOf(wire).length;
      this.question = {
        name: nameAt(wire, HEADER_OCTETS),
        type: wire.readUInt16BE(end - 4),
        qclass: wire.readUInt16BE(end - 2),
      };
    }
  }

  has(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }

  /** The TTLs of all records but the OPT. */
  get ttls(): number[] {
    return [...this.answers, ...this.authorities, ...this.additionals].map(({ ttl }) => ttl);
  }
}
