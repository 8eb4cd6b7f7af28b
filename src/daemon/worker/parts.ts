/**
 * The parts of a worker that have something to do when it ends: one list, in one order.
 *
 * Owns:    what each part does at each kind of end, and how long the others wait for it, so that no part
 *          keeps the last one from its turn.
 * Is not:  the start of the parts (worker.ts), nor the exit code.
 */
import { rmSync } from 'node:fs';
import type { Log } from '../../observe/log.ts';
import { nowMs } from '../../sys/clock.ts';
import type { Upstreams } from '../../upstream/upstreams.ts';
import type { NodeSetup } from '../node/node-setup.ts';
import type { Admin } from '../serving/admin.ts';
import type { CorefileSource } from '../serving/corefile-source.ts';
import type { CurrentGeneration } from '../serving/current-generation.ts';
import type { Listeners } from '../serving/listeners.ts';
import type { Readiness } from '../serving/readiness.ts';
import type { SelfCheck } from '../serving/self-query.ts';
import type { Grace } from './grace.ts';

/**
 * `stop`: the daemon ends as planned. `retire`: another daemon serves, by the same sockets, and the node
 * stays as it is. `abandon`: the supervisor is gone, and the next daemon must find the sockets free.
 */
export type HowToEnd = 'stop' | 'retire' | 'abandon';

export interface Part {
  /** Does the part's share of the end. The next part waits for the promise, if there is one. */
  stop(how: HowToEnd): Promise<unknown> | undefined | void;
  /** How long the next part waits. Without it, the part keeps its own time. */
  readonly deadlineMs?: number;
  /** Logged if the part was not done by then. */
  readonly late?: string;
}

/** Everything that ends with a worker. */
export interface Ending {
  readonly readiness: Readiness;
  readonly current: CurrentGeneration;
  readonly source: CorefileSource;
  readonly node: NodeSetup | undefined;
  readonly admin: Admin;
  readonly grace: Grace;
  readonly selfCheck: SelfCheck;
  readonly listeners: Listeners;
  readonly upstreams: Upstreams;
  /** Empty if there is none. */
  readonly pidFile: string;
}

/** After the last datagram is read: time for answers that are under way. */
const DRAIN_MS = 5000;
const STEP_MS = 20;
/** For a scrape that is being answered, while our replacement gets the next one. */
const ADMIN_GRACE_MS = 1000;
/** As much as a restart of the daemon takes at least. */
const ORPHAN_MS = 500;
/** For the firewall's rules to go out while another holds its lock; for all of them and the interface. */
const WITHDRAW_MS = 5000;
const TEARDOWN_MS = 5000;

/** The parts, in the order in which they end. */
export function partsInOrder(of: Ending): readonly Part[] {
  return [...partsThatServeOn(of), ...partsThatAnswer(of), ...partsThatClose(of)];
}

/** Tells `parts` to stop, each one when the part before it is done or has used up its time. Never rejects. */
export async function stopAll(parts: readonly Part[], how: HowToEnd, log: Log): Promise<void> {
  for (const part of parts) {
    const work = part.stop(how);
    // A part that is done at once lets the next one act in the same tick.
    if (!(work instanceof Promise)) continue;
    const isDone = await within(part.deadlineMs, work);
    if (!isDone && part.late !== undefined) log.error(part.late);
  }
}

/** Queries are still read: others learn that they should go elsewhere. */
function partsThatServeOn({ readiness, current, source, node, admin, grace }: Ending): Part[] {
  return [
    { stop: (how) => (how === 'stop' ? readiness.withdraw('shutting down') : undefined) },
    // A reload under way backs out by itself; nothing here waits for it.
    { stop: (how) => (how === 'abandon' ? undefined : current.stopReloading()) },
    { stop: (how) => (how === 'abandon' ? undefined : source.close()) },
    {
      deadlineMs: WITHDRAW_MS,
      stop: (how) => {
        if (how === 'stop') return node?.withdraw();
        if (how === 'retire') node?.abandon();
        return undefined;
      },
    },
    // Before reading stops, so that a scraper never sees two of us.
    { stop: (how) => (how === 'retire' ? void admin.close(ADMIN_GRACE_MS) : undefined) },
    {
      stop: (how) => {
        if (how === 'stop') return grace.pass();
        // An orphan answers the queries that wait in its sockets.
        return how === 'abandon' ? sleep(STEP_MS) : undefined;
      },
    },
  ];
}

/** Nothing is read any more, and queries under way are answered. */
function partsThatAnswer({ selfCheck, listeners, current, upstreams }: Ending): Part[] {
  return [
    { stop: (how) => (how === 'abandon' ? undefined : selfCheck.close()) },
    {
      stop: (how) => {
        listeners.stop();
        return drain(listeners, how === 'abandon' ? ORPHAN_MS : DRAIN_MS);
      },
    },
    { stop: (how) => (how === 'abandon' ? undefined : current.stop()) },
    { stop: (how) => (how === 'abandon' ? undefined : upstreams.close()) },
  ];
}

/** Sockets close, and the node is left, unless another daemon or the next start needs it. */
function partsThatClose({ admin, listeners, node, pidFile }: Ending): Part[] {
  return [
    {
      deadlineMs: STEP_MS,
      stop: (how) => {
        if (how === 'stop') return Promise.all([admin.close(), listeners.close()]);
        return how === 'retire' ? listeners.close() : undefined;
      },
    },
    { stop: (how) => (how === 'retire' ? admin.closed() : undefined) },
    {
      deadlineMs: TEARDOWN_MS,
      late: 'the interface or rules are left behind: -cleanup removes them',
      stop: (how) => (how === 'stop' ? node?.tearDown() : undefined),
    },
    {
      stop: (how) => {
        if (how === 'stop' && pidFile !== '') rmSync(pidFile, { force: true });
      },
    },
  ];
}

async function drain(listeners: Listeners, patienceMs: number): Promise<void> {
  const untilMs = nowMs() + patienceMs;
  while (listeners.outstanding > 0 && nowMs() < untilMs) await sleep(STEP_MS);
}

/** Resolves to whether `work` ended within `ms`, by failing too; later results are ignored. */
function within(ms: number | undefined, work: Promise<unknown>): Promise<boolean> {
  const done = work.then(
    () => true,
    () => true,
  );
  return ms === undefined ? done : Promise.race([done, sleep(ms).then(() => false)]);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
