/** What a TLS server asks of its clients' certificates; Go's tls.ClientAuthType by CoreDNS's names. */
import type { TLSSocket } from 'node:tls';

export type ClientAuth =
  'nocert' | 'request' | 'require' | 'verify_if_given' | 'require_and_verify';

/** For Node's own check. What it leaves open is {@link isWelcome}'s. */
export function askedOfClients(clientAuth: ClientAuth): {
  readonly requestCert: boolean;
  readonly rejectUnauthorized: boolean;
} {
  return {
    requestCert: clientAuth !== 'nocert',
    rejectUnauthorized: clientAuth === 'require_and_verify',
  };
}

/** Whether a client whose handshake has come to its end may stay: Node's check knows all or nothing. */
export function isWelcome(stream: TLSSocket, clientAuth: ClientAuth): boolean {
  if (clientAuth !== 'require' && clientAuth !== 'verify_if_given') return true;
  const hasCertificate = Object.keys(stream.getPeerCertificate()).length > 0;
  return clientAuth === 'require' ? hasCertificate : !hasCertificate || stream.authorized;
}
