/**
 * One worker as a child process: its start, its channel, its signs of life, and its end.
 *
 * Owns:    that a worker that has closed its channel does not outlive it for long; and that its end is
 *          reported once, when the process has ended and every message from it was read.
 * Is not:  a judge of when to start, kill or replace it (supervisor.ts).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Flags } from '../../cli/flags.ts';
import { handedFlagsEnvironment } from '../../cli/handed-flags.ts';
import { Channel } from '../../sys/channel.ts';
import { nowMs } from '../../sys/clock.ts';
import { reapOrphans } from '../../sys/process.ts';
import { closeDescriptor, socketPair } from '../../sys/unix-socket.ts';
import {
  BEAT_MS,
  CHANNEL_FD,
  type ToSupervisor,
  type ToWorker,
  readToSupervisor,
} from '../ipc/protocol.ts';

const WORKER_MAIN = fileURLToPath(new URL('../worker-main.js', import.meta.url));

/** Looks in a row without a sign of life: 2 s, well within a resolver's patience of 5 s. */
const SILENT_LOOKS_MAX = 4;
/** A worker whose channel is closed is about to end; if it does not, it is killed. */
const PARTING_MS = 1000;

const EXIT_FAILED = 1;

/** Why a worker was killed. */
export type KillReason = 'silent' | 'late';

export interface WorkerExit {
  /** Null if a signal has ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface WorkerEvents {
  /** The worker has sent a message. The descriptor that `hold` brings is the receiver's to close. */
  said(message: ToSupervisor, descriptor: number | undefined): void;
  /** The worker has given no sign of life for 2 s. */
  silent(): void;
  /** The process could not be started. `ended` follows. */
  failed(reason: string): void;
  ended(exit: WorkerExit): void;
}

export class WorkerProcess {
  readonly startedMs: number = nowMs();
  /** When it began to serve. */
  servedMs: number | undefined;
  /** The exit code that it wants the daemon to end with. */
  exitCode: number | undefined;
  readonly #events: WorkerEvents;
  readonly #child: ChildProcess;
  readonly #channel: Channel;
  #killReason: KillReason | undefined;
  #exit: WorkerExit | undefined;
  #isChannelOpen = true;
  /** Signs of life since the last look. */
  #beats = 0;
  #silentLooks = 0;
  #lookedMs = 0;
  #looks: NodeJS.Timeout | undefined;

  /**
   * `argv` are the arguments behind the program's name, which `flags` were read from: the worker is handed
   * both. Throws if there are no descriptors or no memory for it.
   */
  constructor(flags: Flags, argv: readonly string[], events: WorkerEvents) {
    this.#events = events;
    reapOrphans();
    const [ours, theirs] = socketPair();
    try {
      const stdio: ('inherit' | number)[] = ['inherit', 'inherit', 'inherit'];
      stdio[CHANNEL_FD] = theirs;
      // A session of its own: a terminal's SIGINT comes to the supervisor alone, which forwards it.
      this.#child = spawn(process.execPath, [...process.execArgv, WORKER_MAIN, ...argv], {
        stdio,
        detached: true,
        env: { ...process.env, ...handedFlagsEnvironment(flags) },
      });
    } catch (error) {
      closeDescriptor(ours);
      throw error;
    } finally {
      closeDescriptor(theirs);
    }
    this.#channel = new Channel(ours, {
      message: (value, descriptors) => this.#hear(value, descriptors),
      closed: () => this.#channelClosed(),
    });
    this.#child.once('exit', (code, signal) => this.#exited({ code, signal }));
    this.#child.once('error', (error) => {
      this.#events.failed(error.message);
      if (this.#child.pid === undefined) this.#exited({ code: EXIT_FAILED, signal: null });
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Why `kill` was called, if it was. */
  get killReason(): KillReason | undefined {
    return this.#killReason;
  }

  send(message: ToWorker, descriptors: readonly number[] = []): void {
    this.#channel.send(message, descriptors);
  }

  /** It serves: from now on its silence is reported. */
  serves(): void {
    this.servedMs = nowMs();
    this.#lookedMs = this.servedMs;
    clearInterval(this.#looks);
    this.#looks = setInterval(() => this.#look(), BEAT_MS);
  }

  kill(why?: KillReason): void {
    clearInterval(this.#looks);
    this.#killReason = why;
    this.#child.kill('SIGKILL');
  }

  /** Silence is counted in our own looks: if the whole daemon was stopped, no worker was silent. */
  #look(): void {
    const now = nowMs();
    const isLate = now - this.#lookedMs > 2 * BEAT_MS;
    this.#lookedMs = now;
    if (this.#beats > 0 || isLate) this.#silentLooks = 0;
    else if (++this.#silentLooks >= SILENT_LOOKS_MAX) this.#events.silent();
    this.#beats = 0;
  }

  #hear(value: unknown, descriptors: readonly number[]): void {
    const message = readToSupervisor(value);
    const [descriptor, ...more] = descriptors;
    for (const one of more) closeDescriptor(one);
    const isWanted = message?.say === 'hold';
    if (descriptor !== undefined && !isWanted) closeDescriptor(descriptor);
    if (message?.say === 'alive') this.#beats++;
    else if (message !== undefined) this.#events.said(message, isWanted ? descriptor : undefined);
  }

  /** It has closed its channel, or has sent something that is no message. */
  #channelClosed(): void {
    this.#isChannelOpen = false;
    this.#settle();
    if (this.#exit === undefined) setTimeout(() => this.#child.kill('SIGKILL'), PARTING_MS).unref();
  }

  #exited(exit: WorkerExit): void {
    if (this.#exit !== undefined) return;
    this.#exit = exit;
    this.#settle();
  }

  #settle(): void {
    if (this.#exit === undefined || this.#isChannelOpen) return;
    clearInterval(this.#looks);
    this.#events.ended(this.#exit);
  }
}
