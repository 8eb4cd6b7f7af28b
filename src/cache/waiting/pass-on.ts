/** The end of a query's wait for the response to another one. */
import type { Query } from '../../query/query.ts';
import { Response } from '../../query/response.ts';

/**
 * Gives `waiter` the response to `asked` if its question is the same. A waiter with another question gets
 * a failure as one of its own, and otherwise goes on by `resume`.
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
