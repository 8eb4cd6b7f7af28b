/**
 * The data that a template is executed with: CoreDNS's `templateData`, and the parts of miekg/dns reached from
 * it. Names of fields and types are those of CoreDNS, whose templates are written for them.
 *
 * Owns:    the fields and methods that a template can reach, and the functions besides Go's.
 */
import { type TemplateFunction } from '../../gotemplate/functions.ts';
import { TemplateError } from '../../gotemplate/error.ts';
import { octetsOf, quoteOctets } from '../../gotemplate/octets.ts';
import {
  Dictionary,
  Integer,
  List,
  Struct,
  type StructType,
  type Value,
} from '../../gotemplate/values.ts';
import {
  AA,
  AD,
  CD,
  HEADER_OCTETS,
  QR,
  RA,
  RCODE_MASK,
  RD,
  TC,
  readU16,
} from '../../dns/header.ts';
import { nameToText } from '../../dns/name.ts';
import { className, typeName } from '../../dns/rrtype.ts';
import type { Query } from '../../query/query.ts';

/** One query that a template has matched. */
export interface Matched {
  readonly query: Query;
  /** The longest of the template's zones that the name is in. */
  readonly zone: string;
  /** As text; those of the template where the query says ANY. */
  readonly rrClass: string;
  readonly type: string;
  /** The expression's source, what it matched, and the numbers of its named groups. */
  readonly regex: string;
  readonly match: readonly (string | undefined)[];
  readonly groupNames: ReadonlyMap<string, number>;
}

export function dataOf(matched: Matched): Value {
  return Struct.of(TEMPLATE_DATA, matched);
}

const QUESTION: StructType<Query> = {
  name: '*dns.Question',
  fields: {
    Name: (query) => nameToText(query.msg, HEADER_OCTETS),
    Qtype: (query) => u16(query.qtype),
    Qclass: (query) => u16(query.qclass),
  },
  methods: { String: { parameters: [], call: printQuestion } },
  print: printQuestion,
};

const MESSAGE: StructType<Query> = {
  name: '*dns.Msg',
  fields: {
    Id: ({ msg }) => u16(readU16(msg, 0)),
    Response: flag(2, QR),
    Opcode: ({ opcode }) => new Integer('int', BigInt(opcode)),
    Authoritative: flag(2, AA),
    Truncated: flag(2, TC),
    RecursionDesired: flag(2, RD),
    RecursionAvailable: flag(3, RA),
    Zero: flag(3, 0x40),
    AuthenticatedData: flag(3, AD),
    CheckingDisabled: flag(3, CD),
    Rcode: ({ msg }) => new Integer('int', BigInt(msg[3]! & RCODE_MASK)),
    Question: (query) => new List('dns.Question', [Struct.of(QUESTION, query)]),
  },
  methods: {},
  print: () => MESSAGE.name,
};

const TEMPLATE_DATA: StructType<Matched> = {
  name: '*template.templateData',
  fields: {
    Zone: ({ zone }) => octetsOf(zone),
    Name: ({ query }) => query.name,
    Regex: ({ regex }) => octetsOf(regex),
    Match: ({ match }) => new List('string', match.map(groupText)),
    Group: groups,
    Class: ({ rrClass }) => rrClass,
    Type: ({ type }) => type,
    Message: ({ query }) => Struct.of(MESSAGE, query),
    Question: ({ query }) => Struct.of(QUESTION, query),
    Remote: ({ query }) => query.client?.remoteAddress ?? '',
  },
  methods: {
    Meta: {
      parameters: ['string'],
      call: ({ query }, [label]) => octetsOf(query.metadata?.get(label as string) ?? ''),
    },
  },
  print: () => TEMPLATE_DATA.name,
};

/** The types behind `.Message` and `.Question`, for checking a template before it is executed. */
const BEHIND: Readonly<Record<string, StructType<Query>>> = {
  Message: MESSAGE,
  Question: QUESTION,
};

export type PathFault = 'unknown' | 'unsupported' | undefined;

/**
 * Whether a path of fields leads nowhere: because CoreDNS's data has no such field, or because its
 * message has more than ours.
 */
export function faultOfPath([first, second]: readonly string[]): PathFault {
  if (first === undefined || Object.hasOwn(TEMPLATE_DATA.methods, first)) return undefined;
  if (!Object.hasOwn(TEMPLATE_DATA.fields, first)) return 'unknown';
  const behind = Object.hasOwn(BEHIND, first) ? BEHIND[first] : undefined;
  if (behind === undefined || second === undefined) return undefined;
  const known = Object.hasOwn(behind.fields, second) || Object.hasOwn(behind.methods, second);
  return known ? undefined : 'unsupported';
}

/** The functions that CoreDNS adds to Go's own. */
export const FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  parseInt: {
    parameters: ['string', 'int', 'int'],
    call: ([text, base, bits]) =>
      parseUnsigned(text as string, (base as Integer).value, (bits as Integer).value),
  },
};

const DIGITS = '0123456789abcdefghijklmnopqrstuvwxyz';
const PREFIXES: ReadonlyMap<string, bigint> = new Map([
  ['0b', 2n],
  ['0o', 8n],
  ['0x', 16n],
]);
/** Digits of a 64-bit number in base 2, and as many leading zeros as a name has room for. */
const LENGTH_MAX = 1100;

/** Go's strconv.ParseUint; base 0 goes by the prefix. */
function parseUnsigned(text: string, base: bigint, bits: bigint): Integer {
  const fault = (reason: string): TemplateError =>
    new TemplateError(`strconv.ParseUint: parsing ${quoteOctets(text)}: ${reason}`);
  if (text === '') throw fault('invalid syntax');
  if (base !== 0n && (base < 2n || base > 36n)) throw fault(`invalid base ${base}`);
  if (bits < 0n || bits > 64n) throw fault(`invalid bit size ${bits}`);
  const [radix, digits] = base === 0n ? prefixed(text) : [base, text];
  if (digits === '' || digits.length > LENGTH_MAX) throw fault('invalid syntax');
  const max = 2n ** (bits === 0n ? 64n : bits) - 1n;
  let value = 0n;
  for (const character of digits.toLowerCase()) {
    const digit = DIGITS.indexOf(character);
    if (digit === -1 || BigInt(digit) >= radix) throw fault('invalid syntax');
    // A bad digit further on is reported rather than the range.
    if (value <= max) value = value * radix + BigInt(digit);
  }
  if (value > max) throw fault('value out of range');
  return new Integer('uint64', value);
}

function prefixed(text: string): readonly [bigint, string] {
  const plain = text.replaceAll(/(?<=[\da-zA-Z])_(?=[\da-zA-Z])/g, '');
  const radix = PREFIXES.get(plain.slice(0, 2).toLowerCase());
  if (radix !== undefined) return [radix, plain.slice(2)];
  return plain.length > 1 && plain.startsWith('0') ? [8n, plain.slice(1)] : [10n, plain];
}

/** The groups by number, and by name. */
function groups({ match, groupNames }: Matched): Dictionary {
  const entries = new Map(match.map((group, i) => [String(i), groupText(group)]));
  for (const [name, number] of groupNames) entries.set(name, groupText(match[number]));
  return new Dictionary(entries);
}

/** A group that took no part is empty. */
function groupText(group: string | undefined): string {
  return group ?? '';
}

/** As miekg/dns prints it. */
function printQuestion(query: Query): string {
  const name = nameToText(query.msg, HEADER_OCTETS);
  return `;${name}\t${className(query.qclass)}\t ${typeName(query.qtype)}`;
}

function flag(octet: number, mask: number): (query: Query) => boolean {
  return ({ msg }) => (msg[octet]! & mask) !== 0;
}

function u16(value: number): Integer {
  return new Integer('uint16', BigInt(value));
}
