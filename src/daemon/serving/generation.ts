/**
 * One loaded Corefile: its blocks as chains, by the address that each listens on.
 *
 * Owns:    everything that a reload replaces. Sockets, counters, upstream connections and the caches of
 *          blocks that did not change outlive it, and are handed in.
 * Is not:  running: nothing here listens until the worker says so.
 */
import type { AddressIndex } from '../../query/address-index.ts';
import { type Corefile, type ServerBlock, parseCorefile } from '../../corefile/blocks.ts';
import type { Source } from '../../corefile/source.ts';
import {
  type ConfiguredBlock,
  DIRECTIVE_NAMES,
  configure,
  labelOf,
  pointKey,
} from '../../directives/configure.ts';
import {
  type Contribution,
  NEEDS_UPSTREAMS,
  QUERY_COUNTERS,
  READINESS_PROOF,
  TCP_TIMEOUTS,
  TLS_SERVING,
  type TimeoutSettings,
  type TlsServing,
} from '../../directives/contributions.ts';
import type { BuildContext, Handler, ListenPoint } from '../../directives/directive.ts';
import type { HostPort } from '../../net/host-port.ts';
import type { Log } from '../../observe/log.ts';
import type { Metrics } from '../../observe/metrics.ts';
import type { Troubles } from '../../observe/troubles.ts';
import type { ZoneBinding } from '../../server/zone-table.ts';
import { Chain } from '../../server/chain.ts';
import { DnsCounters } from '../../server/dns-counters.ts';
import { hitPathOf } from '../../server/hit-path.ts';
import type { Upstreams } from '../../upstream/upstreams.ts';

export interface CorefileInput {
  readonly text: string;
  /** Its name in messages, and where the paths of its imports begin. */
  readonly file: string;
  /** Where its imports are read. */
  readonly source: Source;
}

/** The parts that outlive a generation. */
export interface Surroundings {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly upstreams: Upstreams;
  readonly defaultPort: number;
  /** Addresses that are not ours to listen on, whatever `bind` says. */
  readonly ceded: ReadonlySet<string>;
  readonly troubles: Troubles;
  readonly onLoop: 'exit' | 'disable';
  readonly fatal: (message: string) => void;
}

/** One address that is listened on, and the zones it serves. */
export interface Served {
  readonly address: ListenPoint;
  readonly label: string;
  /** Present where TLS is spoken. */
  readonly tls: TlsServing | undefined;
  readonly bindings: readonly ZoneBinding[];
  /** The timeouts for TCP clients that its blocks set; the last block counts. */
  readonly timeouts: TimeoutSettings;
}

export interface Generation {
  readonly corefile: Corefile;
  /** By `scheme host port`. */
  readonly served: ReadonlyMap<string, Served>;
  /** The values that directives have contributed under a key, in the order of the blocks. */
  contributed<Value>(key: Contribution<Value>): readonly Value[];
  /** The blocks that must have answered before we are ready. */
  readonly proofs: readonly Proof[];
  /** Kept by a reload: values that the next generation may use again, by the text they were made from. */
  readonly kept: ReadonlyMap<string, unknown>;
  /** Its handlers may begin to act: the addresses are served. */
  start(): void;
  /** Another generation serves now. */
  stop(): void;
}

/** A block that must show that it can answer for its zone. */
export interface Proof {
  readonly zone: string;
  /** Where it is asked. */
  readonly at: HostPort;
  /** Again and again, not only until it has answered. */
  readonly continuously: boolean;
}

/**
 * Reads a Corefile and builds all that it says, or throws CorefileError and has changed nothing.
 * `before` is the generation that serves now, if there is one.
 */
export function loadGeneration(
  { text, file, source }: CorefileInput,
  surroundings: Surroundings,
  before?: Generation,
): Generation {
  const { defaultPort, log } = surroundings;
  const corefile = parseCorefile(text, { file, known: DIRECTIVE_NAMES, defaultPort, source });
  for (const { message } of corefile.warnings) log.warning(message);
  const warn = (message: string): void => log.warning(message);
  const blocks = configure(corefile, { defaultPort, warn }).map((block) => ({
    ...block,
    listeners: block.listeners.filter(({ host }) => !surroundings.ceded.has(host)),
  }));
  return new Builder(surroundings, before).build(corefile, blocks);
}

class Builder {
  readonly #surroundings: Surroundings;
  #before: Generation | undefined;
  readonly #kept = new Map<string, unknown>();
  readonly #starts: (() => void)[] = [];
  readonly #stops: (() => void)[] = [];

  constructor(surroundings: Surroundings, before: Generation | undefined) {
    this.#surroundings = surroundings;
    this.#before = before;
  }

  build(corefile: Corefile, blocks: readonly ConfiguredBlock[]): Generation {
    const served = new Map<
      string,
      Served & { readonly bindings: ZoneBinding[]; timeouts: TimeoutSettings }
    >();
    try {
      for (const parsed of blocks) {
        const chain = this.#chain(parsed);
        parsed.listeners.forEach((address, i) => {
          const key = pointKey(address);
          const tls = address.scheme === 'tls' ? parsed.contributions.last(TLS_SERVING) : undefined;
          const label = labelOf(address);
          const at = served.get(key) ?? { address, label, tls, bindings: [], timeouts: {} };
          served.set(key, at);
          for (const timeouts of parsed.contributions.all(TCP_TIMEOUTS)) {
            at.timeouts = { ...at.timeouts, ...timeouts };
          }
          at.bindings.push(...this.#bindings(parsed, chain, address, i as AddressIndex));
        });
      }
    } catch (error) {
      for (const stop of this.#stops) stop();
      throw error;
    }
    // The generation refers to this builder, which must not keep all earlier generations alive.
    this.#before = undefined;
    return {
      corefile,
      served,
      contributed: (key) => blocks.flatMap(({ contributions }) => contributions.all(key)),
      proofs: proofsOf(blocks),
      kept: this.#kept,
      start: () => {
        for (const start of this.#starts) start();
      },
      stop: () => {
        for (const stop of this.#stops) stop();
      },
    };
  }

  #chain(parsed: ConfiguredBlock): Chain {
    const { log, metrics } = this.#surroundings;
    const handlers: Handler[] = [];
    for (const { directive, configs } of parsed.said) {
      const handler = directive.build?.(configs, this.#context(parsed));
      if (handler !== undefined) handlers.push(handler);
    }
    return new Chain(handlers, metrics.counter('coredns_panics_total', {}), log);
  }

  #context({ block, listeners }: ConfiguredBlock): BuildContext {
    const { log, metrics, upstreams, troubles, onLoop, fatal } = this.#surroundings;
    const origin = fingerprint(block);
    return {
      zones: block.keys.map(({ zone }) => zone),
      servers: listeners.map(labelOf),
      listeners: listeners.filter(({ scheme }) => scheme === 'dns'),
      log,
      metrics,
      upstreams,
      troubles,
      onLoop,
      keep: (what, create) => this.#keep(`${what} ${origin}`, create),
      onStart: (action) => this.#starts.push(action),
      onStop: (action) => this.#stops.push(action),
      fatal,
    };
  }

  /** The value that the previous generation made from the same text, or a new one. */
  #keep<T>(key: string, create: () => T): T {
    // The key holds what it is and all that it was made from, so it is of the type that was made.
    const made = (this.#before?.kept.get(key) as T | undefined) ?? create();
    this.#kept.set(key, made);
    return made;
  }

  #bindings(
    parsed: ConfiguredBlock,
    chain: Chain,
    address: ListenPoint,
    addressIndex: AddressIndex,
  ): ZoneBinding[] {
    const { block, contributions } = parsed;
    const { metrics } = this.#surroundings;
    const label = labelOf(address);
    const isCounted = contributions.has(QUERY_COUNTERS);
    if (isCounted) this.#showDirectives(parsed, label);
    const hits = hitPathOf(chain.handlers);
    const keys = block.keys.filter(
      ({ scheme, port }) => scheme === address.scheme && port === address.port,
    );
    return keys.map(({ zone }) => ({
      zone,
      chain,
      counters: isCounted ? new DnsCounters(metrics, label, zone, hits?.writer) : undefined,
      hits,
      addressIndex,
    }));
  }

  #showDirectives({ block, said }: ConfiguredBlock, server: string): void {
    const { zone } = block.keys[0]!;
    for (const { directive } of said) {
      if (directive.build === undefined && !directive.isInChain) continue;
      const labels = { server, zone, view: '', name: directive.name };
      this.#surroundings.metrics.gauge('coredns_plugin_enabled', labels).value = 1;
    }
  }
}

/** The blocks that contribute a proof, fallbacks where there is no other, as far as they need upstreams. */
function proofsOf(blocks: readonly ConfiguredBlock[]): Proof[] {
  const contributed = blocks.flatMap(({ contributions }) => contributions.all(READINESS_PROOF));
  const onlyFallbacks = contributed.every(({ isFallback }) => isFallback);
  return blocks.flatMap(({ block, contributions, listeners }) => {
    const proof = contributions
      .all(READINESS_PROOF)
      .find(({ isFallback }) => isFallback === onlyFallbacks);
    const at = listeners.find(({ scheme }) => scheme === 'dns');
    if (proof === undefined || at === undefined || !contributions.has(NEEDS_UPSTREAMS)) return [];
    return [{ zone: block.keys[0]!.zone, at, continuously: proof.continuously }];
  });
}

/** All that a block says, places left out: blocks with equal fingerprints mean the same. */
function fingerprint({ keys, uses }: ServerBlock): string {
  return JSON.stringify([
    keys.map(({ scheme, zone, port }) => [scheme, zone, port]),
    uses.map(({ name, args, options }) => [
      name,
      args.map(({ text }) => text),
      options.map((line) => [line.name.text, ...line.args.map(({ text }) => text)]),
    ]),
  ]);
}
