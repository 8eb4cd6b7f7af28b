/**
 * Writing names compressed (RFC 1035 section 4.1.4): a name whose tail stands earlier in the message
 * is written as a pointer to it.
 *
 * Owns:    the table of names that one message holds so far.
 * Callers: reset it for each message, and write names in the order in which they stand.
 *
 * Names are compared without regard to case (RFC 4343): an owner that equals the question becomes a
 * pointer to it, and so follows the client's spelling when that is written over the question.
 */
import { LABELS_MAX, LOWER, POINTER_MASK } from './name.ts';

/** A pointer holds 14 bits. */
const POINTER_OFFSET_MAX = 0x3fff;
const BUCKETS = 256;
const PROBES_MAX = 8;

export class NameCompressor {
  /** Offsets in the message of suffixes written so far, 0 for none, by hash, probed linearly. */
  readonly #offsets = new Uint16Array(BUCKETS);
  readonly #labelAt = new Uint8Array(LABELS_MAX + 1);
  readonly #suffixHash = new Int32Array(LABELS_MAX + 1);
  #out: Uint8Array = new Uint8Array(0);
  #start = 0;

  /** Begins a message that stands at `out[start]`. */
  reset(out: Uint8Array, start: number): void {
    this.#offsets.fill(0);
    this.#out = out;
    this.#start = start;
  }

  /**
   * Writes the uncompressed name of `octets` at `name[0]` to `out[at]`, as short as what stands
   * before allows, or in full where `allowed` is false (RFC 3597 section 4). Returns the offset
   * just past it.
   */
  write(name: Uint8Array, octets: number, at: number, allowed: boolean): number {
    const out = this.#out;
    const labels = this.#hashSuffixes(name, octets);
    const begin = at - this.#start;
    let copied = 0;
    for (let label = 0; label < labels; label++) {
      const suffixAt = this.#labelAt[label]!;
      const known = this.#find(name, suffixAt, octets, this.#suffixHash[label]!, begin);
      if (known !== 0 && allowed) {
        for (; copied < suffixAt; copied++) out[at++] = name[copied]!;
        out[at++] = POINTER_MASK | (known >> 8);
        out[at++] = known & 0xff;
        return at;
      }
      if (known === 0)
        this.#remember(this.#suffixHash[label]!, at + suffixAt - copied - this.#start);
    }
    for (; copied < octets; copied++) out[at++] = name[copied]!;
    return at;
  }

  /** Fills label offsets and the hash of each suffix, from the root leftwards. Returns the labels. */
  #hashSuffixes(name: Uint8Array, octets: number): number {
    let labels = 0;
    for (let at = 0; at < octets - 1; at += name[at]! + 1) this.#labelAt[labels++] = at;
    let hash = 0;
    for (let label = labels - 1; label >= 0; label--) {
      const labelAt = this.#labelAt[label]!;
      const labelEnd = labelAt + name[labelAt]!;
      for (let i = labelAt; i <= labelEnd; i++)
        hash = Math.imul(hash ^ LOWER[name[i]!]!, 0x01000193);
      this.#suffixHash[label] = hash;
    }
    return labels;
  }

  /**
   * The offset below `begin` at which the suffix of `name` from `from` stands already, or 0. From
   * `begin` on stands what is not written yet, and would be read as the message before has left it.
   */
  #find(name: Uint8Array, from: number, octets: number, hash: number, begin: number): number {
    for (let probe = 0; probe < PROBES_MAX; probe++) {
      const offset = this.#offsets[(hash + probe) & (BUCKETS - 1)]!;
      if (offset === 0) return 0;
      if (offset < begin && this.#equals(offset, name, from, octets)) return offset;
    }
    return 0;
  }

  /** A full table forgets: the name is then written in full next time, which is always right. */
  #remember(hash: number, offset: number): void {
    if (offset > POINTER_OFFSET_MAX) return;
    for (let probe = 0; probe < PROBES_MAX; probe++) {
      const bucket = (hash + probe) & (BUCKETS - 1);
      if (this.#offsets[bucket] === 0) {
        this.#offsets[bucket] = offset;
        return;
      }
    }
  }

  /** Whether the name written at `offset` equals the suffix; what we wrote has no loops. */
  #equals(offset: number, name: Uint8Array, from: number, octets: number): boolean {
    const out = this.#out;
    let at = this.#start + offset;
    while (from < octets) {
      const length = out[at]!;
      if (length >= POINTER_MASK) {
        at = this.#start + (((length & 0x3f) << 8) | out[at + 1]!);
        continue;
      }
      for (let i = 0; i <= length; i++) {
        if (LOWER[out[at + i]!] !== LOWER[name[from + i]!]) return false;
      }
      if (length === 0) return true;
      at += length + 1;
      from += length + 1;
    }
    return false;
  }
}
