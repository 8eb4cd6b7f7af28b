import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Poll } from './poll.ts';

describe('a poll', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('a poll looks once in each interval until it is stopped', () => {
    const look = vi.fn<() => void>();
    const poll = new Poll(look);
    poll.start(1000);
    expect(look).toHaveBeenCalledTimes(0);
    vi.advanceTimersByTime(3000);
    expect(look).toHaveBeenCalledTimes(3);
    poll.stop();
    vi.advanceTimersByTime(3000);
    expect(look).toHaveBeenCalledTimes(3);
    expect(poll.isStopped).toBe(true);
  });

  test('a look that takes longer than the interval is not doubled', async () => {
    let end = (): void => undefined;
    const look = vi.fn<() => Promise<void>>(
      () =>
        new Promise((resolve) => {
          end = resolve;
        }),
    );
    const poll = new Poll(look);
    poll.start(1000);
    await vi.advanceTimersByTimeAsync(3000);
    expect(look).toHaveBeenCalledTimes(1);
    end();
    await vi.advanceTimersByTimeAsync(1000);
    expect(look).toHaveBeenCalledTimes(2);
    poll.stop();
  });

  test('an interval beyond what a timer can hold looks late, and not at once', () => {
    const look = vi.fn<() => void>();
    const poll = new Poll(look);
    poll.start(2 ** 40);
    vi.advanceTimersByTime(60_000);
    expect(look).toHaveBeenCalledTimes(0);
    poll.stop();
  });

  test('a poll that was stopped does not start again', () => {
    const look = vi.fn<() => void>();
    const poll = new Poll(look);
    poll.stop();
    poll.start(1000);
    vi.advanceTimersByTime(3000);
    expect(look).toHaveBeenCalledTimes(0);
  });
});
