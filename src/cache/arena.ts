/**
 * Memory for the octets of cached responses: slots in slabs, outside of V8's heap.
 *
 * A Uint8Array of its own costs some 700 octets besides its content (its ArrayBuffer, the backing
 * store and its bookkeeping); a view of a shared slab costs 120. And V8 neither traces nor moves octets
 * outside its heap.
 *
 * Owns:    the slabs, and which of their slots are free.
 * Callers: give each slot back exactly once, and no longer touch it then.
 */

/** Sizes of slots: an answer of one A record takes 80 to 100 octets, a search-list NXDOMAIN 140. */
const SLOT_OCTETS: readonly number[] = [
  64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 512, 768, 1024, 1536, 2048, 4096,
];
const SLAB_OCTETS = 32 * 1024;
/** Empty slabs of one size that are kept for the next answers. */
const EMPTY_KEPT = 1;

export class Slab {
  readonly octets = new Uint8Array(SLAB_OCTETS);
  readonly slotOctets: number;
  /** Indexes of free slots, the first `freeCount` of them. */
  readonly free: Uint16Array;
  freeCount: number;

  constructor(slotOctets: number) {
    this.slotOctets = slotOctets;
    this.freeCount = Math.floor(SLAB_OCTETS / slotOctets);
    this.free = Uint16Array.from(
      { length: this.freeCount },
      (_, slot) => this.freeCount - 1 - slot,
    );
  }

  get isEmpty(): boolean {
    return this.freeCount === this.free.length;
  }
}

/** A slot: a view to write to, and the slab to give it back to. */
export interface Slot {
  readonly octets: Uint8Array;
  /** Undefined for octets that no slot is large enough for: they have memory of their own. */
  readonly slab: Slab | undefined;
}

export class Arena {
  /** Slabs with free slots, by index into SLOT_OCTETS. */
  readonly #open: Slab[][] = SLOT_OCTETS.map(() => []);

  /** A slot of exactly `octets` octets, their content undefined. */
  allocate(octets: number): Slot {
    const size = sizeClass(octets);
    if (size === -1) return { octets: new Uint8Array(octets), slab: undefined };
    const open = this.#open[size]!;
    let slab = open.at(-1);
    if (slab === undefined) {
      slab = new Slab(SLOT_OCTETS[size]!);
      open.push(slab);
    }
    const at = slab.free[--slab.freeCount]! * slab.slotOctets;
    if (slab.freeCount === 0) open.pop();
    return { octets: slab.octets.subarray(at, at + octets), slab };
  }

  /** Takes back what `allocate` gave. */
  release(octets: Uint8Array, slab: Slab | undefined): void {
    if (slab === undefined) return;
    const open = this.#open[SLOT_OCTETS.indexOf(slab.slotOctets)]!;
    if (slab.freeCount === 0) open.push(slab);
    slab.free[slab.freeCount++] = (octets.byteOffset - slab.octets.byteOffset) / slab.slotOctets;
    if (slab.isEmpty && open.filter(({ isEmpty }) => isEmpty).length > EMPTY_KEPT) {
      open.splice(open.indexOf(slab), 1);
    }
  }
}

/** The index of the least size that will do, or -1. */
function sizeClass(octets: number): number {
  for (let size = 0; size < SLOT_OCTETS.length; size++) {
    if (SLOT_OCTETS[size]! >= octets) return size;
  }
  return -1;
}
