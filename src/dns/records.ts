/**
 * The records of a response in normal form, as places, and the response with them in another order.
 *
 * Owns:    that the message stays well-formed: pointers only point backwards (RFC 1035 section 4.1.4),
 *          so records whose names others point to are not just moved.
 * Is not:  the order: the caller writes that to `order`.
 * Callers: give a message that `normalize` has made, its TTLs set, not framed yet.
 * Hot path, where `loadbalance` is above the cache: allocates only for messages to be rewritten.
 */
import { ANCOUNT_AT, ARCOUNT_AT, HEADER_OCTETS, NSCOUNT_AT, readU16 } from './header.ts';
import { MESSAGE_OCTETS_MAX } from './limits.ts';
import { LOWER, POINTER_MASK, skipName } from './name.ts';
import { hashOctet } from './question.ts';
import { type NormalizedResponse, normalizeInOrder } from './response.ts';
import { A, AAAA, IN } from './rrtype.ts';

/** As many as 65,535 octets hold, at 11 each. */
const RECORDS_MAX = 5958;
/** Before the TTL: type and class, which records that change places have in common. */
const TTL_BEHIND = 4;
const RDATA_BEHIND = 10;

/** The type noted for records of a class other than IN, where a type means something else. */
const FOREIGN = 0;

/** Contents on their way from one place to another. */
const scratch = new Uint8Array(MESSAGE_OCTETS_MAX);

export class RecordTable {
  /** Records of all sections, and where each section ends among them. */
  count = 0;
  readonly sectionEnd: Uint16Array = new Uint16Array(3);
  /** The type of each, 0 if its class is not IN. */
  readonly type: Uint16Array = new Uint16Array(RECORDS_MAX);
  /** Which record shall stand in each place: to begin with its own, and always one of its section. */
  readonly order: Uint16Array = new Uint16Array(RECORDS_MAX);
  /** Where each begins, and its type field: offsets in the message. */
  readonly #startAt = new Uint16Array(RECORDS_MAX);
  readonly #typeAt = new Uint16Array(RECORDS_MAX);
  #msg: Uint8Array = new Uint8Array(0);
  #at = 0;
  #octets = 0;

  /** Takes in the message of `octets` octets at `msg[at]`; false if it is malformed after all. */
  read(msg: Uint8Array, at: number, octets: number): boolean {
    const end = at + octets;
    this.#msg = msg;
    this.#at = at;
    this.#octets = octets;
    let next = skipName(msg, at + HEADER_OCTETS, end) + 4;
    let count = 0;
    for (let section = 0; section < 3; section++) {
      const records = readU16(msg, at + ANCOUNT_AT + 2 * section);
      for (let i = 0; i < records; i++) {
        const typeAt = skipName(msg, next, end);
        if (typeAt < 0 || typeAt + RDATA_BEHIND > end || count === RECORDS_MAX) return false;
        this.#startAt[count] = next - at;
        this.#typeAt[count] = typeAt - at;
        this.type[count] = readU16(msg, typeAt + 2) === IN ? readU16(msg, typeAt) : FOREIGN;
        this.order[count] = count;
        count++;
        next = typeAt + RDATA_BEHIND + readU16(msg, typeAt + 8);
        if (next > end) return false;
      }
      this.sectionEnd[section] = count;
    }
    this.count = count;
    return true;
  }

  /** Where the RDATA of a record begins in the message that was read, counted from its own beginning. */
  rdataAt(record: number): number {
    return this.#typeAt[record]! + RDATA_BEHIND;
  }

  /** A hash of the record's lower-cased owner, as {@link hashOctet} makes it. */
  ownerHash(record: number, seed: number): number {
    const msg = this.#msg;
    let at = this.#at + this.#startAt[record]!;
    let hash = seed;
    for (;;) {
      const length = msg[at]!;
      if (length >= POINTER_MASK) {
        at = this.#target(at);
        continue;
      }
      for (let i = 0; i <= length; i++) hash = hashOctet(hash, LOWER[msg[at + i]!]!);
      if (length === 0) return hash;
      at += length + 1;
    }
  }

  /** Whether the record's owner is `name`, in wire form and lower-cased. */
  isOwnedBy(record: number, name: Uint8Array): boolean {
    const msg = this.#msg;
    let at = this.#at + this.#startAt[record]!;
    let compared = 0;
    for (;;) {
      const length = msg[at]!;
      if (length >= POINTER_MASK) {
        at = this.#target(at);
        continue;
      }
      for (let i = 0; i <= length; i++) {
        if (LOWER[msg[at + i]!] !== name[compared++]) return false;
      }
      if (length === 0) return compared === name.length;
      at += length + 1;
    }
  }

  /** Whether `order` asks for anything. */
  get isReordered(): boolean {
    const { order, count } = this;
    for (let i = 0; i < count; i++) if (order[i] !== i) return true;
    return false;
  }

  /**
   * Whether records only change places with their like: addresses of one owner, in place of which
   * their contents can change.
   */
  get isExchange(): boolean {
    const { order, count, type } = this;
    for (let i = 0; i < count; i++) {
      const j = order[i]!;
      if (j === i) continue;
      if (type[i] !== type[j] || (type[i] !== A && type[i] !== AAAA)) return false;
      if (this.#ownerAt(i) !== this.#ownerAt(j)) return false;
    }
    return true;
  }

  /** Gives TTL and address of each record to the place it shall have. Callers know: `isExchange`. */
  exchange(): void {
    const { order, count, type } = this;
    const msg = this.#msg;
    const at = this.#at;
    for (let i = 0; i < count; i++) {
      if (order[i] === i) continue;
      const from = this.#typeAt[i]! + TTL_BEHIND;
      const to = from + contentOctets(type[i]!);
      for (let k = from; k < to; k++) scratch[k] = msg[at + k]!;
    }
    for (let i = 0; i < count; i++) {
      const j = order[i]!;
      if (j === i) continue;
      const from = this.#typeAt[j]! + TTL_BEHIND;
      const to = this.#typeAt[i]! + TTL_BEHIND;
      const octets = contentOctets(type[i]!);
      for (let k = 0; k < octets; k++) msg[at + to + k] = scratch[from + k]!;
    }
  }

  /** The message rewritten in the requested order; undefined if it does not fit in that order. */
  rewrite(): NormalizedResponse | undefined {
    const startAt = new Uint16Array(this.count);
    for (let i = 0; i < this.count; i++) startAt[i] = this.#startAt[this.order[i]!]!;
    return normalizeInOrder(this.#msg.subarray(this.#at, this.#at + this.#octets), startAt);
  }

  /** Where the owner is written: equal owners stand in one place, to which the others point. */
  #ownerAt(record: number): number {
    const start = this.#startAt[record]!;
    const first = this.#msg[this.#at + start]!;
    if (first === 0) return 0;
    return first >= POINTER_MASK ? this.#target(this.#at + start) - this.#at : start;
  }

  #target(pointerAt: number): number {
    return this.#at + (readU16(this.#msg, pointerAt) & 0x3fff);
  }
}

/** TTL, RDLENGTH and RDATA of an address. */
function contentOctets(type: number): number {
  return type === A ? 10 : 22;
}

/** Whether any section of the message at `msg[at]` has two records or more: order needs two. */
export function hasOrder(msg: Uint8Array, at: number): boolean {
  return (
    readU16(msg, at + ANCOUNT_AT) > 1 ||
    readU16(msg, at + NSCOUNT_AT) > 1 ||
    readU16(msg, at + ARCOUNT_AT) > 1
  );
}
