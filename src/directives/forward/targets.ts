/** What stands after FROM in `forward`: addresses and files, and the options about TLS. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { CorefileError } from '../../corefile/error.ts';
import type { Token } from '../../corefile/tokens.ts';
import { isIP } from 'node:net';
import { badValue } from '../../corefile/values.ts';
import type { UpstreamTarget } from '../../upstream/config.ts';
import { parseResolvConf } from '../../upstream/resolv-conf.ts';
import { secureContextOf } from '../../upstream/tls.ts';

/** Upstreams that one forward may have, files counted in (CoreDNS). */
export const TARGETS_MAX = 15;
const DNS_PORT = 53;
const TLS_PORT = 853;
/** `-dns.port` of what it would have been: schemes that CoreDNS knows, and forward does not take. */
const FOREIGN_SCHEMES = ['https', 'https3', 'grpc', 'quic', 'unix'];

/** One TO: an upstream, or a file that names some. */
export type To =
  | { readonly target: UpstreamTarget; readonly file?: undefined }
  | { readonly file: string; readonly target?: undefined };

/** `tls` and `tls_servername`; PEM texts. */
export interface Tls {
  readonly serverName?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export function readTo(token: Token, tls: Tls): To {
  const scheme = /^([a-z0-9]+):\/\//.exec(token.text)?.[1];
  if (scheme !== undefined && FOREIGN_SCHEMES.includes(scheme)) {
    throw badValue(
      token,
      `'${scheme}' is not supported as a destination protocol in forward: ${token.text}`,
      'expected IP, IP:PORT, tls://IP or a file',
    );
  }
  const address = scheme === undefined ? token.text : token.text.slice(scheme.length + 3);
  if (scheme === 'tls') return { target: readTlsTarget(token, address, tls) };
  const hostPort = splitAddress(address, DNS_PORT);
  if (hostPort !== undefined) return { target: { ...hostPort, tls: undefined } };
  if (scheme === undefined && (existsSync(token.text) || isAbsolute(token.text))) {
    return { file: token.text };
  }
  throw badValue(
    token,
    `not an IP address or file: "${token.text}"`,
    'expected IP, IP:PORT, [IPV6]:PORT, tls://IP or a file in resolv.conf form',
  );
}

/** `IP[:PORT][%SERVERNAME]`; the name may stand before the port as well. */
function readTlsTarget(token: Token, address: string, tls: Tls): UpstreamTarget {
  const named = /^([^%]*)%([^:]+)(:\d+)?$/.exec(address);
  const own = named?.[2];
  if (own !== undefined && tls.serverName !== undefined) {
    throw badValue(
      token,
      `both forward ('${tls.serverName}') and proxy level ('${own}') TLS servernames are set for ` +
        `upstream proxy '${token.text}'`,
    );
  }
  const plain = named === null ? address : `${named[1]}${named[3] ?? ''}`;
  const hostPort = splitAddress(plain, TLS_PORT);
  if (hostPort === undefined) throw badValue(token, `invalid address: "${token.text}"`);
  return {
    ...hostPort,
    tls: { serverName: own ?? tls.serverName, ca: tls.ca, cert: tls.cert, key: tls.key },
  };
}

/** `1.1.1.1`, `::1`, `1.1.1.1:53`, `[::1]:53`, `[::1]`, `fe80::1%eth0`. */
function splitAddress(
  text: string,
  defaultPort: number,
): { host: string; port: number } | undefined {
  if (isIP(text) !== 0) return { host: text, port: defaultPort };
  const bracketed = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(text);
  const plain = bracketed ?? /^([^:]+):(\d{1,5})$/.exec(text);
  if (plain === null || isIP(plain[1]!) === 0) return undefined;
  const port = plain[2] === undefined ? defaultPort : Number(plain[2]);
  return port > 0 && port <= 0xffff ? { host: plain[1]!, port } : undefined;
}

/** `tls [CERT KEY] [CA]`: 1 argument is the CA, 2 are CERT and KEY, 3 all of them. */
export function readTls(args: readonly Token[]): Tls {
  if (args.length === 0) return {};
  const tls: { -readonly [Key in keyof Tls]: Tls[Key] } = {};
  if (args.length >= 2) {
    tls.cert = readPem(args[0]!, 'could not load TLS cert');
    tls.key = readPem(args[1]!, 'could not load TLS cert');
    checkPem(args[0]!, 'could not load TLS cert', tls);
  }
  if (args.length !== 2) {
    const ca = args.at(-1)!;
    tls.ca = readPem(ca, `error reading ${ca.text}`);
    checkPem(ca, `error reading ${ca.text}`, { ca: tls.ca });
  }
  return tls;
}

/** What is no certificate or key is found now, and not with the first query. */
function checkPem(token: Token, what: string, { ca, cert, key }: Tls): void {
  try {
    if (ca !== undefined && !ca.includes('-----BEGIN ')) throw new Error('no PEM data');
    secureContextOf({ ca, cert, key });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CorefileError('COREFILE_FILE', token, `${what}: ${reason}`);
  }
}

function readPem(token: Token, what: string): string {
  try {
    return readFileSync(token.text, 'utf8');
  } catch {
    throw new CorefileError(
      'COREFILE_FILE',
      token,
      `${what}: open ${token.text}: no such file or directory`,
    );
  }
}

/**
 * The upstreams in force now: addresses, and what files name at this moment. A file that is missing
 * or names none gives none: it may yet come (the node's network is not always up before us).
 */
export function resolveTargets(to: readonly To[]): UpstreamTarget[] {
  return to
    .flatMap(({ target, file }) => {
      if (target !== undefined) return [target];
      return readNameservers(file).map((host) => ({ host, port: DNS_PORT, tls: undefined }));
    })
    .slice(0, TARGETS_MAX);
}

function readNameservers(file: string): string[] {
  try {
    return parseResolvConf(readFileSync(file, 'utf8'));
  } catch {
    return [];
  }
}

/** What changes when a file does: modification time and size, or that it is not there. */
export function fileStamp(file: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(file);
    return `${mtimeMs} ${size} ${ino}`;
  } catch {
    return 'missing';
  }
}
