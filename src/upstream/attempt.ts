/** One query sent to one upstream once, over whatever transport. */
import type { NormalizedResponse } from '../dns/response.ts';
import type { Upstream } from './upstream.ts';

/** Who wants to know how an attempt ends. An attempt that is not withdrawn ends with exactly one call
 * of onAnswer or onFailure. */
export interface AttemptOwner {
  onAnswer(attempt: Attempt, message: NormalizedResponse): void;
  /**
   * No answer yet, and reason to doubt that one comes soon: the owner may try elsewhere, and still
   * takes an answer from here. `silent`: nothing at all comes over that connection any more.
   */
  onSlow(attempt: Attempt, silent: boolean): void;
  /** `reason` is told in the log, in Go's words where Go has some. */
  onFailure(attempt: Attempt, reason: string, cause: FailureCause): void;
}

/**
 * `closed`: the upstream closed a connection that had served before, which is its right and no
 * failure of its. `bad-response`: it answered, and not what we asked.
 */
export type FailureCause = 'closed' | 'unreachable' | 'timeout' | 'bad-response';

export class Attempt {
  readonly owner: AttemptOwner;
  readonly upstream: Upstream;
  /** The message to send; its ID is replaced. */
  readonly query: Uint8Array;
  readonly nameOctets: number;
  /** Sent with AD set, whatever the query has (RFC 6840 section 5.7). */
  readonly askAuthentic: boolean;
  /** Set when it is sent. */
  sentMs = 0;
  id = 0;
  /** Takes it out of where it waits; set by the transport. */
  withdraw: ((attempt: Attempt) => void) | undefined;
  /** Over TCP or TLS, and not UDP. */
  overStream = false;
  /**
   * The second one at its upstream, which must not fail for the reason that the first one did: over a
   * stream it goes only over a connection that has answered something since.
   */
  mends = false;
  /** Asked for its own sake, to see whether anybody answers. */
  isProbe = false;
  /** Of the same owner, and still under way. */
  before: Attempt | undefined = undefined;
  /** Its owner was told that it is slow, that its connection is silent. */
  toldSlow = false;
  toldSilent = false;

  constructor(
    owner: AttemptOwner,
    upstream: Upstream,
    query: Uint8Array,
    nameOctets: number,
    askAuthentic: boolean,
  ) {
    this.owner = owner;
    this.upstream = upstream;
    this.query = query;
    this.nameOctets = nameOctets;
    this.askAuthentic = askAuthentic;
  }
}
