/**
 * Follows the Corefile (`reload`): reads it at intervals, and loads it when its meaning differs from the
 * one that serves (CoreDNS's reload, without its side effects).
 *
 * Owns:    when the file is read, what is logged and counted of it.
 * Is not:  the change itself: `load` builds a new generation, and changes nothing if it throws.
 */
import { createHash } from 'node:crypto';
import type { ReloadSettings } from '../../directives/contributions.ts';
import type { Metrics } from '../../observe/metrics.ts';
import type { Log } from '../../observe/log.ts';
import { reasonOf } from '../../observe/reason.ts';
import type { Troubles } from '../../observe/troubles.ts';

/** The subject of the trouble that a refused Corefile is. */
const SUBJECT = 'Corefile';

export interface ReloadSource {
  /** The fingerprint of the file as it stands now. Throws CorefileError if it cannot be parsed. */
  fingerprint(): string;
  /** Makes it serve. Rejects, having changed nothing, if it cannot serve. */
  load(): Promise<void>;
}

export class Reloader {
  readonly #source: ReloadSource;
  readonly #log: Log;
  readonly #metrics: Metrics;
  readonly #troubles: Troubles;
  /** The fingerprint that serves now, and the one that was tried last and failed. */
  #serving: string;
  #refused = '';
  #timer: NodeJS.Timeout | undefined;
  #busy: Promise<void> | undefined;
  #stopped = false;

  constructor(
    source: ReloadSource,
    serving: string,
    log: Log,
    metrics: Metrics,
    troubles: Troubles,
  ) {
    this.#source = source;
    this.#serving = serving;
    this.#log = log;
    this.#metrics = metrics;
    this.#troubles = troubles;
    metrics.counter('coredns_reload_failed_total', {});
  }

  /** Begins to follow the file, or stops if the Corefile does not say `reload`. */
  follow(settings: ReloadSettings | undefined): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (settings === undefined || this.#stopped) return;
    const { intervalMs, jitterMs } = settings;
    // Nodes that got one ConfigMap at once should not all turn to their upstreams at once.
    const everyMs = intervalMs + (Math.random() - 0.5) * jitterMs;
    this.#log.info(`plugin/reload: Running configuration SHA512 = ${sha512(this.#serving)}`);
    this.#timer = setInterval(() => void this.check(), everyMs);
    this.#timer.unref();
  }

  /** Loads the file if it has changed. Resolves when that is done; never rejects. */
  check(): Promise<void> {
    return this.#once(async () => {
      let now: string;
      try {
        now = this.#source.fingerprint();
      } catch (error) {
        this.#log.warning(`plugin/reload: Corefile parse failed: ${reasonOf(error)}`);
        this.#refuse(error);
        return;
      }
      if (now === this.#serving) this.#troubles.end('configuration', SUBJECT);
      if (now === this.#serving || now === this.#refused) return;
      this.#log.info('Reloading');
      await this.#load(now, 'plugin/reload: Corefile changed but reload failed');
    });
  }

  /** Loads the file whether it has changed or not: a signal asks for it. */
  force(signal: string): Promise<void> {
    return this.#once(async () => {
      this.#log.info(`${signal}: Reloading`);
      this.#log.info('Reloading');
      let now = '';
      try {
        now = this.#source.fingerprint();
      } catch {
        // Loading it fails for the same reason, and says so.
      }
      await this.#load(now, signal);
    });
  }

  /** The file as it stands was refused at a start after a crash; the one that served last serves. */
  startedWithout(error: unknown): void {
    this.#refuse(error);
    this.#metrics.counter('coredns_reload_failed_total', {}).value++;
    this.#log.error(`the Corefile is refused, the previous one serves on: ${reasonOf(error)}`);
  }

  /** Resolves when a reload under way has ended, silently; none begins after that. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#busy;
  }

  async #load(fingerprint: string, whose: string): Promise<void> {
    const before = this.#serving;
    this.#serving = fingerprint; // what `follow` logs, which loading ends in
    try {
      await this.#source.load();
      this.#refused = '';
      this.#troubles.end('configuration', SUBJECT);
      this.#log.info('Reloading complete');
      this.#metrics.clear('coredns_reload_version_info');
      this.#metrics.gauge('coredns_reload_version_info', {
        hash: 'sha512',
        value: sha512(fingerprint),
      }).value = 1;
    } catch (error) {
      if (this.#stopped) return;
      this.#serving = before;
      this.#refused = fingerprint;
      this.#refuse(error);
      this.#metrics.counter('coredns_reload_failed_total', {}).value++;
      this.#log.error(`Restart failed: ${reasonOf(error)}`);
      this.#log.error(`${whose}: starting with listener file descriptors: ${reasonOf(error)}`);
    }
  }

  #refuse(error: unknown): void {
    const text = `the Corefile has changed and is refused: ${reasonOf(error)}`;
    this.#troubles.begin('configuration', SUBJECT, text);
  }

  /** One at a time: a request that comes meanwhile gets the result of the one that runs. */
  #once(action: () => Promise<void>): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    this.#busy ??= action().finally(() => {
      this.#busy = undefined;
    });
    return this.#busy;
  }
}

function sha512(text: string): string {
  return createHash('sha512').update(text).digest('hex');
}
