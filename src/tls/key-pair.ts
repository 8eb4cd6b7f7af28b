/** Certificate, key and authorities of a server, from their files (RFC 7468). */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { secureContextOf } from './secure-context.ts';

export interface KeyPairFiles {
  readonly cert: string;
  readonly key: string;
  /** Authorities of clients; undefined is those of the system. */
  readonly ca: string | undefined;
}

/** PEM texts that belong together. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
  readonly ca: string | undefined;
  /** Unix time at which the certificate ends. */
  readonly notAfterSec: number;
}

/**
 * Throws if a file cannot be read, or holds no PEM, or if certificate and key do not belong together.
 * Whether the certificate is in force, and for which name, is not checked.
 */
export function readKeyPair(files: KeyPairFiles): KeyPair {
  const cert = read(files.cert);
  const key = read(files.key);
  const ca = files.ca === undefined ? undefined : read(files.ca);
  if (ca !== undefined && !ca.includes('-----BEGIN ')) {
    throw new Error(`${files.ca}: no PEM data`);
  }
  secureContextOf({ cert, key, ca });
  return { cert, key, ca, notAfterSec: Date.parse(new X509Certificate(cert).validTo) / 1000 };
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (missing) throw new Error(`open ${file}: no such file or directory`, { cause: error });
    throw error;
  }
}
