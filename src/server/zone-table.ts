/**
 * Which block answers a query: the one with the longest zone that the name is in, among the blocks of
 * the address that the query came to.
 *
 * Owns:    the zones by their length, and which of two that hold the name answers a DS question.
 * Hot path, stop 3 of 6: `ZoneTable.find`.
 */
import { nameFromText } from '../dns/name.ts';
import type { QueryView } from '../dns/question.ts';
import { DS } from '../dns/rrtype.ts';
import type { AddressIndex } from '../query/address-index.ts';
import type { Chain } from './chain.ts';
import type { DnsCounters } from './dns-counters.ts';
import type { HitPath } from './hit-path.ts';

/** One zone of one block at one listening address. */
export interface ZoneBinding {
  /** Normalized: lower-case, final dot. */
  readonly zone: string;
  readonly chain: Chain;
  /** Present if the block has `prometheus`. */
  readonly counters: DnsCounters | undefined;
  /** The walk of a hit, if the block's hits have one of their own. */
  readonly hits: HitPath | undefined;
  /** Of the address that this table is of, among those of the block. */
  readonly addressIndex: AddressIndex;
}

interface WireZone {
  readonly wire: Uint8Array;
  readonly binding: ZoneBinding;
}

export class ZoneTable {
  /** Zones by the length of their wire form: all that can match a name's suffix of that length. */
  readonly #byOctets: readonly (readonly WireZone[] | undefined)[];
  readonly bindings: readonly ZoneBinding[];
  /** Whether a block's handler takes classes other than IN: then all blocks are asked them (CoreDNS). */
  readonly takesEveryClass: boolean;

  constructor(bindings: readonly ZoneBinding[]) {
    const byOctets: WireZone[][] = [];
    for (const binding of bindings) {
      const wire = nameFromText(binding.zone)!; // the Corefile's parser has checked it
      (byOctets[wire.length] ??= []).push({ wire, binding });
    }
    // Filled to the full length, so that the hot path never reads past the end of the array.
    this.#byOctets = Array.from({ length: 256 }, (_, octets) => byOctets[octets]);
    this.bindings = bindings;
    this.takesEveryClass = bindings.some(({ chain }) =>
      chain.handlers.some((handler) => handler.takesEveryClass),
    );
  }

  /**
   * The binding of the longest zone that holds the name, or undefined. A DS question belongs to the
   * parent's side of a zone cut (RFC 4035 section 3.1.4.1): the shortest zone but the root wins.
   */
  find(view: QueryView): ZoneBinding | undefined {
    const { labelAt, labels, nameOctets } = view;
    let found: ZoneBinding | undefined;
    for (let label = 0; label < labels; label++) {
      const from = labelAt[label]!;
      const zones = this.#byOctets[nameOctets - from];
      if (zones === undefined) continue;
      for (let i = 0; i < zones.length; i++) {
        if (isSuffix(view.lowered, from, zones[i]!.wire)) {
          if (view.qtype !== DS) return zones[i]!.binding;
          found = zones[i]!.binding;
        }
      }
    }
    return found ?? this.#byOctets[1]?.[0]?.binding;
  }
}

function isSuffix(lowered: Uint8Array, from: number, zone: Uint8Array): boolean {
  for (let i = 0; i < zone.length; i++) {
    if (lowered[from + i] !== zone[i]) return false;
  }
  return true;
}
