/**
 * A Corefile's blocks with what their directives say: between the grammar (corefile/) and the chains
 * that the daemon builds.
 *
 * Owns:    the order in which directives are read, what a repetition means, where each block listens,
 *          and that no two blocks claim the same zone at the same address.
 * Is not:  building: nothing here makes a handler.
 */
import type { Corefile, DirectiveUse, ServerBlock, ServerKey } from '../corefile/blocks.ts';
import { CorefileError, type Report, throwError } from '../corefile/error.ts';
import { onlyOnce } from '../corefile/options.ts';
import { formatHostPort } from '../net/host-port.ts';
import { Contributions, LISTEN_ADDRESS, TLS_SERVING } from './contributions.ts';
import type { Directive, ListenPoint, ParseContext } from './directive.ts';
import { DIRECTIVES } from './index.ts';

/** The names that a Corefile may use. */
export const DIRECTIVE_NAMES: ReadonlySet<string> = new Set(DIRECTIVES.map(({ name }) => name));

/** The uses of one directive in one block, as it has read them. */
export interface Said {
  readonly directive: Directive<unknown>;
  /** The result of its `parse` for each use that counts. */
  readonly configs: readonly unknown[];
  readonly uses: readonly DirectiveUse[];
}

export interface ConfiguredBlock {
  readonly block: ServerBlock;
  /** In the order of the chain. */
  readonly said: readonly Said[];
  readonly contributions: Contributions;
  /** Each port of its keys at each of its addresses. */
  readonly listeners: readonly ListenPoint[];
}

export interface ConfigureOptions {
  /** The port of keys that name none. */
  readonly defaultPort: number;
  readonly warn: (message: string) => void;
  /** The default throws the first error; where it returns, what is wrong is left out. */
  readonly report?: Report;
}

/**
 * Reads all that the blocks say. As in CoreDNS, each directive is read over all blocks before the next
 * one, in the order of the chain, and that decides which of several errors comes first.
 */
export function configure(corefile: Corefile, options: ConfigureOptions): ConfiguredBlock[] {
  const { report = throwError } = options;
  if (corefile.blocks.length === 0) {
    const place = { file: corefile.files[0]!, line: 1, column: 1, length: 0 };
    const hint = 'a block is a zone and its directives in braces, each on a line of its own';
    report(
      new CorefileError('COREFILE_SYNTAX', place, 'there is no server block', {
        hint,
      }),
    );
  }
  const readers = corefile.blocks.map((block) => new BlockReader(block, options));
  for (const reader of readers) reader.checkKeys();
  for (const directive of DIRECTIVES) for (const reader of readers) reader.read(directive);
  for (const directive of DIRECTIVES) for (const reader of readers) reader.review(directive);
  const placed = readers.filter(({ isPlaced }) => isPlaced).map((reader) => reader.configured());
  checkOverlaps(placed, report);
  const whole = readers.filter(({ isWhole }) => isWhole).map((reader) => reader.configured());
  checkCertificates(whole, report);
  return whole;
}

class BlockReader {
  readonly #block: ServerBlock;
  readonly #context: ParseContext;
  readonly #report: Report;
  readonly #said: Said[] = [];
  readonly #contributions = new Contributions();
  /** Nothing is wrong with it. */
  isWhole = true;
  /** It is known where it listens, and for which zones. */
  isPlaced = true;

  constructor(block: ServerBlock, options: ConfigureOptions) {
    this.#block = block;
    const { defaultPort, warn, report = throwError } = options;
    this.#context = { zones: block.keys.map(({ zone }) => zone), defaultPort, warn };
    this.#report = report;
  }

  checkKeys(): void {
    for (const key of this.#block.keys) this.#attempt(() => refuseScheme(key));
    this.isPlaced = this.isWhole;
  }

  read(directive: Directive<unknown>): void {
    const all = this.#block.uses.filter(({ name }) => name === directive.name);
    if (all.length === 0) return;
    const uses = this.#attempt(() => selectUses(directive, all)) ?? all.slice(0, 1);
    const configs: unknown[] = [];
    for (const use of uses) {
      this.#attempt(() => configs.push(directive.parse(use, this.#context)));
    }
    if (directive.placesBlock && configs.length < uses.length) this.isPlaced = false;
    if (configs.length === 0) return;
    this.#attempt(() => directive.contribute?.(configs, this.#contributions));
    this.#said.push({ directive, configs, uses });
  }

  review(directive: Directive<unknown>): void {
    this.#attempt(() => directive.review?.(this.#block, this.#context));
  }

  configured(): ConfiguredBlock {
    const block = this.#block;
    const contributions = this.#contributions;
    const listeners = listenersOf(block, contributions.all(LISTEN_ADDRESS));
    return { block, said: this.#said, contributions, listeners };
  }

  #attempt<T>(read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof CorefileError)) throw error;
      this.isWhole = false;
      for (const each of [error, ...error.others]) this.#report(each);
      return undefined;
    }
  }
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
  if (isServed(scheme)) return;
  throw new CorefileError('COREFILE_KEY', place, `${scheme}:// is not served: "${text}"`, {
    hint: 'server blocks serve dns:// over UDP and TCP, and tls://',
  });
}

function isServed(scheme: ServerKey['scheme']): scheme is ListenPoint['scheme'] {
  return scheme === 'dns' || scheme === 'tls';
}

function listenersOf(block: ServerBlock, addresses: readonly string[]): readonly ListenPoint[] {
  const hosts = addresses.length === 0 ? [''] : addresses;
  const points = block.keys.flatMap(({ scheme, port }) =>
    isServed(scheme) ? hosts.map((host) => ({ scheme, host, port })) : [],
  );
  return [...new Map(points.map((point) => [pointKey(point), point])).values()];
}

/** Points as keys of maps. */
export function pointKey({ scheme, host, port }: ListenPoint): string {
  return `${scheme} ${host} ${port}`;
}

/** As in CoreDNS's metrics: `dns://:53`, `tls://169.254.20.10:853`, `dns://[::1]:53`. */
export function labelOf(point: ListenPoint): string {
  return `${point.scheme}://${formatHostPort(point)}`;
}

/** A stream has one port for one thing, and one certificate whatever zone is asked for in it. */
function checkCertificates(blocks: readonly ConfiguredBlock[], report: Report): void {
  const usedAt = new Map<string, { point: ListenPoint; tls: string | undefined }>();
  for (const { block, contributions, listeners } of blocks) {
    const serving = JSON.stringify(contributions.last(TLS_SERVING));
    for (const point of listeners) {
      const tls = point.scheme === 'tls' ? serving : undefined;
      const address = `${point.host} ${point.port}`;
      const other = usedAt.get(address);
      if (other !== undefined && other.tls !== tls) {
        const what =
          other.point.scheme === point.scheme
            ? `another block has another certificate at ${labelOf(point)}`
            : `${labelOf(point)} and ${labelOf(other.point)} cannot share a port`;
        const hint = 'name the same files in each block, or give one of them a port of its own';
        report(new CorefileError('COREFILE_CONFLICT', block.place, what, { hint }));
      }
      usedAt.set(address, { point, tls });
    }
  }
}

/** A zone may be served once per address; and not both bound and unbound on one port (CoreDNS). */
function checkOverlaps(blocks: readonly ConfiguredBlock[], report: Report): void {
  const seen = new Set<string>();
  const boundness = new Map<string, { bound: boolean; text: string }>();
  for (const { block, contributions } of blocks) {
    const addresses = contributions.all(LISTEN_ADDRESS);
    const bound = addresses.length > 0;
    for (const { scheme, zone, port, place } of block.keys) {
      const name = `${scheme}://${zone}:${port}`;
      for (const host of bound ? addresses : ['']) {
        const at = host === '' ? name : `${name} on ${host}`;
        const other = boundness.get(name);
        if (seen.has(at)) {
          const what = `cannot serve ${at} - it is already defined`;
          report(new CorefileError('COREFILE_CONFLICT', place, what));
        } else if (other !== undefined && other.bound !== bound) {
          const what = `cannot serve ${at} - zone overlap listener capacity with ${other.text}`;
          report(new CorefileError('COREFILE_CONFLICT', place, what));
        }
        seen.add(at);
        boundness.set(name, { bound, text: at });
      }
    }
  }
}
