/**
 * The reading of the kube-dns ConfigMap, with node-cache's checks.
 *
 * Owns:    the checks of stubDomains and upstreamNameservers.
 * Is not:  a reader of files: files/watched-directory.ts reads and follows the mounted directory.
 */
import { PORT_MAX } from '../net/host-port.ts';
import { ipFromText } from '../net/ip.ts';
import type { KubeDnsConfig } from './pillar.ts';

const CONFIG_MAP_CODES = {
  CONFIGMAP_JSON: 'A value is not the JSON that its key wants.',
  CONFIGMAP_DOMAIN: 'A stub domain is not a domain name in lower case.',
  CONFIGMAP_SERVER: 'A server is neither IP nor IP:PORT, or there are none or too many.',
} as const;

export type ConfigMapCode = keyof typeof CONFIG_MAP_CODES;

interface ConfigMapErrorDetails {
  readonly key: string;
  readonly value: string;
  /** The text of the message after the key: what was found, what was expected. */
  readonly what: string;
  readonly cause?: unknown;
}

/** An error in a ConfigMap, for the operator to mend. */
export class ConfigMapError extends Error {
  readonly code: ConfigMapCode;
  /** The ConfigMap's key. */
  readonly key: string;
  /** The value that is wrong, as text. */
  readonly value: string;

  constructor(code: ConfigMapCode, { key, value, what, cause }: ConfigMapErrorDetails) {
    super(`${key}: ${what}`, cause === undefined ? undefined : { cause });
    this.name = 'ConfigMapError';
    this.code = code;
    this.key = key;
    this.value = value;
  }
}

/** Upstreams that the kube-dns ConfigMap may name. */
const UPSTREAMS_MAX = 3;

/** Upstreams that a forward directive takes. */
const STUB_SERVERS_MAX = 15;

/**
 * Reads the files of the mounted ConfigMap, one for each key, with node-cache's checks. Ignores
 * `federations` and unknown keys. Throws ConfigMapError with the key and the value that are wrong.
 */
export function parseKubeDnsConfig(files: ReadonlyMap<string, string>): KubeDnsConfig {
  return {
    stubDomains: parseStubDomains(files.get('stubDomains')),
    upstreamNameservers: parseUpstreams(files.get('upstreamNameservers')),
  };
}

function parseStubDomains(text: string | undefined): Map<string, string[]> {
  const key = 'stubDomains';
  const wanted = 'a JSON object of domain names, each with a list of servers';
  const domains = new Map<string, string[]>();
  const parsed = text === undefined ? undefined : parseJson(key, text, wanted);
  if (parsed === undefined || parsed === null) return domains;
  if (typeof parsed !== 'object' || Array.isArray(parsed)) throw badJson(key, text ?? '', wanted);
  for (const [domain, servers] of Object.entries(parsed)) {
    if (!isSubdomain(domain)) {
      const what = `${JSON.stringify(domain)} is not a domain name (lower case, without a final dot)`;
      throw new ConfigMapError('CONFIGMAP_DOMAIN', { key, value: domain, what });
    }
    const list = stringsOf(servers);
    if (list === undefined) throw badJson(key, JSON.stringify(servers), wanted);
    const count = `${JSON.stringify(domain)} has ${list.length} servers`;
    if (list.length === 0 || list.length > STUB_SERVERS_MAX) {
      const what = `${count}; expected 1 to ${STUB_SERVERS_MAX}`;
      throw new ConfigMapError('CONFIGMAP_SERVER', { key, value: domain, what });
    }
    for (const server of list) checkServer(key, server, ` of ${JSON.stringify(domain)}`);
    domains.set(domain, list);
  }
  return domains;
}

function parseUpstreams(text: string | undefined): string[] {
  const key = 'upstreamNameservers';
  const wanted = 'a JSON list of servers';
  const parsed = text === undefined ? undefined : parseJson(key, text, wanted);
  if (parsed === undefined || parsed === null) return [];
  const list = stringsOf(parsed);
  if (list === undefined) throw badJson(key, text ?? '', wanted);
  if (list.length > UPSTREAMS_MAX) {
    const what = `there are ${list.length} servers; expected at most ${UPSTREAMS_MAX}`;
    throw new ConfigMapError('CONFIGMAP_SERVER', { key, value: list.join(' '), what });
  }
  for (const server of list) checkServer(key, server, '');
  return list;
}

/** Refuses host names, which pass node-cache's first check and fail its second. */
function checkServer(key: string, server: string, whose: string): void {
  const bracketed = /^\[([^\]]*)\]:(\d+)$/.exec(server);
  const dotted = /^([^:]*):(\d+)$/.exec(server);
  const [, host = server, port = '53'] = bracketed ?? dotted ?? [];
  const address = ipFromText(host);
  if (address !== undefined && address.zone === undefined && Number(port) <= PORT_MAX) return;
  const what = `the server ${JSON.stringify(server)}${whose} is neither IP nor IP:PORT`;
  throw new ConfigMapError('CONFIGMAP_SERVER', { key, value: server, what });
}

/** RFC 1123 as Kubernetes reads it: at most 253 characters, no upper case, no underscore. */
function isSubdomain(name: string): boolean {
  const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
  return name.length <= 253 && new RegExp(`^${label}(\\.${label})*$`).test(name);
}

function parseJson(key: string, text: string, wanted: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw badJson(key, text, wanted, error);
  }
}

function badJson(key: string, value: string, wanted: string, cause?: unknown): ConfigMapError {
  const shown = value.length > 100 ? `${value.slice(0, 100)}...` : value;
  const what = `found ${JSON.stringify(shown)}, expected ${wanted}`;
  return new ConfigMapError('CONFIGMAP_JSON', { key, value, what, cause });
}

function stringsOf(value: unknown): string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const strings = value.filter((item): item is string => typeof item === 'string');
  return strings.length === value.length ? strings : undefined;
}
