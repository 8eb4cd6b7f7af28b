import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FIRST, SECOND, STRANGER, type TestPair } from '../../test/harness/certificates.ts';
import { FollowedCertificate } from './certificate.ts';

/** As a Secret is mounted: the files are links through one directory link, which is swapped. */
class Secret {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'secret-'));
  #version = 0;

  constructor(pair: TestPair) {
    this.put(pair);
    for (const name of ['tls.crt', 'tls.key']) symlinkSync(`..data/${name}`, this.path(name));
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  put({ cert, key }: TestPair): void {
    const version = mkdtempSync(this.path(`..${this.#version++}-`));
    writeFileSync(join(version, 'tls.crt'), cert);
    writeFileSync(join(version, 'tls.key'), key);
    symlinkSync(version, this.path('..data_tmp'));
    renameSync(this.path('..data_tmp'), this.path('..data'));
  }

  remove(): void {
    rmSync(this.directory, { recursive: true });
  }
}

let secret: Secret;
let followed: FollowedCertificate;
let events: string[];

beforeEach(() => {
  secret = new Secret(FIRST);
  events = [];
  const files = { cert: secret.path('tls.crt'), key: secret.path('tls.key'), ca: undefined };
  const loaded = ({ cert }: TestPair): void => void events.push(nameOf(cert));
  const failed = (reason: string): void => void events.push(`failed: ${reason}`);
  // The test looks, and no timer.
  followed = new FollowedCertificate(files, { loaded, failed }, 1_000_000);
});

afterEach(() => {
  followed.stop();
  secret.remove();
});

function nameOf(cert: string): string {
  return cert === SECOND.cert ? 'second' : cert === FIRST.cert ? 'first' : 'another';
}

describe('a certificate that follows its files', () => {
  test('is told when both have changed, and not before', async () => {
    await followed.look();
    expect(events).toEqual([]);
    secret.put(SECOND);
    await followed.look();
    await followed.look();
    expect(events).toEqual(['second']);
    secret.put(FIRST);
    await followed.look();
    expect(events).toEqual(['second', 'first']);
  });

  test('half of a change is not yet a failure', async () => {
    await followed.look();
    secret.put({ cert: SECOND.cert, key: FIRST.key });
    await followed.look();
    expect(events).toEqual([]);
    secret.put(SECOND);
    await followed.look();
    expect(events).toEqual(['second']);
  });

  test('a pair that stays wrong is told once, and what comes after it is read', async () => {
    await followed.look();
    secret.put({ cert: STRANGER.cert, key: FIRST.key });
    for (let i = 0; i < 4; i++) await followed.look();
    expect(events).toEqual([expect.stringContaining('failed: ')]);
    secret.put(SECOND);
    await followed.look();
    expect(events.at(-1)).toBe('second');
  });

  test('files that have gone are told once, and found again', async () => {
    await followed.look();
    renameSync(secret.path('..data'), secret.path('..gone'));
    for (let i = 0; i < 3; i++) await followed.look();
    expect(events).toEqual([expect.stringContaining('no such file or directory')]);
    renameSync(secret.path('..gone'), secret.path('..data'));
    await followed.look();
    expect(events).toHaveLength(1); // as they were, and in use
    secret.put(SECOND);
    await followed.look();
    expect(events.at(-1)).toBe('second');
  });

  test('nothing is told once it has stopped', async () => {
    await followed.look();
    secret.put(SECOND);
    followed.stop();
    await followed.look();
    expect(events).toEqual([]);
  });
});
