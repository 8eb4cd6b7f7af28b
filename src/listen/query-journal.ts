/**
 * Datagrams that were taken from a socket and are not answered yet, in memory that outlives the
 * worker: the next worker answers them, so that a crash costs no client its query.
 *
 *   0   what the memory is: a number that changes with the layout below
 *   4   the batch that is being read, answered or sent: FREE, FIRST or AGAIN
 *   8   its socket
 *  12   when it was read, in tenths of a second of the shared clock
 *  64   the vector that batches are received into (sys/mmsg.ts): the kernel itself writes there, so
 *       that nothing is lost between its call and our next statement
 *   .   the slots of queries whose answer comes later, a ring:
 *         0 state  4 socket  8 sequence  12 when  16, 20, 24 lengths of the three parts behind it
 *        28 socket address (32)  60 control data (64)  124 message
 *
 * Owns:    that each is retried only once: a query that makes us crash does so at most twice, and
 *          is then dropped; that a client which must have given up by now is not answered.
 * Is not:  a promise to connections, which end with the process.
 * Hot path, stops 1 and 6 of 6: two words written for a batch; a copy for a miss.
 */
import { copyOctets } from '../dns/octets.ts';
import type { Libc, NativeMemory } from '../sys/libc.ts';
import { DatagramVector, vectorOctets } from '../sys/mmsg.ts';
import { BATCH_SLOTS, SLOT_OCTETS } from './batch-size.ts';

const LAYOUT = 0x716a_0001;
const HEADER_OCTETS = 64;
/** Misses under way at once that are kept; at 1,000 a second they may take a second each. */
const RING_SLOTS = 1024;
/** Holds a query of a name of 255 octets; a longer one is not kept. */
const RING_SLOT_OCTETS = 384;
const NAME_AT = 28;
const NAME_OCTETS = 32;
const CONTROL_AT = NAME_AT + NAME_OCTETS;
const CONTROL_OCTETS = 64;
const MESSAGE_AT = CONTROL_AT + CONTROL_OCTETS;
const MESSAGE_OCTETS_MAX = RING_SLOT_OCTETS - MESSAGE_AT;

/** States of a batch and of a slot: nothing there; for the first time; once more after a crash. */
const FREE = 0;
const FIRST = 1;
const AGAIN = 2;

/** A resolver's patience, in tenths of a second. */
const PATIENCE_DS = 50;

const RING_AT = HEADER_OCTETS + ((vectorOctets(BATCH_SLOTS, SLOT_OCTETS) + 63) & ~63);
export const QUERY_JOURNAL_OCTETS: number = RING_AT + RING_SLOTS * RING_SLOT_OCTETS;

/** A datagram that the previous worker has read. */
export interface InheritedDatagram {
  readonly name: Uint8Array;
  readonly control: Uint8Array;
  readonly message: Uint8Array;
}

export class QueryJournal {
  /** To receive batches into. */
  readonly received: DatagramVector;
  readonly #octets: Uint8Array;
  readonly #words: Uint32Array;
  readonly #clockOffsetDs: number;
  readonly #inherited = new Map<number, InheritedDatagram[]>();
  /** The state written for queries that come now: FIRST, or AGAIN for inherited ones. */
  #state = FIRST;
  #sequence = 0;
  /** Slots of the vector that hold something. */
  #filled = BATCH_SLOTS;

  /**
   * Inherits what is in `memory`, which is QUERY_JOURNAL_OCTETS long. `clockOffsetDs` is what makes
   * `nowDs` the time of a clock that all workers share.
   */
  constructor(libc: Libc, memory: NativeMemory, nowDs: number, clockOffsetDs: number) {
    this.#octets = memory.octets;
    this.#words = new Uint32Array(memory.octets.buffer, memory.octets.byteOffset, RING_WORDS_END);
    this.#clockOffsetDs = clockOffsetDs;
    const vector = {
      octets: memory.octets.subarray(HEADER_OCTETS, RING_AT),
      address: memory.address + HEADER_OCTETS,
    };
    this.received = new DatagramVector(libc, BATCH_SLOTS, SLOT_OCTETS, vector);
    if (this.#words[0] === LAYOUT) this.#inherit(nowDs + clockOffsetDs);
    this.#words.fill(0, 0, HEADER_OCTETS >> 2);
    for (let slot = 0; slot < RING_SLOTS; slot++) this.#words[wordOf(slot)] = FREE;
    this.#words[0] = LAYOUT;
    this.#clear();
  }

  /** The datagrams that the previous worker has read from the socket and not answered; given out once. */
  inheritedFor(socket: number): readonly InheritedDatagram[] {
    const inherited = this.#inherited.get(socket) ?? [];
    this.#inherited.delete(socket);
    return inherited;
  }

  /** Before a batch is received; `again` if it is one that the previous worker had. */
  begin(socket: number, nowDs: number, again: boolean): void {
    this.#clear();
    this.#state = again ? AGAIN : FIRST;
    this.#words[2] = socket;
    this.#words[3] = nowDs + this.#clockOffsetDs;
    this.#words[1] = this.#state;
  }

  /** The batch of `count` datagrams is received, answered as far as it can be, and sent. */
  end(count: number): void {
    this.#words[1] = FREE;
    this.#state = FIRST;
    this.#filled = count;
  }

  /**
   * Keeps a datagram of the batch whose answer comes later. Returns its number for `forget`, 0 if it
   * is too long. The oldest one gives way when there are too many.
   */
  keep(slot: number): number {
    const { received } = this;
    const octets = received.receivedOctets(slot);
    const nameOctets = received.nameOctets(slot);
    const controlOctets = received.controlOctets(slot);
    if (octets > MESSAGE_OCTETS_MAX || nameOctets > NAME_OCTETS) return 0;
    if (controlOctets > CONTROL_OCTETS) return 0;
    const sequence = (this.#sequence + 1) % 2 ** 30 || 1;
    this.#sequence = sequence;
    const at = ringAt(sequence % RING_SLOTS);
    const word = at >> 2;
    const words = this.#words;
    words[word] = FREE; // until it is whole
    words[word + 1] = words[2]!;
    words[word + 2] = sequence;
    words[word + 3] = words[3]!;
    words[word + 4] = nameOctets;
    words[word + 5] = controlOctets;
    words[word + 6] = octets;
    copy(received.octets, received.nameAt(slot), this.#octets, at + NAME_AT, nameOctets);
    copy(received.octets, received.controlAt(slot), this.#octets, at + CONTROL_AT, controlOctets);
    copy(received.octets, received.dataAt(slot), this.#octets, at + MESSAGE_AT, octets);
    words[word] = this.#state;
    return sequence;
  }

  /** Its answer is sent. */
  forget(sequence: number): void {
    const word = wordOf(sequence % RING_SLOTS);
    if (this.#words[word + 2] === sequence) this.#words[word] = FREE;
  }

  /** So that what the kernel fills is known from what it does not. */
  #clear(): void {
    for (let slot = 0; slot < this.#filled; slot++) this.received.setReceivedOctets(slot, 0);
    this.#filled = BATCH_SLOTS;
  }

  #inherit(sharedNowDs: number): void {
    const words = this.#words;
    const { received } = this;
    if (words[1] === FIRST && sharedNowDs - words[3]! <= PATIENCE_DS) {
      for (let slot = 0; slot < BATCH_SLOTS; slot++) {
        const octets = Math.min(received.receivedOctets(slot), SLOT_OCTETS);
        const nameOctets = Math.min(received.nameOctets(slot), NAME_OCTETS);
        const controlOctets = Math.min(received.controlOctets(slot), CONTROL_OCTETS);
        if (octets === 0) continue;
        this.#leave(words[2]!, {
          name: part(received.octets, received.nameAt(slot), nameOctets),
          control: part(received.octets, received.controlAt(slot), controlOctets),
          message: part(received.octets, received.dataAt(slot), octets),
        });
      }
    }
    for (let slot = 0; slot < RING_SLOTS; slot++) {
      const word = wordOf(slot);
      if (words[word] !== FIRST || sharedNowDs - words[word + 3]! > PATIENCE_DS) continue;
      const at = ringAt(slot);
      this.#leave(words[word + 1]!, {
        name: part(this.#octets, at + NAME_AT, Math.min(words[word + 4]!, NAME_OCTETS)),
        control: part(this.#octets, at + CONTROL_AT, Math.min(words[word + 5]!, CONTROL_OCTETS)),
        message: part(
          this.#octets,
          at + MESSAGE_AT,
          Math.min(words[word + 6]!, MESSAGE_OCTETS_MAX),
        ),
      });
    }
  }

  #leave(socket: number, datagram: InheritedDatagram): void {
    const inherited = this.#inherited.get(socket);
    if (inherited === undefined) this.#inherited.set(socket, [datagram]);
    else inherited.push(datagram);
  }
}

const RING_WORDS_END = QUERY_JOURNAL_OCTETS >> 2;

function ringAt(slot: number): number {
  return RING_AT + slot * RING_SLOT_OCTETS;
}

function wordOf(slot: number): number {
  return ringAt(slot) >> 2;
}

function part(from: Uint8Array, at: number, octets: number): Uint8Array {
  return copyOctets(from, at, at + octets);
}

function copy(from: Uint8Array, at: number, to: Uint8Array, toAt: number, octets: number): void {
  for (let i = 0; i < octets; i++) to[toAt + i] = from[at + i]!;
}

/**
 * The number by which the next worker knows a socket: 32 bits, of its address as it was asked for. Off the
 * hot path: once for each socket.
 */
export function socketNumber(host: string, port: number): number {
  let hash = 0x811c_9dc5; // FNV-1a
  for (const char of `${host} ${port}`) {
    hash = Math.imul(hash ^ char.charCodeAt(0), 0x0100_0193) >>> 0;
  }
  return hash;
}
