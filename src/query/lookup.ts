/**
 * Lookups: a directive's own questions, asked of the server as a client would ask them, through the choice
 * of a block and all of its directives (dns64's A, the target of a CNAME).
 *
 * Owns:    that lookups end: they nest so deep and no deeper, and none waits for itself.
 */
import type { QueryView } from '../dns/question.ts';
import { SERVFAIL } from '../dns/rcode.ts';
import { type Change, derive } from './derive.ts';
import type { Query } from './query.ts';
import { Response } from './response.ts';

/** As long as the longest CNAME chain that resolvers follow (BIND and unbound: 11 to 17). */
const NESTING_MAX = 12;

/**
 * Asks the server for `change` on behalf of `query`, with its flags, EDNS, client and deadline. `done`
 * is called once, perhaps before this returns; never for a query whose deadline has passed, which the
 * server answers itself.
 */
export function lookUp(query: Query, change: Change, done: (response: Response) => void): void {
  const question = derive(query, change);
  const reason =
    question === undefined ? 'no question can be made of it' : circularity(query, question);
  if (reason !== undefined) {
    done(Response.failed(query, SERVFAIL, `lookup for ${query.name}: ${reason}`));
    return;
  }
  query.chain!.lookUp(question!, query, { deliver: (_, response) => done(response) });
}

/** Why the lookup would not end, or undefined. */
function circularity(query: Query, question: QueryView): string | undefined {
  let nesting = 0;
  for (let asker: Query | undefined = query; asker !== undefined; asker = asker.asker) {
    // The same question would wait in the cache for the answer that waits for it.
    if (isSameQuestion(asker, question)) return 'it needs its own answer';
    nesting++;
  }
  return nesting > NESTING_MAX ? `nested more than ${NESTING_MAX} times` : undefined;
}

function isSameQuestion(asker: Query, { nameOctets, qtype, qclass, lowered }: QueryView): boolean {
  if (asker.nameOctets !== nameOctets || asker.qtype !== qtype || asker.qclass !== qclass) {
    return false;
  }
  for (let i = 0; i < nameOctets; i++) if (asker.lowered[i] !== lowered[i]) return false;
  return true;
}
