/**
 * The directories that kubelet mounts ConfigMaps into: reading one, following it, and what the
 * kube-dns ConfigMap says in it.
 *
 * kubelet never changes a file in place. `..data` is a symbolic link to a directory of the present
 * version, each key a symbolic link through it, and an update is one rename of `..data`. So a
 * directory is read twice and taken only when both readings agree.
 *
 * Owns:    the checks of stubDomains and upstreamNameservers.
 * Callers: keep what they had when a reading throws; watchDirectory does not tell it again.
 */
import { createHash } from 'node:crypto';
import { readFile, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { PORT_MAX } from '../net/host-port.ts';
import { ipFromText } from '../net/ip.ts';
import { reasonOf } from '../observe/reason.ts';
import type { KubeDnsConfig } from './pillar.ts';

const CONFIG_MAP_CODES = {
  CONFIGMAP_UNREADABLE: 'The directory or one of its files cannot be read, or is too large.',
  CONFIGMAP_NOT_UTF8: 'A file is not UTF-8 text.',
  CONFIGMAP_JSON: 'A value is not the JSON that its key wants.',
  CONFIGMAP_DOMAIN: 'A stub domain is not a domain name in lower case.',
  CONFIGMAP_SERVER: 'A server is neither IP nor IP:PORT, or there are none or too many.',
} as const;

export type ConfigMapCode = keyof typeof CONFIG_MAP_CODES;

/** What is wrong with a ConfigMap: the operator's to mend. */
export class ConfigMapError extends Error {
  readonly code: ConfigMapCode;
  /** The ConfigMap's key, or the path where no key is at fault. */
  readonly key: string;
  /** What stands there and is wrong, as text; empty where nothing could be read. */
  readonly value: string;

  constructor(code: ConfigMapCode, key: string, value: string, what: string, cause?: unknown) {
    super(`${key}: ${what}`, cause === undefined ? undefined : { cause });
    this.name = 'ConfigMapError';
    this.code = code;
    this.key = key;
    this.value = value;
  }
}

/** One version of a directory: its files by name, and what tells it from another version. */
export interface DirectoryVersion {
  readonly files: ReadonlyMap<string, string>;
  /** Of names and contents; empty if there are no files. */
  readonly hash: string;
}

/** The API server holds a ConfigMap to 1 MiB; twice that is no ConfigMap. */
const DIRECTORY_OCTETS_MAX = 2 << 20;

/** A swap in the middle of a reading is over by the next; more of them are no ConfigMap. */
const READINGS_MAX = 5;

/** Upstreams that the kube-dns ConfigMap may name. */
const UPSTREAMS_MAX = 3;

/** What a forward directive takes. */
const STUB_SERVERS_MAX = 15;

/**
 * The files of `directory`, without hidden ones and subdirectories, symbolic links followed. A
 * directory that does not exist is an empty one: the ConfigMap is optional. Throws ConfigMapError.
 */
export async function readConfigDirectory(directory: string): Promise<DirectoryVersion> {
  let before = await readOnce(directory);
  for (let reading = 1; reading < READINGS_MAX; reading++) {
    const after = await readOnce(directory);
    if (before !== undefined && before.hash === after?.hash) return before;
    before = after;
  }
  throw unreadable(directory, 'it changes while it is read');
}

/** Undefined if a file vanished, as it does in a swap. */
async function readOnce(directory: string): Promise<DirectoryVersion | undefined> {
  const files = new Map<string, string>();
  const hash = createHash('sha256');
  let octets = 0;
  for (const name of await namesOf(directory)) {
    if (name.startsWith('.')) continue;
    const file = path.join(directory, name);
    let content: Buffer;
    try {
      const status = await stat(file);
      if (status.isDirectory()) continue;
      octets += status.size;
      if (octets > DIRECTORY_OCTETS_MAX) break;
      content = await readFile(file);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw unreadable(file, reasonOf(error), error);
    }
    const text = content.toString('utf8');
    if (!Buffer.from(text).equals(content)) {
      throw new ConfigMapError('CONFIGMAP_NOT_UTF8', name, '', 'the file is not UTF-8 text');
    }
    files.set(name, text);
    hash.update(`${name}\0`).update(content).update('\0');
  }
  if (octets > DIRECTORY_OCTETS_MAX) {
    throw unreadable(directory, `it holds more than ${DIRECTORY_OCTETS_MAX} octets`);
  }
  return { files, hash: files.size === 0 ? '' : hash.digest('hex') };
}

async function namesOf(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw unreadable(directory, reasonOf(error), error);
  }
}

function unreadable(at: string, what: string, cause?: unknown): ConfigMapError {
  return new ConfigMapError('CONFIGMAP_UNREADABLE', at, '', what, cause);
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

/** Reads the kube-dns ConfigMap's directory and checks it. Throws ConfigMapError. */
export async function readKubeDnsConfig(directory: string): Promise<KubeDnsConfig> {
  return parseKubeDnsConfig((await readConfigDirectory(directory)).files);
}

/**
 * What the ConfigMap's keys say, checked as node-cache checks them. `federations` and unknown keys
 * are ignored. Throws ConfigMapError with the key and the value that are wrong.
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
      throw new ConfigMapError('CONFIGMAP_DOMAIN', key, domain, what);
    }
    const list = stringsOf(servers);
    if (list === undefined) throw badJson(key, JSON.stringify(servers), wanted);
    const count = `${JSON.stringify(domain)} has ${list.length} servers`;
    if (list.length === 0 || list.length > STUB_SERVERS_MAX) {
      const what = `${count}; expected 1 to ${STUB_SERVERS_MAX}`;
      throw new ConfigMapError('CONFIGMAP_SERVER', key, domain, what);
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
    throw new ConfigMapError('CONFIGMAP_SERVER', key, list.join(' '), what);
  }
  for (const server of list) checkServer(key, server, '');
  return list;
}

/** A name would pass node-cache's first check and fail its second; here there is one check. */
function checkServer(key: string, server: string, whose: string): void {
  const bracketed = /^\[([^\]]*)\]:(\d+)$/.exec(server);
  const dotted = /^([^:]*):(\d+)$/.exec(server);
  const [, host = server, port = '53'] = bracketed ?? dotted ?? [];
  const address = ipFromText(host);
  if (address !== undefined && address.zone === undefined && Number(port) <= PORT_MAX) return;
  const what = `the server ${JSON.stringify(server)}${whose} is neither IP nor IP:PORT`;
  throw new ConfigMapError('CONFIGMAP_SERVER', key, server, what);
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
  return new ConfigMapError('CONFIGMAP_JSON', key, value, what, cause);
}

function stringsOf(value: unknown): string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const strings = value.filter((item): item is string => typeof item === 'string');
  return strings.length === value.length ? strings : undefined;
}

export interface DirectoryWatch {
  /** Looks now and resolves when told; for tests, and for a signal that asks for a reload. */
  look(): Promise<void>;
  close(): void;
}

export interface DirectoryWatcher {
  /** The directory holds another version than the last time, the first reading included. */
  changed(version: DirectoryVersion): void;
  /** It cannot be read; told once for as long as the reason stays the same. */
  failed(error: ConfigMapError): void;
}

/** One reading of a ConfigMap's few files takes well under a millisecond. */
const POLL_INTERVAL_MS = 1000;

/**
 * Polls `directory`, which need not exist yet. A change is told at most `intervalMs` and one reading
 * later, once. The timer does not keep the process alive.
 */
export function watchDirectory(
  directory: string,
  watcher: DirectoryWatcher,
  intervalMs: number = POLL_INTERVAL_MS,
): DirectoryWatch {
  let known: string | undefined;
  let complaint: string | undefined;
  let closed = false;
  let looking: Promise<void> | undefined;

  async function lookOnce(): Promise<void> {
    let version: DirectoryVersion;
    try {
      version = await readConfigDirectory(directory);
    } catch (error) {
      const failure =
        error instanceof ConfigMapError ? error : unreadable(directory, reasonOf(error), error);
      if (closed || failure.message === complaint) return;
      complaint = failure.message;
      watcher.failed(failure);
      return;
    }
    complaint = undefined;
    if (closed || version.hash === known) return;
    known = version.hash;
    watcher.changed(version);
  }

  function look(): Promise<void> {
    looking ??= lookOnce().finally(() => {
      looking = undefined;
    });
    return looking;
  }

  const timer = setInterval(() => void look(), intervalMs);
  timer.unref();
  void look();
  return {
    look,
    close(): void {
      closed = true;
      clearInterval(timer);
    },
  };
}
