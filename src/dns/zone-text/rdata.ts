/**
 * RDATA in the text of a zone file, type by type (RFC 1035 section 5.1, RFC 3597 section 5, and each
 * type's own RFC).
 *
 * Owns:    which fields a type has, in which form each is written.
 * Is not:  the wire form of what codec.ts has a kind for.
 */
import { isIPv4, isIPv6 } from 'node:net';
import type { Rdata } from '../codec.ts';
import { CHARACTER_STRING_OCTETS_MAX } from '../limits.ts';
import { nameFromText, nameToText } from '../name.ts';
import {
  A,
  AAAA,
  CNAME,
  DNAME,
  DS,
  HINFO,
  MX,
  NS,
  PTR,
  SOA,
  SRV,
  TXT,
  typeName,
} from '../rrtype.ts';
import { nameFromWord, octetsFromWord, ttlFromText } from './strings.ts';
import { serviceParameters } from './svcb.ts';
import { type Word, ZoneTextError } from './words.ts';

/** Reads the words behind the type. Throws ZoneTextError. */
export function rdataFromWords(type: number, words: readonly Word[], end: Word): Rdata {
  const reader = new FieldReader(typeName(type), words, end);
  if (words[0]?.text === '\\#' && !words[0].quoted) return reader.generic();
  const read = READERS.get(type);
  if (read === undefined) {
    throw new ZoneTextError(`${typeName(type)} can only be written as \\# LENGTH HEX here`, end);
  }
  const rdata = read(reader);
  reader.mustEnd();
  return rdata;
}

/** A field of a type that has no kind in codec.ts; its fields are written one after the other. */
type Field = 'u8' | 'u16' | 'u32' | 'name' | 'string' | 'algorithm' | 'hex' | 'base64' | 'rest';

const ADDRESS = (reader: FieldReader, type: number): Rdata => reader.address(type);
const SINGLE_NAME = (label: string) => (reader: FieldReader) =>
  ({ kind: 'name', target: reader.name(label) }) as const;
const TEXTS = (reader: FieldReader): Rdata => ({ kind: 'texts', texts: reader.strings('Txt') });
const FIELDS =
  (...fields: readonly (readonly [Field, string])[]) =>
  (reader: FieldReader): Rdata => ({ kind: 'octets', octets: reader.fields(fields) });

const DIGEST = FIELDS(
  ['u16', 'KeyTag'],
  ['algorithm', 'Algorithm'],
  ['u8', 'DigestType'],
  ['hex', 'Digest'],
);
const KEY = FIELDS(
  ['u16', 'Flags'],
  ['u8', 'Protocol'],
  ['algorithm', 'Algorithm'],
  ['base64', 'PublicKey'],
);
const CERTIFICATE = FIELDS(
  ['u8', 'Usage'],
  ['u8', 'Selector'],
  ['u8', 'MatchingType'],
  ['hex', 'Certificate'],
);
const PREFERRED = (label: string) => FIELDS(['u16', 'Preference'], ['name', label]);
const SERVICE = (reader: FieldReader): Rdata => {
  const head = reader.fields([
    ['u16', 'Priority'],
    ['name', 'Target'],
  ]);
  return { kind: 'octets', octets: joined([head, serviceParameters(reader.rest())]) };
};

const READERS: ReadonlyMap<number, (reader: FieldReader) => Rdata> = new Map<
  number,
  (reader: FieldReader) => Rdata
>([
  [A, (reader) => ADDRESS(reader, A)],
  [AAAA, (reader) => ADDRESS(reader, AAAA)],
  [NS, SINGLE_NAME('Ns')],
  [3, SINGLE_NAME('Md')],
  [4, SINGLE_NAME('Mf')],
  [CNAME, SINGLE_NAME('Target')],
  [7, SINGLE_NAME('Mb')],
  [8, SINGLE_NAME('Mg')],
  [9, SINGLE_NAME('Mr')],
  [PTR, SINGLE_NAME('Ptr')],
  [DNAME, SINGLE_NAME('Target')],
  [SOA, soa],
  [TXT, TEXTS],
  [99, TEXTS], // SPF
  [258, TEXTS], // AVC
  [HINFO, FIELDS(['string', 'Cpu'], ['string', 'Os'])],
  [14, FIELDS(['name', 'Rmail'], ['name', 'Email'])], // MINFO
  [
    MX,
    (reader) => ({
      kind: 'mx',
      preference: reader.number('Pref', 0xffff),
      target: reader.name('Mx'),
    }),
  ],
  [17, FIELDS(['name', 'Mbox'], ['name', 'Txt'])], // RP
  [18, FIELDS(['u16', 'Subtype'], ['name', 'Hostname'])], // AFSDB
  [21, PREFERRED('Host')], // RT
  [26, FIELDS(['u16', 'Preference'], ['name', 'Map822'], ['name', 'Mapx400'])], // PX
  [29, (reader) => ({ kind: 'octets', octets: reader.location() })],
  [
    SRV,
    (reader) => ({
      kind: 'srv',
      priority: reader.number('Priority', 0xffff),
      weight: reader.number('Weight', 0xffff),
      port: reader.number('Port', 0xffff),
      target: reader.name('Target'),
    }),
  ],
  [
    35, // NAPTR, RFC 3403
    FIELDS(
      ['u16', 'Order'],
      ['u16', 'Preference'],
      ['string', 'Flags'],
      ['string', 'Service'],
      ['string', 'Regexp'],
      ['name', 'Replacement'],
    ),
  ],
  [36, PREFERRED('Exchanger')], // KX
  [DS, DIGEST],
  [44, FIELDS(['u8', 'Algorithm'], ['u8', 'Type'], ['hex', 'FingerPrint'])], // SSHFP
  [48, KEY], // DNSKEY
  [49, FIELDS(['base64', 'Digest'])], // DHCID
  [52, CERTIFICATE], // TLSA
  [53, CERTIFICATE], // SMIMEA
  [59, DIGEST], // CDS
  [60, KEY], // CDNSKEY
  [61, FIELDS(['base64', 'PublicKey'])], // OPENPGPKEY
  [64, SERVICE], // SVCB, RFC 9460
  [65, SERVICE], // HTTPS
  [256, FIELDS(['u16', 'Priority'], ['u16', 'Weight'], ['rest', 'Target'])], // URI, RFC 7553
  [257, FIELDS(['u8', 'Flag'], ['string', 'Tag'], ['rest', 'Value'])], // CAA, RFC 8659
]);

/** DNSSEC's algorithms may be named (RFC 4034 appendix A.1, and IANA's registry). */
const ALGORITHMS: ReadonlyMap<string, number> = new Map([
  ['RSAMD5', 1],
  ['DH', 2],
  ['DSA', 3],
  ['RSASHA1', 5],
  ['DSA-NSEC3-SHA1', 6],
  ['RSASHA1-NSEC3-SHA1', 7],
  ['RSASHA256', 8],
  ['RSASHA512', 10],
  ['ECC-GOST', 12],
  ['ECDSAP256SHA256', 13],
  ['ECDSAP384SHA384', 14],
  ['ED25519', 15],
  ['ED448', 16],
  ['INDIRECT', 252],
  ['PRIVATEDNS', 253],
  ['PRIVATEOID', 254],
]);

const U32_MAX = 0xffff_ffff;

function soa(reader: FieldReader): Rdata {
  const [mname, rname] = [reader.name('Ns'), reader.name('Mbox')];
  const label = 'zone parameter';
  return {
    kind: 'soa',
    mname,
    rname,
    serial: reader.number(label, U32_MAX),
    refresh: reader.duration(label),
    retry: reader.duration(label),
    expire: reader.duration(label),
    minimum: reader.duration(label),
  };
}

class FieldReader {
  readonly #type: string;
  readonly #words: readonly Word[];
  /** Where the text ends, for what is missing. */
  readonly #end: Word;
  #next = 0;

  constructor(type: string, words: readonly Word[], end: Word) {
    this.#type = type;
    this.#words = words;
    this.#end = end;
  }

  /** RFC 3597 section 5. */
  generic(): Rdata {
    this.#next = 1;
    const octets = this.number('length', 0xffff);
    const data = this.#hex('Rdata');
    if (data.length !== octets) throw this.#bad('length', this.#words[1]!);
    return { kind: 'octets', octets: data };
  }

  mustEnd(): void {
    const word = this.#words[this.#next];
    if (word !== undefined) throw new ZoneTextError('garbage after rdata', word);
  }

  address(type: number): Rdata {
    const word = this.#word(this.#type);
    const { text } = word;
    const fits = type === A ? isIPv4(text) : isIPv6(text) && !text.includes('%');
    if (!fits) throw this.#bad(this.#type, word);
    return { kind: 'address', address: text };
  }

  /** In presentation form, with its final dot. */
  name(label: string): string {
    const word = this.#word(label);
    const name = nameFromWord(word);
    if (name === undefined) throw this.#bad(label, word);
    return nameToText(name);
  }

  number(label: string, max: number): number {
    const word = this.#word(label);
    const value = /^\d{1,10}$/.test(word.text) ? Number(word.text) : Infinity;
    if (value > max) throw this.#bad(label, word);
    return value;
  }

  /** Seconds, or with units as a TTL. */
  duration(label: string): number {
    const word = this.#word(label);
    const seconds = ttlFromText(word.text);
    if (seconds === undefined) throw this.#bad(label, word);
    return seconds;
  }

  /** At least one character-string. */
  strings(label: string): readonly Uint8Array[] {
    const texts = [this.#string(label)];
    while (this.#next < this.#words.length) texts.push(this.#string(label));
    return texts;
  }

  fields(fields: readonly (readonly [Field, string])[]): Uint8Array {
    return joined(fields.map(([field, label]) => this.#field(field, label)));
  }

  /** RFC 1876: `d1 [m1 [s1]] N|S d2 [m2 [s2]] E|W alt[m] [size[m] [hp[m] [vp[m]]]]`. */
  location(): Uint8Array {
    const latitude = this.#degrees('Latitude', 90, 'N', 'S');
    const longitude = this.#degrees('Longitude', 180, 'E', 'W');
    const altitude = this.#centimetres('Altitude', -10_000_000, U32_MAX - 10_000_000);
    const precisions = [100, 1_000_000, 1000].map((otherwise) =>
      this.#next < this.#words.length ? this.#centimetres('Size', 0, 9_000_000_000) : otherwise,
    );
    return joined([
      Uint8Array.of(0, ...precisions.map(mantissaAndPower)),
      big(latitude, 4),
      big(longitude, 4),
      big(altitude + 10_000_000, 4),
    ]);
  }

  rest(): readonly Word[] {
    const words = this.#words.slice(this.#next);
    this.#next = this.#words.length;
    return words;
  }

  #field(field: Field, label: string): Uint8Array {
    switch (field) {
      case 'u8':
        return Uint8Array.of(this.number(label, 0xff));
      case 'u16':
        return big(this.number(label, 0xffff), 2);
      case 'u32':
        return big(this.number(label, U32_MAX), 4);
      case 'name':
        return nameFromText(this.name(label))!;
      case 'string': {
        const octets = this.#string(label);
        return joined([Uint8Array.of(octets.length), octets]);
      }
      case 'algorithm': {
        const named = ALGORITHMS.get(this.#words[this.#next]?.text.toUpperCase() ?? '');
        if (named === undefined) return this.#field('u8', label);
        this.#next++;
        return Uint8Array.of(named);
      }
      case 'hex':
        return this.#hex(label);
      case 'base64': {
        const [first] = [this.#words[this.#next] ?? this.#end];
        const text = this.#joinedRest(label);
        if (!/^(?:[\w+/-]{4})*(?:[\w+/-]{2}==|[\w+/-]{3}=)?$/.test(text) || text.includes('_')) {
          throw this.#bad(label, first);
        }
        return Uint8Array.from(Buffer.from(text, 'base64'));
      }
      case 'rest': {
        const word = this.#word(label);
        const octets = octetsFromWord(word.text);
        if (octets === undefined) throw this.#bad(label, word);
        return octets;
      }
      default:
        return field satisfies never;
    }
  }

  /** The rest, as one hexadecimal number; blanks may stand anywhere in it. */
  #hex(label: string): Uint8Array {
    const first = this.#words[this.#next] ?? this.#end;
    const text = this.#next < this.#words.length ? this.#joinedRest(label) : '';
    if (text.length % 2 !== 0 || !/^[\da-fA-F]*$/.test(text)) throw this.#bad(label, first);
    return Uint8Array.from(Buffer.from(text, 'hex'));
  }

  #joinedRest(label: string): string {
    if (this.#next === this.#words.length) throw this.#bad(label, this.#end);
    return this.rest()
      .map(({ text }) => text)
      .join('');
  }

  #string(label: string): Uint8Array {
    const word = this.#word(label);
    const octets = octetsFromWord(word.text);
    if (octets === undefined || octets.length > CHARACTER_STRING_OCTETS_MAX) {
      throw this.#bad(label, word);
    }
    return octets;
  }

  /** In thousandths of a second of arc, 2^31 standing for the equator or prime meridian. */
  #degrees(label: string, max: number, positive: string, negative: string): number {
    const parts: number[] = [];
    for (;;) {
      const word = this.#word(label);
      const { text } = word;
      if (parts.length > 0 && (text === positive || text === negative)) {
        const [degrees = 0, minutes = 0, seconds = 0] = parts;
        const thousandths = Math.round(((degrees * 60 + minutes) * 60 + seconds) * 1000);
        if (minutes >= 60 || seconds >= 60 || thousandths > max * 3_600_000) {
          throw this.#bad(label, word);
        }
        return 2 ** 31 + (text === positive ? thousandths : -thousandths);
      }
      const form = parts.length === 2 ? /^\d{1,2}(?:\.\d{1,3})?$/ : /^\d{1,3}$/;
      if (parts.length === 3 || !form.test(text)) throw this.#bad(label, word);
      parts.push(Number(text));
    }
  }

  #centimetres(label: string, min: number, max: number): number {
    const word = this.#word(label);
    const found = /^(-?\d{1,8}(?:\.\d{1,2})?)m?$/.exec(word.text);
    const value = found === null ? NaN : Math.round(Number(found[1]) * 100);
    if (!(value >= min && value <= max)) throw this.#bad(label, word);
    return value;
  }

  #word(label: string): Word {
    const word = this.#words[this.#next++];
    if (word === undefined) throw this.#bad(label, this.#end);
    return word;
  }

  #bad(label: string, word: Word): ZoneTextError {
    return new ZoneTextError(`bad ${this.#type} ${label}`, word);
  }
}

function big(value: number, octets: number): Uint8Array {
  return Uint8Array.from({ length: octets }, (_, i) => Math.floor(value / 256 ** (octets - 1 - i)));
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

/** Centimetres as a digit and a power of ten (RFC 1876 section 2). */
function mantissaAndPower(centimetres: number): number {
  let power = 0;
  let mantissa = centimetres;
  while (mantissa >= 10) {
    mantissa = Math.floor(mantissa / 10);
    power++;
  }
  return (mantissa << 4) | power;
}
