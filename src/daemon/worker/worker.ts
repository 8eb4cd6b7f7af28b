/**
 * Plugs all parts together: the only file that knows them all.
 *
 * Owns:    the order of the start: sockets, then the actions of the handlers, then the word that we serve;
 *          and that a worker ends once, in one of three ways (parts.ts has the order of that).
 */
import { writeFileSync } from 'node:fs';
import type { Flags } from '../../cli/flags.ts';
import type { StreamLog } from '../../observe/log.ts';
import { Metrics } from '../../observe/metrics.ts';
import { Troubles } from '../../observe/troubles.ts';
import { random30 } from '../../sys/random.ts';
import type { SocketSource } from '../../sys/socket-source.ts';
import { Upstreams } from '../../upstream/upstreams.ts';
import { CacheInheritance } from '../inheritance/cache.ts';
import { queryJournal } from '../inheritance/queries.ts';
import { RESTART_REASONS } from '../ipc/protocol.ts';
import type { SupervisorLink } from '../ipc/supervisor-link.ts';
import { NodeSetup, SETUP_ERRORS } from '../node/node-setup.ts';
import { Admin } from '../serving/admin.ts';
import { CorefileSource } from '../serving/corefile-source.ts';
import { CurrentGeneration } from '../serving/current-generation.ts';
import { Listeners } from '../serving/listeners.ts';
import { Readiness } from '../serving/readiness.ts';
import { SelfCheck } from '../serving/self-query.ts';
import { printBanner } from './banner.ts';
import { countBuild } from './build-info.ts';
import { Grace } from './grace.ts';
import { type HowToEnd, type Part, partsInOrder, stopAll } from './parts.ts';

/** The exit code, by how the worker ends. Without its supervisor the end is a failure. */
const EXIT_CODES: Readonly<Record<HowToEnd, number>> = { stop: 0, retire: 0, abandon: 1 };
const EXIT_FATAL = 1;

export interface WorkerOptions {
  readonly flags: Flags;
  readonly log: StreamLog;
  /** Opens the sockets; where undefined, Node does. */
  readonly sockets: SocketSource | undefined;
  /** Ends the process. The log is flushed before. */
  readonly exit: (code: number) => void;
  /** Present if another process holds the sockets and everything else that must outlive us. */
  readonly supervisor?: SupervisorLink;
}

export class Worker {
  readonly #flags: Flags;
  readonly #log: StreamLog;
  readonly #metrics = new Metrics();
  readonly #listeners: Listeners;
  readonly #admin: Admin;
  readonly #exit: (code: number) => void;
  readonly #supervisor: SupervisorLink | undefined;
  readonly #source: CorefileSource;
  /** Present with `-localip`. */
  readonly #node: NodeSetup | undefined;
  readonly #current: CurrentGeneration;
  readonly #grace: Grace;
  readonly #parts: readonly Part[];
  /** How the worker ends, once that has begun. */
  #ending: HowToEnd | undefined;
  /**
   * Whether interface and rules must stay if we end: the incumbent may still serve by them, or the next
   * worker will.
   */
  #sparesNode: boolean;

  constructor({ flags, log, sockets, exit, supervisor }: WorkerOptions) {
    this.#flags = flags;
    this.#log = log;
    this.#exit = exit;
    this.#supervisor = supervisor;
    this.#sparesNode = supervisor?.nodeIsSetUp ?? false;
    const metrics = this.#metrics;
    if (supervisor !== undefined) showRestarts(metrics, supervisor);
    const troubles = new Troubles(metrics);
    const upstreams = new Upstreams(metrics);
    const hashSeed = random30();
    const journal = supervisor && queryJournal(supervisor, log);
    const listeners = new Listeners(metrics, log, hashSeed, flags.udpIo, { sockets, journal });
    const cacheInheritance = supervisor && new CacheInheritance(supervisor, hashSeed, log);
    const hasNode = flags.localIps.length > 0;
    const node = hasNode ? new NodeSetup(flags, log, metrics, troubles) : undefined;
    const selfCheck = new SelfCheck(
      () => listeners.addresses,
      (host) => node?.reaches(host) ?? true,
    );
    const isServing = (): boolean => selfCheck.isServing;
    const undiverted = (): string | undefined => node?.undiverted;
    const misconfigured = (): readonly string[] => troubles.lines('configuration');
    const readiness = new Readiness({ isServing, undiverted, misconfigured }, log, metrics);
    if (replacesWorker(supervisor)) readiness.resume();
    const unready = (): readonly string[] => readiness.unready();
    const admin = new Admin({ log, metrics, isServing, unready, troubles, sockets });
    log.dropped = metrics.counter('nodelocald_log_lines_dropped_total', {});
    const source = sourceOf(flags, log, metrics, troubles);
    const made = { metrics, troubles, upstreams, source, listeners, admin, readiness, node };
    this.#current = new CurrentGeneration({
      ...{ ...made, flags, log, supervisor, cacheInheritance },
      isEnding: () => this.#ending !== undefined,
      fatal: (message) => this.#fail(message),
    });
    this.#grace = new Grace(this.#current, log);
    const [current, grace, { pidFile }] = [this.#current, this.#grace, flags];
    this.#parts = partsInOrder({ ...made, current, grace, selfCheck, pidFile });
    this.#listeners = listeners;
    this.#admin = admin;
    this.#source = source;
    this.#node = node;
  }

  /** Serves the Corefile. Rejects with CorefileError, ListenError or a system error if it cannot. */
  async start(): Promise<void> {
    countBuild(this.#metrics);
    const ceded = await this.#look();
    await this.#source.prepare();
    await this.#begin(ceded);
    this.#greet();
    this.#current.follow();
    await this.#node?.divert();
    if (this.#flags.pidFile !== '') writeFileSync(this.#flags.pidFile, `${process.pid}\n`);
    this.#sparesNode = false;
    this.#supervisor?.serving();
  }

  /** Loads the Corefile because of `signal`. */
  reload(signal: string): void {
    this.#current.reload(signal);
  }

  /** Passes everything that the caches hold on to the supervisor, for a newcomer. */
  writeSnapshot(): Promise<void> {
    return this.#current.writeSnapshot();
  }

  /**
   * Leaves the queries that are diverted here to others, answers on through lameduck and `drainMs`, then
   * answers the queries under way, removes everything, and ends the process with 0. A second call ends
   * the wait.
   */
  stop(drainMs: number = this.#node === undefined ? 0 : this.#flags.drainMs): Promise<void> {
    this.#grace.end();
    if (this.#ending === undefined) this.#grace.drainMs = drainMs;
    return this.#end('stop');
  }

  /**
   * Stops reading, answers the queries under way, and ends the process with 0, since another daemon serves
   * by the same sockets. The node stays as it is. Works at any time, even during a start.
   */
  retire(): Promise<void> {
    if (this.#ending === undefined) this.#sparesNode = true;
    return this.#end('retire');
  }

  /**
   * Answers, for a moment, the queries that wait or are under way, and ends the process with 1, since the
   * supervisor is gone: the next start of the daemon must find the sockets free.
   */
  abandon(): Promise<void> {
    if (this.#ending === undefined) {
      this.#log.error('the supervisor is gone, and so are we: the daemon must be started again');
    }
    return this.#end('abandon');
  }

  /** The first call decides how the worker ends. */
  async #end(how: HowToEnd): Promise<void> {
    if (this.#ending !== undefined) return;
    this.#ending = how;
    await stopAll(this.#parts, how, this.#log);
    this.#leave(EXIT_CODES[how]);
  }

  /** Finds the addresses that belong to others, and removes the rules of a daemon that was killed. */
  async #look(): Promise<ReadonlySet<string>> {
    const ceded = (await this.#node?.look()) ?? new Set();
    // Rules that lead to inherited sockets lead to ours, which are the same.
    if (!this.#sparesNode) await this.#node?.clearLeftovers();
    return ceded;
  }

  async #begin(ceded: ReadonlySet<string>): Promise<void> {
    try {
      await this.#current.begin(ceded);
    } catch (error) {
      await this.#leaveNode();
      throw error;
    }
  }

  #greet(): void {
    const { generation } = this.#current;
    if (generation === undefined || this.#flags.quiet) return;
    if (this.#supervisor?.isFirst === false) return;
    printBanner(generation, this.#listeners, this.#admin, this.#log);
  }

  #fail(message: string): void {
    this.#log.log('fatal', message);
    void this.#leaveNode().finally(() => this.#leave(EXIT_FATAL));
  }

  /** Removes interface and rules before an end that was not planned. */
  async #leaveNode(): Promise<void> {
    if (!this.#sparesNode) await this.#node?.tearDown();
  }

  #leave(code: number): void {
    this.#log.flush();
    this.#exit(code);
  }
}

/** Whether a worker crashed or hung before us; a new daemon beside an incumbent must prove itself. */
function replacesWorker(supervisor: SupervisorLink | undefined): boolean {
  if (supervisor === undefined || !supervisor.nodeIsSetUp) return false;
  return Object.values(supervisor.restarts).some((times) => times > 0);
}

/** The source of the Corefile, and the counters of what fails in setting up a node. */
function sourceOf(
  flags: Flags,
  log: StreamLog,
  metrics: Metrics,
  troubles: Troubles,
): CorefileSource {
  const [errors] = SETUP_ERRORS.map((errortype) =>
    metrics.counter('coredns_nodecache_setup_errors_total', { errortype }),
  );
  return new CorefileSource(flags, log, errors!, troubles);
}

function showRestarts(metrics: Metrics, { restarts }: SupervisorLink): void {
  for (const reason of RESTART_REASONS) {
    const counter = metrics.counter('nodelocald_worker_restarts_total', { reason });
    counter.value = restarts[reason] ?? 0;
  }
}
