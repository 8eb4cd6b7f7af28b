/**
 * A host and its port, and their text: `127.0.0.1:53`, `[::1]:53`, `:53`.
 *
 * Owns:    the brackets of IPv6, the range of ports, and what a wildcard is reached by.
 * Is not:  a judge of hosts: each grammar decides whether it allows names, zones or an empty host.
 */
export interface HostPort {
  /** An address without brackets, or a name; empty for all addresses. */
  readonly host: string;
  readonly port: number;
}

export const PORT_MAX = 0xffff;

/** `127.0.0.1:53`, `[::1]:53`, `:53`, as Go's net.JoinHostPort writes them. */
export function formatHostPort({ host, port }: HostPort): string {
  return `${bracketed(host)}:${port}`;
}

/** With the brackets that an IPv6 address needs before a port. */
export function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/**
 * The host and the port as text, as Go's net.SplitHostPort takes `HOST:PORT`, `[IPV6]:PORT` and
 * `:PORT`; neither is checked. If the text is none of these: what is wrong with it, in Go's words.
 */
export function splitHostPort(text: string): { host: string; port: string } | string {
  const colon = text.lastIndexOf(':');
  if (colon === -1) return 'missing port in address';
  let host = text.slice(0, colon);
  if (text.startsWith('[')) {
    const end = text.indexOf(']');
    if (end === -1) return "missing ']' in address";
    if (end + 1 === text.length) return 'missing port in address';
    if (end + 1 !== colon) {
      return text[end + 1] === ':' ? 'too many colons in address' : 'missing port in address';
    }
    host = text.slice(1, end);
  } else if (host.includes(':')) {
    return 'too many colons in address';
  }
  if (/[[\]]/.test(host)) return `unexpected '${/[[\]]/.exec(host)![0]}' in address`;
  return { host, port: text.slice(colon + 1) };
}

/** Where a server that listens on `host` is reached from its own machine: a wildcard on loopback. */
export function reachableHost(host: string): string {
  if (host === '' || host === '0.0.0.0' || host === 'localhost') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}
