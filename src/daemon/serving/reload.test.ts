import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CorefileError } from '../../corefile/error.ts';
import { TestLog } from '../../directives/testing.ts';
import { Metrics } from '../../observe/metrics.ts';
import { Troubles } from '../../observe/troubles.ts';
import { Reloader } from './reload.ts';

const EVERY_30S = { intervalMs: 30_000, jitterMs: 15_000 };
const sha512 = (text: string): string => createHash('sha512').update(text).digest('hex');

let log: TestLog;
let metrics: Metrics;
let troubles: Troubles;
let reloader: Reloader;
/** The file now: its text, or the reason why it cannot be parsed. */
let file: string | Error;
/** Why the next load fails. */
let refusal: Error | undefined;
let loads: number;
/** Where present, a load lasts until this resolves. */
let gate: Promise<void> | undefined;

beforeEach(() => {
  vi.useFakeTimers();
  [log, metrics, file, refusal, loads, gate] = [
    new TestLog(),
    new Metrics(),
    'one',
    undefined,
    0,
    undefined,
  ];
  troubles = new Troubles(metrics);
  reloader = new Reloader(
    {
      fingerprint: () => {
        if (file instanceof Error) throw file;
        return file;
      },
      load: async () => {
        loads++;
        await gate;
        if (refusal !== undefined) throw refusal;
        reloader.follow(EVERY_30S); // as the worker does, once the new one serves
      },
    },
    'one',
    log,
    metrics,
    troubles,
  );
});
afterEach(() => vi.useRealTimers());

const failures = (): number => metrics.counter('coredns_reload_failed_total', {}).value;

/** The value label of coredns_reload_version_info. */
function versions(): string[] {
  return [...metrics.families()]
    .filter(([name]) => name === 'coredns_reload_version_info')
    .flatMap(([, , series]) => series.map(({ labels }) => labels['value']!));
}

describe('a Corefile is looked at', () => {
  test('a Corefile is read at intervals, with jitter to either side; the log names the one that serves', async () => {
    reloader.follow(EVERY_30S);
    expect(log.lines).toEqual([
      `[INFO] plugin/reload: Running configuration SHA512 = ${sha512('one')}`,
    ]);
    file = 'two';
    await vi.advanceTimersByTimeAsync(22_499);
    expect(loads).toBe(0);
    await vi.advanceTimersByTimeAsync(15_001);
    expect(loads).toBe(1);
  });

  test('a Corefile is not read once it no longer says reload, or once the process ends', async () => {
    reloader.follow(EVERY_30S);
    reloader.follow(undefined);
    file = 'two';
    await vi.advanceTimersByTimeAsync(100_000);
    await reloader.stop();
    reloader.follow(EVERY_30S);
    await vi.advanceTimersByTimeAsync(100_000);
    await reloader.check();
    await reloader.force('SIGHUP');
    expect(loads).toBe(0);
  });
});

describe('a Corefile that means something else is loaded', () => {
  test('a Corefile that means something else is loaded, and the log names it', async () => {
    file = 'two';
    await reloader.check();
    expect(loads).toBe(1);
    expect(log.lines).toEqual([
      '[INFO] Reloading',
      `[INFO] plugin/reload: Running configuration SHA512 = ${sha512('two')}`,
      '[INFO] Reloading complete',
    ]);
    expect(versions()).toEqual([sha512('two')]);
    expect(failures()).toBe(0);
    await reloader.check();
    expect(loads).toBe(1);
    file = 'one';
    await reloader.check();
    expect(versions()).toEqual([sha512('one')]);
  });

  test('a Corefile that means the same is not loaded', async () => {
    await reloader.check();
    expect([loads, log.lines]).toEqual([0, []]);
  });
});

describe('a Corefile that cannot serve changes nothing', () => {
  test('a Corefile that cannot be parsed is logged at each look, since it may be half written', async () => {
    file = new CorefileError('COREFILE_SYNTAX', undefined, 'no brace');
    await reloader.check();
    await reloader.check();
    expect(loads).toBe(0);
    expect(log.lines).toEqual(
      Array(2).fill('[WARNING] plugin/reload: Corefile parse failed: no brace'),
    );
    expect(failures()).toBe(0);
  });

  test('a Corefile that cannot be loaded is tried once, counted, and tried again when it has changed', async () => {
    file = 'two';
    refusal = new Error('address in use');
    await reloader.check();
    await reloader.check();
    expect([loads, failures()]).toEqual([1, 1]);
    expect(log.lines).toEqual([
      '[INFO] Reloading',
      '[ERROR] Restart failed: address in use',
      '[ERROR] plugin/reload: Corefile changed but reload failed: starting with listener file ' +
        'descriptors: address in use',
    ]);
    expect(versions()).toEqual([]);
    file = 'one'; // what serves still
    await reloader.check();
    expect(loads).toBe(1);
    file = 'three';
    refusal = undefined;
    await reloader.check();
    expect([loads, failures()]).toEqual([2, 1]);
    expect(versions()).toEqual([sha512('three')]);
  });
});

describe('a signal', () => {
  test('a signal loads a Corefile that means the same', async () => {
    await reloader.force('SIGHUP');
    expect(loads).toBe(1);
    expect(log.lines.slice(0, 2)).toEqual(['[INFO] SIGHUP: Reloading', '[INFO] Reloading']);
  });

  test('a signal for a Corefile that is wrong logs the reason', async () => {
    file = new Error('cut');
    refusal = new Error('cut');
    await reloader.force('SIGUSR1');
    expect(log.lines.at(-1)).toBe('[ERROR] SIGUSR1: starting with listener file descriptors: cut');
    expect(failures()).toBe(1);
    file = 'two';
    refusal = undefined;
    await reloader.check();
    expect(versions()).toEqual([sha512('two')]);
  });
});

function withResolver(): { promise: Promise<void>; resolve: () => void } {
  const made: { resolve?: () => void } = {};
  const promise = new Promise<void>((resolve) => {
    made.resolve = resolve;
  });
  return { promise, resolve: made.resolve! };
}

test('one reload runs at a time, and stopping waits for it', async () => {
  const { promise, resolve: open } = withResolver();
  gate = promise;
  file = 'two';
  const [first, second] = [reloader.check(), reloader.force('SIGHUP')];
  let stopped = false;
  const stop = reloader.stop().then(() => (stopped = true));
  await vi.advanceTimersByTimeAsync(1000);
  expect([loads, stopped]).toEqual([1, false]);
  open();
  await Promise.all([first, second, stop]);
  expect(loads).toBe(1);
});
