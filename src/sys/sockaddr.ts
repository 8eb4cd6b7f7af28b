/**
 * The kernel's form of an address and a port: struct sockaddr_in (16 octets) and sockaddr_in6 (28).
 *
 *   0 family, little-endian   2 port, big-endian
 *   IPv4:  4 address                   IPv6:  8 address   24 scope (the interface's index)
 *
 * Owns:    the layout. On a socket of both families, IPv4 addresses come as `::ffff:a.b.c.d`.
 * Callers: have checked addresses that they write; those that are read came from the kernel.
 */
import { networkInterfaces } from 'node:os';
import { ipOctets, ipToText, isMapped, unmapped } from '../net/ip.ts';
import { AF_INET, AF_INET6 } from './linux.ts';

export const SOCKADDR_OCTETS = 28;

/** 1 for IPv4, mapped or not; 2 for IPv6. Hot path, stop 1. */
export function familyOf(octets: Uint8Array, nameAt: number): 1 | 2 {
  return octets[nameAt] === AF_INET6 && !isMapped(octets, nameAt + 8) ? 2 : 1;
}

/** The address as text, a mapped one as IPv4. */
export function addressText(name: Uint8Array): string {
  if (name[0] !== AF_INET6) return ipToText(name.subarray(4, 8));
  return ipToText(unmapped(name.subarray(8, 24)));
}

export function portOf(name: Uint8Array): number {
  return (name[2]! << 8) | name[3]!;
}

/** `host` is an IP address of that family; an IPv6 one may end in `%interface`. */
export function socketAddress(host: string, port: number, family: 4 | 6): Uint8Array {
  const [text, scope] = host.split('%');
  const address = new Uint8Array(family === 6 ? SOCKADDR_OCTETS : 16);
  address[0] = family === 6 ? AF_INET6 : AF_INET;
  address[2] = port >> 8;
  address[3] = port & 0xff;
  address.set(ipOctets(text!)!, family === 6 ? 8 : 4);
  if (scope !== undefined) address.set(scopeOctets(scope), 24);
  return address;
}

/** The index of an interface, or that number itself, as sin6_scope_id. */
function scopeOctets(scope: string): Uint8Array {
  // A global address of the interface has the scope 0 there.
  const known = networkInterfaces()[scope]?.find(
    (info) => info.family === 'IPv6' && info.scopeid !== 0,
  );
  const index = known?.family === 'IPv6' ? known.scopeid : Number(scope);
  return new Uint8Array(Uint32Array.of(Number.isInteger(index) ? index : 0).buffer);
}
