/**
 * Which responses are kept, in which store, and for how long: CoreDNS's rules, decided once when a
 * response arrives.
 *
 * Owns:    the classes of responses, which `log` uses too, and their lifetimes.
 */
import { OPCODE_QUERY, TC } from '../dns/header.ts';
import { NOERROR, NOTIMP, NXDOMAIN, SERVFAIL } from '../dns/rcode.ts';
import { AXFR, IXFR } from '../dns/rrtype.ts';
import type { NormalizedResponse } from '../dns/response.ts';
import type { CacheConfig } from './config.ts';

export type ResponseClass =
  'positive' | 'no-data' | 'name-error' | 'server-error' | 'delegation' | 'other-error' | 'meta';

/** Without records there is no TTL to go by, and an error or a delegation is not kept longer. */
const FALLBACK_TTL_SEC = 5;

/** Tells the class of a response, by CoreDNS's rules and in their order. `nowSec` is Unix time. */
export function classify(
  message: NormalizedResponse,
  opcode: number,
  nowSec: number,
): ResponseClass {
  if (opcode !== OPCODE_QUERY || message.qtype === AXFR || message.qtype === IXFR) return 'meta';
  if (message.dnssecOk && hasInvalidSignature(message, nowSec)) return 'other-error';
  switch (message.rcode) {
    case NOERROR:
      if (message.answers > 0) return 'positive';
      if (message.hasSoa) return 'no-data';
      return message.hasNs ? 'delegation' : 'positive';
    case NXDOMAIN:
      return message.hasSoa ? 'name-error' : 'other-error';
    case SERVFAIL:
    case NOTIMP:
      return 'server-error';
    default:
      return 'other-error';
  }
}

function hasInvalidSignature(message: NormalizedResponse, nowSec: number): boolean {
  const { signedFrom, signedUntil } = message;
  if (signedFrom === undefined || signedUntil === undefined) return false;
  // Serial arithmetic (RFC 4034 section 3.1.5): the fields wrap around in 2106.
  return ((nowSec - signedFrom) | 0) < 0 || ((signedUntil - nowSec) | 0) < 0;
}

/** The store that a class goes to; undefined is neither. */
export function storeOf(responseClass: ResponseClass): 'success' | 'denial' | undefined {
  switch (responseClass) {
    case 'positive':
    case 'delegation':
      return 'success';
    case 'no-data':
    case 'name-error':
    case 'server-error':
      return 'denial';
    case 'other-error':
    case 'meta':
      return undefined;
    default:
      return responseClass satisfies never;
  }
}

/**
 * The TTL in seconds that all records of the response get, and for which it is kept if it is kept:
 * the lowest of its TTLs within the configured bounds. The SOA's MINIMUM does not count (CoreDNS).
 * Unlike CoreDNS 1.13, a configured maximum above 3600 s is honoured, as from 1.14 on.
 */
export function lifetimeSec(
  message: NormalizedResponse,
  responseClass: ResponseClass,
  config: CacheConfig,
): number {
  if (responseClass === 'server-error') return config.servfailSec;
  const denied = responseClass === 'no-data' || responseClass === 'name-error';
  const { ttlMinSec, ttlMaxSec } = denied ? config.denial : config.success;
  const own =
    responseClass === 'delegation' || responseClass === 'other-error'
      ? FALLBACK_TTL_SEC
      : (message.ttlMinSec ?? FALLBACK_TTL_SEC);
  return Math.min(Math.max(own, ttlMinSec), ttlMaxSec);
}

/** A truncated message is not the whole answer, so it is never kept. */
export function isTruncated(message: NormalizedResponse): boolean {
  return (message.wire[2]! & TC) !== 0;
}
