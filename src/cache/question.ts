/** Questions as the cache asks for them. */

/** What tells one cached answer from another. A QueryView and a Query both are one. */
export interface CacheQuestion {
  readonly lowered: Uint8Array;
  readonly nameOctets: number;
  readonly nameHash: number;
  readonly qtype: number;
  readonly qclass: number;
  readonly dnssecOk: boolean;
  readonly checkingDisabled: boolean;
}

/** With the name in presentation form, lower-cased. */
export type NamedQuestion = CacheQuestion & { readonly name: string };
