/**
 * DNS over HTTPS (RFC 8484): each query is one exchange on an HTTP/2 connection, and the message's own
 * ID is 0 (section 4.1), so that caches on the way may do their work.
 *
 * Owns:    the exchange of one message over HTTP/2.
 */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
} from 'node:http2';
import { type SecureContext, type TLSSocket, connect as connectTls } from 'node:tls';
import { AD, readU16, writeU16 } from '../../dns/header.ts';
import { MESSAGE_OCTETS_MAX } from '../../dns/limits.ts';
import { copyOctets } from '../../dns/octets.ts';
import { formatHostPort } from '../../net/host-port.ts';
import { isAcknowledged, setUserTimeout } from '../../sys/tcp-info.ts';
import type { Attempt } from '../attempt.ts';
import { type UpstreamTarget } from '../config.ts';
import { USER_TIMEOUT_MS, tlsOptions } from './stream.ts';
import type { Wire, WireEvents } from './wire.ts';

const PATH = '/dns-query';
const MEDIA_TYPE = 'application/dns-message';

export class HttpsWire implements Wire {
  readonly #events: WireEvents;
  readonly #method: 'GET' | 'POST';
  readonly #authority: string;
  readonly #socket: TLSSocket;
  readonly #session: ClientHttp2Session;

  constructor(
    target: UpstreamTarget,
    events: WireEvents,
    secure: SecureContext | undefined,
    session: Buffer | undefined,
  ) {
    this.#events = events;
    this.#method = target.https!;
    const { tls, port } = target;
    this.#authority =
      tls?.serverName === undefined ? formatHostPort(target) : `${tls.serverName}:${port}`;
    const socket = connectTls({ ...tlsOptions(target, secure, session), ALPNProtocols: ['h2'] });
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.once('connect', () => events.onAccepted());
    socket.once('secureConnect', () => {
      if (socket.alpnProtocol === 'h2') {
        setUserTimeout(socket, USER_TIMEOUT_MS);
        events.onOpen();
      } else {
        socket.destroy(new Error('the upstream does not speak HTTP/2'));
      }
    });
    socket.on('session', (next: Buffer) => events.onSession(next));
    socket.on('error', (error: NodeJS.ErrnoException) => events.onError(error));
    this.#session = connectHttp2(`https://${formatHostPort(target)}`, {
      createConnection: () => socket,
      settings: { enablePush: false },
    });
    this.#session.on('error', (error: NodeJS.ErrnoException) => events.onError(error));
    this.#session.on('goaway', () => events.onUnwanted());
    this.#session.on('close', () => {
      socket.destroy();
      events.onClosed();
    });
  }

  send({ query, askAuthentic }: Attempt, id: number): void {
    if (this.#session.closed || this.#session.destroyed) return; // its end is told presently
    const message = copyOctets(query);
    writeU16(message, 0, 0);
    if (askAuthentic) message[3] = message[3]! | AD;
    this.#receive(id, this.#request(Buffer.from(message.buffer, 0, message.length)));
  }

  #request(message: Buffer): ClientHttp2Stream {
    const headers = { ':authority': this.#authority, accept: MEDIA_TYPE };
    if (this.#method === 'GET') {
      const path = `${PATH}?dns=${message.toString('base64url')}`;
      return this.#session.request({ ...headers, ':method': 'GET', ':path': path });
    }
    const stream = this.#session.request({
      ...headers,
      ':method': 'POST',
      ':path': PATH,
      'content-type': MEDIA_TYPE,
      'content-length': message.length,
    });
    stream.end(message);
    return stream;
  }

  /** Ends with one call of onMessage or onNoMessage, unless the whole connection ends. */
  #receive(id: number, stream: ClientHttp2Stream): void {
    const chunks: Buffer[] = [];
    let octets = 0;
    let ageSec = 0;
    let fault = '';
    const fail = (reason: string): void => {
      fault = reason;
      stream.close();
    };
    stream.on('response', (headers) => {
      const status = headers[':status'];
      const type = headers['content-type'];
      if (status !== 200) fail(`https: status ${status}`);
      else if (type?.split(';')[0]!.trim().toLowerCase() !== MEDIA_TYPE) {
        fail(`https: content-type ${type}`);
      }
      const age = headers['age'];
      if (age !== undefined && /^\d{1,9}$/.test(age)) ageSec = Number(age);
    });
    stream.on('data', (chunk: Buffer) => {
      octets += chunk.length;
      if (octets > MESSAGE_OCTETS_MAX) fail('https: message too long');
      else chunks.push(chunk);
    });
    stream.on('error', (error) => {
      if (fault === '') fault = `https: ${error.message}`;
    });
    stream.on('close', () => {
      if (this.#session.destroyed) return;
      const message = Buffer.concat(chunks);
      if (fault === '' && message.length > 1 && readU16(message, 0) !== 0)
        fault = 'https: wrong ID';
      if (fault === '') this.#events.onMessage(id, message, 0, message.length, ageSec);
      else this.#events.onNoMessage(id, fault);
      this.#events.onRead();
    });
  }

  isAcknowledged(): boolean | undefined {
    return isAcknowledged(this.#socket);
  }

  destroy(): void {
    this.#session.destroy();
  }
}
