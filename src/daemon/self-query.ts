/**
 * Queries to ourselves: whether the sockets that clients use are answered, by way of the kernel.
 *
 * The query has an opcode that we answer (NOTIMP) without any block, cache or upstream: what is
 * tested is that we read and write, and nothing else.
 */
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { HostPort } from '../directives/directive.ts';
import { nowMs } from '../sys/clock.ts';

const ANSWER_MS = 200;
const QUERIES_MAX = 25;
const CHECK_EVERY_MS = 1000;
/** Checks that may fail in a row before we are taken to be dead. */
const SILENT_MS_MAX = 3000;

/** A header with opcode STATUS (RFC 1035 section 4.1.1), and the question `. NS IN`. */
const STATUS_QUERY = Uint8Array.of(1, 1, 2 << 3, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1);

/** Whether something answers DNS over UDP at that address, asked for up to 5 s. */
export async function answersSoon(host: string, port: number): Promise<boolean> {
  for (let i = 0; i < QUERIES_MAX; i++) {
    if (await answers(host, port)) return true;
  }
  return false;
}

function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    const end = (answered: boolean): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => undefined);
      socket.close();
      resolve(answered);
    };
    const timer = setTimeout(() => end(false), ANSWER_MS);
    socket.once('message', () => end(true));
    socket.once('error', () => end(false));
    socket.send(STATUS_QUERY, port, host);
  });
}

/** Asks every address once a second; for `/health`, which an upstream's trouble must not fail. */
export class SelfCheck {
  readonly #addresses: () => readonly HostPort[];
  readonly #answeredMs = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;

  /** `addresses` are those that are listened on now. */
  constructor(addresses: () => readonly HostPort[]) {
    this.#addresses = addresses;
    this.#timer = setInterval(() => void this.#check(), CHECK_EVERY_MS);
    this.#timer.unref();
  }

  /** Whether every address has answered within the last 3 s, or is that new. */
  get isServing(): boolean {
    const now = nowMs();
    return this.#addresses().every((address) => now - this.#since(address, now) < SILENT_MS_MAX);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #check(): Promise<void> {
    await Promise.all(
      this.#addresses().map(async (address) => {
        if (await answers(askable(address.host), address.port)) {
          this.#answeredMs.set(keyOf(address), nowMs());
        }
      }),
    );
  }

  #since(address: HostPort, now: number): number {
    const key = keyOf(address);
    const since = this.#answeredMs.get(key);
    if (since !== undefined) return since;
    this.#answeredMs.set(key, now);
    return now;
  }
}

function keyOf({ host, port }: HostPort): string {
  return `${host} ${port}`;
}

/** A wildcard is asked on loopback. */
function askable(host: string): string {
  if (host === '::' || host === '') return '::1';
  return host === '0.0.0.0' ? '127.0.0.1' : host;
}
