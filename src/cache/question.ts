/** Questions as the cache asks for them. */

/** The facts that tell one cached answer from another. A QueryView and a Query both have them. */
export interface CacheQuestion {
  readonly lowered: Uint8Array;
  readonly nameOctets: number;
  readonly nameHash: number;
  readonly qtype: number;
  readonly qclass: number;
  readonly dnssecOk: boolean;
  readonly checkingDisabled: boolean;
}

/** Like CacheQuestion, with the name in presentation form, lower-cased. */
export type NamedQuestion = CacheQuestion & { readonly name: string };
