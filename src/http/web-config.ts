/**
 * The file that says how `/metrics` is served over TLS: `prometheus { tls CONFIGFILE }`, the web
 * configuration of Prometheus's own exporters, in YAML.
 *
 * Owns:    `tls_server_config` with its files, what clients must show, and the versions of TLS; the
 *          package yaml, loaded when there is such a file.
 * Is not:  for what else may stand there (`basic_auth_users`, inline certificates, cipher suites): that
 *          is refused by name, so that no operator believes to be protected by it.
 */
import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import { readFileSync } from 'node:fs';
import type { SecureVersion } from 'node:tls';
import type * as Yaml from 'yaml';
import { reasonOf } from '../observe/reason.ts';
import type { ClientAuth } from '../tls/client-auth.ts';
import type { KeyPairFiles } from '../tls/key-pair.ts';

export interface WebConfig {
  /** Paths that are relative in the file start at its folder. */
  readonly files: KeyPairFiles;
  readonly clientAuth: ClientAuth;
  readonly minVersion: SecureVersion;
  readonly maxVersion: SecureVersion;
}

/** Go's names. */
const CLIENT_AUTH: ReadonlyMap<unknown, ClientAuth> = new Map([
  ['NoClientCert', 'nocert'],
  ['RequestClientCert', 'request'],
  ['RequireAnyClientCert', 'require'],
  ['VerifyClientCertIfGiven', 'verify_if_given'],
  ['RequireAndVerifyClientCert', 'require_and_verify'],
]);
const VERSIONS: ReadonlyMap<unknown, SecureVersion> = new Map([
  ['TLS12', 'TLSv1.2'],
  ['TLS13', 'TLSv1.3'],
]);
const KEYS: readonly string[] = [
  'cert_file',
  'key_file',
  'client_ca_file',
  'client_auth_type',
  'min_version',
  'max_version',
];

/** Throws, with the path and what is wrong, if the file cannot be read or asks for what we do not do. */
export function readWebConfig(path: string): WebConfig {
  try {
    return webConfigOf(parse(readFileSync(path, 'utf8')), dirname(path));
  } catch (error) {
    throw new Error(`${path}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

function parse(text: string): unknown {
  const { parse: parseYaml } = createRequire(import.meta.url)('yaml') as typeof Yaml;
  return parseYaml(text);
}

function webConfigOf(document: unknown, folder: string): WebConfig {
  const { tls_server_config: tls, ...others } = objectOf(document, 'the file');
  refuseOthers(others, ['tls_server_config']);
  const config = objectOf(tls, 'tls_server_config');
  const known = Object.fromEntries(KEYS.map((key) => [key, config[key]]));
  refuseOthers(
    Object.fromEntries(Object.entries(config).filter(([key]) => !KEYS.includes(key))),
    KEYS,
  );
  const file = (key: string): string | undefined => {
    const value = known[key];
    if (value === undefined || value === null || value === '') return undefined;
    if (typeof value !== 'string') throw new Error(`${key} must be the path of a file`);
    return resolve(folder, value);
  };
  const cert = file('cert_file');
  const key = file('key_file');
  if (cert === undefined || key === undefined) {
    throw new Error('tls_server_config needs cert_file and key_file');
  }
  const ca = file('client_ca_file');
  const authDefault = ca === undefined ? 'NoClientCert' : 'RequireAndVerifyClientCert';
  return {
    files: { cert, key, ca },
    clientAuth: oneOf('client_auth_type', known['client_auth_type'] ?? authDefault, CLIENT_AUTH),
    minVersion: oneOf('min_version', known['min_version'] ?? 'TLS12', VERSIONS),
    maxVersion: oneOf('max_version', known['max_version'] ?? 'TLS13', VERSIONS),
  };
}

function objectOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw new Error(`${what} must be a mapping: tls_server_config with cert_file and key_file`);
}

function refuseOthers(others: Record<string, unknown>, known: readonly string[]): void {
  const [first] = Object.keys(others);
  if (first === undefined) return;
  throw new Error(`${first} is not supported, only ${known.join(', ')}`);
}

function oneOf<T>(key: string, value: unknown, words: ReadonlyMap<unknown, T>): T {
  const found = words.get(value);
  if (found !== undefined) return found;
  throw new Error(`${key}: ${JSON.stringify(value)} is none of ${[...words.keys()].join(', ')}`);
}
