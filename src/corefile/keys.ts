/**
 * Zones: the keys of server blocks (`[scheme://]zone[:port]`), and the zone arguments of directives.
 *
 * Owns:    schemes and their ports, CIDR to reverse zones, the normalized form of a zone.
 * Is not:  concerned with duplicate keys, which depend on `bind`: directives/configure.ts.
 */
import { lowerText, nameFromText, nameToText } from '../dns/name.ts';
import { PORT_MAX } from '../net/host-port.ts';
import { CorefileError, quote } from './error.ts';
import { networkFromText, type IpNetwork } from '../net/ip.ts';
import type { Token } from './tokens.ts';

/** The schemes that CoreDNS knows, with the port of a key that names none. */
const SCHEME_PORTS = {
  dns: 53,
  tls: 853,
  quic: 853,
  grpc: 443,
  https: 443,
  https3: 443,
  unix: 0,
} as const;

export type Scheme = keyof typeof SCHEME_PORTS;

/** The zones of one key. A CIDR may stand for up to 128. */
export interface ParsedKey {
  readonly scheme: Scheme;
  /** Normalized, at least one. */
  readonly zones: readonly string[];
  readonly port: number;
}

/** CoreDNS's limit on the text, which it checks before the labels. */
const ZONE_TEXT_OCTETS_MAX = 255;

/**
 * Reads a server block's key. `text` is the token's, without a comma that follows it. `dnsPort` is
 * the port of a dns:// key that names none.
 */
export function parseKey(token: Token, text: string, dnsPort: number): ParsedKey {
  const { scheme, rest } = splitScheme(text);
  const split = splitZones(rest);
  if ('problem' in split) {
    throw new CorefileError('COREFILE_KEY', token, split.problem, {
      hint: split.hint ?? 'a key is [dns://]ZONE[:PORT] or [dns://]IP/MASK[:PORT]',
    });
  }
  const { zones, port } = split;
  if (port !== undefined && (port < 0 || port > PORT_MAX)) {
    throw new CorefileError('COREFILE_KEY', token, `address ${port}: invalid port`, {
      hint: `a port is a number from 0 to ${PORT_MAX}`,
    });
  }
  return { scheme, zones, port: port ?? (scheme === 'dns' ? dnsPort : SCHEME_PORTS[scheme]) };
}

/**
 * The zones of a directive's argument: scheme and port stripped, a CIDR expanded, all normalized.
 * Empty if the text is not a zone: CoreDNS silently drops such arguments.
 */
export function zonesFromArgument(text: string): string[] {
  const split = splitZones(splitScheme(text).rest);
  return 'problem' in split ? [] : split.zones;
}

/** The zones of several arguments, or `otherwise` (mostly the block's own) if there are none. */
export function zonesFromArguments(
  tokens: readonly Token[],
  otherwise: readonly string[],
): readonly string[] {
  if (tokens.length === 0) return otherwise;
  return tokens.flatMap((token) => zonesFromArgument(token.text));
}

/**
 * Returns the zone fully qualified, with ASCII letters in lower case and escapes in one canonical
 * spelling: two zones are the same exactly if their normalized texts are equal. Undefined if `text` is
 * not a domain name.
 */
export function normalizeZone(text: string): string | undefined {
  const wire = nameFromText(text);
  return wire === undefined ? undefined : lowerText(nameToText(wire));
}

/** Whether a normalized zone is the root, a reverse zone, or has only letters, digits, inner hyphens. */
export function isPreferredSyntax(zone: string): boolean {
  if (zone === '.' || /(?:^|\.)(?:in-addr|ip6)\.arpa\.$/.test(zone)) return true;
  return zone
    .slice(0, -1)
    .split('.')
    .every((label) => /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(label));
}

/**
 * The reverse zones that cover a network, in the order of their addresses. A prefix that ends inside a
 * label (8 bits in IPv4, 4 in IPv6) is rounded up, which gives 2 to 128 longer zones.
 */
function reverseZones(network: IpNetwork): string[] {
  const labelBits = network.family === 4 ? 8 : 4;
  const suffix = network.family === 4 ? 'in-addr.arpa.' : 'ip6.arpa.';
  const labels = Math.ceil(network.prefixLength / labelBits);
  const spareBits = labels * labelBits - network.prefixLength;
  const fixed = addressLabels(network).slice(0, labels);
  const last = fixed.pop();
  if (last === undefined) return [suffix];
  return Array.from({ length: 1 << spareBits }, (_, i) =>
    [...fixed, last + i]
      .toReversed()
      .map((label) => `${label.toString(network.family === 4 ? 10 : 16)}.`)
      .join('')
      .concat(suffix),
  );
}

function addressLabels({ family, octets }: IpNetwork): number[] {
  return family === 4 ? [...octets] : [...octets].flatMap((octet) => [octet >> 4, octet & 0xf]);
}

function splitScheme(text: string): { scheme: Scheme; rest: string } {
  const end = text.indexOf('://');
  const scheme = text.slice(0, Math.max(0, end));
  return isScheme(scheme) ? { scheme, rest: text.slice(end + 3) } : { scheme: 'dns', rest: text };
}

function isScheme(text: string): text is Scheme {
  return Object.hasOwn(SCHEME_PORTS, text);
}

type Zones =
  { zones: string[]; port: number | undefined } | { problem: string; hint?: string | undefined };

/** An integer after the last colon is a port; any other text there is part of the zone. */
function splitZones(text: string): Zones {
  const colon = text.lastIndexOf(':');
  if (colon !== -1 && colon === text.length - 1) {
    const zone = text.slice(0, -1) || '.';
    const hint = `write ${zone} or ${zone}:53`;
    return { problem: `expecting data after last colon: ${quote(text)}`, hint };
  }
  const after = text.slice(colon + 1);
  const port = colon !== -1 && /^[+-]?\d{1,18}$/.test(after) ? Number(after) : undefined;
  const zone = port === undefined ? text : text.slice(0, colon);
  const octets = Buffer.byteLength(zone);
  if (octets > ZONE_TEXT_OCTETS_MAX) {
    return { problem: `specified zone is too long: ${octets} > ${ZONE_TEXT_OCTETS_MAX}` };
  }
  const normalized = normalizeZone(zone);
  if (normalized === undefined) {
    const hint = zoneHint(zone, port);
    return { problem: `zone is not a valid domain name: ${zone}`, hint };
  }
  const network = networkFromText(zone);
  if (network === undefined) return { zones: [normalized], port };
  if (zone.startsWith(':') || (zone.startsWith('0') && zone.includes(':'))) {
    const hint = 'the reverse zone of all IPv6 addresses is ip6.arpa';
    return { problem: `invalid CIDR ${zone}`, hint };
  }
  return { zones: reverseZones(network), port };
}

function zoneHint(zone: string, port: number | undefined): string | undefined {
  if (zone === '') return `for all names write ".${port === undefined ? '' : `:${port}`}"`;
  return undefined;
}
