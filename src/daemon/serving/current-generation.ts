/**
 * The generation that serves, from the first one to each that replaces it.
 *
 * Owns:    the step from one generation to the next: admin ports, then DNS sockets, then the handlers; and
 *          which Corefile is served after a crash, when the file is refused.
 * Is not:  when to reload (reload.ts), nor how a Corefile becomes a generation (generation.ts).
 */
import type { Flags } from '../../cli/flags.ts';
import { parseCorefile } from '../../corefile/blocks.ts';
import { DIRECTIVE_NAMES } from '../../directives/configure.ts';
import {
  DEBUG_LOG,
  HTTP_ENDPOINT,
  RELOAD_INTERVAL,
  type ReloadSettings,
} from '../../directives/contributions.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { metricsEndpoint } from '../../http/metrics.ts';
import type { StreamLog } from '../../observe/log.ts';
import type { Metrics } from '../../observe/metrics.ts';
import { reasonOf } from '../../observe/reason.ts';
import type { Troubles } from '../../observe/troubles.ts';
import type { Upstreams } from '../../upstream/upstreams.ts';
import type { CacheInheritance } from '../inheritance/cache.ts';
import { type RecordedCorefile, recalled, recorded } from '../inheritance/corefile.ts';
import type { SupervisorLink } from '../ipc/supervisor-link.ts';
import type { NodeSetup } from '../node/node-setup.ts';
import type { Admin } from './admin.ts';
import type { CorefileSource } from './corefile-source.ts';
import { type CorefileInput, type Generation, loadGeneration } from './generation.ts';
import type { Listeners } from './listeners.ts';
import type { Readiness } from './readiness.ts';
import { Reloader } from './reload.ts';

/** The key under which the supervisor holds the Corefile that served last. */
const COREFILE_KEY = 'corefile';

/** The parts of the worker that a generation serves with. */
export interface ServingParts {
  readonly flags: Flags;
  readonly log: StreamLog;
  readonly metrics: Metrics;
  readonly troubles: Troubles;
  readonly upstreams: Upstreams;
  readonly source: CorefileSource;
  readonly listeners: Listeners;
  readonly admin: Admin;
  readonly readiness: Readiness;
  readonly node: NodeSetup | undefined;
  readonly supervisor: SupervisorLink | undefined;
  readonly cacheInheritance: CacheInheritance | undefined;
  /** Whether the worker's end has begun, so that no other generation may serve. */
  readonly isEnding: () => boolean;
  /** A handler has found that the daemon must not serve (`loop`). */
  readonly fatal: (message: string) => void;
}

export class CurrentGeneration {
  readonly #parts: ServingParts;
  /** Addresses of `-localip` that belong to another daemon or to IPVS. */
  #ceded: ReadonlySet<string> = new Set();
  #generation: Generation | undefined;
  #reloader: Reloader | undefined;

  constructor(parts: ServingParts) {
    this.#parts = parts;
  }

  /** The generation that serves; undefined before the first one does. */
  get generation(): Generation | undefined {
    return this.#generation;
  }

  /**
   * Serves the first generation, on all addresses but `ceded`. Rejects with CorefileError, ListenError or a
   * system error.
   */
  async begin(ceded: ReadonlySet<string>): Promise<Generation> {
    this.#ceded = ceded;
    const { generation, refusal } = await this.#serveFirst();
    const { log, metrics, troubles } = this.#parts;
    const source = { fingerprint: () => this.#fingerprint(), load: () => this.#loadFile() };
    const { fingerprint } = generation.corefile;
    this.#reloader = new Reloader(source, fingerprint, log, metrics, troubles);
    if (refusal !== undefined) this.#reloader.startedWithout(refusal);
    return generation;
  }

  /** Follows the Corefile, and the template that it is made from. */
  follow(): void {
    if (this.#generation !== undefined) this.#reloader?.follow(reloadSettings(this.#generation));
    this.#parts.source.follow(() => void this.#reloader?.check());
  }

  /** Loads the Corefile because of `signal`. */
  reload(signal: string): void {
    void this.#reloader?.force(signal);
  }

  /** No reload begins after this; one that is under way backs out by itself. */
  stopReloading(): void {
    void this.#reloader?.stop();
  }

  stop(): void {
    this.#generation?.stop();
  }

  /** Passes everything that the caches hold on to the supervisor, for a newcomer. */
  async writeSnapshot(): Promise<void> {
    if (this.#generation === undefined) return;
    await this.#parts.cacheInheritance?.writeSnapshot(this.#generation);
  }

  /**
   * Serves the Corefile as it stands; or after a crash, if that is refused, the one that served last,
   * and resolves to the reason too.
   */
  async #serveFirst(): Promise<{ generation: Generation; refusal?: unknown }> {
    const { flags, source, supervisor } = this.#parts;
    const { conf } = flags;
    const written = supervisor?.inheritText(COREFILE_KEY);
    const inherited = written === undefined ? undefined : recalled(written, conf);
    // Standard input can be read once.
    if (conf === 'stdin' && inherited !== undefined) {
      source.recall(inherited.text);
      return { generation: await this.#setUpAndServe(inherited) };
    }
    try {
      const corefile = recorded(source.read(), conf);
      const generation = await this.#setUpAndServe(corefile);
      this.#passOn(corefile);
      return { generation };
    } catch (refusal) {
      if (inherited === undefined) throw refusal;
      return { generation: await this.#setUpAndServe(inherited), refusal };
    }
  }

  async #setUpAndServe(corefile: CorefileInput): Promise<Generation> {
    const generation = this.#load(corefile);
    await this.#parts.node?.setUp();
    await this.#parts.cacheInheritance?.fill(generation);
    await this.#serve(generation);
    return generation;
  }

  async #loadFile(): Promise<void> {
    const corefile = recorded(this.#parts.source.read(), this.#parts.flags.conf);
    await this.#serve(this.#load(corefile));
    this.#passOn(corefile);
  }

  /** Passes the Corefile on, in case the next worker finds the file broken. */
  #passOn(corefile: RecordedCorefile): void {
    try {
      this.#parts.supervisor?.passOnText(COREFILE_KEY, corefile.written());
    } catch (error) {
      this.#parts.log.warning(`the Corefile cannot be kept for a restart: ${reasonOf(error)}`);
    }
  }

  #load(corefile: CorefileInput): Generation {
    const { log, metrics, upstreams, troubles, flags, node, fatal } = this.#parts;
    const generation = loadGeneration(
      corefile,
      {
        log,
        metrics,
        upstreams,
        defaultPort: flags.dnsPort,
        ceded: this.#ceded,
        troubles,
        // A node without DNS is worse than one without that upstream.
        onLoop: node === undefined ? 'exit' : 'disable',
        fatal,
      },
      this.#generation,
    );
    this.#parts.cacheInheritance?.record(generation);
    return generation;
  }

  /** Replaces the generation that serves; or rejects, and that one serves on. */
  async #serve(generation: Generation): Promise<void> {
    const { admin, listeners, readiness, log } = this.#parts;
    try {
      await admin.apply(this.#endpoints(generation));
      if (this.#parts.isEnding()) throw new Error('shutting down');
      await listeners.apply(generation);
    } catch (error) {
      generation.stop();
      if (this.#generation !== undefined && !this.#parts.isEnding()) {
        await admin.apply(this.#endpoints(this.#generation));
      }
      throw error;
    }
    const previous = this.#generation;
    this.#generation = generation;
    log.debugging = generation.contributed(DEBUG_LOG).length > 0;
    generation.start();
    previous?.stop();
    readiness.follow(generation.proofs);
    this.#reloader?.follow(reloadSettings(generation));
  }

  #endpoints(generation: Generation): readonly Endpoint[] {
    return [...generation.contributed(HTTP_ENDPOINT), ...this.#setupMetrics()];
  }

  /** The second address for metrics: node-cache serves the metrics of its set-up there. */
  #setupMetrics(): readonly Endpoint[] {
    const at = /^(.*):(\d+)$/.exec(this.#parts.flags.setupMetricsAt);
    if (this.#parts.node === undefined || at === null) return [];
    const host = at[1]!.replace(/^\[(.*)\]$/, '$1');
    return [metricsEndpoint({ host, port: Number(at[2]) })];
  }

  #fingerprint(): string {
    const { conf, dnsPort } = this.#parts.flags;
    const options = { file: conf, known: DIRECTIVE_NAMES, defaultPort: dnsPort };
    return parseCorefile(this.#parts.source.read(), options).fingerprint;
  }
}

/** One watcher per process: the last block that says `reload` counts (CoreDNS). */
function reloadSettings(generation: Generation): ReloadSettings | undefined {
  return generation.contributed(RELOAD_INTERVAL).at(-1);
}
