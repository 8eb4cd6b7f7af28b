/**
 * The types of one name that an NXDOMAIN answers: those that were themselves answered NXDOMAIN not long ago.
 *
 * By RFC 2308 section 5 and RFC 8020 an NXDOMAIN denies the name, whatever the type. But servers exist that
 * deny AAAA, and give the A of the same name (RFC 4074 section 4.2); and behind one forwarder there may be
 * several servers, of which each knows some types. So a type is answered from the denial of another one only
 * while it is *covered*: docs/decisions/0018-covered-types.md has the rule and its proof.
 *
 * Owns:    which types are covered, and until when.
 * Is not:  the ending of it when something else is heard of the name: answer-cache.ts.
 * Hot path, a helper of stop 4: `covers`.
 */
import { A } from '../../dns/rrtype.ts';

/**
 * For so long after its own denial a type is answered from that of A. Servers that deny AAAA alone are many,
 * servers that deny A alone hardly known; an hour keeps what one query in place of two saves (docs/ndots.md).
 */
const COVER_BY_A_SEC = 3600;
/** And from that of any other type: no longer than a positive answer is kept in a cluster. */
const COVER_SEC = 30;
/** A, AAAA and one more: HTTPS for browsers, or SRV. A fourth takes the place of the one heard first. */
const TYPES_MAX = 3;
/** The type of a place that is not used: no question has it. */
const NONE = -1;
/** Numbers kept of each type: the type, when it was denied itself, and the end of that denial. */
const STEP = 3;
const LENGTH = TYPES_MAX * STEP;

export class DeniedTypes {
  /** Times are in tenths of a second. Of fixed length: an array that grows takes 17 places. */
  readonly #heard = [NONE, 0, 0, NONE, 0, 0, NONE, 0, 0];
  /** The type of the newest denial. */
  #by = NONE;

  /** `before` is what was known of the name until now; types that nothing covers any longer are left out. */
  constructor(before: DeniedTypes | undefined, nowDs: number) {
    if (before === undefined) return;
    const known = before.#heard;
    for (let i = 0; i < LENGTH; i += STEP) {
      if (known[i + 2]! <= nowDs && known[i + 1]! + 10 * COVER_BY_A_SEC <= nowDs) continue;
      for (let j = i; j < i + STEP; j++) this.#heard[j] = known[j]!;
    }
  }

  /** An upstream answered NXDOMAIN to the question for this type at `storedDs`, to be kept so long. */
  heard(qtype: number, storedDs: number, lifetimeSec: number): void {
    const heard = this.#heard;
    let at = 0;
    for (let i = 0; i < LENGTH; i += STEP) {
      if (heard[i] === qtype) {
        at = i;
        break;
      }
      if (heard[i + 1]! < heard[at + 1]! || heard[i] === NONE) at = i;
    }
    heard[at] = qtype;
    heard[at + 1] = storedDs;
    heard[at + 2] = storedDs + 10 * lifetimeSec;
    this.#by = qtype;
  }

  /** Tenths of a second for which a question for that type may still be answered; 0 and less is not. */
  coveredDs(qtype: number, nowDs: number): number {
    const heard = this.#heard;
    const coverDs = 10 * (this.#by === A ? COVER_BY_A_SEC : COVER_SEC);
    for (let i = 0; i < LENGTH; i += STEP) {
      if (heard[i] === qtype) return Math.max(heard[i + 2]!, heard[i + 1]! + coverDs) - nowDs;
    }
    return 0;
  }

  /** Whether a question for that type may be answered. */
  covers(qtype: number, nowDs: number): boolean {
    return this.coveredDs(qtype, nowDs) > 0;
  }

  /** Whether an NXDOMAIN to the question for A, heard now, would answer that type. */
  coveredByA(qtype: number, nowDs: number): boolean {
    const heard = this.#heard;
    for (let i = 0; i < LENGTH; i += STEP) {
      if (heard[i] === qtype) return heard[i + 1]! + 10 * COVER_BY_A_SEC > nowDs;
    }
    return false;
  }
}
