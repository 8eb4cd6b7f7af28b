/**
 * Where the daemon's answers differ from dnsdist's on purpose: one row for each difference, and what is
 * in no row is a failure.
 */
import { AD } from '../../harness/message.ts';
import type { Answer, Field } from './answer.ts';
import type { Question } from './questions.ts';

/** Two answers to one question that differ in a field. */
export interface Differing {
  readonly question: Question;
  readonly ours: Answer;
  readonly theirs: Answer;
  /** Seconds for which either may have kept its answer: since the first question. */
  readonly elapsedSec: number;
}

export interface Difference {
  readonly fields: readonly Field[];
  readonly because: string;
  explains(differing: Differing): boolean;
}

/** As in the Corefile of the test. */
export const TTL_MAX_SEC = 86_400;
export const SERVFAIL_SEC = 5;
const FALLBACK_TTL_SEC = 5;

export const DIFFERENCES: readonly Difference[] = [
  {
    fields: ['aa'],
    because: 'a cached answer has AA set, as CoreDNS sets it for the sake of odd clients',
    explains: ({ ours, theirs }) => ours.aa === 'true' && theirs.aa === 'false',
  },
  {
    fields: ['ad'],
    because: 'AD is for clients that ask for it, by AD or DO (RFC 6840 section 5.7)',
    explains: ({ question, ours }) =>
      ours.ad === 'false' && !question.dnssecOk && (question.flags & AD) === 0,
  },
  {
    fields: ['edns'],
    because:
      'OPT is between neighbours (RFC 6891 section 6.2.1): ours does not need the upstream’s',
    explains: ({ question, ours }) => ours.edns === 'true' && question.kind === 'trailing',
  },
  {
    fields: ['tc', 'answer', 'ttl'],
    because: 'an answer that was fetched whole over TCP is given over UDP as far as it fits',
    explains: ({ question, theirs }) => question.transport === 'udp' && theirs.tc === 'true',
  },
  {
    fields: ['ttl'],
    because: 'every record of an answer has the lowest TTL among them, as in CoreDNS',
    explains: ({ ours, theirs, elapsedSec }) => {
      const lowest = Math.min(...numbers(theirs.ttl));
      return near(ours, Math.min(lowest, TTL_MAX_SEC), elapsedSec);
    },
  },
  {
    fields: ['ttl'],
    because: 'a TTL with its highest bit set is 0 (RFC 2181 section 8)',
    explains: ({ ours, theirs }) =>
      ours.ttl === '0' && numbers(theirs.ttl).some((ttl) => ttl > 0x7fff_ffff),
  },
  {
    fields: ['ttl'],
    because: 'a referral is kept for 5 s, as in CoreDNS',
    explains: ({ question, ours, elapsedSec }) =>
      question.kind === 'referral' && near(ours, FALLBACK_TTL_SEC, elapsedSec),
  },
  {
    fields: ['ttl'],
    because: 'a SERVFAIL is kept for as long as `servfail` says, whatever its SOA says',
    explains: ({ ours, elapsedSec }) => ours.rcode === '2' && near(ours, SERVFAIL_SEC, elapsedSec),
  },
];

function numbers(text: string): number[] {
  return text.split(' ').filter(Boolean).map(Number);
}

/** Whether all TTLs are one, and that is `ttlSec` but for the time that either answer was kept. */
function near({ ttl }: Answer, ttlSec: number, elapsedSec: number): boolean {
  const all = new Set(numbers(ttl));
  const [own] = all;
  return all.size === 1 && Math.abs(own! - ttlSec) <= elapsedSec + 1;
}
