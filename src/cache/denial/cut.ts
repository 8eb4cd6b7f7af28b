/**
 * Cuts: an NXDOMAIN answers for the names below it too (RFC 8020), in the zones that the Corefile
 * names, and only where that is safe.
 *
 * Owns:    which names above a question count (its positions), and what is known to exist there.
 * Is not:  the asking: waiting/probe.ts sends the probes; entry.ts writes the answer.
 *
 * In a `plain` zone every name below the zone is a position, and only what clients happen to ask is
 * learned. In a `kubernetes` zone the positions are those whose absence denies all below by the
 * Kubernetes DNS specification, and they are worth a probe:
 *
 *   www . example . com . prod . svc . cluster.local     prod.svc: a namespace; com.prod.svc: a service
 *   www . example . com        . svc . cluster.local     com.svc: a namespace
 *   www . example . com              . cluster.local     com: neither svc, pod nor dns
 *
 * A `search` zone is another search domain of pods, such as that of the node's own network. Its only
 * position is the label below it, where that may be a top-level domain:
 *
 *   www . example . com              . eu-west-1.compute.internal     com
 *
 * docs/ndots.md argues each of them. Cuts are looked for after both stores have missed, so other hits do
 * not pay for them.
 */
import { HEADER_OCTETS } from '../../dns/header.ts';
import { LABELS_MAX, nameFromText } from '../../dns/name.ts';
import { type QueryFacts, hashOctet } from '../../dns/question.ts';
import { NOERROR } from '../../dns/rcode.ts';
import type { NormalizedResponse } from '../../dns/response.ts';
import { A, AAAA } from '../../dns/rrtype.ts';
import { derive } from '../../query/derive.ts';
import type { CutZone } from '../config.ts';
import type { CacheEntry } from '../entry.ts';
import { EVERY_TYPE, cacheKey } from '../key.ts';
import type { AnswerCache } from '../answer-cache.ts';
import type { CacheQuestion } from '../question.ts';
import { Memo } from '../store.ts';

/** A question as cuts ask for it; a QueryView and a Query both are one. */
export interface CutQuestion extends CacheQuestion {
  /** The seed of `nameHash` (dns/question.ts). */
  readonly hashSeed: number;
}

/** A name above a question that may not exist: the last octets of the QNAME. */
export interface UnknownName {
  readonly nameOctets: number;
  /** Of the lower-cased name (dns/question.ts). */
  readonly nameHash: number;
}

/** Names above one question that are looked up: no known zone has a cut beyond these labels. */
const POSITIONS_MAX = 8;
/**
 * How long a name counts as existing after the last good answer for it or a name below it: 5 minutes.
 * That only decides whether the name is asked about, so it may be long.
 */
const EXISTS_DS = 3000;
/** How long a name is left alone after a probe that brought no news, as other failures are. */
const REST_DS = 10;
/** Namespaces and services that one node talks to; a forgotten one costs one probe. */
const EXISTING_MAX = 4096;
const RESTING_MAX = 1024;

interface Zone {
  readonly kind: CutZone['kind'];
  readonly wire: Uint8Array;
  readonly labels: number;
}

export class Cuts {
  readonly #cache: AnswerCache;
  /** The longest first. */
  readonly #zones: readonly Zone[];
  readonly #existing = new Memo(EXISTING_MAX);
  readonly #resting = new Memo(RESTING_MAX);

  // The positions of the question looked at last, from the zone downwards.
  readonly #labelAt = new Uint8Array(LABELS_MAX + 1);
  readonly #at = new Uint8Array(POSITIONS_MAX);
  readonly #hash = new Int32Array(POSITIONS_MAX);
  #probing = false;

  constructor(zones: readonly CutZone[], cache: AnswerCache) {
    this.#cache = cache;
    this.#zones = zones
      .map(({ zone, kind }) => {
        const wire = nameFromText(zone)!;
        return { kind, wire, labels: countLabels(wire) };
      })
      .sort((a, b) => b.labels - a.labels);
  }

  /**
   * The denial of a name above the one asked, live or expired by less than `staleSec`, or undefined.
   * A name that is known to exist is passed over, whatever denial of it is kept.
   */
  find(question: CutQuestion, nowDs: number, staleSec: number): CacheEntry | undefined {
    const positions = this.#locate(question);
    if (positions === 0) return undefined;
    const { qclass, dnssecOk, checkingDisabled } = question;
    for (let i = 0; i < positions; i++) {
      const hash = this.#hash[i]!;
      if (this.#existing.holds(hash, nowDs)) continue;
      const key = cacheKey(hash, EVERY_TYPE, qclass, dnssecOk, checkingDisabled);
      const entry = this.#cache.denial.get(key);
      if (
        entry !== undefined &&
        entry.remainingSec(nowDs) + staleSec > 0 &&
        entry.denies(question, this.#at[i]!)
      ) {
        if (this.#cache.prefersStale(question, nowDs)) return undefined;
        return entry;
      }
    }
    return undefined;
  }

  /**
   * The name above that is worth a probe: the one nearest to the zone that is not known to exist.
   * Undefined if there is none. To be asked after `find` found nothing live.
   */
  findUnknown(question: CutQuestion, nowDs: number): UnknownName | undefined {
    const positions = this.#locate(question);
    if (!this.#probing) return undefined;
    for (let i = 0; i < positions; i++) {
      const nameHash = this.#hash[i]!;
      if (this.#existing.holds(nameHash, nowDs)) continue;
      return { nameOctets: question.nameOctets - this.#at[i]!, nameHash };
    }
    return undefined;
  }

  /** Whether the name was probed a moment ago, without news. `key` is that of its denial. */
  isResting(key: number, nowDs: number): boolean {
    return this.#resting.holds(key, nowDs);
  }

  /** Notes that a probe has come back. The rest matters only if the probe brought no news. */
  rest(key: number, nowDs: number): void {
    this.#resting.note(key, nowDs + REST_DS);
  }

  /** Takes in a response that is good news of the name asked and so of all names above it. */
  learn(question: CutQuestion, message: NormalizedResponse, nowDs: number): void {
    // Servers answer NODATA to types that they know nothing of; only NODATA for an address can be trusted.
    const exists =
      message.rcode === NOERROR && (message.answers > 0 || isAddressType(question.qtype));
    if (!exists) return;
    const positions = this.#locate(question, true);
    for (let i = 0; i < positions; i++) this.#existing.note(this.#hash[i]!, nowDs + EXISTS_DS);
  }

  /**
   * Finds the positions above the question, in the longest zone that it is in, and returns how many there
   * are. With `itself`, its own name may be one, and the question's type and its underscores do not matter.
   */
  #locate(question: CutQuestion, itself: boolean = false): number {
    const { lowered, nameOctets } = question;
    const labelAt = this.#labelAt;
    let labels = 0;
    let underscored = false;
    for (let at = 0; lowered[at] !== 0; at += lowered[at]! + 1) {
      labelAt[labels++] = at;
      if (lowered[at + 1] === 0x5f) underscored = true;
    }
    this.#probing = false;
    const zone = this.#zoneOf(lowered, nameOctets, labels);
    if (zone === undefined) return 0;
    const depth = labels - zone.labels;
    let first = 1;
    let last = POSITIONS_MAX;
    if (zone.kind === 'kubernetes') {
      if (!itself && (underscored || !isAddressType(question.qtype))) return 0;
      const topAt = labelAt[depth - 1]!;
      if (isLabel(lowered, topAt, SVC)) {
        first = 2;
        last = 3;
      } else if (isLabel(lowered, topAt, POD) || isLabel(lowered, topAt, DNS)) {
        return 0;
      } else {
        last = 1;
      }
      this.#probing = true;
    } else if (zone.kind === 'search') {
      if (!itself && (underscored || !isAddressType(question.qtype))) return 0;
      if (!mayBeTopLevel(lowered, labelAt[depth - 1]!)) return 0;
      last = 1;
      this.#probing = true;
    }
    const deepest = itself ? depth : depth - 1;
    if (last > deepest) last = deepest;
    let positions = 0;
    for (let labelsBelow = first; labelsBelow <= last && positions < POSITIONS_MAX; labelsBelow++) {
      const at = labelAt[depth - labelsBelow]!;
      let hash = question.hashSeed;
      for (let i = at; i < nameOctets; i++) hash = hashOctet(hash, lowered[i]!);
      this.#at[positions] = at;
      this.#hash[positions++] = hash;
    }
    return positions;
  }

  /** The longest zone that the name is below. */
  #zoneOf(lowered: Uint8Array, nameOctets: number, labels: number): Zone | undefined {
    for (const zone of this.#zones) {
      const at = nameOctets - zone.wire.length;
      if (labels <= zone.labels) continue;
      if (zone.labels > 0 && this.#labelAt[labels - zone.labels] !== at) continue;
      let i = 0;
      while (i < zone.wire.length && lowered[at + i] === zone.wire[i]) i++;
      if (i === zone.wire.length) return zone;
    }
    return undefined;
  }
}

/**
 * The question whether the last `nameOctets` octets of the QNAME exist: type A, with the header's
 * flags and the OPT of the query it is asked for, and nothing else of it.
 */
export function questionAbove(asked: QueryFacts, nameOctets: number): QueryFacts {
  const nameEnd = asked.at + HEADER_OCTETS + asked.nameOctets;
  const name = asked.msg.subarray(nameEnd - nameOctets, nameEnd);
  return derive(asked, { name, qtype: A })!; // the end of a name that was read is a name
}

const SVC = Uint8Array.from([3, 0x73, 0x76, 0x63]);
const POD = Uint8Array.from([3, 0x70, 0x6f, 0x64]);
/** `xn--` */
const XN = Uint8Array.from([0x78, 0x6e, 0x2d, 0x2d]);
/** CoreDNS has `ns.dns` below its zone, and says of `dns` that it does not exist. */
const DNS = Uint8Array.from([3, 0x64, 0x6e, 0x73]);

function isLabel(lowered: Uint8Array, at: number, label: Uint8Array): boolean {
  for (let i = 0; i < label.length; i++) if (lowered[at + i] !== label[i]) return false;
  return true;
}

/**
 * Whether the label has the form of a top-level domain (RFC 3696 section 2: none has digits, but for
 * `xn--`): letters. The names that clouds give their zones (`us-east1-b`) have other characters, and are left
 * alone.
 */
function mayBeTopLevel(lowered: Uint8Array, at: number): boolean {
  const end = at + 1 + lowered[at]!;
  if (isLabelStart(lowered, at, XN)) return true;
  for (let i = at + 1; i < end; i++) {
    if (lowered[i]! < 0x61 || lowered[i]! > 0x7a) return false;
  }
  return true;
}

function isLabelStart(lowered: Uint8Array, at: number, start: Uint8Array): boolean {
  if (lowered[at]! < start.length) return false;
  for (let i = 0; i < start.length; i++) if (lowered[at + 1 + i] !== start[i]) return false;
  return true;
}

function isAddressType(qtype: number): boolean {
  return qtype === A || qtype === AAAA;
}

function countLabels(wire: Uint8Array): number {
  let labels = 0;
  for (let at = 0; wire[at] !== 0; at += wire[at]! + 1) labels++;
  return labels;
}
