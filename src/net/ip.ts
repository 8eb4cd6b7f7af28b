/**
 * IP addresses as text, with Go's strictness: no leading zeros in IPv4, no ports, no brackets.
 *
 * Owns:    the octets, Go's spelling (RFC 5952), and CIDR notation.
 * Callers: decide whether an IPv6 zone (`%eth0`) is allowed where they stand.
 */
export interface IpAddress {
  /** `::ffff:192.0.2.1` is IPv4, as it is to Go. */
  readonly family: 4 | 6;
  /** 4 or 16 of them. */
  readonly octets: Uint8Array;
  /** The text after the `%` of a link-local IPv6 address, else undefined. */
  readonly zone: string | undefined;
  /** As Go prints it, zone included. */
  readonly text: string;
}

export interface IpNetwork {
  readonly family: 4 | 6;
  /** The address with all bits beyond the prefix cleared. */
  readonly octets: Uint8Array;
  readonly prefixLength: number;
  /** As Go prints it: `10.0.2.0/23`. */
  readonly text: string;
}

/** Undefined if `text` is not an IP address. */
export function ipFromText(text: string): IpAddress | undefined {
  const percent = text.indexOf('%');
  const zone = percent === -1 ? undefined : text.slice(percent + 1);
  const octets = ipOctets(percent === -1 ? text : text.slice(0, percent));
  if (octets === undefined || zone === '') return undefined;
  if (zone !== undefined && octets.length === 4) return undefined;
  const plain = unmapped(octets);
  const suffix = zone === undefined ? '' : `%${zone}`;
  return {
    family: plain.length === 4 ? 4 : 6,
    octets: plain,
    zone,
    text: `${ipToText(plain)}${suffix}`,
  };
}

/** `ADDRESS/PREFIXLENGTH`; undefined if `text` is not that. Bits beyond the prefix are cleared. */
export function networkFromText(text: string): IpNetwork | undefined {
  const slash = text.indexOf('/');
  if (slash === -1) return undefined;
  const octets = ipOctets(text.slice(0, slash));
  const digits = text.slice(slash + 1);
  if (octets === undefined || !/^\d{1,4}$/.test(digits)) return undefined;
  const prefixLength = Number(digits);
  if (prefixLength > octets.length * 8) return undefined;
  const masked = octets.map((octet, i) => {
    const bits = Math.min(8, Math.max(0, prefixLength - i * 8));
    return octet & (0xff00 >> bits);
  });
  return {
    family: masked.length === 4 ? 4 : 6,
    octets: masked,
    prefixLength,
    text: `${ipToText(masked)}/${prefixLength}`,
  };
}

/** Dotted quad for 4 octets; for 16 the shortest IPv6 form (RFC 5952 section 4). */
export function ipToText(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join('.');
  const groups = Array.from({ length: 8 }, (_, i) => (octets[i * 2]! << 8) | octets[i * 2 + 1]!);
  const gap = longestZeros(groups);
  if (gap.length < 2) return hexGroups(groups);
  return `${hexGroups(groups.slice(0, gap.at))}::${hexGroups(groups.slice(gap.at + gap.length))}`;
}

function hexGroups(groups: readonly number[]): string {
  return groups.map((group) => group.toString(16)).join(':');
}

function longestZeros(groups: readonly number[]): { at: number; length: number } {
  let best = { at: 0, length: 0 };
  for (let at = 0; at < groups.length; at++) {
    let end = at;
    while (groups[end] === 0) end++;
    if (end - at > best.length) best = { at, length: end - at };
  }
  return best;
}

/** Whether the 16 octets at `at` are an IPv4 address in IPv6's form, `::ffff:a.b.c.d`. Hot path, stop 1. */
export function isMapped(octets: Uint8Array, at: number): boolean {
  for (let i = 0; i < 10; i++) if (octets[at + i] !== 0) return false;
  return octets[at + 10] === 0xff && octets[at + 11] === 0xff;
}

/** The 4 octets of an IPv4 address in IPv6's form; any other address as it is. */
export function unmapped(octets: Uint8Array): Uint8Array {
  return octets.length === 16 && isMapped(octets, 0) ? octets.slice(12) : octets;
}

/** The 4 or 16 octets as the text has them, a mapped address as 16; undefined if it is none. */
export function ipOctets(text: string): Uint8Array | undefined {
  if (!text.includes(':')) return quadOctets(text);
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = groupOctets(halves[0]!, halves.length === 1);
  if (head === undefined) return undefined;
  if (halves.length === 1) return head.length === 16 ? Uint8Array.from(head) : undefined;
  const tail = groupOctets(halves[1]!, true);
  // The "::" stands for at least one group.
  if (tail === undefined || head.length + tail.length > 14) return undefined;
  const octets = new Uint8Array(16);
  octets.set(head, 0);
  octets.set(tail, 16 - tail.length);
  return octets;
}

/** The octets of groups with single colons between them; the last may be a dotted quad. */
function groupOctets(text: string, isEnd: boolean): number[] | undefined {
  if (text === '') return [];
  const groups = text.split(':');
  if (groups.length > 8) return undefined;
  const octets: number[] = [];
  for (const [i, group] of groups.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
      const value = Number.parseInt(group, 16);
      octets.push(value >> 8, value & 0xff);
      continue;
    }
    const quad = isEnd && i === groups.length - 1 ? quadOctets(group) : undefined;
    if (quad === undefined) return undefined;
    octets.push(...quad);
  }
  return octets;
}

function quadOctets(text: string): Uint8Array | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  const octets = new Uint8Array(4);
  for (const [i, part] of parts.entries()) {
    if (!/^(?:0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    octets[i] = Number(part);
  }
  return octets;
}
