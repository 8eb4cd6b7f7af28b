/**
 * One loaded Corefile: its blocks as chains, by the address that each listens on.
 *
 * Owns:    everything that a reload replaces. What outlives it (sockets, counters, upstream
 *          connections, the caches of blocks that did not change) is handed in.
 * Is not:  running: nothing here listens until the worker says so.
 */
import {
  type Corefile,
  type DirectiveUse,
  type ServerBlock,
  type ServerKey,
  parseCorefile,
} from '../corefile/blocks.ts';
import { CorefileError } from '../corefile/error.ts';
import { onlyOnce } from '../corefile/options.ts';
import type {
  BlockSettings,
  BuildContext,
  Directive,
  Handler,
  HostPort,
} from '../directives/directive.ts';
import { DIRECTIVES } from '../directives/index.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { ZoneBinding } from '../server/blocks.ts';
import { Chain } from '../server/chain.ts';
import { DnsCounters } from '../server/dns-counters.ts';
import type { Upstreams } from '../upstream/registry.ts';

/** What outlives a generation. */
export interface Surroundings {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly upstreams: Upstreams;
  readonly defaultPort: number;
  readonly fatal: (message: string) => void;
}

/** One address that is listened on, and the zones it serves. */
export interface Served {
  readonly address: HostPort;
  readonly label: string;
  readonly bindings: readonly ZoneBinding[];
}

export interface Generation {
  readonly corefile: Corefile;
  /** By `host port`. */
  readonly served: ReadonlyMap<string, Served>;
  readonly settings: readonly BlockSettings[];
  /** What the next generation may take over, by what it was made from. */
  readonly heirlooms: ReadonlyMap<string, unknown>;
  /** Its handlers may begin to act: the addresses are served. */
  start(): void;
  /** Another generation serves now. */
  stop(): void;
}

/** A directive's configuration, parsed: what it has said in one block. */
interface Said {
  readonly directive: Directive<unknown>;
  readonly configs: readonly unknown[];
}

interface ParsedBlock {
  readonly block: ServerBlock;
  readonly said: readonly Said[];
  readonly settings: BlockSettings;
  readonly listeners: readonly HostPort[];
}

const KNOWN: ReadonlySet<string> = new Set(DIRECTIVES.map(({ name }) => name));

/**
 * Reads a Corefile and builds all that it says, or throws CorefileError and has changed nothing.
 * `before` is the generation that serves now, if there is one.
 */
export function loadGeneration(
  text: string,
  file: string,
  surroundings: Surroundings,
  before?: Generation,
): Generation {
  const { defaultPort, log } = surroundings;
  const corefile = parseCorefile(text, { file, known: KNOWN, defaultPort });
  if (corefile.blocks.length === 0) {
    throw new CorefileError(
      'COREFILE_SYNTAX',
      { file, line: 1, column: 1, length: 0 },
      'there is no server block',
      { hint: 'a block is a zone and its directives in braces, each on a line of its own' },
    );
  }
  for (const { message } of corefile.warnings) log.warning(message);
  const parsed = corefile.blocks.map((block) => parseBlock(block, surroundings));
  checkOverlaps(parsed);
  return new Builder(surroundings, before).build(corefile, parsed);
}

function parseBlock(block: ServerBlock, surroundings: Surroundings): ParsedBlock {
  for (const key of block.keys) refuseScheme(key);
  const zones = block.keys.map(({ zone }) => zone);
  const context = {
    zones,
    defaultPort: surroundings.defaultPort,
    warn: (message: string) => surroundings.log.warning(message),
  };
  const settings: BlockSettings = {
    bind: [],
    metricsAt: undefined,
    healthAt: undefined,
    lameduckMs: 0,
    reload: undefined,
    exampleName: '',
  };
  const said: Said[] = [];
  for (const directive of DIRECTIVES) {
    const uses = block.uses.filter(({ name }) => name === directive.name);
    if (uses.length === 0) continue;
    const configs = selectUses(directive, uses).map((use) => directive.parse(use, context));
    directive.settle?.(configs, settings);
    said.push({ directive, configs });
  }
  return { block, said, settings, listeners: listenersOf(block, settings) };
}

/** The uses that count, by what a repetition means to the directive. */
function selectUses(
  directive: Directive<unknown>,
  uses: readonly DirectiveUse[],
): readonly DirectiveUse[] {
  switch (directive.repeat) {
    case 'refuse':
      onlyOnce(uses);
      return uses;
    case 'accumulate':
      return uses;
    case 'first':
      return uses.slice(0, 1);
    case 'last':
      return uses.slice(-1);
    default:
      return directive.repeat satisfies never;
  }
}

function refuseScheme({ scheme, text, place }: ServerKey): void {
  if (scheme === 'dns') return;
  throw new CorefileError('COREFILE_KEY', place, `${scheme}:// is not served: "${text}"`, {
    hint: 'server blocks serve dns:// over UDP and TCP',
  });
}

function listenersOf(block: ServerBlock, settings: BlockSettings): readonly HostPort[] {
  const ports = [...new Set(block.keys.map(({ port }) => port))];
  const hosts = settings.bind.length === 0 ? [''] : settings.bind;
  return ports.flatMap((port) => hosts.map((host) => ({ host, port })));
}

/** A zone may be served once per address; and not both bound and unbound on one port (CoreDNS). */
function checkOverlaps(blocks: readonly ParsedBlock[]): void {
  const seen = new Set<string>();
  const boundness = new Map<string, { bound: boolean; text: string }>();
  for (const { block, settings } of blocks) {
    const bound = settings.bind.length > 0;
    for (const { zone, port, place } of block.keys) {
      const name = `dns://${zone}:${port}`;
      for (const host of bound ? settings.bind : ['']) {
        const on = host === '' ? '' : ` on ${host}`;
        if (seen.has(`${name}${on}`)) {
          throw new CorefileError(
            'COREFILE_CONFLICT',
            place,
            `cannot serve ${name}${on} - it is already defined`,
          );
        }
        seen.add(`${name}${on}`);
        const other = boundness.get(name);
        if (other !== undefined && other.bound !== bound) {
          throw new CorefileError(
            'COREFILE_CONFLICT',
            place,
            `cannot serve ${name}${on} - zone overlap listener capacity with ${other.text}`,
          );
        }
        boundness.set(name, { bound, text: `${name}${on}` });
      }
    }
  }
}

/** Addresses as keys of maps. */
function addressKey({ host, port }: HostPort): string {
  return `${host} ${port}`;
}

class Builder {
  readonly #surroundings: Surroundings;
  readonly #before: Generation | undefined;
  readonly #heirlooms = new Map<string, unknown>();
  readonly #starts: (() => void)[] = [];
  readonly #stops: (() => void)[] = [];

  constructor(surroundings: Surroundings, before: Generation | undefined) {
    this.#surroundings = surroundings;
    this.#before = before;
  }

  build(corefile: Corefile, blocks: readonly ParsedBlock[]): Generation {
    const served = new Map<string, { address: HostPort; label: string; bindings: ZoneBinding[] }>();
    try {
      for (const parsed of blocks) {
        const chain = this.#chain(parsed);
        parsed.listeners.forEach((address, server) => {
          const key = addressKey(address);
          const at = served.get(key) ?? { address, label: labelOf(address), bindings: [] };
          served.set(key, at);
          at.bindings.push(...this.#bindings(parsed, chain, address, server));
        });
      }
    } catch (error) {
      for (const stop of this.#stops) stop();
      throw error;
    }
    return {
      corefile,
      served,
      settings: blocks.map(({ settings }) => settings),
      heirlooms: this.#heirlooms,
      start: () => {
        for (const start of this.#starts) start();
      },
      stop: () => {
        for (const stop of this.#stops) stop();
      },
    };
  }

  #chain(parsed: ParsedBlock): Chain {
    const { log, metrics } = this.#surroundings;
    const handlers: Handler[] = [];
    for (const { directive, configs } of parsed.said) {
      const handler = directive.build?.(configs, this.#context(parsed));
      if (handler !== undefined) handlers.push(handler);
    }
    return new Chain(handlers, metrics.counter('coredns_panics_total', {}), log);
  }

  #context({ block, listeners }: ParsedBlock): BuildContext {
    const { log, metrics, upstreams, fatal } = this.#surroundings;
    const origin = fingerprint(block);
    return {
      zones: block.keys.map(({ zone }) => zone),
      servers: listeners.map(labelOf),
      listeners,
      log,
      metrics,
      upstreams,
      inherit: (what, create) => this.#inherit(`${what} ${origin}`, create),
      onStart: (action) => this.#starts.push(action),
      onStop: (action) => this.#stops.push(action),
      fatal,
    };
  }

  /** What the generation before had made from the same text, or a new one. */
  #inherit<T>(key: string, create: () => T): T {
    // The key holds what it is and all that it was made from, so it is of the type that was made.
    const made = (this.#before?.heirlooms.get(key) as T | undefined) ?? create();
    this.#heirlooms.set(key, made);
    return made;
  }

  #bindings(
    { block, settings, said }: ParsedBlock,
    chain: Chain,
    address: HostPort,
    server: number,
  ): ZoneBinding[] {
    const { metrics } = this.#surroundings;
    const label = labelOf(address);
    const keys = block.keys.filter(({ port }) => port === address.port);
    const { handlers } = chain;
    const cacheAt = handlers.findIndex(({ hits }) => hits !== undefined);
    const aboveSees = handlers.slice(0, Math.max(cacheAt, 0)).some(({ seesHits }) => seesHits);
    const hits = cacheAt === -1 || aboveSees ? undefined : handlers[cacheAt]!.hits;
    if (settings.metricsAt !== undefined) {
      const first = block.keys[0]!.zone;
      for (const { directive } of said) {
        if (directive.build === undefined && directive.name !== 'prometheus') continue;
        metrics.gauge('coredns_plugin_enabled', {
          server: label,
          zone: first,
          view: '',
          name: directive.name,
        }).value = 1;
      }
    }
    return keys.map(({ zone }) => ({
      zone,
      chain,
      counters:
        settings.metricsAt === undefined ? undefined : new DnsCounters(metrics, label, zone),
      hits,
      server,
    }));
  }
}

/** As in CoreDNS's metrics: `dns://:53`, `dns://169.254.20.10:53`, `dns://[::1]:53`. */
function labelOf({ host, port }: HostPort): string {
  return host.includes(':') ? `dns://[${host}]:${port}` : `dns://${host}:${port}`;
}

/** All that a block says, places left out: blocks with equal fingerprints mean the same. */
function fingerprint({ keys, uses }: ServerBlock): string {
  return JSON.stringify([
    keys.map(({ zone, port }) => [zone, port]),
    uses.map(({ name, args, options }) => [
      name,
      args.map(({ text }) => text),
      options.map((line) => [line.name.text, ...line.args.map(({ text }) => text)]),
    ]),
  ]);
}
