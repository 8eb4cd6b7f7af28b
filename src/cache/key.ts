/**
 * The key of a cached answer: 30 bits of a seeded hash over the lower-cased question, DO and CD.
 *
 * Two questions with one key are told apart on lookup by comparing the question itself, so a
 * collision is a miss and never a wrong answer. The seed is drawn at start (dns/question.ts takes
 * it), so a client cannot choose names that collide.
 *
 * Differs from CoreDNS 1.13, which leaves the class out and may answer a CH query with an IN entry.
 */
import type { CacheQuestion } from './question.ts';

/**
 * Stands for the type in the key of an NXDOMAIN, which denies the name for every type (RFC 2308
 * section 5). A type has 16 bits, so no question has this one: otherwise its NODATA would deny all
 * others too.
 */
export const EVERY_TYPE = 0x10000;

/** `nameHash` is that of a QueryView or Query; `qtype` may be EVERY_TYPE. */
export function cacheKey(
  nameHash: number,
  qtype: number,
  qclass: number,
  dnssecOk: boolean,
  checkingDisabled: boolean,
): number {
  let hash = nameHash ^ Math.imul(qtype | (qclass << 17), 0x9e3779b1);
  if (dnssecOk) hash ^= 0x5bd1e995;
  if (checkingDisabled) hash ^= 0x2c1b3c6d;
  // The finalizer of MurmurHash3: every bit of the input reaches the 30 that are kept.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) & 0x3fffffff;
}

/** The key of the question, asked for its own type. */
export function questionKey(question: CacheQuestion): number {
  const { nameHash, qtype, qclass, dnssecOk, checkingDisabled } = question;
  return cacheKey(nameHash, qtype, qclass, dnssecOk, checkingDisabled);
}

/** The key of the NXDOMAIN of a name, to be asked about with the class, DO and CD of `question`. */
export function denialKey(nameHash: number, question: CacheQuestion): number {
  const { qclass, dnssecOk, checkingDisabled } = question;
  return cacheKey(nameHash, EVERY_TYPE, qclass, dnssecOk, checkingDisabled);
}
