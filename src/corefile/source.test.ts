import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parseCorefile } from './blocks.ts';

const directory = mkdtempSync(join(tmpdir(), 'corefile-'));
afterAll(() => rmSync(directory, { recursive: true }));

test('imports are read from the disk, relative to the file that names them', () => {
  mkdirSync(join(directory, 'custom'));
  writeFileSync(join(directory, 'custom', 'b.server'), 'b.test {\n import ../log\n}\n');
  writeFileSync(join(directory, 'custom', 'a.server'), '\ufeffa.test {\r\n}\r\n');
  writeFileSync(join(directory, 'log'), 'log\n');
  const file = join(directory, 'Corefile');
  const read = (text: string) => parseCorefile(text, { file, known: new Set(['log']) });

  const { blocks, files } = read('import custom/*.server\n{$COREFILE_TEST_UNSET}. {\n}');
  expect(blocks.map((block) => block.keys[0]?.zone)).toEqual(['a.test.', 'b.test.', '.']);
  expect(blocks[1]?.uses[0]?.place.file).toBe(join(directory, 'log'));
  expect(files).toEqual([
    file,
    join(directory, 'custom', 'a.server'),
    join(directory, 'custom', 'b.server'),
    join(directory, 'log'),
  ]);
  expect(() => read('import nowhere')).toThrow('File to import not found: nowhere');
  expect(() => read('import custom')).toThrow('is a directory');
  expect(() => read('import log/x')).toThrow('ENOTDIR: not a directory');
});
