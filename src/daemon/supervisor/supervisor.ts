/**
 * The process that the user starts: it holds what must outlive a crash, and runs the worker, which
 * does all the rest.
 *
 * Owns:    copies of the listening sockets, never read; the worker's process: start, signs of life,
 *          end, another start; signals, the pidfile, the exit code; and when to leave the node to
 *          kube-dns.
 * Is not:  a reader of the Corefile, of queries or of any file but its own. It loads as little as
 *          possible, since it runs on every node all the time.
 */
import { rmSync, writeFileSync } from 'node:fs';
import type { Flags } from '../../cli/flags.ts';
import { nowMs } from '../../sys/clock.ts';
import { HeldDescriptors } from './held-descriptors.ts';
import {
  RESTART_REASONS,
  type RestartReason,
  type ToSupervisor,
  type ToWorker,
} from '../ipc/protocol.ts';
import { isSocketKey } from '../ipc/socket-keys.ts';
import type { Handover } from '../handover/handover.ts';
import { SupervisorLog } from './supervisor-log.ts';
import { type WorkerEvent, type WorkerState, nextState } from './worker-life.ts';
import { type KillReason, type WorkerExit, WorkerProcess } from './worker-process.ts';

/** From the start of a worker until it serves: the address may come late, a firewall's lock be held. */
const START_MS = 20_000;
/** A worker that has served for so long was well: the next one starts at once. */
const STEADY_MS = 1000;
/** How long to wait after one failed start, after two, and so on. */
const PAUSES_MS: readonly number[] = [0, 100, 300, 1000];
/** Then the node is left, and another start tried now and then. */
const FAILED_STARTS_MAX = 5;
const SLOW_PAUSE_MS = 10_000;
/** A timer must keep the process alive. */
const IDLE_MS = 2 ** 30;

const EXIT_FAILED = 1;
const EXIT_INTERRUPTED_TWICE = 2;

/** The signals that end the daemon, the weaker one first. */
type EndSignal = 'SIGTERM' | 'SIGINT';

export class Supervisor {
  readonly #flags: Flags;
  readonly #argv: readonly string[];
  readonly #log: SupervisorLog;
  readonly #held = new HeldDescriptors();
  readonly #restarts: Record<RestartReason, number> = { exit: 0, signal: 0, silent: 0, late: 0 };
  #state: WorkerState = 'waiting';
  #worker: WorkerProcess | undefined;
  /**
   * Whether any worker has served; until then a failed start is the daemon's. A fact that outlives every
   * worker, so no state of one: each of the states would be there twice.
   */
  #hasServed = false;
  /**
   * Whether the node is as a worker that served has made it, the incumbent's included. A fact about the
   * node: it stays while workers come and go, and ends when the node is cleared.
   */
  #nodeIsSetUp = false;
  #failedStarts = 0;
  #timer: NodeJS.Timeout | undefined;
  /** The strongest signal so far that asks the daemon to end. A second SIGINT ends it at once. */
  #endSignal: 'none' | EndSignal = 'none';
  /** Present with `-handover`, once it is known whether there is an incumbent. */
  #handover: Handover | undefined;

  /** `argv` are the arguments behind the program's name, which `flags` were read from. */
  constructor(flags: Flags, argv: readonly string[]) {
    this.#flags = flags;
    this.#argv = argv;
    this.#log = new SupervisorLog(flags.logFormat);
  }

  /**
   * Starts the first worker. From then on the process ends by `process.exit` alone. Rejects with
   * HandoverDirectoryError if the directory of `-handover` cannot be used.
   */
  async run(): Promise<void> {
    process.on('SIGTERM', () => this.#stop('SIGTERM'));
    process.on('SIGINT', () => {
      if (this.#endSignal === 'SIGINT') this.#exitNow();
      this.#stop('SIGINT');
    });
    process.on('SIGUSR1', () => this.#tell({ say: 'reload', signal: 'SIGUSR1' }));
    process.on('SIGHUP', () => this.#tell({ say: 'reload', signal: 'SIGHUP' }));
    if (this.#flags.handover !== '') {
      await this.#askIncumbent();
      if (this.#state !== 'waiting') return; // a signal has ended the daemon meanwhile
    }
    this.#start();
  }

  /** Asks for an incumbent, and holds what it hands over. */
  async #askIncumbent(): Promise<void> {
    const { Handover } = await import('../handover/handover.ts');
    this.#handover = await Handover.begin(this.#flags.handover, {
      held: this.#held,
      log: this.#log,
      isServing: () => this.#state === 'serving',
      isEnding: () => this.#state === 'stopping' || this.#state === 'gone',
      askForSnapshot: () => this.#tell({ say: 'snapshot' }),
      retire: () => this.#end({ say: 'retire' }),
    });
    this.#nodeIsSetUp = this.#handover.isNewcomer;
  }

  #enter(event: WorkerEvent): void {
    const next = nextState(this.#state, event);
    if (next === undefined) throw new Error(`worker ${this.#state}: ${event} cannot be`);
    this.#state = next;
  }

  #start(): void {
    this.#enter('due');
    let worker: WorkerProcess;
    try {
      worker = new WorkerProcess(this.#flags, this.#argv, {
        said: (message, descriptor) => this.#take(worker, message, descriptor),
        silent: () => this.#kill(worker, 'silent'),
        failed: (reason) => this.#log.error(`worker: cannot be started: ${reason}`),
        ended: (exit) => this.#settle(worker, exit),
      });
    } catch (error) {
      // No descriptors or no memory left for another process.
      this.#log.error(`worker: cannot be started: ${String(error)}`);
      this.#ended('exit');
      return;
    }
    this.#worker = worker;
    this.#timer = setTimeout(() => this.#kill(worker, 'late'), START_MS);
    for (const { keys, descriptors, last } of this.#held.batches()) {
      const hello: ToWorker = {
        say: 'hello',
        keys,
        last,
        takesOver: this.#nodeIsSetUp,
        restarts: this.#restarts,
      };
      worker.send(hello, descriptors);
    }
  }

  #take(worker: WorkerProcess, message: ToSupervisor, descriptor: number | undefined): void {
    switch (message.say) {
      case 'hold':
        if (descriptor !== undefined) this.#hold(message.key, descriptor);
        break;
      case 'drop':
        this.#held.drop(message.key);
        break;
      case 'serving':
        this.#serves(worker);
        break;
      case 'ending':
        worker.exitCode = message.code;
        if (this.#state !== 'stopping') this.#enter('stop');
        break;
      case 'alive':
        break; // counted by the process
      default:
        message satisfies never;
    }
  }

  #hold(key: string, descriptor: number): void {
    if (!this.#held.hold(key, descriptor)) {
      this.#log.error(`worker: too much to hold: ${key} ends with the worker`);
    }
    this.#handover?.holds(key);
  }

  #serves(worker: WorkerProcess): void {
    clearTimeout(this.#timer);
    this.#enter('served');
    if (this.#state === 'killed') return; // too late
    worker.serves();
    if (this.#failedStarts >= FAILED_STARTS_MAX) this.#log.info('worker: serves again');
    if (!this.#hasServed && this.#flags.pidFile !== '') {
      writeFileSync(this.#flags.pidFile, `${process.pid}\n`);
    }
    this.#hasServed = true;
    this.#nodeIsSetUp = true;
    if (this.#state === 'serving') void this.#handover?.served();
  }

  #kill(worker: WorkerProcess, why: KillReason): void {
    this.#enter(why);
    this.#log.error(
      why === 'silent'
        ? `worker: process ${worker.pid} has given no sign of life for 2 s: it is killed`
        : `worker: process ${worker.pid} does not serve after ${START_MS / 1000} s: it is killed`,
    );
    worker.kill(why);
  }

  #settle(worker: WorkerProcess, exit: WorkerExit): void {
    this.#worker = undefined;
    clearTimeout(this.#timer);
    const { code } = exit;
    const reason = worker.killReason ?? (code === null ? 'signal' : 'exit');
    if (this.#state === 'starting' && !this.#hasServed && code !== null) {
      this.#enter('refused');
      process.exit(code); // the worker has reported the error
    }
    this.#ended(reason, worker, exit);
  }

  #ended(reason: RestartReason, worker?: WorkerProcess, exit?: WorkerExit): void {
    const isStopping = this.#state === 'stopping';
    this.#enter('ended');
    if (isStopping) {
      void this.#leave(exit?.code ?? EXIT_FAILED, worker?.exitCode);
      return;
    }
    this.#restarts[reason]++;
    const servedMs = worker?.servedMs === undefined ? 0 : nowMs() - worker.servedMs;
    this.#failedStarts = servedMs >= STEADY_MS ? 0 : this.#failedStarts + 1;
    if (worker !== undefined && exit !== undefined) this.#logEnd(worker, exit, reason);
    // The incumbent that serves in our place does it better than we will.
    if (this.#failedStarts >= FAILED_STARTS_MAX && this.#handover?.isNewcomer === true) {
      process.exit(EXIT_FAILED);
    }
    if (this.#failedStarts >= FAILED_STARTS_MAX) void this.#giveUpNode();
    else this.#pause(PAUSES_MS[this.#failedStarts - 1] ?? 0);
  }

  #logEnd({ pid, startedMs }: WorkerProcess, exit: WorkerExit, reason: RestartReason): void {
    const how = exit.signal === null ? `with exit code ${exit.code}` : `by ${exit.signal}`;
    const lived = ((nowMs() - startedMs) / 1000).toFixed(1);
    const times = RESTART_REASONS.reduce((sum, one) => sum + this.#restarts[one], 0);
    this.#log.error(
      `worker: process ${pid} has ended ${how} after ${lived} s (${reason}); ` +
        `the sockets stay open for the next one, number ${times + 1}`,
    );
  }

  #pause(ms: number): void {
    this.#timer = setTimeout(() => this.#start(), ms);
  }

  /** No worker comes up: no query may be diverted to sockets that are not read. */
  async #giveUpNode(): Promise<void> {
    const isFirst = this.#failedStarts === FAILED_STARTS_MAX;
    if (isFirst) {
      this.#log.error(
        `worker: ${FAILED_STARTS_MAX} starts in a row have failed: the sockets are closed, and ` +
          `interface and rules removed, so that kube-dns is asked directly; ` +
          `tried again every ${SLOW_PAUSE_MS / 1000} s`,
      );
    }
    this.#held.dropWhere(isSocketKey);
    this.#nodeIsSetUp = false;
    await this.#clearNode();
    if (this.#state === 'waiting') this.#pause(SLOW_PAUSE_MS);
  }

  async #clearNode(): Promise<void> {
    if (this.#flags.localIps.length === 0 || this.#flags.skipTeardown) return;
    if (this.#handover?.sparesNode === true) return;
    const { leaveNode } = await import('./leave-node.ts');
    await leaveNode(this.#flags, (why) => this.#log.error(why));
  }

  #tell(message: ToWorker): void {
    this.#worker?.send(message);
  }

  #stop(signal: EndSignal): void {
    if (this.#state === 'idle') process.exit(0);
    const isFirst = this.#endSignal === 'none';
    if (this.#endSignal !== 'SIGINT') this.#endSignal = signal;
    if (this.#state === 'serving' && this.#handover?.isUnderWay === true) {
      if (isFirst) void this.#stopWhenSettled(signal);
    } else {
      this.#stopNow(signal);
    }
  }

  /** A newcomer is about to serve, and needs the rules that we would remove now. */
  async #stopWhenSettled(signal: string): Promise<void> {
    if (!(await this.#handover!.settled())) this.#stopNow(signal);
  }

  #stopNow(signal: string): void {
    // The incumbent serves on as if we had never started.
    const message: ToWorker =
      this.#handover?.isNewcomer === true ? { say: 'retire' } : { say: 'stop', signal };
    this.#end(message);
  }

  /** Has the worker end, and the daemon with it. */
  #end(message: ToWorker): void {
    if (this.#state === 'gone') return;
    const wasWaiting = this.#state === 'waiting';
    this.#enter('stop');
    if (wasWaiting) {
      clearTimeout(this.#timer);
      void this.#leave(0, undefined);
    } else {
      this.#tell(message);
    }
  }

  /** Ends the daemon. Without the worker's own exit code `ending`, it has not cleared the node. */
  async #leave(code: number, ending: number | undefined): Promise<void> {
    if (ending === undefined) await this.#clearNode();
    const { pidFile } = this.#flags;
    // Our replacement has written its own there.
    const isOurs = this.#handover?.sparesNode !== true;
    if (pidFile !== '' && isOurs) rmSync(pidFile, { force: true });
    if (this.#handover?.isReplaced === true && this.#endSignal === 'none' && inKubernetes()) {
      this.#idle();
    } else {
      process.exit(ending ?? code);
    }
  }

  /** A container that ends is started again, and would take the sockets back. */
  #idle(): void {
    this.#enter('replaced');
    this.#held.dropWhere(() => true);
    this.#handover?.close();
    this.#log.info('handover: done; nothing is left to do here but to wait for SIGTERM');
    setInterval(() => undefined, IDLE_MS);
  }

  #exitNow(): never {
    this.#worker?.kill();
    process.exit(EXIT_INTERRUPTED_TWICE);
  }
}

/** Whether kubelet has started us, which would do so again. */
function inKubernetes(): boolean {
  return (process.env['KUBERNETES_SERVICE_HOST'] ?? '') !== '';
}
