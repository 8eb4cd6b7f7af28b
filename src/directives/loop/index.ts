/**
 * `loop { action exit|disable }`: finds out at start whether what we forward comes back to us, and ends
 * the process if so, or keeps the block from forwarding for as long as it does.
 *
 *   probing --any answer--> off          one exchange ended: nothing loops
 *      | '----30 s-------> off           no answer: another directive's concern
 *      '--third sighting--> fatal        our own question has come to us again and again
 *               '---------> disabled     with `disable`; probed again every 30 s
 *   disabled --an answer, no third sighting--> off
 *
 * Owns:    the question that only we can have asked, and who counts as having seen it.
 */
import { type Socket, createSocket } from 'node:dgram';
import {
  type OptionTable,
  noArguments,
  one,
  readOptions,
  readUse,
} from '../../corefile/options.ts';
import { parseWord } from '../../corefile/values.ts';
import { buildQuery } from '../../dns/build-query.ts';
import { HEADER_OCTETS, RD, isResponse, readU16, writeU16 } from '../../dns/header.ts';
import { nameFromText } from '../../dns/name.ts';
import { SERVFAIL } from '../../dns/rcode.ts';
import { HINFO } from '../../dns/rrtype.ts';
import type { Query } from '../../query/query.ts';
import { Response } from '../../query/response.ts';
import { ANSWERED, PASS, type Verdict } from '../../query/verdict.ts';
import { nowMs } from '../../sys/clock.ts';
import { random16 } from '../../sys/random.ts';
import type { BuildContext, Directive, Handler } from '../directive.ts';
import { type HostPort, formatHostPort, reachableHost } from '../../net/host-port.ts';

export interface LoopConfig {
  /** The action after a loop; undefined for the daemon's choice ({@link BuildContext.onLoop}). */
  readonly action: 'exit' | 'disable' | undefined;
}

export const loop: Directive<LoopConfig> = {
  name: 'loop',
  repeat: 'refuse',
  parse: (use) =>
    readUse(use, () => {
      noArguments(use);
      return readOptions(use, OPTIONS, { action: undefined });
    }),
  build: ([config], context) => new Loop(config!, context),
};

const OPTIONS: OptionTable<{ action: LoopConfig['action'] }> = {
  action: one((draft, value) => {
    draft.action = parseWord<'exit' | 'disable'>(value, ['exit', 'disable']);
  }),
};

/** One sighting is our probe itself, and a second may be a retransmission. */
const SIGHTINGS_MAX = 2;
const ANSWER_MS = 2000;
const RETRY_MS = 1000;
const PROBING_MS = 30_000;
/** How often a block that does not forward is tried: somebody may have mended it. */
const RECHECK_MS = 30_000;
/** Answers to what a disabled block does not forward are not asked for again sooner. */
const REST_SEC = 1;
const DNS_PORT = 53;

class Loop implements Handler {
  readonly name = 'loop';
  readonly seesHits = false;
  readonly #context: BuildContext;
  readonly #action: 'exit' | 'disable';
  readonly #zone: string;
  readonly #target: HostPort;
  /** Known to us alone, so no other client can make us count. A new one for each probe. */
  #probeName = '';
  #probe: Probe | undefined;
  #sightings = 0;
  #isOn = false;
  #isDisabled = false;
  #recheck: NodeJS.Timeout | undefined;

  constructor({ action }: LoopConfig, context: BuildContext) {
    this.#context = context;
    this.#action = action ?? context.onLoop;
    this.#zone = context.zones[0] ?? '.';
    this.#target = context.listeners[0] ?? { host: '', port: DNS_PORT };
    context.onStart(() => this.#begin());
    context.onStop(() => {
      clearTimeout(this.#recheck);
      this.#end();
      context.troubles.end('loop', this.#zone);
    });
  }

  /** False while our queries come back to us: no query needs to wait for them. */
  isReachable(): boolean {
    return !this.#isDisabled;
  }

  onQuery(query: Query): Verdict {
    if (!this.#isOn && !this.#isDisabled) return PASS;
    if (this.#isOn && query.qtype === HINFO && query.name === this.#probeName) {
      this.#sightings++;
      if (this.#sightings <= SIGHTINGS_MAX) return PASS;
      this.#found(query);
      if (this.#action === 'exit') return PASS;
    } else if (!this.#isDisabled) {
      return PASS;
    }
    const message = `plugin/loop: not forwarded: what the block ${this.#zone} forwards comes back`;
    query.answer(Response.failed(query, SERVFAIL, message, REST_SEC));
    return ANSWERED;
  }

  #begin(): void {
    this.#sightings = 0;
    this.#probeName = `${random63()}.${random63()}.${this.#zone === '.' ? '' : this.#zone}`;
    this.#isOn = true;
    this.#probe = new Probe(this.#target, this.#probeName, {
      // A lost probe may have been seen: the next begins at none.
      failed: () => {
        this.#sightings = 0;
      },
      answered: () => this.#clear(),
      gaveUp: () => this.#end(),
    });
  }

  /** Ends the probe. A disabled block is probed again. */
  #end(): void {
    this.#isOn = false;
    this.#probe?.stop();
    clearTimeout(this.#recheck);
    if (this.#isDisabled) this.#recheck = setTimeout(() => this.#begin(), RECHECK_MS).unref();
  }

  #found(query: Query): void {
    const { client } = query;
    const from =
      client === undefined
        ? ''
        : formatHostPort({ host: client.remoteAddress, port: client.remotePort });
    const to = formatHostPort(this.#target);
    const text =
      `plugin/loop: Loop (${from} -> ${to}) detected for zone "${this.#zone}", see ` +
      `https://coredns.io/plugins/loop#troubleshooting. Query: "HINFO ${query.name}"`;
    const isNews = !this.#isDisabled;
    if (this.#action === 'disable') this.#isDisabled = true;
    this.#end();
    if (this.#action === 'exit') {
      this.#context.fatal(text);
    } else if (isNews) {
      this.#context.log.error(`${text}; the block forwards nothing until that has an end`);
      const trouble = `what the block ${this.#zone} forwards comes back here: it forwards nothing`;
      this.#context.troubles.begin('loop', this.#zone, trouble);
    }
  }

  /** The probe was answered before a third sighting. */
  #clear(): void {
    if (this.#isDisabled) {
      this.#isDisabled = false;
      this.#context.troubles.end('loop', this.#zone);
      this.#context.log.info(`plugin/loop: Loop for zone "${this.#zone}" has an end`);
    }
    this.#end();
  }
}

interface ProbeEvents {
  failed(): void;
  answered(): void;
  /** The time is over. */
  gaveUp(): void;
}

/** Asks one question until it is answered, or for 30 s. Keeps no process alive. */
class Probe {
  readonly #target: HostPort;
  readonly #message: Uint8Array;
  readonly #events: ProbeEvents;
  readonly #untilMs: number;
  #socket: Socket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(target: HostPort, name: string, events: ProbeEvents) {
    this.#target = target;
    this.#message = probeMessage(name);
    this.#events = events;
    this.#untilMs = nowMs() + PROBING_MS;
    this.#ask();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#closeSocket();
  }

  #ask(): void {
    if (this.#stopped) return;
    if (nowMs() >= this.#untilMs) {
      this.#events.gaveUp();
      return;
    }
    const host = reachableHost(this.#target.host);
    writeU16(this.#message, 0, random16());
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    this.#socket = socket;
    socket.unref();
    socket.on('error', () => this.#fail(socket));
    socket.on('message', (answer) => {
      if (answer.length < HEADER_OCTETS || !isResponse(answer, 0)) return;
      if (readU16(answer, 0) === readU16(this.#message, 0)) this.#events.answered();
    });
    // Connected, so that a refused port is an error, and answers come from the target alone.
    socket.connect(this.#target.port, host, () => {
      if (socket === this.#socket) socket.send(this.#message);
    });
    this.#timer = setTimeout(() => this.#fail(socket), ANSWER_MS);
    this.#timer.unref();
  }

  #fail(socket: Socket): void {
    if (this.#stopped || socket !== this.#socket) return;
    this.#closeSocket();
    clearTimeout(this.#timer);
    this.#events.failed();
    this.#timer = setTimeout(() => this.#ask(), RETRY_MS);
    this.#timer.unref();
  }

  #closeSocket(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
  }
}

/** A HINFO question with RD and no EDNS. */
function probeMessage(name: string): Uint8Array {
  const qname = nameFromText(name) ?? Uint8Array.of(0);
  return buildQuery({ name: qname, qtype: HINFO, flags: RD << 8 });
}

/** 0 to 2^63 - 1 in decimal, as Go's rand.Int. */
function random63(): string {
  let value = BigInt(random16() >> 1);
  for (let i = 0; i < 3; i++) value = (value << 16n) | BigInt(random16());
  return String(value);
}
