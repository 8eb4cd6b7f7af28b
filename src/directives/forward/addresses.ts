/** How `forward` writes addresses: with and without port, IPv6 with and without brackets. */
import { isIP } from 'node:net';
import { type HostPort, PORT_MAX } from '../../net/host-port.ts';

/** `1.1.1.1`, `::1`, `1.1.1.1:53`, `[::1]:53`, `[::1]`, `fe80::1%eth0`; undefined if it is none. */
export function readAddress(text: string, defaultPort: number): HostPort | undefined {
  if (isIP(text) !== 0) return { host: text, port: defaultPort };
  const bracketed = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(text);
  const plain = bracketed ?? /^([^:]+):(\d{1,5})$/.exec(text);
  if (plain === null || isIP(plain[1]!) === 0) return undefined;
  return withPort(plain[1]!, plain[2], defaultPort);
}

/**
 * `dns.example`, `dns.example:53`: a host name as RFC 1123 section 2.1 has them. One that ends in a
 * number is a mistyped address, and none.
 */
export function readHostName(text: string, defaultPort: number): HostPort | undefined {
  const found = /^([^:]+?)\.?(?::(\d{1,5}))?$/.exec(text);
  const name = found?.[1];
  if (name === undefined || name.length > 253) return undefined;
  const labels = name.split('.');
  if (!labels.every((label) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(label))) {
    return undefined;
  }
  if (/^\d+$/.test(labels.at(-1)!)) return undefined;
  return withPort(name, found![2], defaultPort);
}

function withPort(
  host: string,
  text: string | undefined,
  defaultPort: number,
): HostPort | undefined {
  const port = text === undefined ? defaultPort : Number(text);
  return port > 0 && port <= PORT_MAX ? { host, port } : undefined;
}
