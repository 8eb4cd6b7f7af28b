/**
 * The trace of one query: a span for the whole, and one for each handler that it passes, nested as the
 * handlers are (Zipkin's model, version 2).
 *
 * Owns:    the spans until the query is answered. It exists only on queries that `trace` has picked: a module
 *          that adds to it writes `query.trace?.record(...)`, which costs nothing elsewhere.
 * Is not:  the sending (directives/trace/reporter.ts).
 */
import { nowMs } from '../sys/clock.ts';

/** As Zipkin has it in JSON; times in microseconds, `timestamp` since the epoch. */
export interface Span {
  readonly traceId: string;
  readonly id: string;
  readonly parentId?: string;
  readonly name: string;
  readonly kind?: 'SERVER';
  readonly timestamp: number;
  readonly duration: number;
  readonly tags?: Readonly<Record<string, string>>;
}

/** More than a chain has handlers: a query may pass some of them more than once. */
const SPANS_MAX = 100;

interface OpenSpan {
  readonly depth: number;
  readonly id: string;
  readonly name: string;
  readonly beganMs: number;
}

export class QueryTrace {
  readonly id: string;
  readonly #rootName: string;
  readonly #newId: () => string;
  readonly #beganMs: number;
  /** Added to the monotonic clock, gives that of the wall, in ms. */
  readonly #epochMs: number;
  /** Outermost first. */
  readonly #open: OpenSpan[] = [];
  readonly #ended: Span[] = [];

  /** `beganMs` is on the monotonic clock; `newId` draws 16 hexadecimal digits. */
  constructor(rootName: string, beganMs: number, newId: () => string) {
    this.id = newId();
    this.#rootName = rootName;
    this.#newId = newId;
    this.#beganMs = beganMs;
    this.#epochMs = Date.now() - nowMs();
  }

  /** The query has come to the handler at `depth`. */
  enter(depth: number, name: string): void {
    this.#open.push({ depth, id: this.#newId(), name, beganMs: nowMs() });
  }

  /** The handler at `depth` is done, and with it what it had waited for. */
  leave(depth: number): void {
    while (this.#open.length > 0 && this.#open.at(-1)!.depth >= depth) {
      const { id, name, beganMs } = this.#open.pop()!;
      this.#add(id, name, beganMs, undefined);
    }
  }

  /** Something that began at `beganMs` and has ended now, within the handler that has the query. */
  record(name: string, beganMs: number, tags: Readonly<Record<string, string>>): void {
    this.#add(this.#newId(), name, beganMs, tags);
  }

  /** Ends the whole, and returns its spans: the root last. */
  end(tags: Readonly<Record<string, string>>): readonly Span[] {
    this.leave(0);
    const root = this.#span(this.id, this.#rootName, this.#beganMs, tags);
    return [...this.#ended, { ...root, kind: 'SERVER' }];
  }

  #add(
    id: string,
    name: string,
    beganMs: number,
    tags: Readonly<Record<string, string>> | undefined,
  ): void {
    if (this.#ended.length >= SPANS_MAX) return;
    const parentId = this.#open.at(-1)?.id ?? this.id;
    this.#ended.push({ ...this.#span(id, name, beganMs, tags), parentId });
  }

  #span(
    id: string,
    name: string,
    beganMs: number,
    tags: Readonly<Record<string, string>> | undefined,
  ): Span {
    return {
      traceId: this.id,
      id,
      name,
      timestamp: Math.round((this.#epochMs + beganMs) * 1000),
      // Zipkin takes 0 for unknown.
      duration: Math.max(1, Math.round((nowMs() - beganMs) * 1000)),
      ...(tags === undefined ? {} : { tags }),
    };
  }
}
