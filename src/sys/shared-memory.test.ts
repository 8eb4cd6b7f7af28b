import { fstatSync, readSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { loadLibc } from './libc.ts';
import { createMemoryFile, mapMemoryFile } from './shared-memory.ts';
import { SystemCallError } from './system-call-error.ts';
import { closeDescriptor, duplicate } from './unix-socket.ts';

describe.runIf(loadLibc() !== undefined)('memory that is shared', () => {
  test('shared memory is seen by all who map the file, and by readers of the file', () => {
    const fd = createMemoryFile('test', 8192);
    const copy = duplicate(fd);
    expect(fstatSync(fd)).toMatchObject({ size: 8192, blocks: 0 });
    const one = mapMemoryFile(fd, 8192);
    const two = mapMemoryFile(copy, 8192);
    closeDescriptor(fd);
    one.set([1, 2, 3], 4096);
    expect([...two.subarray(4095, 4100)]).toEqual([0, 1, 2, 3, 0]);
    const read = Buffer.alloc(3);
    readSync(copy, read, 0, 3, 4096);
    expect([...read]).toEqual([1, 2, 3]);
    closeDescriptor(copy);
  });

  test('shared memory is not made of a descriptor that is not a file', () => {
    expect(() => mapMemoryFile(-1, 4096)).toThrow(SystemCallError);
    expect(() => createMemoryFile('x'.repeat(300), 4096)).toThrow('memfd_create: EINVAL');
  });
});
