import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { parseCorefile } from '../../corefile/blocks.ts';
import type { CorefileInput } from '../serving/generation.ts';
import { recalled, recorded } from './corefile.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'nodelocald-last-good-'));
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(directory, { recursive: true });
});

function fingerprint({ text, file, source }: CorefileInput): string {
  const known = new Set(['forward', 'cache', 'errors']);
  return parseCorefile(text, { file, source, known }).fingerprint;
}

describe('the Corefile that served last', () => {
  test('the inherited Corefile means the same, whatever became of its imports and variables', () => {
    vi.stubEnv('LAST_GOOD_UPSTREAM', '192.0.2.1');
    writeFileSync(join(directory, 'one.server'), 'a.test {\n errors\n}\n');
    writeFileSync(join(directory, 'two.server'), 'b.test {\n cache\n}\n');
    const text = '. {\n forward . {$LAST_GOOD_UPSTREAM}\n}\nimport *.server\n';
    const file = join(directory, 'Corefile');
    const before = recorded(text, file);
    const meant = fingerprint(before);
    const written = before.written();

    vi.stubEnv('LAST_GOOD_UPSTREAM', '192.0.2.9');
    rmSync(join(directory, 'one.server'));
    writeFileSync(join(directory, 'two.server'), 'broken {');
    writeFileSync(join(directory, 'three.server'), 'c.test {\n errors\n}\n');
    const after = recalled(written, file)!;
    expect(fingerprint(after)).toBe(meant);
    expect(() => fingerprint(recorded(text, file))).toThrow(/two\.server/);
  });

  test.each(['', 'no JSON', 'null', '[]', '{"text":1,"known":{}}', '{"text":"","known":null}'])(
    'no Corefile is recalled from %j',
    (written) => {
      expect(recalled(written, 'Corefile')).toBeUndefined();
    },
  );
});
