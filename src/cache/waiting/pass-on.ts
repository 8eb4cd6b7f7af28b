/** What a query gets that waited for the response to another one. */
import type { Query } from '../../query/query.ts';
import { Response } from '../../query/response.ts';

/**
 * Gives `waiter` what has come for `asked`: the response itself to the same question, a failure in its
 * own words to another one; otherwise `waiter` goes on by `resume`.
 */
export function passOn(
  kept: Response,
  asked: Query,
  waiter: Query,
  resume: (query: Query) => void,
): void {
  if (waiter.answered) return;
  if (waiter.qtype === asked.qtype && waiter.nameOctets === asked.nameOctets) {
    waiter.answer(kept);
  } else if (kept.failure !== undefined) {
    const { message, restSec } = kept.failure;
    waiter.answer(Response.failed(waiter, kept.rcode, message, restSec));
  } else {
    resume(waiter);
  }
}
