/**
 * Identical misses in flight: the first one goes upstream, the others wait for its answer.
 *
 * "Identical" is what the cache calls identical (key.ts, and the question compared), so a waiter gets
 * what it would have found in the cache a moment later. CoreDNS sends each of them.
 *
 * Owns:    which query leads and which wait for it.
 */
import { HEADER_OCTETS } from '../../dns/header.ts';
import { namesEqual } from '../../dns/name.ts';
import type { Query } from '../../query/query.ts';

interface Flight {
  readonly leader: Query;
  readonly waiters: Query[];
}

export class Coalescer {
  readonly #flights = new Map<number, Flight>();

  /** Whether the query now waits for an identical one; if not, and `key` is free, it leads. */
  joins(key: number, query: Query): boolean {
    const flight = this.#flights.get(key);
    if (flight === undefined) {
      this.#flights.set(key, { leader: query, waiters: [] });
      return false;
    }
    if (flight.leader.qtype !== query.qtype) return false;
    return this.follows(key, query);
  }

  /** Whether the query now waits for one about the same name, whatever its type. It never leads. */
  follows(key: number, query: Query): boolean {
    const flight = this.#flights.get(key);
    if (flight === undefined) return false;
    if (!sameName(flight.leader, query)) return false; // a collision of keys: it goes alone
    flight.waiters.push(query);
    return true;
  }

  /** Ends the flight that `leader` leads, if it leads one; returns the queries that waited for it. */
  land(key: number, leader: Query): readonly Query[] {
    const flight = this.#flights.get(key);
    if (flight === undefined || flight.leader !== leader) return NOBODY;
    this.#flights.delete(key);
    return flight.waiters;
  }
}

const NOBODY: readonly Query[] = [];

/** Whether the questions are the same but for their types. */
function sameName(a: Query, b: Query): boolean {
  return (
    a.qclass === b.qclass &&
    a.dnssecOk === b.dnssecOk &&
    a.checkingDisabled === b.checkingDisabled &&
    a.nameOctets === b.nameOctets &&
    namesEqual(a.msg, HEADER_OCTETS, b.msg, HEADER_OCTETS, a.nameOctets)
  );
}
