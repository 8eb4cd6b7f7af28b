/**
 * In which order the records of an answer stand: `round_robin`, `weighted`, and `prefer` behind either.
 *
 * Owns:    CoreDNS's groups, of each section: CNAMEs as they stand, then all else, then addresses, then MX.
 * Is not:  the moving of records (dns/records.ts).
 * Hot path, where `loadbalance` is above the cache: no allocation.
 */
import type { IpNetwork } from '../../net/ip.ts';
import type { RecordTable } from '../../dns/records.ts';
import { A, AAAA, CNAME, MX, SRV } from '../../dns/rrtype.ts';
import { random30, randomBelow } from '../../sys/random.ts';
import type { Weights } from './weights.ts';

/** A way to put records in order. Writes `order` of the table, which `read` has filled. */
export interface Order {
  arrange(table: RecordTable, msg: Uint8Array, at: number, qtype: number): void;
}

/** As many as a message holds. */
const RECORDS_MAX = 5958;
const GROUPS = 4;
const ANSWER = 0;
const ADDITIONAL = 2;

/** Type to group; both tables are read by types below 256, all others are as {@link OTHER}. */
const TYPES = 256;
const OTHER = 2; // NS: an ordinary type
const BY_TYPE = groups({ cname: 0, other: 1, address: 2, mx: 3 });
const ADDRESS_GROUP = 2;
const MX_GROUP = 3;
/** `prefer` puts what is neither CNAME, address nor MX last. */
const BY_TYPE_PREFERRED = groups({ cname: 0, address: 1, mx: 2, other: 3 });
const PREFERRED_ADDRESS_GROUP = 1;

function groups(of: { cname: number; other: number; address: number; mx: number }): Uint8Array {
  const table = new Uint8Array(TYPES).fill(of.other);
  table[CNAME] = of.cname;
  table[A] = of.address;
  table[AAAA] = of.address;
  table[MX] = of.mx;
  return table;
}

// One message is arranged at a time, so what that takes is shared.
const moved = new Uint16Array(RECORDS_MAX);
/** Where each group ends in the order, of the section grouped last. */
const groupEnd = new Uint16Array(GROUPS);
const next = new Uint16Array(GROUPS);
const weightOf = new Uint8Array(RECORDS_MAX);

/** Puts the records of a section, from `from` up to `to`, into groups, each in the order it had. */
function group(table: RecordTable, from: number, to: number, byType: Uint8Array): void {
  const { order } = table;
  for (let own = 0; own < GROUPS; own++) next[own] = 0; // fill() costs more than four stores
  let last = 0;
  let inOrder = true;
  for (let i = from; i < to; i++) {
    const own = groupOf(table, order[i]!, byType);
    if (own < last) inOrder = false;
    last = own;
    next[own]!++;
  }
  let end = from;
  for (let own = 0; own < GROUPS; own++) {
    const begin = end;
    end += next[own]!;
    groupEnd[own] = end;
    next[own] = begin;
  }
  if (inOrder) return;
  for (let i = from; i < to; i++) {
    moved[next[groupOf(table, order[i]!, byType)]!++] = order[i]!;
  }
  for (let i = from; i < to; i++) order[i] = moved[i]!;
}

function groupOf(table: RecordTable, record: number, byType: Uint8Array): number {
  const type = table.type[record]!;
  return byType[type < TYPES ? type : OTHER]!;
}

/** Any order of the places from `from` up to `to`, each as likely as the others. */
function shuffle(order: Uint16Array, from: number, to: number): void {
  for (let left = to - from; left > 1; left--) {
    const i = from + left - 1;
    const j = from + randomBelow(left);
    const record = order[i]!;
    order[i] = order[j]!;
    order[j] = record;
  }
}

function swap(order: Uint16Array, i: number, j: number): void {
  const record = order[i]!;
  order[i] = order[j]!;
  order[j] = record;
}

export class RoundRobin implements Order {
  arrange(table: RecordTable): void {
    const { order, sectionEnd } = table;
    let from = 0;
    for (let section = 0; section <= ADDITIONAL; section++) {
      const to = sectionEnd[section]!;
      if (to - from > 1) {
        group(table, from, to, BY_TYPE);
        shuffle(order, groupEnd[ADDRESS_GROUP - 1]!, groupEnd[ADDRESS_GROUP]!);
        shuffle(order, groupEnd[MX_GROUP - 1]!, groupEnd[MX_GROUP]!);
      }
      from = to;
    }
  }
}

export class Weighted implements Order {
  /** Replaced when the file has changed. */
  weights: Weights;

  constructor(weights: Weights) {
    this.weights = weights;
  }

  arrange(table: RecordTable, msg: Uint8Array, at: number, qtype: number): void {
    if (qtype !== A && qtype !== AAAA && qtype !== SRV) return;
    const { sectionEnd } = table;
    this.#arrangeSection(table, msg, at, 0, sectionEnd[ANSWER]!);
    this.#arrangeSection(table, msg, at, sectionEnd[ADDITIONAL - 1]!, sectionEnd[ADDITIONAL]!);
  }

  /** Draws the address that stands first; it changes places with the one that did. */
  #arrangeSection(table: RecordTable, msg: Uint8Array, at: number, from: number, to: number): void {
    if (to - from < 2 || !hasAddress(table, from, to)) return;
    const { order } = table;
    group(table, from, to, BY_TYPE);
    const first = groupEnd[ADDRESS_GROUP - 1]!;
    const end = groupEnd[ADDRESS_GROUP]!;
    let sum = 0;
    for (let i = first; i < end; i++) {
      const weight = this.weights.of(table, order[i]!, msg, at);
      weightOf[i] = weight;
      sum += weight;
    }
    let drawn = random30() % sum;
    for (let i = first; i < end; i++) {
      drawn -= weightOf[i]!;
      if (drawn < 0) {
        swap(order, first, i);
        return;
      }
    }
  }
}

function hasAddress(table: RecordTable, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const type = table.type[i]!;
    if (type === A || type === AAAA) return true;
  }
  return false;
}

/** Puts the addresses in the given networks first, in the networks' order, behind another order. */
export class Preferring implements Order {
  readonly #before: Order;
  readonly #networks: readonly IpNetwork[];

  constructor(before: Order, networks: readonly IpNetwork[]) {
    this.#before = before;
    this.#networks = networks;
  }

  arrange(table: RecordTable, msg: Uint8Array, at: number, qtype: number): void {
    this.#before.arrange(table, msg, at, qtype);
    const { sectionEnd } = table;
    this.#arrangeSection(table, msg, at, 0, sectionEnd[ANSWER]!);
    this.#arrangeSection(table, msg, at, sectionEnd[ADDITIONAL - 1]!, sectionEnd[ADDITIONAL]!);
  }

  #arrangeSection(table: RecordTable, msg: Uint8Array, at: number, from: number, to: number): void {
    if (to - from < 2) return;
    const { order } = table;
    group(table, from, to, BY_TYPE_PREFERRED);
    const first = groupEnd[PREFERRED_ADDRESS_GROUP - 1]!;
    const end = groupEnd[PREFERRED_ADDRESS_GROUP]!;
    const networks = this.#networks;
    let placed = first;
    for (let rank = 0; rank <= networks.length; rank++) {
      for (let i = first; i < end; i++) {
        if (this.#rank(table, order[i]!, msg, at) === rank) moved[placed++] = order[i]!;
      }
    }
    for (let i = first; i < end; i++) order[i] = moved[i]!;
  }

  /** The first network that holds the address; their number if none does. */
  #rank(table: RecordTable, record: number, msg: Uint8Array, at: number): number {
    const networks = this.#networks;
    const family = table.type[record] === A ? 4 : 6;
    const address = at + table.rdataAt(record);
    for (let rank = 0; rank < networks.length; rank++) {
      const network = networks[rank]!;
      if (network.family === family && holds(network, msg, address)) return rank;
    }
    return networks.length;
  }
}

function holds({ octets, prefixLength }: IpNetwork, msg: Uint8Array, address: number): boolean {
  const whole = prefixLength >> 3;
  for (let i = 0; i < whole; i++) if (msg[address + i] !== octets[i]) return false;
  const bits = prefixLength & 7;
  if (bits === 0) return true;
  return ((msg[address + whole]! ^ octets[whole]!) & (0xff00 >> bits)) === 0;
}
