/** What all TLS connections to an upstream have in common (RFC 7858, RFC 8310). */
import { type SecureContext, createSecureContext } from 'node:tls';

/** What a TLS connection to an upstream verifies, and what it shows of itself. */
export interface TlsTarget {
  /** For SNI and verification; undefined verifies against the IP address. */
  readonly serverName: string | undefined;
  /** PEM; undefined is the system's authorities, and no certificate of our own. */
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/** Throws if one of the PEM texts is none, or certificate and key do not belong together. */
export function secureContextOf({ ca, cert, key }: Omit<TlsTarget, 'serverName'>): SecureContext {
  return createSecureContext({
    minVersion: 'TLSv1.2',
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  });
}
