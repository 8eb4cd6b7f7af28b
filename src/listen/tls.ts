/**
 * TLS for clients (RFC 7858): makes streams of accepted connections.
 *
 * Owns:    handshakes, the demands on clients' certificates, and that a new certificate serves only
 *          connections that come after it, while earlier ones go on.
 * Is not:  a listener: tcp.ts accepts, and frames what is read. The certificate's files are followed
 *          by tls/certificate.ts.
 */
import type { Socket } from 'node:net';
import { type Server as TlsServer, createServer } from 'node:tls';
import type { Counter } from '../observe/counters.ts';
import { type ClientAuth, askedOfClients, isWelcome } from '../tls/client-auth.ts';
import type { KeyPair } from '../tls/key-pair.ts';

/** Takes accepted connections from tcp.ts, which reads them itself otherwise. */
export interface Secured {
  /** `take` is called with each stream whose handshake has come to its end. */
  onStream(take: (stream: Socket) => void): void;
  /** Makes a stream of the connection, or closes it. */
  secure(connection: Socket): void;
}

/** How long a client has for its handshake; may change at any time. */
interface HandshakeTime {
  readonly firstMs: number;
}

export class TlsStreams implements Secured {
  readonly #settings: HandshakeTime;
  readonly #failures: Counter;
  #pair: KeyPair;
  #clientAuth: ClientAuth;
  #server: TlsServer;
  /** The time of a handshake that `#server` was made with. */
  #handshakeMs: number;
  #take: (stream: Socket) => void = (stream) => stream.destroy();

  /**
   * A handshake has the time of a first message, as `settings` say when it begins; failed
   * handshakes are counted.
   */
  constructor(pair: KeyPair, clientAuth: ClientAuth, settings: HandshakeTime, failures: Counter) {
    this.#settings = settings;
    this.#failures = failures;
    this.#pair = pair;
    this.#clientAuth = clientAuth;
    this.#handshakeMs = settings.firstMs;
    this.#server = this.#makeServer();
  }

  /** For connections that come from now on. */
  use(pair: KeyPair, clientAuth: ClientAuth): void {
    this.#pair = pair;
    this.#clientAuth = clientAuth;
    this.#server = this.#makeServer();
  }

  onStream(take: (stream: Socket) => void): void {
    this.#take = take;
  }

  secure(connection: Socket): void {
    if (this.#settings.firstMs !== this.#handshakeMs) this.#server = this.#makeServer();
    // It never listens itself, so that connections may come from anywhere, and another take over.
    this.#server.emit('connection', connection);
  }

  #makeServer(): TlsServer {
    const { cert, key, ca } = this.#pair;
    const clientAuth = this.#clientAuth;
    this.#handshakeMs = this.#settings.firstMs;
    const server = createServer({
      minVersion: 'TLSv1.2', // as CoreDNS
      cert,
      key,
      ...(ca === undefined ? {} : { ca }),
      handshakeTimeout: this.#handshakeMs,
      ...askedOfClients(clientAuth),
      allowHalfOpen: true,
    });
    server.on('secureConnection', (stream) => {
      stream.on('error', () => stream.destroy()); // a reset: the client's own affair
      if (isWelcome(stream, clientAuth)) {
        this.#take(stream);
      } else {
        this.#failures.value++;
        stream.destroy();
      }
    });
    server.on('tlsClientError', (_, stream) => {
      this.#failures.value++;
      stream.destroy();
    });
    return server;
  }
}
