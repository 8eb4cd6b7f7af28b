/**
 * Who asks what: the query files of each case, the same in every run.
 *
 * A file exists twice: as text for dnsperf, and as length-prefixed messages for bench/latency.c.
 */
import { writeFileSync } from 'node:fs';
import { encodeQuery, type Question } from '../servers/message.ts';
import {
  NAMESPACES,
  SERVICES_PER_NAMESPACE,
  SITES,
  absentName,
  freshName,
  hostName,
  namespaceName,
  serviceName,
  siteName,
} from './zone.ts';

/** About 2 in 100 queries are for fresh names then, beside those whose TTL has ended. */
const FRESH_ONE_IN = 40;

/** Paths of one query file in both spellings. */
export interface QueryFile {
  readonly text: string;
  readonly binary: string;
}

/** Writes `questions` to `path`.txt and `path`.bin. */
export function writeQueries(path: string, questions: readonly Question[]): QueryFile {
  const text = `${path}.txt`;
  const binary = `${path}.bin`;
  writeFileSync(text, questions.map(({ name, type }) => `${name} ${type}\n`).join(''));
  const framed: Buffer[] = [];
  for (const question of questions) {
    const msg = encodeQuery(question, 0);
    framed.push(Buffer.of(msg.length >> 8, msg.length & 0xff), msg);
  }
  writeFileSync(binary, Buffer.concat(framed));
  return { text, binary };
}

/** `count` different hosts that exist, each once, in shuffled order. */
export function hosts(count: number): Question[] {
  return shuffled(Array.from({ length: count }, (_, i) => ({ name: hostName(i), type: 'A' })));
}

/** `count` different names that do not exist, each once, in shuffled order. */
export function absentHosts(count: number): Question[] {
  return shuffled(Array.from({ length: count }, (_, i) => ({ name: absentName(i), type: 'A' })));
}

/** `count` names that exist and that no other `tag` has: never in a cache. */
export function freshHosts(tag: string, count: number): Question[] {
  return Array.from({ length: count }, (_, i) => ({ name: freshName(tag, i), type: 'A' }));
}

/**
 * Queries of pods with `ndots:5` and the search list NS.svc.cluster.local, svc.cluster.local,
 * cluster.local: each candidate for A and AAAA until one exists. Of the lookups 40 % are for a
 * service of the pod's own namespace (2 queries), 20 % for one of another (4) and 40 % for a site
 * outside (8, of them 6 NXDOMAIN). Sites and services are chosen by Zipf's law. One lookup in
 * FRESH_ONE_IN of those outside is for a name that no other `tag` has: its queries miss every cache.
 */
export function kubernetesTraffic(tag: string, lookups: number): Question[] {
  const random = randomNumbers(4);
  const site = zipf(SITES, random);
  const service = zipf(SERVICES_PER_NAMESPACE, random);
  const questions: Question[] = [];
  for (let i = 0; i < lookups; i++) {
    const own = namespaceName(Math.floor(random() * NAMESPACES));
    const kind = random();
    const candidates: string[] = [];
    if (kind < 0.4) {
      candidates.push(`${serviceName(service())}.${own}.svc.cluster.local`);
    } else if (kind < 0.6) {
      const other = namespaceName(Math.floor(random() * NAMESPACES));
      const asked = `${serviceName(service())}.${other}`;
      candidates.push(`${asked}.${own}.svc.cluster.local`, `${asked}.svc.cluster.local`);
    } else {
      const asked = random() < 1 / FRESH_ONE_IN ? freshName(tag, i) : siteName(site());
      for (const search of [`${own}.svc.cluster.local`, 'svc.cluster.local', 'cluster.local']) {
        candidates.push(`${asked}.${search}`);
      }
      candidates.push(asked);
    }
    for (const name of candidates) questions.push({ name, type: 'A' }, { name, type: 'AAAA' });
  }
  return questions;
}

/** A function that returns numbers from 0 to `count` - 1, number i with weight 1 / (i + 1). */
function zipf(count: number, random: () => number): () => number {
  const sums: number[] = [];
  let sum = 0;
  for (let i = 0; i < count; i++) sums.push((sum += 1 / (i + 1)));
  return () => {
    const wanted = random() * sum;
    const found = sums.findIndex((reached) => reached > wanted);
    return found < 0 ? count - 1 : found;
  };
}

function shuffled(questions: Question[]): Question[] {
  const random = randomNumbers(1);
  for (let i = questions.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [questions[i], questions[j]] = [questions[j]!, questions[i]!];
  }
  return questions;
}

/** mulberry32: 32 bits of state, the same numbers from 0 to 1 for the same seed on any machine. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
