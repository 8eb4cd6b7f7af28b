/**
 * A new directive is a folder, and in one file its import and its line in the list: this adds `example`
 * to a copy of the tree in just these places, and shows that nothing else knows of it and all of it works.
 *
 * Most of the time was spent on starting a process for each file of tests, and on the types of files that
 * do not know the directives: one thread runs all rules, and the compiler begins at the list.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeMessage } from '../dns/codec.ts';
import { queryMessage } from '../query/testing.ts';

const ROOT = join(import.meta.dirname, '../..');
const tree = mkdtempSync(join(tmpdir(), 'new-directive-'));

const FOLDER: Readonly<Record<string, string>> = {
  'index.ts': `/** \`example [TTL]\`: answers every query with 192.0.2.53. */
import { countArguments, noBlock, readUse } from '../../corefile/options.ts';
import { parseInteger } from '../../corefile/values.ts';
import { IN, A } from '../../dns/rrtype.ts';
import type { Query } from '../../query/query.ts';
import { synthesize } from '../../query/synthesize.ts';
import { ANSWERED, type Verdict } from '../../query/verdict.ts';
import { EXAMPLE_NAME } from '../contributions.ts';
import type { Directive, Handler } from '../directive.ts';

export const example: Directive<number> = {
  name: 'example',
  repeat: 'first',
  parse: (use) =>
    readUse(use, () => {
      const [ttl] = countArguments(use, 0, 1);
      noBlock(use);
      return ttl === undefined ? 60 : parseInteger(ttl, { min: 0, max: 3600 });
    }),
  contribute: (_, block) => block.add(EXAMPLE_NAME, 'www.example.test.'),
  build: ([ttlSec]) => new Example(ttlSec!),
  explain: ([ttlSec]) => [\`answers with a TTL of \${ttlSec} s\`],
};

class Example implements Handler {
  readonly name = 'example';
  readonly seesHits = false;
  readonly #ttlSec: number;

  constructor(ttlSec: number) {
    this.#ttlSec = ttlSec;
  }

  onQuery(query: Query): Verdict {
    const rdata = { kind: 'address', address: '192.0.2.53' } as const;
    const record = { name: query.name, type: A, rrClass: IN, ttlSec: this.#ttlSec, rdata };
    query.answer(synthesize(query, this.name, { answers: [record] }));
    return ANSWERED;
  }
}
`,
  'index.test.ts': `import { expect, test } from 'vitest';
import { parseAs, refusal } from '../testing.ts';
import { example } from './index.ts';

test('example has a TTL of 60 s unless it names another', () => {
  expect(['example', 'example 5'].map((use) => parseAs(example, use))).toEqual([60, 5]);
  expect(refusal(example, 'example -1')).toContain('Corefile:1:9: example:');
});
`,
  'README.md': `# example

Answers every query with one address.

## Syntax

\`\`\`
example [TTL]
\`\`\`

Of several uses in a block the first counts.

## Example

\`\`\`
example 5
\`\`\`

## Differences from CoreDNS 1.13

CoreDNS has no such directive.
`,
};

function addExample(): void {
  const folder = join(tree, 'src/directives/example');
  mkdirSync(folder);
  for (const [name, text] of Object.entries(FOLDER)) writeFileSync(join(folder, name), text);
  const list = join(tree, 'src/directives/index.ts');
  const text = readFileSync(list, 'utf8')
    .replace(/^import type/m, `import { example } from './example/index.ts';\nimport type`)
    .replace('  whoami,\n', '  example,\n  whoami,\n');
  writeFileSync(list, text);
}

function inTree(...argv: readonly string[]): string {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_ENV|TEST)/.test(name)),
  );
  return execFileSync(process.execPath, argv, { cwd: tree, env, encoding: 'utf8', stdio: 'pipe' });
}

/** The text of standard error of a command that is to fail. */
function complaint(...argv: readonly string[]): string {
  try {
    inTree(...argv);
    return '';
  } catch (error) {
    return error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
  }
}

let daemon: ChildProcess | undefined;

beforeAll(() => {
  for (const name of readdirSync(ROOT)) {
    if (/^(node_modules|dist|build|coverage|\.git)$/.test(name)) continue;
    cpSync(join(ROOT, name), join(tree, name), { recursive: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'));
  addExample();
  writeFileSync(join(tree, 'Corefile'), 'example.test:0 {\n    bind 127.0.0.1\n    example 5\n}\n');
  writeFileSync(join(tree, 'broken'), '.:0 {\n    example {\n    }\n}\n');
  execFileSync('npm', ['run', '--silent', 'bundle'], { cwd: tree });
}, 60_000);
afterAll(async () => {
  if (daemon?.kill('SIGTERM')) await once(daemon, 'exit');
  rmSync(tree, { recursive: true });
});

describe('a directive that is a folder and its entry in the list', { timeout: 120_000 }, () => {
  test('a new directive is listed by -plugins, found correct by check, and explained by explain', () => {
    expect(inTree('dist/main.js', '-plugins')).toMatch(/^example$/m);
    expect(inTree('dist/main.js', 'check', 'Corefile')).toMatch(/1 server block, no error$/m);
    expect(inTree('dist/main.js', 'explain', 'Corefile')).toMatch(
      /example +answers with a TTL of 5/,
    );
  });

  test('a new directive has its manual page where its errors say', () => {
    execFileSync('sh', ['deploy/pack-pages.sh', 'docs/directives'], { cwd: tree });
    const [page] = /docs\/directives\/\w+\.md/.exec(complaint('dist/main.js', 'check', 'broken'))!;
    expect(readFileSync(join(tree, page), 'utf8')).toBe(FOLDER['README.md']);
    rmSync(join(tree, 'docs/directives'), { recursive: true });
  });

  test('a new directive answers a query that comes through a socket', async () => {
    const running = spawn(process.execPath, ['dist/main.js', '-conf', 'Corefile'], {
      cwd: tree,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    daemon = running;
    let printed = '';
    for await (const part of running.stdout) {
      printed += String(part);
      if (/^try: dig @127\.0\.0\.1 -p \d+ www\.example\.test$/m.test(printed)) break;
    }
    const port = Number(/ -p (\d+) /.exec(printed)![1]);
    const socket = createSocket('udp4');
    socket.send(queryMessage('www.example.test.', 'A'), port, '127.0.0.1');
    const [octets] = (await once(socket, 'message')) as [Uint8Array];
    socket.close();
    expect(decodeMessage(octets)!.answers).toMatchObject([
      { name: 'www.example.test.', ttlSec: 5, rdata: { address: '192.0.2.53' } },
    ]);
  });

  test('a new directive passes its own test and the rules for all the tree', () => {
    const rules = readdirSync(join(tree, 'test/tidy'))
      .filter((name) => name.endsWith('.test.ts') && name !== 'commits.test.ts') // a copy has none
      .map((name) => `test/tidy/${name}`);
    const oneThread = ['--pool=threads', '--maxWorkers=1', '--no-isolate'];
    const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--project', 'unit', ...oneThread];
    const own = ['src/directives/example', 'src/directives/index.test.ts'];
    expect(inTree(...vitest, ...own, ...rules)).toMatch(/Test Files .*passed/);
  });

  test('a new directive has the types that the compiler wants', () => {
    // Files beyond those that the list and the folder import cannot see the directive.
    const include = ['src/directives/index.ts', 'src/directives/example'];
    const config = JSON.stringify({ extends: './tsconfig.json', include });
    writeFileSync(join(tree, 'tsconfig.example.json'), config);
    expect(inTree('node_modules/typescript/bin/tsc', '-p', 'tsconfig.example.json')).toBe('');
  });
});
