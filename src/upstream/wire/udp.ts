/**
 * One query over UDP: a socket and so a source port of its own, chosen by the kernel at random, and a
 * random ID (RFC 5452 sections 9.1 and 9.2). CoreDNS keeps its sockets, and so repeats its ports.
 *
 * Owns:    the socket and the ID of one query.
 */
import { type Socket, createSocket } from 'node:dgram';
import { SocketAddress, isIPv6 } from 'node:net';
import { AD, HEADER_OCTETS, readU16, writeU16 } from '../../dns/header.ts';
import { copyOctets } from '../../dns/octets.ts';
import { formatHostPort } from '../../net/host-port.ts';
import { nowMs } from '../../sys/clock.ts';
import { random16 } from '../../sys/random.ts';
import { acceptResponse } from '../accept.ts';
import type { Attempt, AttemptCarrier } from '../attempt.ts';
import type { UpstreamTarget } from '../config.ts';

export interface UdpEvents {
  /** A datagram arrived that is not the answer. */
  disbelieved(reason: string): void;
  /** The query's socket is closed, for whatever reason. */
  done(query: UdpQuery): void;
}

export class UdpQuery implements AttemptCarrier {
  readonly attempt: Attempt;
  readonly #target: UpstreamTarget;
  readonly #events: UdpEvents;
  readonly #socket: Socket;
  #open = true;

  /** Sends the attempt. */
  constructor(attempt: Attempt, target: UpstreamTarget, events: UdpEvents) {
    this.attempt = attempt;
    this.#target = target;
    this.#events = events;
    attempt.id = random16();
    attempt.sent(this, nowMs());
    const message = copyOctets(attempt.query);
    writeU16(message, 0, attempt.id);
    if (attempt.askAuthentic) message[3] = message[3]! | AD;
    this.#socket = createSocket(isIPv6(target.host) ? 'udp6' : 'udp4');
    this.#socket.on('message', (reply, from) => {
      // A port and address that we did not ask is a forger's, or a stray.
      if (from.port !== target.port || !sameHost(from.address, target.host)) {
        this.#events.disbelieved('wrong-source');
      } else {
        this.#receive(reply);
      }
    });
    this.#socket.on('error', (error: NodeJS.ErrnoException) => this.#fail(error));
    if (target.source !== undefined) this.#socket.bind(0, target.source);
    this.#socket.send(message, target.port, target.host, (error) => {
      if (error !== null) this.#fail(error);
    });
  }

  withdrawn(): void {
    this.#close();
  }

  /** No answer came in time. */
  timeOut(): void {
    if (!this.#open) return;
    this.#close();
    this.attempt.fail(`read udp ${formatHostPort(this.#target)}: i/o timeout`, 'timeout');
  }

  #close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#socket.close();
    this.#events.done(this);
  }

  #receive(reply: Buffer): void {
    if (!this.#open) return;
    const { attempt } = this;
    if (reply.length < HEADER_OCTETS || readU16(reply, 0) !== attempt.id) {
      this.#events.disbelieved('unknown-id');
      return; // the true answer may still come
    }
    const message = acceptResponse(attempt, reply, 0, reply.length, false);
    if (typeof message === 'string') {
      this.#events.disbelieved(message);
      return;
    }
    this.#close();
    attempt.answer(message);
  }

  #fail(error: NodeJS.ErrnoException): void {
    if (!this.#open) return;
    this.#close();
    this.attempt.fail(`write udp ${formatHostPort(this.#target)}: ${error.message}`, 'unreachable');
  }
}

/** `target` may be spelled in any way (`fd00:0:0::1`); `from` is as the kernel has it. */
function sameHost(from: string, target: string): boolean {
  if (from === target) return true;
  const [plain, wanted] = [from.replace(/%.*/, ''), target.replace(/%.*/, '')];
  return plain === wanted || (isIPv6(wanted) && plain === canonicalIpv6(wanted));
}

function canonicalIpv6(address: string): string {
  return new SocketAddress({ address, family: 'ipv6' }).address;
}
