import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { StreamLog } from '../../observe/log.ts';
import { SupervisorLog } from './supervisor-log.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'nodelocald-log-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

test.each(['text', 'json'] as const)(
  "its lines are those of the worker's log: %s",
  async (format) => {
    const ours = join(directory, 'supervisor');
    const theirs = join(directory, 'worker');
    const descriptors = [openSync(ours, 'w'), openSync(theirs, 'w')] as const;
    const supervisor = new SupervisorLog(format, descriptors[0]);
    const worker = new StreamLog(format, descriptors[1]);
    for (const log of [supervisor, worker]) {
      log.info('a "word"');
      log.error('another');
    }
    worker.flush();
    const lines = (path: string): string[] =>
      readFileSync(path, 'utf8')
        .split('\n')
        .map((line) => line.replace(/"time":"[-\dT:.]+Z"/, '"time":"now"'));
    await vi.waitFor(() => expect(lines(ours)).toHaveLength(3));
    expect(lines(ours)).toEqual(lines(theirs));
    for (const descriptor of descriptors) closeSync(descriptor);
  },
);
