/**
 * RR types and classes by number and by name (RFC 6895 section 3, and IANA's registry).
 *
 * Owns:    the mnemonics, and TYPE12 or CLASS3 for numbers without one (RFC 3597 section 5).
 */
export const A = 1;
export const NS = 2;
export const CNAME = 5;
export const SOA = 6;
export const PTR = 12;
export const HINFO = 13;
export const MX = 15;
export const TXT = 16;
export const AAAA = 28;
export const SRV = 33;
export const NAPTR = 35;
export const DNAME = 39;
export const OPT = 41;
export const DS = 43;
export const RRSIG = 46;
export const IXFR = 251;
export const AXFR = 252;

export const IN = 1;

const TYPES: ReadonlyMap<number, string> = new Map([
  [1, 'A'],
  [2, 'NS'],
  [3, 'MD'],
  [4, 'MF'],
  [5, 'CNAME'],
  [6, 'SOA'],
  [7, 'MB'],
  [8, 'MG'],
  [9, 'MR'],
  [10, 'NULL'],
  [12, 'PTR'],
  [13, 'HINFO'],
  [14, 'MINFO'],
  [15, 'MX'],
  [16, 'TXT'],
  [17, 'RP'],
  [18, 'AFSDB'],
  [19, 'X25'],
  [20, 'ISDN'],
  [21, 'RT'],
  [23, 'NSAP-PTR'],
  [24, 'SIG'],
  [25, 'KEY'],
  [26, 'PX'],
  [27, 'GPOS'],
  [28, 'AAAA'],
  [29, 'LOC'],
  [30, 'NXT'],
  [31, 'EID'],
  [32, 'NIMLOC'],
  [33, 'SRV'],
  [34, 'ATMA'],
  [35, 'NAPTR'],
  [36, 'KX'],
  [37, 'CERT'],
  [39, 'DNAME'],
  [41, 'OPT'],
  [42, 'APL'],
  [43, 'DS'],
  [44, 'SSHFP'],
  [45, 'IPSECKEY'],
  [46, 'RRSIG'],
  [47, 'NSEC'],
  [48, 'DNSKEY'],
  [49, 'DHCID'],
  [50, 'NSEC3'],
  [51, 'NSEC3PARAM'],
  [52, 'TLSA'],
  [53, 'SMIMEA'],
  [55, 'HIP'],
  [56, 'NINFO'],
  [57, 'RKEY'],
  [58, 'TALINK'],
  [59, 'CDS'],
  [60, 'CDNSKEY'],
  [61, 'OPENPGPKEY'],
  [62, 'CSYNC'],
  [63, 'ZONEMD'],
  [64, 'SVCB'],
  [65, 'HTTPS'],
  [99, 'SPF'],
  [104, 'NID'],
  [105, 'L32'],
  [106, 'L64'],
  [107, 'LP'],
  [108, 'EUI48'],
  [109, 'EUI64'],
  [249, 'TKEY'],
  [250, 'TSIG'],
  [251, 'IXFR'],
  [252, 'AXFR'],
  [253, 'MAILB'],
  [254, 'MAILA'],
  [255, 'ANY'],
  [256, 'URI'],
  [257, 'CAA'],
  [258, 'AVC'],
  [260, 'AMTRELAY'],
]);
const TYPES_BY_NAME: ReadonlyMap<string, number> = new Map(
  [...TYPES].map(([type, name]) => [name, type]),
);

const CLASSES: ReadonlyMap<number, string> = new Map([
  [1, 'IN'],
  [2, 'CS'],
  [3, 'CH'],
  [4, 'HS'],
  [254, 'NONE'],
  [255, 'ANY'],
]);

/** `AAAA`, or `TYPE65280` (RFC 3597 section 5). */
export function typeName(type: number): string {
  return TYPES.get(type) ?? `TYPE${type}`;
}

/** The number of a type's upper-case name, `TYPEnnn` included, or undefined. */
export function typeFromName(name: string): number | undefined {
  return TYPES_BY_NAME.get(name) ?? unknownNumber('TYPE', name);
}

/** `IN`, or `CLASS5` (RFC 3597 section 5). */
export function className(rrClass: number): string {
  return CLASSES.get(rrClass) ?? `CLASS${rrClass}`;
}

/** The number of a class's upper-case name, `CLASSnnn` included, or undefined. */
export function classFromName(name: string): number | undefined {
  for (const [rrClass, text] of CLASSES) if (text === name) return rrClass;
  return unknownNumber('CLASS', name);
}

function unknownNumber(prefix: string, name: string): number | undefined {
  if (!name.startsWith(prefix) || !/^\d{1,5}$/.test(name.slice(prefix.length))) return undefined;
  const value = Number(name.slice(prefix.length));
  return value <= 0xffff ? value : undefined;
}
