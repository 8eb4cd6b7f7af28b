/** What all TLS connections to an upstream have in common (RFC 7858, RFC 8310). */
import { type SecureContext, createSecureContext } from 'node:tls';
import type { TlsTarget } from './config.ts';

/** Throws if one of the PEM texts is none, or certificate and key do not belong together. */
export function secureContextOf({ ca, cert, key }: Omit<TlsTarget, 'serverName'>): SecureContext {
  return createSecureContext({
    minVersion: 'TLSv1.2',
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  });
}
