/**
 * Probes under way: for each name one at most, and the queries that wait for its outcome.
 *
 *   (none) --begin--> patient --ended--> (none)     its waiters go on with what is known now
 *                        '----late-----> late       its waiters go on without; nobody joins any more
 *                                         '--ended--> (none)
 *
 * Owns:    the probes under way, and how long their waiters are patient.
 */
import { HEADER_OCTETS } from '../../dns/header.ts';
import { namesEqual } from '../../dns/name.ts';
import type { Query } from '../../query/query.ts';

/**
 * How long a query waits for news of a name above it before it is asked for itself: many round trips
 * within a cluster, and little of the 5 s that a stub resolver has.
 */
const PATIENCE_MS = 250;

interface Probe {
  readonly key: number;
  readonly query: Query;
  waiters: Query[];
  late: boolean;
}

export class Probes {
  readonly #byKey = new Map<number, Probe>();
  readonly #byQuery = new Map<Query, Probe>();

  /** Whether a probe under that key is under way, for whatever name. */
  has(key: number): boolean {
    return this.#byKey.has(key);
  }

  /** Whether the query now waits for the probe of the last `nameOctets` octets of its QNAME. */
  joins(key: number, query: Query, nameOctets: number): boolean {
    const probe = this.#byKey.get(key);
    if (probe === undefined || probe.late || probe.query.nameOctets !== nameOctets) return false;
    const at = HEADER_OCTETS + query.nameOctets - nameOctets;
    if (!namesEqual(probe.query.msg, HEADER_OCTETS, query.msg, at, nameOctets)) return false;
    probe.waiters.push(query);
    return true;
  }

  /** Begins a probe; `ended` must follow. `onLate` is given those whose patience has ended. */
  begin(key: number, query: Query, onLate: (waiters: readonly Query[]) => void): void {
    const probe: Probe = { key, query, waiters: [], late: false };
    this.#byKey.set(key, probe);
    this.#byQuery.set(query, probe);
    setTimeout(() => {
      probe.late = true;
      const { waiters } = probe;
      probe.waiters = [];
      onLate(waiters);
    }, PATIENCE_MS).unref();
  }

  /** Ends the probe, and returns those who still wait. */
  ended(query: Query): readonly Query[] {
    const probe = this.#byQuery.get(query)!;
    this.#byQuery.delete(query);
    this.#byKey.delete(probe.key);
    const { waiters } = probe;
    probe.waiters = [];
    return waiters;
  }
}
