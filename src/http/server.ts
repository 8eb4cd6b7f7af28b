/**
 * A small HTTP server for what operators and Kubernetes ask: metrics, health.
 *
 * Owns:    one address: listening, trying again while the port is taken, the limits of what a client
 *          may cost us, and an end that leaves no handle behind.
 * Is not:  a judge of whether a taken port is fatal: `listen` rejects, `keepTrying` tries again.
 */
import {
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
  createServer,
} from 'node:http';
import { type Server as SecureServer, createServer as createSecureServer } from 'node:https';
import { isIP } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { type Readable, pipeline } from 'node:stream';
import { type HostPort, formatHostPort } from '../net/host-port.ts';
import { type StreamSocket } from '../sys/socket.ts';
import type { Lent, SocketSource } from '../sys/socket-source.ts';
import { SystemCallError } from '../sys/system-call-error.ts';
import { FollowedCertificate } from '../tls/certificate.ts';
import { askedOfClients, isWelcome } from '../tls/client-auth.ts';
import { type KeyPair, readKeyPair } from '../tls/key-pair.ts';
import type { WebConfig } from './web-config.ts';

export interface Page<Body = string> {
  readonly status: number;
  readonly contentType: string;
  readonly body: Body;
  /** The name under which a client saves it. */
  readonly fileName?: string;
}

/** A stream is read as fast as the client takes it. */
export type AnyPage = Page | Page<Readable>;

/** The part of a request that routes see. */
export interface PageRequest {
  readonly query: URLSearchParams;
  /** Aborted when the client has closed its connection. */
  readonly gone: AbortSignal;
}

/** Path to what is served there. A route that fails is answered 500. */
export type Routes = ReadonlyMap<string, (request: PageRequest) => AnyPage | Promise<AnyPage>>;

export interface HttpOptions {
  /** How long a connection may be stalled; 10 s unless given. */
  readonly stalledMs?: number;
  readonly tls?: HttpTls;
}

/** A client that has not sent its request by then is gone; CoreDNS's own limit. */
const REQUEST_MS = 5000;
/** How often Node looks for such clients; every 30 s by default. */
const CHECK_MS = 1000;
/** A connection on which nothing moves, not even an answer that its client does not read. */
const STALLED_MS = 10_000;
/** Prometheus and the kubelet need a handful. */
const CONNECTIONS_MAX = 64;
const HEADER_OCTETS_MAX = 8192;
const RETRY_MS = 5000;
const LIMITS = {
  requestTimeout: REQUEST_MS,
  headersTimeout: REQUEST_MS,
  keepAliveTimeout: REQUEST_MS,
  connectionsCheckingInterval: CHECK_MS,
  maxHeaderSize: HEADER_OCTETS_MAX,
};
/** As many as Node asks for by itself. */
const BACKLOG = 511;

const TEXT = 'text/plain; charset=utf-8';

/** An address that cannot be listened on: taken, not allowed, or not ours. */
export class HttpListenError extends Error {
  /** `HOST:PORT` as the Corefile has it. */
  readonly address: string;
  /** The system's code, such as EADDRINUSE. */
  readonly code: string;

  constructor(at: HostPort, code: string, cause: Error) {
    const address = formatHostPort(at);
    super(`listen tcp ${address}: ${REASONS.get(code) ?? cause.message}`, { cause });
    this.name = 'HttpListenError';
    this.address = address;
    this.code = code;
  }
}

/** In Go's words, which operators know. */
const REASONS: ReadonlyMap<string, string> = new Map([
  ['EADDRINUSE', 'bind: address already in use'],
  ['EADDRNOTAVAIL', 'bind: cannot assign requested address'],
  ['EACCES', 'bind: permission denied'],
]);

/** For a server that speaks TLS. */
export interface HttpTls {
  /** Called whenever the server begins to listen. An error thrown is a reason not to. */
  readonly read: () => WebConfig;
  /** The certificate has changed and cannot be used; the one before is. */
  readonly failed: (reason: string) => void;
}

export class HttpServer {
  readonly at: HostPort;
  readonly #routes: Routes;
  readonly #sockets: SocketSource | undefined;
  readonly #stalledMs: number;
  readonly #tls: HttpTls | undefined;
  #server: Server | SecureServer | undefined;
  #certificate: FollowedCertificate | undefined;
  /** Lets the keeper of a copy of the socket close it. */
  #giveUp: () => void = () => undefined;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  /** The socket comes from `sockets`, or is of Node's own making. */
  constructor(
    at: HostPort,
    routes: Routes,
    sockets?: SocketSource,
    { stalledMs = STALLED_MS, tls }: HttpOptions = {},
  ) {
    this.at = at;
    this.#stalledMs = stalledMs;
    this.#tls = tls;
    this.#routes = routes;
    this.#sockets = sockets;
  }

  /** The port in use, which the kernel chose where `at` says 0; undefined while not listening. */
  get port(): number | undefined {
    const address = this.#server?.address();
    return typeof address === 'object' ? address?.port : undefined;
  }

  /** Resolves when it listens. Rejects with HttpListenError, and then nothing is left to close. */
  listen(): Promise<void> {
    let server: Server | SecureServer;
    try {
      server = this.#create();
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(String(error));
      return Promise.reject(new HttpListenError(this.at, '', cause));
    }
    return new Promise((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        reject(new HttpListenError(this.at, error.code ?? '', error));
      });
      const listening = (): void => {
        server.removeAllListeners('error');
        // An error from now on is one connection's failed accept (EMFILE): the next may succeed.
        server.on('error', () => undefined);
        if (this.#closed) server.close();
        else this.#server = server;
        resolve();
      };
      try {
        const fd = this.#openSocket();
        if (fd === undefined) {
          server.listen({ port: this.at.port, host: bindHost(this.at.host) }, listening);
        } else {
          server.listen({ fd }, listening);
        }
      } catch (error) {
        if (!(error instanceof SystemCallError)) throw error;
        reject(new HttpListenError(this.at, error.code, error));
      }
    });
  }

  /**
   * Listens, and tries again every 5 s while that fails. Calls `failed` for the first failure, and
   * for each whose reason differs from the one before; `listening` when it listens. Resolves after
   * the first try.
   */
  async keepTrying(
    failed: (error: HttpListenError) => void,
    listening: () => void = () => undefined,
    reported: string = '',
  ): Promise<void> {
    try {
      await this.listen();
      if (!this.#closed) listening();
    } catch (error) {
      if (!(error instanceof HttpListenError)) throw error;
      if (this.#closed) return;
      if (error.message !== reported) failed(error);
      this.#retry = setTimeout(
        () => void this.keepTrying(failed, listening, error.message),
        RETRY_MS,
      );
      this.#retry.unref();
    }
  }

  /**
   * Stops listening, gives those who are being answered `graceMs`, and ends every connection, in the
   * middle of an answer too.
   */
  close(graceMs: number = 0): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    const server = this.#server;
    this.#server = undefined;
    this.#certificate?.stop();
    this.#giveUp();
    if (server === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => server.closeAllConnections();
      const timer = graceMs > 0 ? setTimeout(end, graceMs) : undefined;
      server.close(() => {
        clearTimeout(timer);
        resolve();
      }); // closes those that wait for a request, too
      if (graceMs === 0) end();
    });
  }

  /** The descriptor of our socket, or undefined if Node is to open it. Throws SystemCallError. */
  #openSocket(): number | undefined {
    const host = bindHost(this.at.host);
    // A host that is a name is looked up by Node.
    if (this.#sockets === undefined || (host !== undefined && isIP(host) === 0)) return undefined;
    const lent = openStream(this.#sockets, host, this.at.port);
    this.#giveUp = () => lent.giveUp();
    return lent.socket.fd;
  }

  /** Throws what the reading of the certificate throws. */
  #create(): Server | SecureServer {
    const respond = (request: IncomingMessage, response: ServerResponse): void =>
      void this.#respond(request, response);
    const server =
      this.#tls === undefined
        ? createServer(LIMITS, respond)
        : this.#createSecure(this.#tls, respond);
    server.maxConnections = CONNECTIONS_MAX;
    server.setTimeout(this.#stalledMs);
    return server;
  }

  #createSecure({ read, failed }: HttpTls, respond: RequestListener): SecureServer {
    const { files, clientAuth, minVersion, maxVersion } = read();
    const contextOf = ({ cert, key, ca }: KeyPair): SecureContextOptions => ({
      minVersion,
      maxVersion,
      cert,
      key,
      ...(ca === undefined ? {} : { ca }),
    });
    const server = createSecureServer(
      {
        ...LIMITS,
        ...contextOf(readKeyPair(files)),
        ...askedOfClients(clientAuth),
        handshakeTimeout: REQUEST_MS,
      },
      respond,
    );
    server.prependListener('secureConnection', (stream) => {
      if (!isWelcome(stream, clientAuth)) stream.destroy();
    });
    this.#certificate?.stop();
    this.#certificate = new FollowedCertificate(files, {
      loaded: (pair) => server.setSecureContext(contextOf(pair)),
      failed,
    });
    return server;
  }

  /** Never rejects. */
  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, contentType, body, fileName } = await this.#page(request, response);
    const isStream = typeof body !== 'string';
    response.writeHead(status, {
      'content-type': contentType,
      ...(isStream ? {} : { 'content-length': Buffer.byteLength(body) }),
      ...(fileName === undefined
        ? {}
        : { 'content-disposition': `attachment; filename="${fileName}"` }),
      ...(status === 405 ? { allow: 'GET, HEAD' } : {}),
    });
    const isHead = request.method === 'HEAD';
    if (!isStream) {
      response.end(isHead ? undefined : body);
      return;
    }
    if (isHead) {
      body.destroy();
      response.end();
      return;
    }
    // Ends both, whichever fails.
    pipeline(body, response, () => undefined);
  }

  async #page(request: IncomingMessage, response: ServerResponse): Promise<AnyPage> {
    const [path, query] = (request.url ?? '').split('?', 2);
    const route = this.#routes.get(path!);
    if (route === undefined) return text(404, '404 page not found\n');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return text(405, 'Method Not Allowed\n');
    }
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    try {
      return await route({ query: new URLSearchParams(query), gone: gone.signal });
    } catch {
      return text(500, 'Internal Server Error\n');
    }
  }
}

/** A page of plain text. */
export function text(status: number, body: string): Page {
  return { status, contentType: TEXT, body };
}

/** `localhost` is the IPv4 one, as it is to Go, and needs no resolver. */
function bindHost(host: string): string | undefined {
  if (host === '') return undefined;
  return host === 'localhost' ? '127.0.0.1' : host;
}

/** Without a host every address of both families, or of IPv4 alone where there is no IPv6. */
function openStream(
  sockets: SocketSource,
  host: string | undefined,
  port: number,
): Lent<StreamSocket> {
  const open = (at: string): Lent<StreamSocket> => sockets.stream({ host: at, port }, BACKLOG);
  if (host !== undefined) return open(host);
  try {
    return open('::');
  } catch (error) {
    if (!(error instanceof SystemCallError) || !WITHOUT_IPV6.has(error.code)) throw error;
    return open('0.0.0.0');
  }
}

const WITHOUT_IPV6: ReadonlySet<string> = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL']);
