/**
 * Faults of a template, in the words of Go's text/template, and the bounds of all templates.
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

/** Octets of a template's text: many times what a record takes that fits a datagram. */
export const SOURCE_OCTETS_MAX = 32_768;
/** Octets of what a template writes, and of each string on the way: likewise. */
export const OUTPUT_OCTETS_MAX = 32_768;
/** Actions and parentheses inside each other. */
export const NESTING_MAX = 100;
/** Templates that call each other. Go's bound, 100,000, is more than our stack has room for. */
export const DEPTH_MAX = 100;
/** Lists of nodes and pipelines inside each other, calls included: each takes about eight stack frames. */
export const LEVELS_MAX = 400;
/**
 * Nodes that one execution walks; 16 octets of a string count as one, as often as somebody reads or
 * makes it. A template of a Corefile walks some tens. As many as this take 1 to 10 ms, whatever they
 * are: `quote`, which is the slowest with long strings, and `range` alike.
 */
export const STEPS_MAX = 10_000;
