/**
 * The counters that `prometheus` shows of one zone at one listening address: `coredns_dns_*`.
 *
 * Owns:    the counters by label, made when first needed, so that counting looks up no label.
 * Hot path, helper of stop 3: an increment per fact. Hits of one batch share a reading of the clock.
 */
import { rcodeName } from '../dns/rcode.ts';
import { typeName } from '../dns/rrtype.ts';
import type { Counter, Histogram } from '../observe/counters.ts';
import type { Metrics } from '../observe/metrics.ts';
import { type Family, type Transport, UDP } from '../query/responder.ts';

/** The types that have a label of their own; all others are `other`. */
const LABELLED_TYPES: readonly number[] = [
  1, 28, 255, 252, 5, 48, 43, 65, 251, 15, 2, 47, 50, 12, 46, 6, 33, 16,
];
/** Type to index in the counters, below 256; 0 is `other`. */
const TYPE_INDEX = new Uint8Array(256);
LABELLED_TYPES.forEach((type, i) => {
  TYPE_INDEX[type] = i + 1;
});
const TYPE_SLOTS = LABELLED_TYPES.length + 1;

export class DnsCounters {
  readonly #metrics: Metrics;
  readonly #labels: { readonly server: string; readonly zone: string; readonly view: string };
  /** By transport, family and type. */
  readonly #requests: (Counter | undefined)[] = Array.from({ length: 4 * TYPE_SLOTS });
  /** By writer, then RCODE. */
  readonly #responses = new Map<string, (Counter | undefined)[]>();
  readonly #hitWriter: string;
  readonly #hitResponses: (Counter | undefined)[];
  readonly #duration: Histogram;
  readonly #dnssecOk: Counter;
  /** By transport. */
  readonly #requestSize: (Histogram | undefined)[] = [undefined, undefined];
  readonly #responseSize: (Histogram | undefined)[] = [undefined, undefined];
  /** Hits since the batch began, whose duration is not counted yet. */
  hitsInBatch = 0;

  /** `hitWriter` is the directive that hits count as written by. */
  constructor(metrics: Metrics, server: string, zone: string, hitWriter: string = 'cache') {
    this.#metrics = metrics;
    this.#labels = { server, zone, view: '' };
    this.#duration = metrics.histogram('coredns_dns_request_duration_seconds', this.#labels);
    this.#dnssecOk = metrics.counter('coredns_dns_do_requests_total', this.#labels);
    this.#hitWriter = hitWriter;
    this.#hitResponses = this.#responsesBy(hitWriter);
  }

  countRequest(
    transport: Transport,
    family: Family,
    qtype: number,
    octets: number,
    dnssecOk: boolean,
  ): void {
    const type = qtype < 256 ? TYPE_INDEX[qtype]! : 0;
    const slot = (transport * 2 + family - 1) * TYPE_SLOTS + type;
    const requests = this.#requests[slot] ?? this.#addRequests(slot, transport, family, type);
    requests.value++;
    const size = this.#requestSize[transport] ?? this.#addSize('request', transport);
    size.observe(octets);
    if (dnssecOk) this.#dnssecOk.value++;
  }

  /** A hit: its duration is counted by {@link endBatch}. */
  countHit(transport: Transport, rcode: number, octets: number): void {
    const responses =
      this.#hitResponses[rcode] ?? this.#addResponses(this.#hitResponses, this.#hitWriter, rcode);
    responses.value++;
    const size = this.#responseSize[transport] ?? this.#addSize('response', transport);
    size.observe(octets);
    this.hitsInBatch++;
  }

  /** `durationSec` is the time that every hit of the batch took at most. */
  endBatch(durationSec: number): void {
    this.#duration.observeTimes(durationSec, this.hitsInBatch);
    this.hitsInBatch = 0;
  }

  countResponse(
    transport: Transport,
    rcode: number,
    writer: string,
    octets: number,
    durationSec: number,
  ): void {
    const byRcode = this.#responsesBy(writer);
    const responses = byRcode[rcode] ?? this.#addResponses(byRcode, writer, rcode);
    responses.value++;
    const size = this.#responseSize[transport] ?? this.#addSize('response', transport);
    size.observe(octets);
    this.#duration.observe(durationSec);
  }

  /** Off the hot path: once for each combination of labels. */
  #addRequests(slot: number, transport: Transport, family: Family, type: number): Counter {
    const counter = this.#metrics.counter('coredns_dns_requests_total', {
      ...this.#labels,
      proto: protocolName(transport),
      family: String(family),
      type: type === 0 ? 'other' : typeName(LABELLED_TYPES[type - 1]!),
    });
    this.#requests[slot] = counter;
    return counter;
  }

  #responsesBy(writer: string): (Counter | undefined)[] {
    let byRcode = this.#responses.get(writer);
    if (byRcode === undefined) {
      byRcode = Array.from({ length: 24 });
      this.#responses.set(writer, byRcode);
    }
    return byRcode;
  }

  /** Off the hot path: once for each writer and RCODE. */
  #addResponses(byRcode: (Counter | undefined)[], writer: string, rcode: number): Counter {
    const counter = this.#metrics.counter('coredns_dns_responses_total', {
      ...this.#labels,
      rcode: rcodeName(rcode),
      plugin: writer,
    });
    byRcode[rcode] = counter;
    return counter;
  }

  /** Off the hot path: once for each transport. */
  #addSize(what: 'request' | 'response', transport: Transport): Histogram {
    const histogram = this.#metrics.histogram(`coredns_dns_${what}_size_bytes`, {
      ...this.#labels,
      proto: protocolName(transport),
    });
    (what === 'request' ? this.#requestSize : this.#responseSize)[transport] = histogram;
    return histogram;
  }
}

function protocolName(transport: Transport): 'udp' | 'tcp' {
  return transport === UDP ? 'udp' : 'tcp';
}
