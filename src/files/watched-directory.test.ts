import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type DirectoryError,
  type DirectoryVersion,
  readConfigDirectory,
  watchDirectory,
} from './watched-directory.ts';

describe('a directory as kubelet mounts it', () => {
  let directory: string;
  let versions = 0;

  /** Writes a new version and swaps `..data` to it, in kubelet's order. */
  async function publish(files: Record<string, string>): Promise<void> {
    const version = `..2026_version_${versions++}`;
    await mkdir(path.join(directory, version));
    for (const [name, text] of Object.entries(files)) {
      await writeFile(path.join(directory, version, name), text);
    }
    await symlink(version, path.join(directory, '..data_tmp'));
    await rename(path.join(directory, '..data_tmp'), path.join(directory, '..data'));
    for (const name of Object.keys(files)) {
      await symlink(`..data/${name}`, path.join(directory, name)).catch(() => undefined);
    }
  }

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'configmap-'));
  });
  afterEach(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  test('keys are read through the links, and hidden files are not read', async () => {
    await publish({ upstreamNameservers: '["8.8.8.8"]', stubDomains: '{}' });
    const { files } = await readConfigDirectory(directory);
    expect([...files.keys()]).toEqual(['stubDomains', 'upstreamNameservers']);
    expect(files.get('upstreamNameservers')).toBe('["8.8.8.8"]');
  });

  test('a missing directory is empty, since the ConfigMap is optional', async () => {
    const version = await readConfigDirectory(path.join(directory, 'absent'));
    expect(version).toEqual({ files: new Map(), hash: '' });
  });

  test('text that is not UTF-8 is refused', async () => {
    await writeFile(path.join(directory, 'stubDomains'), Buffer.from([0xff, 0xfe]));
    await expect(readConfigDirectory(directory)).rejects.toThrow('stubDomains: the file is not');
  });

  test('a file in place of the directory is refused', async () => {
    const file = path.join(directory, 'file');
    await writeFile(file, '');
    await expect(readConfigDirectory(file)).rejects.toThrow(
      expect.objectContaining({ code: 'CONFIGMAP_UNREADABLE' }),
    );
  });

  test('a watcher sees the first version, each swap once, and the end', async () => {
    const seen: DirectoryVersion[] = [];
    const failures: DirectoryError[] = [];
    await publish({ a: '1' });
    const watch = watchDirectory(
      directory,
      { changed: (version) => seen.push(version), failed: (error) => failures.push(error) },
      60_000,
    );
    await watch.look();
    await watch.look();
    await publish({ a: '2' });
    await watch.look();
    await publish({ a: '2' }); // another version of the same content
    await watch.look();
    await rm(directory, { recursive: true });
    await watch.look();
    watch.close();
    expect(seen.map(({ files }) => files.get('a'))).toEqual(['1', '2', undefined]);
    expect(failures).toEqual([]);
  });

  test('a watcher sees a failure once, and the versions after it', async () => {
    const reported: string[] = [];
    await writeFile(path.join(directory, 'a'), Buffer.from([0xff]));
    const watch = watchDirectory(
      directory,
      { changed: () => reported.push('changed'), failed: (error) => reported.push(error.code) },
      60_000,
    );
    await watch.look();
    await watch.look();
    await writeFile(path.join(directory, 'a'), 'text');
    await watch.look();
    watch.close();
    expect(reported).toEqual(['CONFIGMAP_NOT_UTF8', 'changed']);
  });

  test('a swap is noticed without being asked', async () => {
    await publish({ a: '1' });
    const seen = new Promise<void>((resolve) => {
      const watch = watchDirectory(directory, {
        changed: ({ files }) => {
          if (files.get('a') === '2') {
            watch.close();
            resolve();
          } else void publish({ a: '2' });
        },
        failed: () => undefined,
      });
    });
    await seen;
  });
});
