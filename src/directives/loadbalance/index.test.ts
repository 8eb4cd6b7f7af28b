import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { OPT_OCTETS } from '../../dns/limits.ts';
import { NXDOMAIN, SERVFAIL } from '../../dns/rcode.ts';
import { type ResponseText, recordsToText, response } from '../../dns/testing.ts';
import { Response } from '../../query/response.ts';
import { askQuery } from '../../query/testing.ts';
import type { Handler } from '../directive.ts';
import { type TestBuilding, parseAs, refusal, testBuilding, testParsing } from '../testing.ts';
import { loadbalance } from './index.ts';

let directory = '';
let file = '';
let context: TestBuilding;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'loadbalance-'));
  file = path.join(directory, 'weights');
  context = testBuilding();
});
afterEach(() => {
  context.stop();
  rmSync(directory, { recursive: true });
});

function build(use: string): Handler {
  return loadbalance.build!([parseAs(loadbalance, use)], context)!;
}

const { query } = askQuery('a.test.', 'A');

/** The records as a client of a miss gets them. */
function missed(handler: Handler, text: ResponseText): string[] {
  const before = new Response(response(text), 'forward');
  const wire = before.message.wire.slice();
  const after = handler.onResponse!(query, before);
  expect(before.message.wire).toEqual(wire); // others may share it
  expect(after).toMatchObject({ writer: 'loadbalance', rcode: before.rcode });
  return recordsToText(after.message.wire)!;
}

/** The records as a client of a hit gets them. */
function hit(handler: Handler, text: ResponseText, room = 4096): string[] {
  const { wire } = response(text);
  const at = 5;
  const out = new Uint8Array(at + room + OPT_OCTETS).fill(0xee);
  out.set(wire, at);
  const octets = handler.onHits!.arrange!(out, at, wire.length, at + room);
  expect(out.subarray(0, at)).toEqual(new Uint8Array(at).fill(0xee));
  return recordsToText(out.subarray(at, at + octets))!;
}

const a = (...last: readonly number[]): string[] => last.map((n) => `a.test. 5 A 192.0.2.${n}`);

describe('options', () => {
  const base = { weightFile: undefined, reloadMs: 30_000, preferred: [] };

  test.each([
    { use: 'loadbalance', is: {} },
    { use: 'loadbalance round_robin', is: {} },
    { use: 'loadbalance round_robin {\n}', is: {} },
    { use: 'loadbalance weighted FILE', is: { weightFile: 'FILE' } },
    { use: 'loadbalance weighted FILE {\nreload 10s\n}', is: { reloadMs: 10_000 } },
    { use: 'loadbalance weighted FILE {\nreload 0s\n}', is: { reloadMs: 0 } },
    {
      use: 'loadbalance {\nprefer 10.9.20.0/24 fd00::/8\nprefer 10.0.0.0/8\n}',
      is: {
        preferred: [
          { text: '10.9.20.0/24', prefixLength: 24 },
          { text: 'fd00::/8', prefixLength: 8 },
          { text: '10.0.0.0/8', prefixLength: 8 },
        ],
      },
    },
    {
      use: 'loadbalance weighted FILE {\nprefer 10.0.0.0/8\n}',
      is: { preferred: [{ family: 4 }] },
    },
  ])('$use', ({ use, is }) => {
    writeFileSync(file, '');
    const weightFile = use.includes('weighted') ? file : undefined;
    expect(parseAs(loadbalance, use.replace('FILE', file))).toMatchObject({
      ...base,
      ...is,
      weightFile,
    });
  });

  test.each([
    ['loadbalance random', 'Corefile:1:13: loadbalance: unknown policy: random'],
    ['loadbalance round_robin x', 'Corefile:1:25: loadbalance: unknown property for round_robin'],
    ['loadbalance weighted', 'Corefile:1:13: loadbalance: missing weight file argument'],
    ['loadbalance weighted F G', 'Corefile:1:24: loadbalance: unexpected argument(s)'],
    ['loadbalance {\nreload 1s\n}', 'Corefile:2:1: loadbalance: "reload" is not an option'],
    [
      'loadbalance weighted F {\nreload\n}',
      'Corefile:2:1: loadbalance: reload: reload duration value is missing',
    ],
    [
      'loadbalance weighted F {\nreload 1s 2s\n}',
      'Corefile:2:11: loadbalance: reload: unexpected argument',
    ],
    [
      'loadbalance weighted F {\nreload x\n}',
      "Corefile:2:8: loadbalance: reload: invalid reload duration 'x'",
    ],
    ['loadbalance weighted F {\nreload -1s\n}', "invalid reload duration '-1s'"],
    [
      'loadbalance {\nprefer 10.0.0.0\n}',
      'Corefile:2:8: loadbalance: prefer: invalid CIDR "10.0.0.0": invalid CIDR address: 10.0.0.0',
    ],
    [
      'loadbalance {\nfoo\n}',
      'Corefile:2:1: loadbalance: "foo" is not an option (unknown property \'foo\')',
    ],
  ])('%j is refused: %s', (use, message) => {
    expect(refusal(loadbalance, use)).toContain(message);
  });

  test('of several uses of loadbalance the last one counts', () => {
    expect(loadbalance.repeat).toBe('last');
  });
});

describe.each([
  { walk: 'a miss', records: missed },
  { walk: 'a hit', records: hit },
])('round_robin, on the walk of $walk', ({ records }) => {
  test('each order of addresses comes about as often as any other', () => {
    const handler = build('loadbalance');
    const seen = new Map<string, number>();
    for (let i = 0; i < 3000; i++) {
      const order = records(handler, { answers: a(1, 2, 3) })
        .map((line) => line.at(-1))
        .join('');
      seen.set(order, (seen.get(order) ?? 0) + 1);
    }
    expect([...seen.keys()].sort()).toEqual(['123', '132', '213', '231', '312', '321']);
    // 500 each, with a standard deviation of 20.
    expect(Math.min(...seen.values())).toBeGreaterThan(360);
  });

  test('CNAMEs and others keep their places before the addresses, MX stand last', () => {
    const handler = build('loadbalance');
    const answers = [
      'x.test. 5 MX 10 m1.test.',
      'x.test. 5 A 192.0.2.1',
      'x.test. 5 TXT one',
      'y.test. 5 CNAME x.test.',
      'x.test. 5 AAAA 2001:db8::1',
      'x.test. 5 TXT two',
      'x.test. 5 MX 20 m2.test.',
      'z.test. 5 CNAME y.test.',
    ];
    const orders = Array.from({ length: 100 }, () => records(handler, { answers }));
    for (const order of orders) {
      expect(order.map((line) => line.split(' ')[2])).toSatisfy((types: string[]) =>
        /^CNAME CNAME TXT TXT (A AAAA|AAAA A) MX MX$/.test(types.join(' ')),
      );
      expect(order.slice(0, 4)).toEqual([3, 7, 2, 5].map((i) => answers[i]));
    }
    expect(new Set(orders.map((order) => order[4])).size).toBe(2);
    expect(new Set(orders.map((order) => order[7])).size).toBe(2);
  });

  test('the addresses of each section are ordered by themselves', () => {
    const handler = build('loadbalance');
    const text = {
      question: 'b.test. NS',
      authorities: ['b.test. 5 NS n1.b.test.', 'b.test. 5 NS n2.b.test.'],
      additionals: ['n1.b.test. 5 A 192.0.2.1', 'n2.b.test. 5 A 192.0.2.2'],
    };
    const orders = Array.from({ length: 50 }, () => records(handler, text));
    expect(new Set(orders.map((order) => order.slice(0, 2).join())).size).toBe(1);
    expect(new Set(orders.map((order) => order.slice(2).join())).size).toBe(2);
  });

  test.each([
    { text: { rcode: NXDOMAIN, answers: a(1, 2) }, because: 'NOERROR alone is balanced' },
    { text: { question: 'a.test. AXFR', answers: a(1, 2) }, because: 'a transfer has an order' },
    { text: { answers: a(1) }, because: 'one record has none' },
    { text: {}, because: 'there are none' },
    {
      text: { authorities: ['test. 5 SOA 5'], rcode: 0 },
      because: 'a negative response has one record',
    },
  ])('$text stays as it is: $because', ({ text }) => {
    const handler = build('loadbalance');
    const before = recordsToText(response(text).wire);
    for (let i = 0; i < 20; i++) expect(records(handler, text)).toEqual(before);
  });

  test('an order by loadbalance loses and adds no record', () => {
    const handler = build('loadbalance {\nprefer 192.0.2.0/25\n}');
    const owner = fc.constantFrom('a.test.', 'A.test.', 'b.a.test.', 'c.example.', '.');
    const data = fc.oneof(
      fc.integer({ min: 0, max: 255 }).map((n) => `A 192.0.2.${n}`),
      fc.integer({ min: 1, max: 9 }).map((n) => `AAAA 2001:db8::${n}`),
      owner.map((target) => `CNAME ${target}`),
      owner.map((target) => `MX 10 ${target}`),
      owner.map((target) => `SRV 0 0 53 ${target}`),
      owner.map((target) => `NS ${target}`),
      fc.constant('TXT text'),
      fc.constant('TYPE65280 abcd'),
    );
    const record = fc.tuple(owner, fc.nat(1000), data).map((words) => words.join(' '));
    const section = fc.array(record, { maxLength: 8 });
    fc.assert(
      fc.property(section, section, section, (answers, authorities, additionals) => {
        const text = { answers, authorities, additionals };
        const before = recordsToText(response(text).wire)!.map(lower);
        const after = records(handler, text).map(lower);
        let from = 0;
        for (const { length } of [answers, authorities, additionals]) {
          const to = from + length;
          expect(after.slice(from, to).sort()).toEqual(before.slice(from, to).sort());
          from = to;
        }
      }),
      { numRuns: 200 },
    );
  });
});

/** A name that is compressed follows the spelling of the one it points to. */
function lower(line: string): string {
  return line.toLowerCase();
}

describe('a hit in another order', () => {
  const answers = ['x.test. 5 A 192.0.2.1', 'y.test. 5 A 192.0.2.2'];

  test('a reordered hit that does not fit into the send buffer stays as it is', () => {
    const handler = build('loadbalance');
    const { length } = response({ answers }).wire;
    const orders = Array.from({ length: 50 }, () => hit(handler, { answers }, length - 1).join());
    expect(new Set(orders)).toEqual(new Set([answers.join()]));
  });
});

test('a bare RCODE passes through loadbalance as it is', () => {
  const failed = Response.failed(query, SERVFAIL, 'x');
  expect(build('loadbalance').onResponse!(query, failed)).toBe(failed);
});

describe('weighted', () => {
  const share = (handler: Handler, text: ResponseText, rounds = 2000): Record<string, number> => {
    const first: Record<string, number> = {};
    for (let i = 0; i < rounds; i++) {
      const [top] = hit(handler, text);
      const key = top!.split(' ').at(-1)!;
      first[key] = (first[key] ?? 0) + 1 / rounds;
    }
    return first;
  };

  test('the first address is drawn by weight, 1 by default, and changes places with the first', () => {
    writeFileSync(
      file,
      '# weights\n\nA.Test\n192.0.2.1 1\n  192.0.2.3\t8  \nother.test\n192.0.2.2 200\n',
    );
    const handler = build(`loadbalance weighted ${file}`);
    expect(handler.seesHits).toBe(false);
    const first = share(handler, { answers: a(1, 2, 3) });
    expect(first['192.0.2.3']).toBeGreaterThan(0.75);
    expect(first['192.0.2.1']).toBeGreaterThan(0.06);
    expect(first['192.0.2.2']).toBeGreaterThan(0.06);
    for (let i = 0; i < 20; i++) {
      const order = hit(handler, { answers: a(1, 2, 3, 4) })
        .map((line) => line.at(-1))
        .join('');
      expect(['1234', '2134', '3214', '4231']).toContain(order);
    }
  });

  test('IPv6 addresses and names behind a CNAME have weights too', () => {
    writeFileSync(file, 'b.test.\n2001:db8::2 255\nc.test\n');
    const handler = build(`loadbalance weighted ${file}`);
    const answers = [
      'b.test. 5 AAAA 2001:db8::1',
      'b.test. 5 AAAA 2001:db8::2',
      'a.test. 5 CNAME b.test.',
    ];
    const orders = Array.from({ length: 100 }, () =>
      hit(handler, { question: 'a.test. AAAA', answers }),
    );
    expect(orders.every(([top]) => top === answers[2])).toBe(true);
    const second = orders.filter((order) => order[1] === answers[1]);
    expect(second.length).toBeGreaterThan(90);
  });

  test.each([
    { question: 'a.test. A', section: 'answers', changes: true },
    { question: 'a.test. AAAA', section: 'answers', changes: true },
    { question: 'a.test. SRV', section: 'additionals', changes: true },
    { question: 'a.test. MX', section: 'additionals', changes: false },
    { question: 'a.test. A', section: 'authorities', changes: false },
  ])('in the $section of an answer to $question: $changes', ({ question, section, changes }) => {
    writeFileSync(file, '');
    const handler = build(`loadbalance weighted ${file}`);
    const text = { question, [section]: a(1, 2) };
    const orders = Array.from({ length: 50 }, () => hit(handler, text).join());
    expect(new Set(orders).size).toBe(changes ? 2 : 1);
  });

  test.each([
    ['192.0.2.1 3', 'missing domain name in weight file FILE'],
    ['a.test\n192.0.2.1', 'wrong domain name:"192.0.2.1" in weight file FILE. (Maybe a missing'],
    ['a..b', 'wrong domain name:"a..b" in weight file FILE'],
    ['a.test\n192.0.2 3', 'wrong IP address:"192.0.2" in weight file FILE'],
    ['a.test\n192.0.2.1 0', 'wrong weight value:"0" in weight file FILE'],
    ['a.test\n192.0.2.1 256', 'wrong weight value:"256" in weight file FILE'],
    ['a.test\n192.0.2.1 x', 'wrong weight value:"x" in weight file FILE'],
    ['a.test\n192.0.2.1 3 4', 'could not parse weight line:"192.0.2.1 3 4" in weight file FILE'],
  ])('a file that says %j is refused: %s', (text, message) => {
    writeFileSync(file, text);
    const refused = refusal(loadbalance, `loadbalance weighted ${file}`);
    expect(refused).toContain(`Corefile:1:22: loadbalance: ${message.replace('FILE', file)}`);
  });

  test('a missing weights file is logged, and refused if it is not looked for again', () => {
    const parsing = testParsing();
    parseAs(loadbalance, `loadbalance weighted ${file} {\nreload 90s\n}`, parsing);
    expect(parsing.warnings[0]).toContain(
      'plugin/loadbalance: Failed to open weight file:weight file open error. Will try again in 1m30s',
    );
    expect(refusal(loadbalance, `loadbalance weighted ${file} {\nreload 0s\n}`)).toContain(
      'Corefile:1:22: loadbalance: Failed to open weight file',
    );
  });

  test('the weights file is read again when it has changed; a fault in it is logged and changes nothing', async () => {
    const handler = build(`loadbalance weighted ${file} {\nreload 5ms\n}`);
    context.start();
    const text = { answers: a(1, 2) };
    expect(share(handler, text, 200)['192.0.2.1']).toBeLessThan(0.8);
    writeFileSync(file, 'a.test\n192.0.2.1 255');
    await vi.waitFor(() => {
      expect(context.log.lines).toEqual([
        `[INFO] plugin/loadbalance: Successfully reloaded weight file ${file}`,
      ]);
    });
    expect(share(handler, text, 200)['192.0.2.1']).toBeGreaterThan(0.9);
    writeFileSync(file, 'a.test\n192.0.2.1');
    utimesSync(file, 1000, 1000);
    await vi.waitFor(() =>
      expect(context.log.lines[1]).toContain('(Maybe a missing weight value?)'),
    );
    expect(share(handler, text, 200)['192.0.2.1']).toBeGreaterThan(0.9);
  });
});

describe('prefer', () => {
  test('prefer puts addresses into the order of the networks that hold them', () => {
    const handler = build(
      'loadbalance {\nprefer 192.0.2.128/25 2001:db8:1::/48\nprefer 192.0.2.0/31\n}',
    );
    const answers = [
      'a.test. 5 TXT t',
      ...a(7, 200, 1),
      'a.test. 5 AAAA 2001:db8:2::1',
      'a.test. 5 AAAA 2001:db8:1::1',
      ...a(129, 0),
      'a.test. 5 MX 10 m.test.',
      'b.test. 5 CNAME a.test.',
    ];
    for (let i = 0; i < 20; i++) {
      const order = hit(handler, { answers });
      const ranks = order
        .map((line) => line.split(' '))
        .map(([, , type, data]) => `${type} ${data}`);
      expect(ranks[0]).toBe('CNAME a.test.');
      expect(new Set(ranks.slice(1, 3))).toEqual(new Set(['A 192.0.2.200', 'A 192.0.2.129']));
      expect(ranks[3]).toBe('AAAA 2001:db8:1::1');
      expect(new Set(ranks.slice(4, 6))).toEqual(new Set(['A 192.0.2.1', 'A 192.0.2.0']));
      expect(new Set(ranks.slice(6, 8))).toEqual(new Set(['A 192.0.2.7', 'AAAA 2001:db8:2::1']));
      expect(ranks.slice(8)).toEqual(['MX 10', 'TXT t']);
    }
  });

  test('prefer leaves the authority section alone', () => {
    const handler = build(`loadbalance weighted /dev/null {\nprefer 192.0.2.2/32\n}`);
    const text = { authorities: a(1, 2), additionals: a(1, 2) };
    const order = hit(handler, text)
      .map((line) => line.at(-1))
      .join('');
    expect(order).toBe('1221');
  });
});
