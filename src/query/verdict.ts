/** A handler's verdict on a query. Small integers: handlers return one for each query. */
export type Verdict = typeof PASS | typeof ANSWERED | typeof LATER;
/** Not mine: the next handler of the chain is asked. */
export const PASS = 0;
/** The handler has called `query.answer`. */
export const ANSWERED = 1;
/** The handler keeps the query and will call `query.answer`, exactly once. */
export const LATER = 2;
