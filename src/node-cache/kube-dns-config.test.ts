import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type ConfigMapCode,
  ConfigMapError,
  type DirectoryVersion,
  parseKubeDnsConfig,
  readConfigDirectory,
  readKubeDnsConfig,
  watchDirectory,
} from './kube-dns-config.ts';

describe('the kube-dns ConfigMap is read', () => {
  test('stub domains and upstreams, with and without ports, of both families', () => {
    const config = parseKubeDnsConfig(
      new Map([
        ['stubDomains', '{"acme.local": ["1.2.3.4"], "x-1.example": ["1.2.3.4:5353", "fd00::1"]}'],
        ['upstreamNameservers', '["8.8.8.8", "[fd00::2]:53", "8.8.4.4:53"]'],
        ['federations', 'anything'],
      ]),
    );
    expect(config).toEqual({
      stubDomains: new Map([
        ['acme.local', ['1.2.3.4']],
        ['x-1.example', ['1.2.3.4:5353', 'fd00::1']],
      ]),
      upstreamNameservers: ['8.8.8.8', '[fd00::2]:53', '8.8.4.4:53'],
    });
  });

  test.each([
    ['no keys', []],
    ['null', [['stubDomains', 'null'] as const, ['upstreamNameservers', 'null'] as const]],
    ['empty lists', [['stubDomains', '{}'] as const, ['upstreamNameservers', '[]'] as const]],
  ])('%s is the default', (_, entries) => {
    const expected = { stubDomains: new Map(), upstreamNameservers: [] };
    expect(parseKubeDnsConfig(new Map(entries))).toEqual(expected);
  });

  const servers = 'upstreamNameservers';
  const stubs = 'stubDomains';
  test.each<[string, string, ConfigMapCode, string]>([
    [servers, '8.8.8.8', 'CONFIGMAP_JSON', 'expected a JSON list of servers'],
    [servers, '{"a": 1}', 'CONFIGMAP_JSON', 'expected a JSON list of servers'],
    [servers, '[8]', 'CONFIGMAP_JSON', 'expected a JSON list of servers'],
    [servers, '["dns.example"]', 'CONFIGMAP_SERVER', '"dns.example" is neither IP nor IP:PORT'],
    [servers, '["1.1.1.1:x"]', 'CONFIGMAP_SERVER', '"1.1.1.1:x" is neither'],
    [servers, '["1.1.1.1:65536"]', 'CONFIGMAP_SERVER', '"1.1.1.1:65536" is neither'],
    [servers, '["fe80::1%eth0"]', 'CONFIGMAP_SERVER', '"fe80::1%eth0" is neither'],
    [servers, '["1.1.1.1","1.1.1.2","1.1.1.3","1.1.1.4"]', 'CONFIGMAP_SERVER', 'at most 3'],
    [stubs, '["a"]', 'CONFIGMAP_JSON', 'expected a JSON object'],
    [stubs, '{"a": "1.1.1.1"}', 'CONFIGMAP_JSON', 'expected a JSON object'],
    [stubs, '{"Acme.local": ["1.1.1.1"]}', 'CONFIGMAP_DOMAIN', '"Acme.local" is not a domain'],
    [stubs, '{"acme.local.": ["1.1.1.1"]}', 'CONFIGMAP_DOMAIN', 'without a final dot'],
    [stubs, '{"a_b": ["1.1.1.1"]}', 'CONFIGMAP_DOMAIN', '"a_b" is not a domain name'],
    [stubs, '{"a": []}', 'CONFIGMAP_SERVER', '"a" has 0 servers; expected 1 to 15'],
    [stubs, '{"a": ["ns.b"]}', 'CONFIGMAP_SERVER', 'the server "ns.b" of "a" is neither'],
  ])('%s: %s is refused with %s', (key, text, code, because) => {
    const read = (): unknown => parseKubeDnsConfig(new Map([[key, text]]));
    expect(read).toThrow(ConfigMapError);
    expect(read).toThrow(expect.objectContaining({ code, key }));
    expect(read).toThrow(because);
  });
});

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

  test('its keys are read through the links, and nothing hidden is', async () => {
    await publish({ upstreamNameservers: '["8.8.8.8"]', stubDomains: '{}' });
    const { files } = await readConfigDirectory(directory);
    expect([...files.keys()]).toEqual(['stubDomains', 'upstreamNameservers']);
    expect((await readKubeDnsConfig(directory)).upstreamNameservers).toEqual(['8.8.8.8']);
  });

  test('one that is not there is empty, since the ConfigMap is optional', async () => {
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

  test('a watcher is told of the first version, of each swap once, and of the end', async () => {
    const seen: DirectoryVersion[] = [];
    const failures: ConfigMapError[] = [];
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

  test('a watcher is told of a failure once, and of what comes after it', async () => {
    const told: string[] = [];
    await writeFile(path.join(directory, 'a'), Buffer.from([0xff]));
    const watch = watchDirectory(
      directory,
      { changed: () => told.push('changed'), failed: (error) => told.push(error.code) },
      60_000,
    );
    await watch.look();
    await watch.look();
    await writeFile(path.join(directory, 'a'), 'text');
    await watch.look();
    watch.close();
    expect(told).toEqual(['CONFIGMAP_NOT_UTF8', 'changed']);
  });

  test('a swap is noticed without being asked, within 2 s', async () => {
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
    const startedMs = performance.now();
    await seen;
    expect(performance.now() - startedMs).toBeLessThan(2000);
  });
});
