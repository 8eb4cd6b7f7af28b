/**
 * For tests: an upstream on a loopback port that behaves as told, and who asks it.
 *
 * Owns:    the upstream's behaviour, and what it has seen.
 */
import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import { HEADER_OCTETS, QR, RD, writeU16 } from '../dns/header.ts';
import { nameFromText, nameToText } from '../dns/name.ts';
import type { NormalizedResponse } from '../dns/response.ts';
import { Attempt, type AttemptOwner, type FailureCause } from './attempt.ts';
import type { UpstreamTarget, UpstreamTerms } from './config.ts';
import type { Upstream } from './upstream.ts';

export const TERMS: UpstreamTerms = {
  expireMs: 10_000,
  ageMaxMs: 0,
  idleMax: 0,
  readTimeoutMs: 2000,
  failsMax: 2,
  healthCheck: { intervalMs: 500, recursionDesired: true, domain: '.' },
  checkOverStream: true,
};

/** A query of type A. */
export function queryFor(name: string, type: number = 1): Uint8Array {
  const qname = nameFromText(name)!;
  const query = new Uint8Array(HEADER_OCTETS + qname.length + 4);
  query[2] = RD;
  query[5] = 1;
  query.set(qname, HEADER_OCTETS);
  writeU16(query, query.length - 4, type);
  query[query.length - 1] = 1;
  return query;
}

/** The response to it without records. */
export function responseFor(query: Uint8Array, rcode: number = 0): Uint8Array {
  const response = Uint8Array.from(query);
  response[2] = response[2]! | QR;
  response[3] = rcode;
  return response;
}

/** One query that came over a connection. */
export interface Seen {
  readonly name: string;
  /** Which of the connections, from 0. */
  readonly connection: number;
  readonly socket: Socket;
  readonly query: Uint8Array;
  answer(rcode?: number): void;
}

export class LoopbackUpstream {
  readonly seen: Seen[] = [];
  readonly sockets: Socket[] = [];
  /** Called for everything but probes (`. NS`). */
  behaviour: (seen: Seen) => void = (seen) => seen.answer();
  /** Called for probes. */
  onProbe: (seen: Seen) => void = (seen) => seen.answer();
  onConnection: ((socket: Socket, connection: number) => void) | undefined;
  #server: Server | undefined;
  #port = 0;

  static async start(): Promise<LoopbackUpstream> {
    const upstream = new LoopbackUpstream();
    await upstream.open();
    return upstream;
  }

  get target(): UpstreamTarget {
    return { host: '127.0.0.1', port: this.#port, tls: undefined };
  }

  /** Connections open now. */
  get connected(): number {
    return this.sockets.filter((socket) => !socket.destroyed).length;
  }

  names(): string[] {
    return this.seen.map(({ name }) => name);
  }

  /** Listens, the first time or again after `close`, at the same port. */
  async open(): Promise<void> {
    const server = createServer((socket) => this.#accept(socket));
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Resets every connection; nobody listens any more. */
  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    server.close();
    await once(server, 'close');
  }

  #accept(socket: Socket): void {
    const connection = this.sockets.push(socket) - 1;
    let left = Buffer.alloc(0);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    this.onConnection?.(socket, connection);
    socket.on('data', (chunk: Buffer) => {
      left = Buffer.concat([left, chunk]);
      while (left.length >= 2 && left.length >= 2 + left.readUInt16BE(0)) {
        const end = 2 + left.readUInt16BE(0);
        this.#take(Uint8Array.from(left.subarray(2, end)), socket, connection);
        left = left.subarray(end);
      }
    });
  }

  #take(query: Uint8Array, socket: Socket, connection: number): void {
    const name = nameToText(query, HEADER_OCTETS);
    const answer = (rcode: number = 0): void => {
      if (!socket.destroyed) socket.write(framed(responseFor(query, rcode)));
    };
    const seen = { name, connection, socket, query, answer };
    if (name === '.') {
      this.onProbe(seen);
      return;
    }
    this.seen.push(seen);
    this.behaviour(seen);
  }
}

export function framed(message: Uint8Array): Buffer {
  const octets = Buffer.alloc(2 + message.length);
  octets.writeUInt16BE(message.length);
  octets.set(message, 2);
  return octets;
}

/** What one attempt was told. */
export class Asker implements AttemptOwner {
  answer: NormalizedResponse | undefined;
  failure: { readonly reason: string; readonly cause: FailureCause } | undefined;
  slow = 0;
  silent = 0;
  /** Answers and failures: 1 in the end. */
  ends = 0;

  onAnswered(_: Attempt, message: NormalizedResponse): void {
    this.answer = message;
    this.ends++;
  }

  onSlow(_: Attempt, doubted: boolean): void {
    if (doubted) this.silent++;
    else this.slow++;
  }

  onFailed(_: Attempt, reason: string, cause: FailureCause): void {
    this.failure = { reason, cause };
    this.ends++;
  }

  attempt(upstream: Upstream, name: string, mends: boolean = false): Attempt {
    const query = queryFor(name);
    const attempt = new Attempt(this, upstream, query, query.length - HEADER_OCTETS - 4, 'query');
    attempt.overStream = true;
    attempt.mends = mends;
    return attempt;
  }
}
