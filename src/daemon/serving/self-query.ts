/**
 * Queries to ourselves: whether the sockets that clients use are answered, by way of the kernel.
 *
 * The query for `/health` has an opcode that we answer (NOTIMP) without any block, cache or upstream: it
 * tests that we read and write, and nothing else. The query for `/ready` takes the way of a client's.
 *
 * Owns:    how often we ask ourselves, and when silence counts as a fault.
 */
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { buildQuery } from '../../dns/build-query.ts';
import { type HostPort, reachableHost } from '../../net/host-port.ts';
import { HEADER_OCTETS, OPCODE_STATUS, RD } from '../../dns/header.ts';
import { nameFromText } from '../../dns/name.ts';
import { NS, SOA } from '../../dns/rrtype.ts';
import { nowMs } from '../../sys/clock.ts';
import { random16 } from '../../sys/random.ts';

const ANSWER_MS = 200;
const QUERIES_MAX = 25;
const CHECK_EVERY_MS = 1000;
/** Checks that may fail in a row before we are taken to be dead. */
const SILENT_MS_MAX = 3000;

/** `. NS IN` with opcode STATUS (RFC 1035 section 4.1.1). */
const STATUS_QUERY = buildQuery({
  name: Uint8Array.of(0),
  qtype: NS,
  id: 0x0101,
  flags: OPCODE_STATUS << 11,
});

/** Whether something answers DNS over UDP at that address, asked for up to 5 s. */
export async function answersSoon(host: string, port: number): Promise<boolean> {
  for (let i = 0; i < QUERIES_MAX; i++) {
    if (await answers(host, port)) return true;
  }
  return false;
}

async function answers(host: string, port: number): Promise<boolean> {
  return (await ask({ host, port }, STATUS_QUERY, ANSWER_MS)) !== undefined;
}

/**
 * The RCODE of the answer to `SOA` of `zone`, by way of the block and its upstreams; undefined if
 * there is none within `withinMs`.
 */
export async function askZone(
  at: HostPort,
  zone: string,
  withinMs: number,
): Promise<number | undefined> {
  const answer = await ask(at, zoneQuery(zone), withinMs);
  return answer === undefined || answer.length < HEADER_OCTETS ? undefined : answer[3]! & 0x0f;
}

/** The answer to one datagram. */
function ask(
  { host, port }: HostPort,
  query: Uint8Array,
  withinMs: number,
): Promise<Buffer | undefined> {
  const target = reachableHost(host);
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(target) ? 'udp6' : 'udp4');
    const end = (answer: Buffer | undefined): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => undefined);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => end(undefined), withinMs);
    socket.unref();
    socket.once('message', end);
    socket.once('error', () => end(undefined));
    socket.send(query, port, target);
  });
}

/** With RD and a random ID, without EDNS. */
function zoneQuery(zone: string): Uint8Array {
  const name = nameFromText(zone) ?? Uint8Array.of(0);
  return buildQuery({ name, qtype: SOA, id: random16(), flags: RD << 8 });
}

/** Asks every address once a second; for `/health`, which an upstream's trouble must not fail. */
export class SelfCheck {
  readonly #addresses: () => readonly HostPort[];
  readonly #reaches: (host: string) => boolean;
  readonly #answeredMs = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;

  /**
   * `addresses` are those that are listened on now. An address that `reaches` denies is taken on trust: our
   * query there would go to another server.
   */
  constructor(
    addresses: () => readonly HostPort[],
    reaches: (host: string) => boolean = () => true,
  ) {
    this.#addresses = addresses;
    this.#reaches = reaches;
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
        const { host, port } = address;
        if (!this.#reaches(host) || (await answers(host, port))) {
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
