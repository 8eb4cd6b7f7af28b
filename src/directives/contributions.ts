/**
 * The contributions of directives to the server on behalf of their block, besides handlers: addresses to
 * listen on, a certificate, pages over HTTP. Each kind is a key that the server offers here; a directive
 * adds values under it, and the server reads the keys without knowing who added what.
 *
 * Owns:    the keys, with the meaning of their values and of several of them in one block.
 * Is not:  acting upon them: that is daemon/ and configure.ts.
 */
import type { Endpoint } from '../http/endpoint.ts';
import type { ClientAuth } from '../tls/client-auth.ts';

/** A kind of contribution; its identity is the key. */
export interface Contribution<Value> {
  /** For people. */
  readonly name: string;
  /** Never there: it ties the key to the type of its values. */
  readonly __value?: Value;
}

function contribution<Value>(name: string): Contribution<Value> {
  return { name };
}

/** An address that the block listens on; every address if there is none. */
export const LISTEN_ADDRESS: Contribution<string> = contribution('listen address');

/** The certificate for the block's tls:// keys. One in a block, the same for all at an address. */
export const TLS_SERVING: Contribution<TlsServing> = contribution('TLS serving');

/** How TCP clients are treated. Options of later ones count, over all blocks of an address. */
export const TCP_TIMEOUTS: Contribution<TimeoutSettings> = contribution('TCP timeouts');

/** A page served over HTTP, with its address. Blocks may name the same one: it is served once. */
export const HTTP_ENDPOINT: Contribution<Endpoint> = contribution('HTTP endpoint');

/** How long to go on serving after SIGTERM, in ms. The longest counts. */
export const LAMEDUCK_MS: Contribution<number> = contribution('lameduck');

/** How often the Corefile is looked at; without it, never. The last one counts. */
export const RELOAD_INTERVAL: Contribution<ReloadSettings> = contribution('reload interval');

/** Lines of level debug are logged, for the whole process. */
export const DEBUG_LOG: Contribution<true> = contribution('debug log');

/** The block's queries are counted; the value is the directive that asks for it. */
export const QUERY_COUNTERS: Contribution<string> = contribution('query counters');

/** The block depends on upstreams, and so may be unable to answer. */
export const NEEDS_UPSTREAMS: Contribution<true> = contribution('needs upstreams');

/** The daemon is ready only when this block has answered, if it needs upstreams. */
export const READINESS_PROOF: Contribution<ReadinessProof> = contribution('proof of readiness');

/** A name that the block itself can answer, for the banner. The first one is shown. */
export const EXAMPLE_NAME: Contribution<string> = contribution('example name');

/** Certificate, key and authorities are files in PEM form. */
export interface TlsServing {
  readonly cert: string;
  readonly key: string;
  /** Authorities of clients; undefined is those of the system. */
  readonly ca: string | undefined;
  readonly clientAuth: ClientAuth;
}

/** Named as in listen/tcp.ts; what is absent is as the listener has it by default. */
export interface TimeoutSettings {
  readonly firstMs?: number;
  readonly writeMs?: number;
  readonly idleMs?: number;
  /** 0 for as many queries as come. */
  readonly queriesMax?: number;
}

export interface ReloadSettings {
  readonly intervalMs: number;
  readonly jitterMs: number;
}

export interface ReadinessProof {
  /** Whether an upstream that falls silent later withdraws readiness. */
  readonly continuously: boolean;
  /** Counts only where no block contributes one that is no fallback. */
  readonly isFallback: boolean;
}

/** The contributions of one block, in the order of the chain. */
export class Contributions {
  readonly #values = new Map<Contribution<unknown>, unknown[]>();

  add<Value>(key: Contribution<Value>, value: NoInfer<Value>): void {
    const values = this.#values.get(key);
    if (values === undefined) this.#values.set(key, [value]);
    else values.push(value);
  }

  all<Value>(key: Contribution<Value>): readonly Value[] {
    // Only `add` puts values in, under the key of their type.
    return (this.#values.get(key) ?? []) as Value[];
  }

  last<Value>(key: Contribution<Value>): Value | undefined {
    return this.all(key).at(-1);
  }

  has(key: Contribution<unknown>): boolean {
    return this.#values.has(key);
  }
}
