/**
 * Plugs all parts together: the only file that knows them all.
 *
 * Owns:    the order of start and stop. Sockets first, then what the handlers begin by themselves,
 *          then the word that we serve; and back the other way.
 */
import { rmSync, writeFileSync } from 'node:fs';
import type { Flags } from '../../cli/flags.ts';
import { parseCorefile } from '../../corefile/blocks.ts';
import { DIRECTIVE_NAMES } from '../../directives/configure.ts';
import {
  DEBUG_LOG,
  HTTP_ENDPOINT,
  LAMEDUCK_MS,
  RELOAD_INTERVAL,
  type ReloadSettings,
} from '../../directives/contributions.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { metricsEndpoint } from '../../http/metrics.ts';
import type { StreamLog } from '../../observe/log.ts';
import { Metrics } from '../../observe/metrics.ts';
import { reasonOf } from '../../observe/reason.ts';
import { Troubles } from '../../observe/troubles.ts';
import { nowMs } from '../../sys/clock.ts';
import { random30 } from '../../sys/random.ts';
import type { SocketSource } from '../../sys/socket-source.ts';
import { Upstreams } from '../../upstream/upstreams.ts';
import { Admin } from '../serving/admin.ts';
import { CacheInheritance } from '../inheritance/cache.ts';
import { CorefileSource } from '../serving/corefile-source.ts';
import { type CorefileInput, type Generation, loadGeneration } from '../serving/generation.ts';
import { Listeners } from '../serving/listeners.ts';
import { NodeSetup, SETUP_ERRORS } from '../node/node-setup.ts';
import { Readiness } from '../serving/readiness.ts';
import { type RecordedCorefile, recalled, recorded } from '../inheritance/corefile.ts';
import { RESTART_REASONS } from '../ipc/protocol.ts';
import { queryJournal } from '../inheritance/queries.ts';
import { Reloader } from '../serving/reload.ts';
import { SelfCheck } from '../serving/self-query.ts';
import type { SupervisorLink } from '../ipc/supervisor-link.ts';
import { printBanner } from './banner.ts';
import { VERSION } from './version.ts';

/** After the last datagram is read: time for answers that are under way. */
const DRAIN_MS = 5000;
const DRAIN_STEP_MS = 20;
/** For a scrape that is being answered, while our replacement gets the next one. */
const ADMIN_GRACE_MS = 1000;
/** As much as a restart of the daemon takes at least. */
const ORPHAN_MS = 500;
const EXIT_ORPHANED = 1;

/** The key under which the supervisor holds the Corefile that served last. */
const COREFILE_KEY = 'corefile';
/** For the firewall's rules to go out while another holds its lock; for all of them and the interface. */
const WITHDRAW_MS = 5000;
const TEARDOWN_MS = 5000;

export class Worker {
  readonly #flags: Flags;
  readonly #log: StreamLog;
  readonly #metrics = new Metrics();
  readonly #troubles = new Troubles(this.#metrics);
  readonly #upstreams: Upstreams;
  readonly #listeners: Listeners;
  readonly #selfCheck: SelfCheck;
  readonly #readiness: Readiness;
  readonly #admin: Admin;
  readonly #exit: (code: number) => void;
  readonly #supervisor: SupervisorLink | undefined;
  readonly #cacheInheritance: CacheInheritance | undefined;
  readonly #source: CorefileSource;
  /** Present with `-localip`. */
  readonly #node: NodeSetup | undefined;
  #generation: Generation | undefined;
  #reloader: Reloader | undefined;
  /** Addresses of `-localip` that are another's. */
  #ceded: ReadonlySet<string> = new Set();
  #stopping = false;
  #endGrace = (): void => undefined;
  /**
   * Whether interface and rules must stay if we end: the incumbent may still serve by them, or the next
   * worker will.
   */
  #sparesNode: boolean;

  /**
   * Without `sockets` Node opens them. `exit` ends the process; the log is flushed before it is
   * called. `supervisor` is there if another process holds what must outlive us.
   */
  constructor(
    flags: Flags,
    log: StreamLog,
    sockets: SocketSource | undefined,
    exit: (code: number) => void,
    supervisor?: SupervisorLink,
  ) {
    this.#flags = flags;
    this.#log = log;
    this.#exit = exit;
    this.#supervisor = supervisor;
    this.#sparesNode = supervisor?.nodeIsSetUp ?? false;
    if (supervisor !== undefined) this.#countRestarts(supervisor);
    this.#upstreams = new Upstreams(this.#metrics);
    const hashSeed = random30();
    this.#listeners = new Listeners(this.#metrics, log, hashSeed, flags.udpIo, {
      sockets,
      journal: supervisor && queryJournal(supervisor, log),
    });
    if (supervisor !== undefined)
      this.#cacheInheritance = new CacheInheritance(supervisor, hashSeed, log);
    this.#selfCheck = new SelfCheck(
      () => this.#listeners.addresses,
      (host) => this.#node?.reaches(host) ?? true,
    );
    const isServing = (): boolean => this.#selfCheck.isServing;
    this.#readiness = new Readiness(
      {
        isServing,
        undiverted: () => this.#node?.undiverted,
        misconfigured: () => this.#troubles.lines('configuration'),
      },
      log,
      this.#metrics,
    );
    if (replacesWorker(supervisor)) this.#readiness.resume();
    this.#admin = new Admin({
      log,
      metrics: this.#metrics,
      isServing,
      unready: () => this.#readiness.unready(),
      troubles: this.#troubles,
      sockets,
    });
    log.dropped = this.#metrics.counter('nodelocald_log_lines_dropped_total', {});
    const [errors] = SETUP_ERRORS.map((errortype) =>
      this.#metrics.counter('coredns_nodecache_setup_errors_total', { errortype }),
    );
    this.#source = new CorefileSource(flags, log, errors!, this.#troubles);
    this.#node =
      flags.localIps.length > 0
        ? new NodeSetup(flags, log, this.#metrics, this.#troubles)
        : undefined;
  }

  /** Serves the Corefile. Rejects with CorefileError, ListenError or a system error if it cannot. */
  async start(): Promise<void> {
    this.#countBuild();
    this.#ceded = (await this.#node?.look()) ?? new Set();
    // Rules that lead to inherited sockets lead to ours, which are the same.
    if (!this.#sparesNode) await this.#node?.clearLeftovers();
    await this.#source.prepare();
    const { generation, refusal } = await this.#begin();
    this.#reloader = new Reloader(
      {
        fingerprint: () => this.#fingerprint(),
        load: async () => {
          const corefile = recorded(this.#source.read(), this.#flags.conf);
          await this.#serve(this.#load(corefile));
          this.#passOn(corefile);
        },
      },
      generation.corefile.fingerprint,
      this.#log,
      this.#metrics,
      this.#troubles,
    );
    if (refusal !== undefined) this.#reloader.startedWithout(refusal);
    if (!this.#flags.quiet && (this.#supervisor?.isFirst ?? true)) {
      printBanner(generation, this.#listeners, this.#admin, this.#log);
    }
    this.#reloader.follow(reloadSettings(generation));
    this.#source.follow(() => void this.#reloader?.check());
    await this.#node?.divert();
    if (this.#flags.pidFile !== '') writeFileSync(this.#flags.pidFile, `${process.pid}\n`);
    this.#sparesNode = false;
    this.#supervisor?.serving();
  }

  /** Before an end that was not planned. */
  async #leaveNode(): Promise<void> {
    if (!this.#sparesNode) await this.#node?.tearDown();
  }

  /**
   * Serves the Corefile as it stands; or after a crash, if that is refused, the one that served last,
   * and resolves to why.
   */
  async #begin(): Promise<{ generation: Generation; refusal?: unknown }> {
    const { conf } = this.#flags;
    const written = this.#supervisor?.inheritText(COREFILE_KEY);
    const before = written === undefined ? undefined : recalled(written, conf);
    try {
      // Standard input can be read once.
      if (conf === 'stdin' && before !== undefined) {
        this.#source.recall(before.text);
        return { generation: await this.#serveFirst(before) };
      }
      try {
        const corefile = recorded(this.#source.read(), conf);
        const generation = await this.#serveFirst(corefile);
        this.#passOn(corefile);
        return { generation };
      } catch (refusal) {
        if (before === undefined) throw refusal;
        return { generation: await this.#serveFirst(before), refusal };
      }
    } catch (error) {
      await this.#leaveNode();
      throw error;
    }
  }

  async #serveFirst(corefile: CorefileInput): Promise<Generation> {
    const generation = this.#load(corefile);
    await this.#node?.setUp();
    await this.#cacheInheritance?.fill(generation);
    await this.#serve(generation);
    return generation;
  }

  /** Passes the Corefile on, in case the next worker finds the file broken. */
  #passOn(corefile: RecordedCorefile): void {
    try {
      this.#supervisor?.passOnText(COREFILE_KEY, corefile.written());
    } catch (error) {
      this.#log.warning(`the Corefile cannot be kept for a restart: ${reasonOf(error)}`);
    }
  }

  reload(signal: string): void {
    void this.#reloader?.force(signal);
  }

  /**
   * Lets others have the queries that are diverted here, answers on through lameduck and `drainMs`, then
   * what is under way, takes all away, and ends the process with 0. A second call ends the wait.
   * Each step has its own deadline, so that none keeps the last one from its turn.
   */
  async stop(drainMs: number = this.#node === undefined ? 0 : this.#flags.drainMs): Promise<void> {
    this.#endGrace();
    if (this.#stopping) return;
    this.#stopping = true;
    this.#readiness.withdraw('shutting down');
    // A reload under way backs out by itself (#serve); nothing here waits for it.
    void this.#reloader?.stop();
    this.#source.close();
    await within(WITHDRAW_MS, this.#node?.withdraw());
    await this.#grace(drainMs);
    this.#selfCheck.close();
    this.#listeners.stop();
    await this.#drain(DRAIN_MS);
    this.#generation?.stop();
    this.#upstreams.close();
    const closed = Promise.all([this.#admin.close(), this.#listeners.close()]);
    await within(DRAIN_STEP_MS, closed);
    if (!(await within(TEARDOWN_MS, this.#node?.tearDown()))) {
      this.#log.error('the interface or rules are left behind: -cleanup removes them');
    }
    if (this.#flags.pidFile !== '') rmSync(this.#flags.pidFile, { force: true });
    this.#end(0);
  }

  /**
   * The supervisor is gone: answers what waits and what is under way, for a moment, and ends. Whoever
   * starts the daemon again must find the sockets free.
   */
  async abandon(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#log.error('the supervisor is gone, and so are we: the daemon must be started again');
    await sleep(DRAIN_STEP_MS);
    this.#listeners.stop();
    await this.#drain(ORPHAN_MS);
    this.#end(EXIT_ORPHANED);
  }

  /** Answers on. Not before we serve at all: there is nobody to wait for. */
  async #grace(drainMs: number): Promise<void> {
    if (this.#generation === undefined) return;
    const lameduckMs = Math.max(0, ...this.#generation.contributed(LAMEDUCK_MS));
    if (lameduckMs > 0) {
      this.#log.info(`plugin/health: Going into lameduck mode for ${lameduckMs / 1000}s`);
    }
    if (drainMs > lameduckMs) this.#log.info(`Answering on for ${drainMs / 1000}s (-drain)`);
    const graceMs = Math.max(lameduckMs, drainMs);
    if (graceMs === 0) return;
    await new Promise<void>((resolve) => {
      this.#endGrace = resolve;
      setTimeout(resolve, graceMs);
    });
  }

  /** Passes on everything that the caches hold, for a newcomer. */
  async writeSnapshot(): Promise<void> {
    if (this.#generation !== undefined)
      await this.#cacheInheritance?.writeSnapshot(this.#generation);
  }

  /**
   * Another daemon serves, by the same sockets: stops reading, answers what is under way, and ends the
   * process with 0. The node stays as it is. Works at any time, a start that is not done included.
   */
  async retire(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#sparesNode = true;
    this.#source.close();
    this.#node?.abandon();
    // Before anything else, so that a scraper never sees two of us.
    const adminClosed = this.#admin.close(ADMIN_GRACE_MS);
    this.#selfCheck.close();
    this.#listeners.stop();
    void this.#reloader?.stop();
    await this.#drain(DRAIN_MS);
    this.#generation?.stop();
    this.#upstreams.close();
    await within(DRAIN_STEP_MS, this.#listeners.close());
    await adminClosed;
    this.#end(0);
  }

  #load(corefile: CorefileInput): Generation {
    const generation = this.#parse(corefile);
    this.#cacheInheritance?.record(generation);
    return generation;
  }

  #parse(corefile: CorefileInput): Generation {
    return loadGeneration(
      corefile,
      {
        log: this.#log,
        metrics: this.#metrics,
        upstreams: this.#upstreams,
        defaultPort: this.#flags.dnsPort,
        ceded: this.#ceded,
        troubles: this.#troubles,
        // A node without DNS is worse than one without that upstream.
        onLoop: this.#node === undefined ? 'exit' : 'disable',
        fatal: (message) => {
          this.#log.log('fatal', message);
          void this.#leaveNode().finally(() => this.#end(1));
        },
      },
      this.#generation,
    );
  }

  /** Puts the generation in the place of the one that serves; or rejects, and that goes on. */
  async #serve(generation: Generation): Promise<void> {
    try {
      await this.#admin.apply(this.#endpoints(generation));
      if (this.#stopping) throw new Error('shutting down');
      await this.#listeners.apply(generation);
    } catch (error) {
      generation.stop();
      if (this.#generation !== undefined && !this.#stopping) {
        await this.#admin.apply(this.#endpoints(this.#generation));
      }
      throw error;
    }
    const before = this.#generation;
    this.#generation = generation;
    this.#log.debugging = generation.contributed(DEBUG_LOG).length > 0;
    generation.start();
    before?.stop();
    this.#readiness.follow(generation.proofs);
    this.#reloader?.follow(reloadSettings(generation));
  }

  #endpoints(generation: Generation): readonly Endpoint[] {
    return [...generation.contributed(HTTP_ENDPOINT), ...this.#setupMetrics()];
  }

  /** node-cache serves its metrics on a second address as well, for those of its set-up. */
  #setupMetrics(): readonly Endpoint[] {
    const at = /^(.*):(\d+)$/.exec(this.#flags.setupMetricsAt);
    if (this.#node === undefined || at === null) return [];
    const host = at[1]!.replace(/^\[(.*)\]$/, '$1');
    return [metricsEndpoint({ host, port: Number(at[2]) })];
  }

  #fingerprint(): string {
    const { conf, dnsPort } = this.#flags;
    const options = { file: conf, known: DIRECTIVE_NAMES, defaultPort: dnsPort };
    return parseCorefile(this.#source.read(), options).fingerprint;
  }

  #countRestarts({ restarts }: SupervisorLink): void {
    for (const reason of RESTART_REASONS) {
      const counter = this.#metrics.counter('nodelocald_worker_restarts_total', { reason });
      counter.value = restarts[reason] ?? 0;
    }
  }

  #countBuild(): void {
    this.#metrics.gauge('coredns_build_info', {
      version: VERSION,
      revision: '',
      goversion: `node ${process.version}`,
    }).value = 1;
  }

  async #drain(patienceMs: number): Promise<void> {
    const until = nowMs() + patienceMs;
    while (this.#listeners.outstanding > 0 && nowMs() < until) await sleep(DRAIN_STEP_MS);
  }

  #end(code: number): void {
    this.#log.flush();
    this.#exit(code);
  }
}

/** After a crash or a hang; not a new daemon beside the old one, which is to prove itself. */
function replacesWorker(supervisor: SupervisorLink | undefined): boolean {
  if (supervisor === undefined || !supervisor.nodeIsSetUp) return false;
  return Object.values(supervisor.restarts).some((times) => times > 0);
}

/** One watcher per process: the last block that says `reload` counts (CoreDNS). */
function reloadSettings(generation: Generation): ReloadSettings | undefined {
  return generation.contributed(RELOAD_INTERVAL).at(-1);
}

/** Resolves to whether `work` ended within `ms`; whatever it does after that is nobody's. */
function within(ms: number, work: Promise<unknown> | undefined): Promise<boolean> {
  const done = Promise.resolve(work).then(
    () => true,
    () => true,
  );
  return Promise.race([done, sleep(ms).then(() => false)]);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
