/**
 * Facts of one query that directives share, by label: `forward/upstream`, `trace/traceid`.
 *
 * Owns:    the table of one query. It exists only in blocks that say `metadata`: a directive that sets a
 *          label writes `query.metadata?.set(...)`, which costs nothing elsewhere.
 */
export class Metadata {
  readonly #values = new Map<string, string | (() => string)>();

  /** A later value of a label replaces an earlier one. A function is called when the label is read. */
  set(label: string, value: string | (() => string)): void {
    this.#values.set(label, value);
  }

  /** Undefined if the label has not been set. */
  get(label: string): string | undefined {
    const value = this.#values.get(label);
    return typeof value === 'function' ? value() : value;
  }
}

/** Whether a text has the form of a label: a directive's name, a slash, and a name of its own. */
export function isMetadataLabel(text: string): boolean {
  const slash = text.indexOf('/');
  return slash > 0 && slash < text.length - 1;
}
