/**
 * The process that the user starts: it holds what must outlive a crash, and runs the worker, which
 * does all the rest.
 *
 * Owns:    copies of the listening sockets, never read; the worker's process: start, signs of life,
 *          end, another start; signals, the pidfile, the exit code; and when to leave the node to
 *          kube-dns.
 * Is not:  a reader of the Corefile, of queries or of any file but its own. It loads as little as can
 *          be, since it is there on every node all the time.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Flags } from '../../cli/flags.ts';
import { Channel } from '../../sys/channel.ts';
import { nowMs } from '../../sys/clock.ts';
import { reapOrphans } from '../../sys/process.ts';
import { closeDescriptor, socketPair } from '../../sys/unix-socket.ts';
import { HeldDescriptors } from './held-descriptors.ts';
import {
  BEAT_MS,
  CHANNEL_FD,
  RESTART_REASONS,
  type RestartReason,
  type ToSupervisor,
  type ToWorker,
  readToSupervisor,
} from '../ipc/protocol.ts';
import { isSocketKey } from '../ipc/socket-keys.ts';
import type { Handover } from '../handover/handover.ts';
import { SupervisorLog } from './supervisor-log.ts';
import { type WorkerEvent, type WorkerState, nextState } from './worker-life.ts';

const WORKER_MAIN = fileURLToPath(new URL('../worker-main.js', import.meta.url));

/** Looks in a row without a sign of life: 2 s, when a resolver's patience of 5 s still holds. */
const SILENT_LOOKS_MAX = 4;
/** From the start of a worker until it serves: the address may come late, a firewall's lock be held. */
const START_MS = 20_000;
/** A worker that has served for so long was well: the next one starts at once. */
const STEADY_MS = 1000;
/** How long to wait after one failed start, after two, and so on. */
const PAUSES_MS: readonly number[] = [0, 100, 300, 1000];
/** Then the node is left, and another start tried now and then. */
const FAILED_STARTS_MAX = 5;
const SLOW_PAUSE_MS = 10_000;
/** A worker whose channel is closed is about to end; if it is not, it is made to. */
const PARTING_MS = 1000;

/** Something must keep the process. */
const IDLE_MS = 2 ** 30;

const EXIT_FAILED = 1;
const EXIT_INTERRUPTED_TWICE = 2;

interface WorkerProcess {
  readonly process: ChildProcess;
  readonly channel: Channel;
  readonly startedMs: number;
  servedMs: number | undefined;
  /** Signs of life since we last looked. */
  beats: number;
  silentLooks: number;
  /** Why we have killed it, if we have. */
  killedFor: 'silent' | 'late' | undefined;
  /** The exit code that it wants the daemon to end with. */
  ending: number | undefined;
  /** Its process has ended, and all that it had said was read. */
  end: { code: number | null; signal: NodeJS.Signals | null } | undefined;
  isUnheard: boolean;
}

export class Supervisor {
  readonly #flags: Flags;
  readonly #argv: readonly string[];
  readonly #log: SupervisorLog;
  readonly #held = new HeldDescriptors();
  readonly #restarts: Record<RestartReason, number> = { exit: 0, signal: 0, silent: 0, late: 0 };
  #state: WorkerState = 'waiting';
  #worker: WorkerProcess | undefined;
  /** Whether any worker has served; until then a failed start is the daemon's. */
  #hasServed = false;
  /** Whether the node is as a worker that served has made it. */
  #nodeIsSetUp = false;
  #failedStarts = 0;
  #timer: NodeJS.Timeout | undefined;
  #looks: NodeJS.Timeout | undefined;
  #lookedMs = 0;
  #interrupted = false;
  /** Present with `-handover`, once it is known whether there is a predecessor. */
  #handover: Handover | undefined;
  #isToldToEnd = false;
  /** A successor serves, and nobody may start us again: it is waited for the signal that ends us. */
  #idles = false;

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
      if (this.#interrupted) this.#exitNow();
      this.#interrupted = true;
      this.#stop('SIGINT');
    });
    process.on('SIGUSR1', () => this.#tell({ say: 'reload', signal: 'SIGUSR1' }));
    process.on('SIGHUP', () => this.#tell({ say: 'reload', signal: 'SIGHUP' }));
    if (this.#flags.handover !== '') {
      await this.#succeed();
      if (this.#state !== 'waiting') return; // told to end meanwhile
    }
    this.#start();
  }

  /** Takes over what a daemon before us hands over. */
  async #succeed(): Promise<void> {
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
      worker = this.#spawn();
    } catch (error) {
      // No descriptors or no memory left for another process.
      this.#log.error(`worker: cannot be started: ${String(error)}`);
      this.#ended(undefined, 'exit');
      return;
    }
    this.#worker = worker;
    this.#timer = setTimeout(() => this.#kill(worker, 'late'), START_MS);
    for (const { keys, descriptors, last } of this.#held.batches()) {
      const { channel } = worker;
      const hello: ToWorker = {
        say: 'hello',
        keys,
        last,
        takesOver: this.#nodeIsSetUp,
        restarts: this.#restarts,
      };
      channel.send(hello, descriptors);
    }
  }

  #spawn(): WorkerProcess {
    reapOrphans();
    const [ours, theirs] = socketPair();
    let child: ChildProcess;
    try {
      const stdio: ('inherit' | number)[] = ['inherit', 'inherit', 'inherit'];
      stdio[CHANNEL_FD] = theirs;
      // A session of its own: a terminal's SIGINT comes to us alone, who pass it on.
      child = spawn(process.execPath, [...process.execArgv, WORKER_MAIN, ...this.#argv], {
        stdio,
        detached: true,
      });
    } catch (error) {
      closeDescriptor(ours);
      throw error;
    } finally {
      closeDescriptor(theirs);
    }
    const channel = new Channel(ours, {
      message: (value, descriptors) => this.#heard(worker, value, descriptors),
      closed: () => this.#unheard(worker),
    });
    const worker: WorkerProcess = {
      process: child,
      channel,
      startedMs: nowMs(),
      servedMs: undefined,
      beats: 0,
      silentLooks: 0,
      killedFor: undefined,
      ending: undefined,
      end: undefined,
      isUnheard: false,
    };
    const ended = (code: number | null, signal: NodeJS.Signals | null): void => {
      if (worker.end !== undefined) return;
      worker.end = { code, signal };
      this.#settle(worker);
    };
    child.once('exit', ended);
    child.once('error', (error) => {
      this.#log.error(`worker: cannot be started: ${error.message}`);
      if (child.pid === undefined) ended(EXIT_FAILED, null);
    });
    return worker;
  }

  #heard(worker: WorkerProcess, value: unknown, descriptors: readonly number[]): void {
    const message = readToSupervisor(value);
    const [descriptor, ...more] = descriptors;
    for (const one of more) closeDescriptor(one);
    if (message?.say === 'hold' && descriptor !== undefined) {
      if (!this.#held.hold(message.key, descriptor)) {
        this.#log.error(`worker: too much to hold: ${message.key} ends with the worker`);
      }
      this.#handover?.holds(message.key);
      return;
    }
    if (descriptor !== undefined) closeDescriptor(descriptor);
    if (message !== undefined) this.#take(worker, message);
  }

  #take(worker: WorkerProcess, message: ToSupervisor): void {
    switch (message.say) {
      case 'alive':
        worker.beats++;
        break;
      case 'serving':
        this.#serves(worker);
        break;
      case 'drop':
        this.#held.drop(message.key);
        break;
      case 'ending':
        worker.ending = message.code;
        if (this.#state !== 'stopping') this.#enter('stop');
        break;
      case 'hold':
        break; // It came without what is to be held.
      default:
        message satisfies never;
    }
  }

  #serves(worker: WorkerProcess): void {
    clearTimeout(this.#timer);
    this.#enter('served');
    if (this.#state === 'killed') return; // too late
    worker.servedMs = nowMs();
    if (this.#failedStarts >= FAILED_STARTS_MAX) this.#log.info('worker: serves again');
    if (!this.#hasServed && this.#flags.pidFile !== '') {
      writeFileSync(this.#flags.pidFile, `${process.pid}\n`);
    }
    this.#hasServed = true;
    this.#nodeIsSetUp = true;
    if (this.#state === 'serving') void this.#handover?.served();
    this.#lookedMs = worker.servedMs;
    clearInterval(this.#looks);
    this.#looks = setInterval(() => this.#look(worker), BEAT_MS);
  }

  /** Silence is counted in our own looks: if all of us were stopped, nobody was silent. */
  #look(worker: WorkerProcess): void {
    const now = nowMs();
    const isLate = now - this.#lookedMs > 2 * BEAT_MS;
    this.#lookedMs = now;
    if (worker.beats > 0 || isLate) worker.silentLooks = 0;
    else if (++worker.silentLooks >= SILENT_LOOKS_MAX) this.#kill(worker, 'silent');
    worker.beats = 0;
  }

  #kill(worker: WorkerProcess, why: 'silent' | 'late'): void {
    clearInterval(this.#looks);
    this.#enter(why);
    worker.killedFor = why;
    this.#log.error(
      why === 'silent'
        ? `worker: process ${worker.process.pid} has given no sign of life for 2 s: it is killed`
        : `worker: process ${worker.process.pid} does not serve after ${START_MS / 1000} s: it is killed`,
    );
    worker.process.kill('SIGKILL');
  }

  /** It has closed its channel, or said what is no message. */
  #unheard(worker: WorkerProcess): void {
    worker.isUnheard = true;
    this.#settle(worker);
    if (worker.end === undefined) {
      setTimeout(() => worker.process.kill('SIGKILL'), PARTING_MS).unref();
    }
  }

  /** Its end counts when its process has ended and all that it had said was read. */
  #settle(worker: WorkerProcess): void {
    if (worker.end === undefined || !worker.isUnheard || worker !== this.#worker) return;
    this.#worker = undefined;
    clearTimeout(this.#timer);
    clearInterval(this.#looks);
    const { code } = worker.end;
    const reason = worker.killedFor ?? (code === null ? 'signal' : 'exit');
    if (this.#state === 'starting' && !this.#hasServed && code !== null) {
      this.#enter('refused');
      process.exit(code); // It has said why.
    }
    this.#ended(worker, reason);
  }

  #ended(worker: WorkerProcess | undefined, reason: RestartReason): void {
    const isStopping = this.#state === 'stopping';
    this.#enter('ended');
    if (isStopping) {
      void this.#leave(worker?.end?.code ?? EXIT_FAILED, worker?.ending);
      return;
    }
    this.#restarts[reason]++;
    const servedMs = worker?.servedMs === undefined ? 0 : nowMs() - worker.servedMs;
    this.#failedStarts = servedMs >= STEADY_MS ? 0 : this.#failedStarts + 1;
    this.#tellEnd(worker, reason);
    // Whoever serves in our place does it better than we will.
    if (this.#failedStarts >= FAILED_STARTS_MAX && this.#handover?.isNewcomer === true) {
      process.exit(EXIT_FAILED);
    }
    if (this.#failedStarts >= FAILED_STARTS_MAX) void this.#giveUpNode();
    else this.#pause(PAUSES_MS[this.#failedStarts - 1] ?? 0);
  }

  #tellEnd(worker: WorkerProcess | undefined, reason: RestartReason): void {
    if (worker?.end === undefined) return;
    const { end, process: child, startedMs } = worker;
    const how = end.signal === null ? `with exit code ${end.code}` : `by ${end.signal}`;
    const lived = ((nowMs() - startedMs) / 1000).toFixed(1);
    const times = RESTART_REASONS.reduce((sum, one) => sum + this.#restarts[one], 0);
    this.#log.error(
      `worker: process ${child.pid} has ended ${how} after ${lived} s (${reason}); ` +
        `the sockets stay open for the next one, number ${times + 1}`,
    );
  }

  #pause(ms: number): void {
    this.#timer = setTimeout(() => this.#start(), ms);
  }

  /** No worker comes up: nobody shall be diverted to sockets that are not read. */
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
    this.#worker?.channel.send(message);
  }

  #stop(signal: string): void {
    if (this.#idles) process.exit(0);
    const isFirst = !this.#isToldToEnd;
    this.#isToldToEnd = true;
    if (this.#state === 'serving' && this.#handover?.isUnderWay === true) {
      if (isFirst) void this.#stopWhenSettled(signal);
    } else {
      this.#stopNow(signal);
    }
  }

  /** A successor is about to serve: what we took out of the node now, it would miss. */
  async #stopWhenSettled(signal: string): Promise<void> {
    if (!(await this.#handover!.settled())) this.#stopNow(signal);
  }

  #stopNow(signal: string): void {
    // A predecessor serves on as if we had never been.
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

  /** The end of the daemon. `ending` is the worker's word, without which it left the node as it was. */
  async #leave(code: number, ending: number | undefined): Promise<void> {
    if (ending === undefined) await this.#clearNode();
    const { pidFile } = this.#flags;
    // A successor has written its own there.
    const isOurs = this.#handover?.sparesNode !== true;
    if (pidFile !== '' && isOurs) rmSync(pidFile, { force: true });
    if (this.#handover?.isReplaced === true && !this.#isToldToEnd && inKubernetes()) {
      this.#idle();
    } else {
      process.exit(ending ?? code);
    }
  }

  /** A container that ends is started again, and would take the sockets back. */
  #idle(): void {
    this.#idles = true;
    this.#held.dropWhere(() => true);
    this.#handover?.close();
    this.#log.info('handover: done; nothing is left to do here but to wait for SIGTERM');
    setInterval(() => undefined, IDLE_MS);
  }

  #exitNow(): never {
    this.#worker?.process.kill('SIGKILL');
    process.exit(EXIT_INTERRUPTED_TWICE);
  }
}

/** Whether kubelet has started us, which would do so again. */
function inKubernetes(): boolean {
  return (process.env['KUBERNETES_SERVICE_HOST'] ?? '') !== '';
}
