import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { type Libc, loadLibc } from './libc.ts';
import { closeDescriptor, receiveMessage, socketPair } from './unix-socket.ts';

type Poll = (libc: Libc, fd: number, ready: () => void) => { close(): void };

describe.runIf(loadLibc() !== undefined)('the callback of a poll', () => {
  test.each<{ name: string; poll: Poll }>([
    { name: 'pollReadable', poll: (libc, fd, ready) => libc.pollReadable(fd, ready) },
    { name: 'pollDuplex', poll: (libc, fd, ready) => libc.pollDuplex(fd, ready) },
  ])('ticks and promises of a callback run in the same turn: $name', async ({ poll }) => {
    const [ours, theirs] = socketPair();
    const late: Record<string, number> = {};
    const handle = poll(loadLibc()!, ours, () => {
      receiveMessage(ours);
      const calledMs = performance.now();
      const note = (what: string) => (): void => {
        late[what] = performance.now() - calledMs;
      };
      process.nextTick(note('tick'));
      void Promise.resolve().then(note('promise'));
    });
    // The message comes when nothing else wakes this process: its sender goes on for a while.
    const child = spawn('sh', ['-c', 'sleep 0.1; printf x >&3; sleep 0.4'], {
      stdio: ['ignore', 'ignore', 'ignore', theirs],
    });
    await once(child, 'exit');
    handle.close();
    closeDescriptor(ours);
    closeDescriptor(theirs);
    expect(Object.keys(late).toSorted()).toEqual(['promise', 'tick']);
    expect(Math.max(...Object.values(late))).toBeLessThan(200);
  });
});
