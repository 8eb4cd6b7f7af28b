/**
 * A question while rules rewrite it, and what its response will need done.
 *
 * Owns:    which parts of the query are to be different; the query itself stays as it is.
 */
import { type EdnsOption, emptyOpt, optionsOf, withOptions } from '../../dns/edns.ts';
import { HEADER_OCTETS } from '../../dns/header.ts';
import { MESSAGE_OCTETS_MAX } from '../../dns/limits.ts';
import { lowerText, nameFromText, nameToText } from '../../dns/name.ts';
import type { QueryFacts } from '../../dns/question.ts';
import { type Change, derive, optOf } from '../../query/derive.ts';
import type { Query } from '../../query/query.ts';
import type { Replace } from './match.ts';

/** A change to the response; changes of the last rule are the first. */
export type ResponseRule =
  | { readonly kind: 'owner' | 'target'; readonly replace: Replace }
  | { readonly kind: 'ttl'; readonly minSec: number; readonly maxSec: number }
  | { readonly kind: 'rcode'; readonly from: number; readonly to: number }
  | { readonly kind: 'cname'; readonly replace: Replace };

/** The payload size that CoreDNS offers upstream where the client has sent no OPT. */
const PAYLOAD_OCTETS = 4096;

export class Draft {
  readonly query: Query;
  /** In the order of the rules. */
  readonly responseRules: ResponseRule[] = [];
  /** The result of a rule for the name, if that is no name. */
  invalidName: string | undefined;
  qtype: number;
  qclass: number;
  optionsChanged = false;
  #name: string | undefined;
  #wire: Uint8Array | undefined;
  #options: readonly EdnsOption[] | undefined;

  constructor(query: Query) {
    this.query = query;
    this.qtype = query.qtype;
    this.qclass = query.qclass;
  }

  /** In presentation form, lower-cased. */
  get name(): string {
    return this.#name ?? this.query.name;
  }

  /** As the client spelled it, unless a rule has changed it. */
  get spelledName(): string {
    return this.#name ?? nameToText(this.query.msg, HEADER_OCTETS);
  }

  rename(name: string): void {
    const wire = nameFromText(name);
    if (wire === undefined) {
      this.invalidName = name;
    } else {
      this.#wire = wire;
      this.#name = lowerText(nameToText(wire));
    }
  }

  get options(): readonly EdnsOption[] {
    return (this.#options ??= this.query.hasEdns ? optionsOf(optOf(this.query)) : []);
  }

  setOptions(options: readonly EdnsOption[]): void {
    this.#options = options;
    this.optionsChanged = true;
  }

  /** Whether another question is asked than the client's. */
  get asksOther(): boolean {
    const { query } = this;
    return (
      this.qtype !== query.qtype ||
      this.qclass !== query.qclass ||
      (this.#name !== undefined && this.#name !== query.name)
    );
  }

  /** Whether there is anything to do that the query would not get without. */
  get isChanged(): boolean {
    return this.asksOther || this.optionsChanged || this.responseRules.length > 0;
  }

  /** The query to ask instead; undefined if it would be too large. */
  facts(): QueryFacts | undefined {
    const { query } = this;
    if (!this.asksOther && !this.optionsChanged) return query;
    const opt = this.#opt();
    if (this.optionsChanged && opt === undefined) return undefined;
    const change: Change = {
      qtype: this.qtype,
      qclass: this.qclass,
      ...(this.#wire === undefined ? undefined : { name: this.#wire }),
      ...(opt === undefined ? undefined : { opt }),
    };
    const facts = derive(query, change);
    return facts !== undefined && facts.end <= MESSAGE_OCTETS_MAX ? facts : undefined;
  }

  #opt(): Uint8Array | undefined {
    if (!this.optionsChanged) return undefined;
    const { query } = this;
    return withOptions(query.hasEdns ? optOf(query) : emptyOpt(PAYLOAD_OCTETS), this.options);
  }
}
