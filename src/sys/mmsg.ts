/**
 * Many datagrams per system call (recvmmsg(2), sendmmsg(2)) over memory that is laid out once.
 *
 * Each slot is a struct mmsghdr with its iovec, socket address, control data and octets:
 *
 *   struct mmsghdr, 64 octets            struct iovec, 16 octets
 *    0 name            8 name length      0 base    8 length
 *   16 iovec          24 iovecs
 *   32 control        40 control length
 *   48 flags          56 octets of the datagram
 *
 * Owns:    the layout, on 64-bit little-endian Linux.
 * Callers: use one receive and its answers to the end before the next: the memory is shared by all
 *          sockets.
 * Hot path, stops 1 and 6 of 6: no allocation.
 */
import { ipToText, unmapped } from '../net/ip.ts';
import type { Libc, NativeMemory } from './libc.ts';
import { EAGAIN, EINTR, ENOBUFS, IPPROTO_IP, MSG_DONTWAIT, MSG_TRUNC } from './linux.ts';
import { SOCKADDR_OCTETS } from './sockaddr.ts';

const HEADER_OCTETS = 64;
const IOVEC_OCTETS = 16;
const NAME_OCTETS = 32;
/** Room for one in6_pktinfo, which is the larger one, and its cmsghdr: 16 + 20, rounded up. */
const CONTROL_OCTETS = 64;
/** struct cmsghdr: length (8), level (4), type (4); then in_pktinfo or in6_pktinfo. */
const CMSG_DATA_AT = 16;

/** The memory that a vector takes. */
export function vectorOctets(slots: number, slotOctets: number): number {
  const wholeWords = (slots * slotOctets + 3) & ~3;
  return slots * (HEADER_OCTETS + IOVEC_OCTETS + NAME_OCTETS + CONTROL_OCTETS) + wholeWords;
}

/** An array of mmsghdr with all that it points to. */
export class DatagramVector {
  readonly slots: number;
  readonly slotOctets: number;
  readonly octets: Uint8Array;
  /** `octets` as 32-bit words. */
  readonly #words: Uint32Array;
  readonly #base: number;
  readonly #iovecsAt: number;
  readonly #namesAt: number;
  readonly #controlsAt: number;
  readonly #dataAt: number;

  /** In memory of its own, or in `given`, which is vectorOctets long and begins at a multiple of 8. */
  constructor(libc: Libc, slots: number, slotOctets: number, given?: NativeMemory) {
    this.slots = slots;
    this.slotOctets = slotOctets;
    this.#iovecsAt = slots * HEADER_OCTETS;
    this.#namesAt = this.#iovecsAt + slots * IOVEC_OCTETS;
    this.#controlsAt = this.#namesAt + slots * NAME_OCTETS;
    this.#dataAt = this.#controlsAt + slots * CONTROL_OCTETS;
    const memory = given ?? libc.allocate(vectorOctets(slots, slotOctets));
    this.octets = memory.octets;
    this.#words = new Uint32Array(
      memory.octets.buffer,
      memory.octets.byteOffset,
      memory.octets.length >> 2,
    );
    this.#base = memory.address;
    for (let slot = 0; slot < slots; slot++) {
      const header = slot * HEADER_OCTETS;
      this.#point(header, this.nameAt(slot));
      this.#point(header + 16, this.#iovecsAt + slot * IOVEC_OCTETS);
      this.#setWord(header + 24, 1);
      this.#point(header + 32, this.controlAt(slot));
      this.#point(this.#iovecsAt + slot * IOVEC_OCTETS, this.dataAt(slot));
      this.setDataOctets(slot, slotOctets);
    }
  }

  /** The address of the array, for the system call; of the slot `from` on. */
  address(from: number): number {
    return this.#base + from * HEADER_OCTETS;
  }

  dataAt(slot: number): number {
    return this.#dataAt + slot * this.slotOctets;
  }

  nameAt(slot: number): number {
    return this.#namesAt + slot * NAME_OCTETS;
  }

  controlAt(slot: number): number {
    return this.#controlsAt + slot * CONTROL_OCTETS;
  }

  nameOctets(slot: number): number {
    return this.#words[(slot * HEADER_OCTETS + 8) >> 2]!;
  }

  setNameOctets(slot: number, octets: number): void {
    this.#setWord(slot * HEADER_OCTETS + 8, octets);
  }

  controlOctets(slot: number): number {
    return this.#words[(slot * HEADER_OCTETS + 40) >> 2]!;
  }

  setControlOctets(slot: number, octets: number): void {
    this.#setWord(slot * HEADER_OCTETS + 40, octets);
  }

  setDataOctets(slot: number, octets: number): void {
    this.#setWord(this.#iovecsAt + slot * IOVEC_OCTETS + 8, octets);
  }

  dataOctets(slot: number): number {
    return this.#words[(this.#iovecsAt + slot * IOVEC_OCTETS + 8) >> 2]!;
  }

  receivedOctets(slot: number): number {
    return this.#words[(slot * HEADER_OCTETS + 56) >> 2]!;
  }

  /** As the kernel sets it; for a slot that is filled by hand, or is to be known as empty. */
  setReceivedOctets(slot: number, octets: number): void {
    this.#setWord(slot * HEADER_OCTETS + 56, octets);
  }

  /** Whether the datagram was longer than the slot. */
  isTruncated(slot: number): boolean {
    return (this.#words[(slot * HEADER_OCTETS + 48) >> 2]! & MSG_TRUNC) !== 0;
  }

  /** Makes `slot` go where a datagram in another vector came from, and leave from where it came to. */
  addressLike(slot: number, other: DatagramVector, otherSlot: number): void {
    this.#copyName(slot, other.octets, other.nameAt(otherSlot), other.nameOctets(otherSlot));
    this.#copyControl(
      slot,
      other.octets,
      other.controlAt(otherSlot),
      other.controlOctets(otherSlot),
    );
  }

  /** Like `addressLike`, from copies; `control` may be empty. */
  addressTo(slot: number, name: Uint8Array, control: Uint8Array): void {
    this.#copyName(slot, name, 0, name.length);
    this.#copyControl(slot, control, 0, control.length);
  }

  #copyName(slot: number, from: Uint8Array, at: number, octets: number): void {
    const to = this.nameAt(slot);
    for (let i = 0; i < octets; i++) this.octets[to + i] = from[at + i]!;
    this.setNameOctets(slot, octets);
  }

  #copyControl(slot: number, from: Uint8Array, at: number, octets: number): void {
    const to = this.controlAt(slot);
    for (let i = 0; i < octets; i++) this.octets[to + i] = from[at + i]!;
    this.setControlOctets(slot, octets);
    if (octets > 0) this.#forgetInterface(to);
  }

  /** The answer leaves from the address asked, but by whatever interface routing says. */
  #forgetInterface(control: number): void {
    const level = this.#words[(control + 8) >> 2]!;
    const index = level === IPPROTO_IP ? CMSG_DATA_AT : CMSG_DATA_AT + 16;
    const linkLocal = level !== IPPROTO_IP && this.octets[control + CMSG_DATA_AT] === 0xfe;
    if (!linkLocal) this.#setWord(control + index, 0);
  }

  #point(at: number, to: number): void {
    const address = this.#base + to;
    this.#words[at >> 2] = address % 2 ** 32;
    this.#words[(at >> 2) + 1] = Math.floor(address / 2 ** 32);
  }

  /** A 64-bit little-endian field whose upper half is and stays 0, or a 32-bit one. */
  #setWord(at: number, value: number): void {
    this.#words[at >> 2] = value;
  }
}

/** Receives waiting datagrams into `vector` from its first slot on. Returns how many, maybe 0. */
export function receiveDatagrams(
  libc: Libc,
  fd: number,
  vector: DatagramVector,
  wildcard: boolean,
): number {
  const controlOctets = wildcard ? CONTROL_OCTETS : 0;
  for (let slot = 0; slot < vector.slots; slot++) {
    vector.setNameOctets(slot, SOCKADDR_OCTETS);
    vector.setControlOctets(slot, controlOctets);
  }
  const received = libc.recvmmsg(fd, vector.address(0), vector.slots, MSG_DONTWAIT, 0);
  return received > 0 ? received : 0;
}

/**
 * Sends the slots from `from` up to `to`. Returns the first one that was not sent because the send
 * buffer is full, or `to`. A slot that the kernel refuses for another reason is stepped over, and
 * `refused` counts it: nothing can be sent there.
 */
export function sendDatagrams(
  libc: Libc,
  fd: number,
  vector: DatagramVector,
  from: number,
  to: number,
  refused: { value: number },
): number {
  let next = from;
  while (next < to) {
    const sent = libc.sendmmsg(fd, vector.address(next), to - next, MSG_DONTWAIT);
    if (sent > 0) {
      next += sent;
      continue;
    }
    const errno = libc.errno();
    if (errno === EINTR) continue;
    if (errno === EAGAIN || errno === ENOBUFS) return next;
    refused.value++;
    next++;
  }
  return next;
}

/** The address that a datagram came to, from its control data; undefined without. */
export function arrivalText(control: Uint8Array): string | undefined {
  if (control.length < CMSG_DATA_AT + 12) return undefined;
  const level = control[8];
  // in_pktinfo: interface, local address, destination; in6_pktinfo: destination, interface.
  return level === IPPROTO_IP
    ? ipToText(control.subarray(CMSG_DATA_AT + 4, CMSG_DATA_AT + 8))
    : ipToText(unmapped(control.subarray(CMSG_DATA_AT, CMSG_DATA_AT + 16)));
}
