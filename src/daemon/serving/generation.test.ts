import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { TestLog } from '../../directives/testing.ts';
import { CorefileError } from '../../corefile/error.ts';
import { machineSource } from '../../corefile/source.ts';
import { Metrics } from '../../observe/metrics.ts';
import { Troubles } from '../../observe/troubles.ts';
import { Upstreams } from '../../upstream/upstreams.ts';
import type { ZoneBinding } from '../../server/zone-table.ts';
import { type Generation, type Surroundings, loadGeneration } from './generation.ts';

const FORWARD = 'forward . 192.0.2.1';

function surroundings(): Surroundings & { readonly log: TestLog } {
  const metrics = new Metrics();
  const upstreams = new Upstreams(metrics);
  return {
    log: new TestLog(),
    metrics,
    upstreams,
    defaultPort: 53,
    ceded: new Set<string>(),
    troubles: new Troubles(metrics),
    onLoop: 'exit',
    fatal: () => undefined,
  };
}

function load(text: string, before?: Generation, around = surroundings()): Generation {
  const corefile = { text, file: 'Corefile', source: machineSource };
  return loadGeneration(corefile, around, before);
}

function refusal(text: string): string {
  try {
    load(text).stop();
    return 'accepted';
  } catch (error) {
    if (error instanceof CorefileError) return error.message;
    throw error;
  }
}

/** Address to zones, in the order of the file. */
function served(text: string): Record<string, string[]> {
  const generation = load(text);
  generation.stop();
  const labels = [...generation.served.values()].map(
    ({ label, bindings }) => [label, bindings.map(({ zone }) => zone)] as const,
  );
  return Object.fromEntries(labels);
}

describe('blocks are served at the addresses that they name', () => {
  test.each([
    { text: `. {\n${FORWARD}\n}`, is: { 'dns://:53': ['.'] } },
    { text: `.:1053 {\n${FORWARD}\n}`, is: { 'dns://:1053': ['.'] } },
    { text: `a.test b.test {\n${FORWARD}\n}`, is: { 'dns://:53': ['a.test.', 'b.test.'] } },
    {
      text: `a.test:53 a.test:54 {\n${FORWARD}\n}`,
      is: { 'dns://:53': ['a.test.'], 'dns://:54': ['a.test.'] },
    },
    {
      text: `a.test {\nbind 127.0.0.1 ::1\n${FORWARD}\n}\n. {\nbind 127.0.0.1\n${FORWARD}\n}`,
      is: { 'dns://127.0.0.1:53': ['a.test.', '.'], 'dns://[::1]:53': ['a.test.'] },
    },
  ])('$text', ({ text, is }) => {
    expect(served(text)).toEqual(is);
  });
});

describe('blocks of one address share what they say of TCP clients', () => {
  test('the last block that sets a time for TCP clients counts', () => {
    const generation = load(
      `a.test {\n${FORWARD}\ntimeouts {\nread 5s\nidle 20s\n}\n}\n` +
        `b.test {\n${FORWARD}\ntimeouts {\nread 6s\nmaxtcpqueries 128\n}\n}\n` +
        `c.test {\n${FORWARD}\n}\nd.test:54 {\n${FORWARD}\n}`,
    );
    generation.stop();
    expect([...generation.served.values()].map(({ timeouts }) => timeouts)).toEqual([
      { firstMs: 6000, idleMs: 20_000, queriesMax: 128 },
      {},
    ]);
  });
});

describe('sets of blocks that are refused', () => {
  test.each([
    ['', 'Corefile:1:1: there is no server block'],
    [
      `. {\n${FORWARD}\n}\n. {\n${FORWARD}\n}`,
      'Corefile:4:1: cannot serve dns://.:53 - it is already defined',
    ],
    [
      `. {\nbind ::1\n${FORWARD}\n}\n. {\nbind ::1\n${FORWARD}\n}`,
      'cannot serve dns://.:53 on ::1 - it is already defined',
    ],
    [
      `. {\n${FORWARD}\n}\n. {\nbind ::1\n${FORWARD}\n}`,
      'cannot serve dns://.:53 on ::1 - zone overlap listener capacity with dns://.:53',
    ],
    [`tls://. {\n${FORWARD}\n}`, 'add the directive tls CERT KEY to the block'],
    [`https://. {\n${FORWARD}\n}`, 'https:// is not served'],
    [
      `. {\ncache\ncache\n${FORWARD}\n}`,
      'Corefile:3:1: cache: this plugin can only be used once per Server Block',
    ],
    [
      `. {\ncache 0\n${FORWARD}\n}`,
      'Corefile:2:7: cache: cache TTL can not be zero or negative: 0',
    ],
  ])('%j: %s', (text, message) => {
    expect(refusal(text)).toContain(message);
  });

  test.each([
    `a.test {\n${FORWARD}\n}\nb.test {\n${FORWARD}\n}`,
    `.:53 {\n${FORWARD}\n}\n.:54 {\nbind ::1\n${FORWARD}\n}`,
    `. {\nbind 127.0.0.1\n${FORWARD}\n}\n. {\nbind ::1\n${FORWARD}\n}`,
    `. {\n${FORWARD}\nforward a.test 192.0.2.2\n}`,
  ])('%j is fine', (text) => {
    expect(refusal(text)).toBe('accepted');
  });
});

/** The binding of the first zone at the first address. */
function firstBinding(generation: Generation): ZoneBinding {
  generation.stop();
  return [...generation.served.values()][0]!.bindings[0]!;
}

const blockOf = (...lines: string[]): string => `. {\n${lines.join('\n')}\n}`;

describe('a chain holds what handles queries', () => {
  test.each([
    { lines: [FORWARD, 'cache', 'errors'], is: ['errors', 'cache', 'forward'] }, // in its own order
    { lines: ['reload', 'bind 127.0.0.1'], is: [] },
    { lines: [FORWARD, FORWARD], is: ['forward'] },
  ])('$lines: $is', ({ lines, is }) => {
    const { chain } = firstBinding(load(blockOf(...lines)));
    expect(chain.handlers.map(({ name }) => name)).toEqual(is);
  });

  test.each([
    { lines: ['cache', FORWARD], hits: true, because: 'nobody else needs to see them' },
    { lines: ['cache', 'metadata', FORWARD], hits: true, because: 'nobody reads metadata of hits' },
    { lines: ['cache', 'bufsize', FORWARD], hits: true, because: 'bufsize is a number to them' },
    { lines: ['cache', 'loadbalance', FORWARD], hits: true, because: 'it arranges them in place' },
    { lines: ['cache', 'errors', FORWARD], hits: true, because: 'errors has no use for hits' },
    { lines: ['cache', 'log', FORWARD], hits: false, because: 'log writes a line for each' },
    { lines: ['cache a.test', FORWARD], hits: false, because: 'it does not cover the block' },
    { lines: [FORWARD], hits: false, because: 'there is no cache' },
  ])('the server asks the cache itself with $lines: $hits, as $because', ({ lines, hits }) => {
    expect(firstBinding(load(blockOf(...lines))).hits !== undefined).toBe(hits);
  });

  test.each([
    { lines: [FORWARD], counts: false },
    { lines: [FORWARD, 'prometheus :0'], counts: true },
  ])('queries are counted where prometheus stands: $lines', ({ lines, counts }) => {
    expect(firstBinding(load(blockOf(...lines))).counters !== undefined).toBe(counts);
  });
});

const inherited = (before: string, after: string): boolean => {
  const around = surroundings();
  const first = load(before, undefined, around);
  const second = load(after, first, around);
  first.stop();
  second.stop();
  const made = new Set(first.kept.values());
  return [...second.kept.values()].some((value) => made.has(value));
};

describe('a value that a block has made outlives a reload', () => {
  const text = blockOf('cache 30', FORWARD);

  test.each([
    { after: text, is: true, because: 'nothing has changed' },
    { after: `# a comment\n${text}`, is: true, because: 'it means the same' },
    { after: `${text}\na.test {\n${FORWARD}\n}`, is: true, because: 'another block came' },
    { after: blockOf('cache 31', FORWARD), is: false, because: 'it is another cache' },
    { after: blockOf('cache 30', 'forward . 192.0.2.9'), is: false, because: 'it asks others' },
    { after: text.replace('.', 'a.test'), is: false, because: 'it has another zone' },
  ])('$is: $because', ({ after, is }) => {
    expect(inherited(text, after)).toBe(is);
  });
});

describe('an address that is not ours', () => {
  test('an address that belongs to others is not listened on, whatever bind says', () => {
    const around = { ...surroundings(), ceded: new Set(['10.96.0.10']) };
    const bound = 'bind 169.254.20.10 10.96.0.10';
    const generation = load(blockOf(bound, FORWARD), undefined, around);
    generation.stop();
    const labels = [...generation.served.values()].map(({ label }) => label);
    expect(labels).toEqual(['dns://169.254.20.10:53']);
  });
});

test('a generation that another has replaced is no longer held in memory', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const around = surroundings();
  const replaced: WeakRef<Generation>[] = [];
  let serving = load(blockOf('cache 30', FORWARD), undefined, around);
  for (const ttl of [31, 32, 33]) {
    const before = serving;
    replaced.push(new WeakRef(before));
    serving = load(blockOf(`cache ${ttl}`, FORWARD), before, around);
    before.stop();
  }
  await new Promise((resolve) => setTimeout(resolve, 10));
  collect();
  expect(replaced.slice(0, -1).map((each) => each.deref() !== undefined)).toEqual([false, false]);
  serving.stop();
});

describe('blocks that must have answered before we are ready', () => {
  const block = (zone: string, lines: string): string =>
    `${zone} {\nbind 127.0.0.1\n${FORWARD}\n${lines}\n}\n`;

  test.each([
    { text: block('.', ''), is: [], because: 'nobody asks for it' },
    {
      text: block('cluster.local', 'health') + block('.', ''),
      is: ['cluster.local.'],
      because: 'the block of health speaks where none says ready',
    },
    {
      text: block('cluster.local', 'health') + block('a.test', 'ready :81') + block('.', 'ready'),
      is: ['a.test.', '.'],
      because: 'those that say ready are meant',
    },
    { text: '. {\nhosts\nhealth\n}\n', is: [], because: 'without upstreams it can answer' },
  ])('$is: $because', ({ text, is }) => {
    const generation = load(text);
    generation.stop();
    expect(generation.proofs.map(({ zone }) => zone)).toEqual(is);
  });
});
