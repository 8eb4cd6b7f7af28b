/**
 * What stands after FROM in `forward`: addresses and files, and the options about TLS.
 *
 * Owns:    the forms of an upstream's address.
 */
import { existsSync, readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { CorefileError } from '../../corefile/error.ts';
import type { Token } from '../../corefile/tokens.ts';
import { badValue } from '../../corefile/values.ts';
import type { HostPort } from '../../net/host-port.ts';
import { reasonOf } from '../../observe/reason.ts';
import type { UpstreamTarget } from '../../upstream/config.ts';
import { parseResolvConf } from '../../upstream/resolv-conf.ts';
import { secureContextOf } from '../../tls/secure-context.ts';
import { readAddress, readHostName } from './addresses.ts';

/** Upstreams that one forward may have, files and names counted in (CoreDNS). */
export const TARGETS_MAX = 15;
export const DNS_PORT = 53;
const TLS_PORT = 853;
const HTTPS_PORT = 443;
/** Schemes that CoreDNS knows, and forward does not take. */
const FOREIGN_SCHEMES = ['https3', 'grpc', 'quic', 'unix'];
const EXPECTED =
  'expected IP, IP:PORT, [IPV6]:PORT, tls://IP, https://IP, a host name or a file in resolv.conf form';

/** One TO: an upstream, one whose address is to be found by its name, or a file that names some. */
export type To =
  | { readonly target: UpstreamTarget; readonly named?: undefined; readonly file?: undefined }
  | { readonly named: UpstreamTarget; readonly target?: undefined; readonly file?: undefined }
  | { readonly file: string; readonly target?: undefined; readonly named?: undefined };

/** `tls` and `tls_servername`; PEM texts. */
export interface Tls {
  readonly serverName?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** What options say of every TO. */
export interface ToOptions {
  readonly tls: Tls;
  readonly dohMethod: 'GET' | 'POST';
  readonly source: string | undefined;
}

export function readTo(token: Token, options: ToOptions): To {
  const scheme = /^([a-z0-9]+):\/\//.exec(token.text)?.[1];
  if (scheme !== undefined && FOREIGN_SCHEMES.includes(scheme)) {
    throw badValue(
      token,
      `'${scheme}' is not supported as a destination protocol in forward: ${token.text}`,
      EXPECTED,
    );
  }
  const rest = scheme === undefined ? token.text : token.text.slice(scheme.length + 3);
  if (scheme === 'tls' || scheme === 'https') return readSecure(token, scheme, rest, options);
  const address = readAddress(rest, DNS_PORT);
  if (address !== undefined) return { target: sendFrom(options, { ...address, tls: undefined }) };
  if (scheme === undefined && (existsSync(token.text) || isAbsolute(token.text))) {
    return { file: token.text };
  }
  const name = scheme === undefined || scheme === 'dns' ? readHostName(rest, DNS_PORT) : undefined;
  if (name !== undefined) return { named: sendFrom(options, { ...name, tls: undefined }) };
  throw badValue(token, `not an IP address or file: "${token.text}"`, EXPECTED);
}

/** `HOST[:PORT][%SERVERNAME]`; SERVERNAME may stand before the port as well. */
function readSecure(token: Token, scheme: 'tls' | 'https', rest: string, options: ToOptions): To {
  const { tls, dohMethod } = options;
  if (scheme === 'https' && rest.includes('/')) {
    throw badValue(
      token,
      'paths are not allowed in HTTPS upstream addresses ' +
        `(the /dns-query path is used by default): ${token.text}`,
    );
  }
  const named = /^([^%]*)%([^:]+)(:\d+)?$/.exec(rest);
  const own = named?.[2];
  if (own !== undefined && tls.serverName !== undefined) {
    throw badValue(
      token,
      `both forward ('${tls.serverName}') and proxy level ('${own}') TLS servernames are set for ` +
        `upstream proxy '${token.text}'`,
    );
  }
  const plain = named === null ? rest : `${named[1]}${named[3] ?? ''}`;
  const port = scheme === 'tls' ? TLS_PORT : HTTPS_PORT;
  const https = scheme === 'https' ? dohMethod : undefined;
  const secured = (address: HostPort, serverName: string | undefined): UpstreamTarget =>
    sendFrom(options, {
      ...address,
      tls: { serverName, ca: tls.ca, cert: tls.cert, key: tls.key },
      ...(https === undefined ? {} : { https }),
    });
  const address = readAddress(plain, port);
  if (address !== undefined) return { target: secured(address, own ?? tls.serverName) };
  const name = readHostName(plain, port);
  if (name === undefined) throw badValue(token, `invalid address: "${token.text}"`, EXPECTED);
  // What was looked up without proof must prove to be what was meant.
  return { named: secured(name, own ?? tls.serverName ?? name.host) };
}

function sendFrom({ source }: ToOptions, target: UpstreamTarget): UpstreamTarget {
  return source === undefined ? target : { ...target, source };
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
    const reason = reasonOf(error);
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

/** The addresses that a file names at this moment; none if it is missing: it may yet come. */
export function readNameservers(file: string): string[] {
  try {
    return parseResolvConf(readFileSync(file, 'utf8'));
  } catch {
    return [];
  }
}
