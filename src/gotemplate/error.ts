/**
 * What is wrong with a template, in the words of Go's text/template, and the bounds of all templates.
 *
 * A template is an operator's, but what it is executed with is chosen by clients. So all that grows
 * has a bound; what passes one is an error like any other.
 */

/** The only error that parsing or executing a template throws. */
export class TemplateError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'TemplateError';
  }
}

/** Octets of a template's text: a record of the largest RDATA fits, as a generic one in hexadecimal. */
export const SOURCE_OCTETS_MAX = 160_000;
/** Octets of what a template writes, and of each string on the way: likewise. */
export const OUTPUT_OCTETS_MAX = 160_000;
/** Actions and parentheses inside each other. */
export const NESTING_MAX = 100;
/** Templates that call each other. Go's bound, 100,000, is more than our stack has room for. */
export const DEPTH_MAX = 100;
/** Lists of nodes and pipelines inside each other, calls included: each takes about eight stack frames. */
export const LEVELS_MAX = 400;
/**
 * Nodes that one execution walks, and octets that its strings have taken, 64 counted as one. A
 * template of a Corefile walks some tens; this many take about a millisecond.
 */
export const STEPS_MAX = 10_000;
