/**
 * The entries of a hosts file and of inline lines, made ready for lookup (hosts(5)).
 *
 * Owns:    the line format, the order of addresses and names, wildcards, reverse names.
 * Is not:  the file: watched-file.ts reads it.
 */
import { ipFromText } from '../../net/ip.ts';
import { lowerText, nameFromText, nameToText } from '../../dns/name.ts';
import { isInZone } from '../../dns/in-zone.ts';

/** Addresses of one name in wire form, 4 and 16 octets, in the order of their lines. */
export interface HostAddresses {
  readonly ipv4: readonly Uint8Array[];
  readonly ipv6: readonly Uint8Array[];
}

export interface HostsOptions {
  /** Names outside these zones are skipped. Normalized. */
  readonly zones: readonly string[];
  /** Whether addresses are found by their reverse names. */
  readonly reverse: boolean;
}

interface Host {
  ipv4: Uint8Array[];
  ipv6: Uint8Array[];
}

const WILDCARD = '*.';

export class HostsTable {
  readonly #hosts = new Map<string, Host>();
  /** Reverse name to host names. */
  readonly #names = new Map<string, string[]>();
  readonly #options: HostsOptions;
  /** Addresses of names, and names of addresses: what `coredns_hosts_entries` counts. */
  entries = 0;

  /** The texts are read in order: the file's first, then the inline lines. */
  constructor(texts: readonly string[], options: HostsOptions) {
    this.#options = options;
    for (const text of texts) {
      for (const line of text.split('\n')) this.#add(line);
    }
  }

  /**
   * The addresses of a normalized name, both families, or undefined if it is unknown. A name that
   * has lines of its own does not match a wildcard (RFC 4592 section 2.2.1).
   */
  addressesOf(name: string): HostAddresses | undefined {
    return this.#hosts.get(name) ?? this.#hosts.get(WILDCARD + parentOf(name));
  }

  /** The names of the address behind a normalized reverse name, `1.2.0.192.in-addr.arpa.`. */
  namesOf(reverseName: string): readonly string[] | undefined {
    return this.#names.get(reverseName);
  }

  #add(line: string): void {
    const read = readHostsLine(line);
    if (read === undefined) return;
    const { octets, names } = read;
    for (const name of names) {
      if (!this.#options.zones.some((zone) => isInZone(name, zone))) continue;
      let host = this.#hosts.get(name);
      if (host === undefined) {
        host = { ipv4: [], ipv6: [] };
        this.#hosts.set(name, host);
      }
      (octets.length === 4 ? host.ipv4 : host.ipv6).push(octets);
      this.entries++;
      if (this.#options.reverse && !name.startsWith(WILDCARD)) this.#addReverse(octets, name);
    }
  }

  #addReverse(octets: Uint8Array, name: string): void {
    const reverse = reverseName(octets);
    const names = this.#names.get(reverse);
    if (names === undefined) this.#names.set(reverse, [name]);
    else names.push(name);
    this.entries++;
  }
}

/**
 * An address and its normalized names, or undefined if the line has none: it is empty, a comment, or
 * rubbish. An IPv6 zone is cut; what is not a domain name is left out.
 */
export function readHostsLine(
  line: string,
): { readonly octets: Uint8Array; readonly names: readonly string[] } | undefined {
  const hash = line.indexOf('#');
  const fields = (hash === -1 ? line : line.slice(0, hash)).split(/\s+/).filter(Boolean);
  const [address, ...rest] = fields;
  if (address === undefined || rest.length === 0) return undefined;
  const octets = ipFromText(address.split('%', 1)[0]!)?.octets;
  if (octets === undefined) return undefined;
  const names = rest.flatMap((field) => {
    const wire = nameFromText(field);
    return wire === undefined ? [] : [lowerText(nameToText(wire))];
  });
  return { octets, names };
}

/** RFC 1035 section 3.5, RFC 3596 section 2.5. */
function reverseName(octets: Uint8Array): string {
  if (octets.length === 4) return `${octets.toReversed().join('.')}.in-addr.arpa.`;
  const nibbles = Array.from(octets.toReversed(), (octet) => {
    return `${(octet & 0xf).toString(16)}.${(octet >> 4).toString(16)}.`;
  });
  return `${nibbles.join('')}ip6.arpa.`;
}

/** The name without its first label; `.` has no parent that a wildcard could stand before. */
function parentOf(name: string): string {
  for (let at = 0; at < name.length; at++) {
    if (name[at] === '\\') at++;
    else if (name[at] === '.') return name.slice(at + 1);
  }
  return '';
}
