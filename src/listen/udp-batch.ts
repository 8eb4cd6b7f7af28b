/**
 * UDP in batches: woken by the event loop, every datagram that waits is received by one recvmmsg, and
 * the answers that are ready leave by one sendmmsg. Linux, through koffi (sys/).
 *
 * Owns:    the bound on work per wake-up, so that TCP, timers and upstream answers get their turn;
 *          answers that come later; answers that the kernel does not take at once.
 * Hot path, stops 1 and 6 of 6: no allocation per query.
 */
import { fstatSync, readFileSync } from 'node:fs';
import { MESSAGE_OCTETS_MAX, OPT_OCTETS } from '../dns/limits.ts';
import type { Counter } from '../observe/counters.ts';
import { copyOctets } from '../dns/octets.ts';
import {
  type Client,
  type Family,
  NO_ANSWER,
  type ReplyPath,
  type Responder,
  SendSlot,
  UDP,
} from '../query/responder.ts';
import { nowMs, toDs } from '../sys/clock.ts';
import { type Libc, loadLibc } from '../sys/libc.ts';
import { DatagramVector, arrivalText, receiveDatagrams, sendDatagrams } from '../sys/mmsg.ts';
import { addressText, familyOf, portOf } from '../sys/sockaddr.ts';
import { type DatagramSocket } from '../sys/socket.ts';
import type { Lent, SocketSource } from '../sys/socket-source.ts';
import { SystemCallError } from '../sys/system-call-error.ts';
import { BATCH_SLOTS, SLOT_OCTETS } from './batch-size.ts';
import { type ListenAddress, type Listener, listenError } from './listener.ts';
import { type InheritedDatagram, type QueryJournal, socketNumber } from './query-journal.ts';

/** Batches per wake-up: 256 queries take about 1 ms; then the others have their turn. */
const ROUNDS_MAX = 4;
const LATE_SLOTS = 32;
/**
 * Holds 26,000 queries, of which the kernel counts 1,280 octets each, while the process is busy or a
 * worker is replaced: more than a second at 20,000 a second. The kernel's default holds 166. Memory is
 * taken as it is filled.
 */
const RECEIVE_BUFFER_OCTETS = 16 << 20;
/** Answers that wait for the send buffer; beyond them they are dropped, and the client asks again. */
const UNSENT_MAX = 1024;
const UNSENT_RETRY_MS = 1;

export interface UdpCounters {
  /** Answers that the kernel refused to send, or had no room for. */
  readonly sendErrors: Counter;
}

/** The memory for all sockets: one batch is received, answered and sent before the next. */
interface Buffers {
  readonly libc: Libc;
  readonly received: DatagramVector;
  readonly answers: DatagramVector;
  /** The room for the next answer in `answers`. */
  readonly sendSlot: SendSlot;
  readonly late: DatagramVector;
  readonly large: DatagramVector;
  /** For each late answer, the query that the journal is to forget; 0 if it has none. */
  readonly lateKept: Uint32Array;
}

let shared: Buffers | undefined;

function buffers(journal: QueryJournal | undefined): Buffers {
  if (shared === undefined) {
    const libc = loadLibc()!;
    const answers = new DatagramVector(libc, BATCH_SLOTS, SLOT_OCTETS);
    shared = {
      libc,
      received: journal?.received ?? new DatagramVector(libc, BATCH_SLOTS, SLOT_OCTETS),
      answers,
      sendSlot: new SendSlot(answers.octets),
      late: new DatagramVector(libc, LATE_SLOTS, SLOT_OCTETS),
      large: new DatagramVector(libc, 1, MESSAGE_OCTETS_MAX + 1 + OPT_OCTETS),
      lateKept: new Uint32Array(LATE_SLOTS),
    };
  }
  return shared;
}

/** Whether this system can. */
export function canBatch(): boolean {
  return loadLibc() !== undefined;
}

class BatchSocket {
  readonly socket: DatagramSocket;
  readonly host: string;
  /** Keeps unanswered queries for the next worker; undefined if no supervisor holds it. */
  readonly journal: QueryJournal | undefined;
  readonly #number: number;
  readonly #buffers: Buffers;
  readonly #responder: Responder;
  readonly #counters: UdpCounters;
  readonly #client: BatchClient;
  readonly #poll: { close(): void };
  /** Late answers in the shared vector; they are ours, or there are none. */
  #lateCount = 0;
  #lateScheduled = false;
  /** Answers that found the send buffer full. */
  #unsent: { path: BatchReplyPath; message: Uint8Array }[] = [];
  #retry: NodeJS.Timeout | undefined;
  #stopped = false;
  #closed = false;

  constructor(
    socket: DatagramSocket,
    asked: ListenAddress,
    responder: Responder,
    counters: UdpCounters,
    journal: QueryJournal | undefined,
  ) {
    this.socket = socket;
    this.host = asked.host;
    this.journal = journal;
    this.#number = socketNumber(asked.host, asked.port);
    this.#buffers = buffers(journal);
    this.#responder = responder;
    this.#counters = counters;
    this.#client = new BatchClient(this);
    this.#poll = this.#buffers.libc.pollReadable(socket.fd, () => this.#readable());
    const inherited = journal?.inheritedFor(this.#number) ?? [];
    if (inherited.length > 0) setImmediate(() => this.#serveInherited(inherited));
  }

  get received(): DatagramVector {
    return this.#buffers.received;
  }

  #readable(): void {
    for (let round = 0; round < ROUNDS_MAX && !this.#stopped; round++) {
      if (this.#serveBatch() < BATCH_SLOTS) return;
    }
    // Datagrams that are left wake us again: the poll is level-triggered.
  }

  /** Receives, answers and sends one batch. Returns how many datagrams it held. */
  #serveBatch(): number {
    const { libc, received } = this.#buffers;
    const { fd, wildcard } = this.socket;
    this.journal?.begin(this.#number, toDs(nowMs()), false);
    const count = receiveDatagrams(libc, fd, received, wildcard);
    if (count > 0) this.#answerBatch(count);
    this.journal?.end(count);
    return count;
  }

  /** Answers the queries that the previous worker had read when it ended. Off the hot path: at start. */
  #serveInherited(inherited: readonly InheritedDatagram[]): void {
    const { received } = this.#buffers;
    for (let from = 0; from < inherited.length && !this.#closed; from += BATCH_SLOTS) {
      const some = inherited.slice(from, from + BATCH_SLOTS);
      this.journal?.begin(this.#number, toDs(nowMs()), true);
      some.forEach(({ name, control, message }, slot) => {
        received.addressTo(slot, name, control);
        received.octets.set(message, received.dataAt(slot));
        received.setReceivedOctets(slot, message.length);
      });
      this.#answerBatch(some.length);
      this.journal?.end(some.length);
    }
  }

  /** Answers the datagrams in the vector, and sends what is ready. */
  #answerBatch(count: number): void {
    const { libc, received, answers, sendSlot } = this.#buffers;
    const { fd } = this.socket;
    const responder = this.#responder;
    const client = this.#client;
    responder.beginBatch();
    let ready = 0;
    for (let slot = 0; slot < count; slot++) {
      const at = received.dataAt(slot);
      const end = at + received.receivedOctets(slot);
      client.slot = slot;
      if (this.socket.family === 6)
        client.family = familyOf(received.octets, received.nameAt(slot));
      sendSlot.at = answers.dataAt(ready);
      sendSlot.end = sendSlot.at + SLOT_OCTETS;
      const octets = responder.respond(received.octets, at, end, client, sendSlot);
      if (octets <= NO_ANSWER) continue;
      answers.addressLike(ready, received, slot);
      answers.setDataOctets(ready, octets);
      ready++;
    }
    const sent = sendDatagrams(libc, fd, answers, 0, ready, this.#counters.sendErrors);
    for (let slot = sent; slot < ready; slot++) this.#keepUnsent(answers, slot, 0);
    responder.endBatch();
  }

  /** Sends an answer that comes late; those of one turn of the event loop leave together. */
  sendLate(path: BatchReplyPath, message: Uint8Array, octets: number): void {
    if (this.#closed) return;
    const { libc, late, large } = this.#buffers;
    if (octets > SLOT_OCTETS) {
      large.octets.set(message.subarray(0, octets), large.dataAt(0));
      large.addressTo(0, path.name, path.control);
      large.setDataOctets(0, octets);
      const sent = sendDatagrams(libc, this.socket.fd, large, 0, 1, this.#counters.sendErrors);
      if (sent === 0) this.#counters.sendErrors.value++;
      this.#forget(path.kept);
      return;
    }
    if (lateOwner !== this) {
      lateOwner?.flushLate();
      lateOwner = this;
    }
    if (this.#lateCount === LATE_SLOTS) this.flushLate();
    const slot = this.#lateCount++;
    const at = late.dataAt(slot);
    for (let i = 0; i < octets; i++) late.octets[at + i] = message[i]!;
    late.addressTo(slot, path.name, path.control);
    late.setDataOctets(slot, octets);
    this.#buffers.lateKept[slot] = path.kept;
    if (!this.#lateScheduled) {
      this.#lateScheduled = true;
      process.nextTick(this.#flushScheduled);
    }
  }

  readonly #flushScheduled = (): void => {
    this.#lateScheduled = false;
    this.flushLate();
  };

  flushLate(): void {
    const count = this.#lateCount;
    this.#lateCount = 0;
    if (count === 0 || this.#closed) return;
    const { libc, late, lateKept } = this.#buffers;
    const sent = sendDatagrams(libc, this.socket.fd, late, 0, count, this.#counters.sendErrors);
    for (let slot = 0; slot < sent; slot++) this.#forget(lateKept[slot]!);
    for (let slot = sent; slot < count; slot++) this.#keepUnsent(late, slot, lateKept[slot]!);
  }

  #forget(kept: number): void {
    if (kept !== 0) this.journal?.forget(kept);
  }

  /**
   * The send buffer is full: the answer is kept, and tried again in a moment. Off the hot path: a full
   * buffer is rare, and the kernel slower than we are then.
   */
  #keepUnsent(vector: DatagramVector, slot: number, kept: number): void {
    if (this.#unsent.length >= UNSENT_MAX) {
      this.#counters.sendErrors.value++;
      return;
    }
    const at = vector.dataAt(slot);
    this.#unsent.push({
      path: new BatchReplyPath(this, vector, slot, kept),
      message: copyOctets(vector.octets, at, at + vector.dataOctets(slot)),
    });
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      const unsent = this.#unsent;
      this.#unsent = [];
      for (const { path, message } of unsent) this.sendLate(path, message, message.length);
    }, UNSENT_RETRY_MS);
  }

  /** Stops reading; answers can still be sent. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#poll.close();
  }

  close(): void {
    if (this.#closed) return;
    this.stop();
    this.flushLate();
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#buffers.libc.close(this.socket.fd);
  }
}

/** The socket whose answers stand in the late vector. */
let lateOwner: BatchSocket | undefined;

/** The sender of the datagram that is being answered. */
class BatchClient implements Client {
  readonly transport = UDP;
  family: Family;
  slot = 0;
  readonly #socket: BatchSocket;

  constructor(socket: BatchSocket) {
    this.#socket = socket;
    this.family = socket.socket.family === 6 ? 2 : 1;
  }

  keep(): ReplyPath {
    const kept = this.#socket.journal?.keep(this.slot) ?? 0;
    return new BatchReplyPath(this.#socket, this.#socket.received, this.slot, kept);
  }
}

const NO_CONTROL = new Uint8Array(0);

class BatchReplyPath implements ReplyPath {
  readonly transport = UDP;
  readonly family: Family;
  readonly #socket: BatchSocket;
  /** Copies of the socket address and control data. */
  readonly name: Uint8Array;
  readonly control: Uint8Array;
  /** By what the journal knows the query; 0 if it does not. */
  readonly kept: number;

  constructor(socket: BatchSocket, vector: DatagramVector, slot: number, kept: number) {
    this.#socket = socket;
    this.kept = kept;
    const nameAt = vector.nameAt(slot);
    const controlAt = vector.controlAt(slot);
    this.name = copyOctets(vector.octets, nameAt, nameAt + vector.nameOctets(slot));
    const controlOctets = vector.controlOctets(slot);
    this.control =
      controlOctets === 0
        ? NO_CONTROL
        : copyOctets(vector.octets, controlAt, controlAt + controlOctets);
    this.family = familyOf(this.name, 0);
  }

  get remoteAddress(): string {
    return addressText(this.name);
  }

  get remotePort(): number {
    return portOf(this.name);
  }

  get localAddress(): string {
    return arrivalText(this.control) ?? this.#socket.host;
  }

  get localPort(): number {
    return this.#socket.socket.port;
  }

  send(message: Uint8Array, octets: number): void {
    this.#socket.sendLate(this, message, octets);
  }
}

/**
 * Listens on the address. Throws ListenError if the address is unavailable. `journal` keeps
 * unanswered queries for the next worker. Off the hot path: at start and reload.
 */
export function listenBatchUdp(
  address: ListenAddress,
  responder: Responder,
  counters: UdpCounters,
  sockets: SocketSource,
  journal?: QueryJournal,
): Listener {
  const host = address.host === '' ? '::' : address.host;
  let lent: Lent<DatagramSocket>;
  try {
    lent = sockets.datagram({
      host,
      port: address.port,
      receiveBufferOctets: RECEIVE_BUFFER_OCTETS,
    });
  } catch (error) {
    if (error instanceof SystemCallError) throw listenError('udp', address, error);
    throw error;
  }
  const { socket } = lent;
  const asked = { host, port: address.port };
  const batch = new BatchSocket(socket, asked, responder, counters, journal);
  const { ino } = fstatSync(socket.fd);
  return {
    transport: 'udp',
    address: { host, port: socket.port },
    io: 'batch',
    receiveBufferOctets: socket.receiveBufferOctets,
    drops: () => readDrops(ino, socket.family),
    stop: () => {
      batch.stop();
      lent.giveUp();
    },
    close: () => {
      batch.close();
      lent.giveUp();
      return Promise.resolve();
    },
  };
}

/**
 * Datagrams that the kernel dropped because the receive buffer was full: the last column. Off the hot
 * path: every few seconds.
 */
function readDrops(inode: number, family: 4 | 6): number {
  const table = readFileSync(family === 6 ? '/proc/net/udp6' : '/proc/net/udp', 'utf8');
  for (const line of table.split('\n')) {
    const columns = line.trim().split(/\s+/);
    if (columns[9] === String(inode)) return Number(columns[12]);
  }
  return 0;
}
