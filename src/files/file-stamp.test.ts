import { mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fileStamp, fileStampNow } from './file-stamp.ts';

describe('the stamp of a file', () => {
  let directory: string;
  let at: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'stamp-'));
    at = join(directory, 'file');
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  function write(path: string, text: string, timeSec: number): void {
    writeFileSync(path, text);
    utimesSync(path, timeSec, timeSec);
  }

  test('a file has another stamp when its time, size or inode has changed', () => {
    write(at, 'nameserver 192.0.2.1', 1);
    const before = fileStampNow(at);
    expect(fileStampNow(at)).toBe(before);
    utimesSync(at, 2, 2);
    const touched = fileStampNow(at);
    write(at, 'nameserver 192.0.2.11', 2);
    const longer = fileStampNow(at);
    write(`${at}.new`, 'nameserver 192.0.2.12', 2);
    renameSync(`${at}.new`, at);
    const replaced = fileStampNow(at);
    const gone = fileStampNow(`${at}.gone`);
    expect(new Set([before, touched, longer, replaced, gone]).size).toBe(5);
  });

  test('a stamp is the same whether it was waited for or not', async () => {
    write(at, 'text', 1);
    expect(await fileStamp(at)).toBe(fileStampNow(at));
    expect(await fileStamp(`${at}.gone`)).toBe(fileStampNow(`${at}.gone`));
  });
});
