/**
 * The answers that node-cache's `cache` stores, for how long, and how it answers from it, as tables; and where we
 * differ on purpose (NXDOMAIN for every type, the class in the key, AD kept).
 */
import { describe, expect, test } from 'vitest';
import { ask, askStream } from '../harness/client.ts';
import type { Asked } from '../harness/fake-upstream.ts';
import { useLab } from '../harness/lab.ts';
import {
  AA,
  AD,
  CD,
  CLASS_CH,
  FORMERR,
  NOERROR,
  NOTIMP,
  NXDOMAIN,
  RA,
  RD,
  REFUSED,
  type ResponseOptions,
  SERVFAIL,
  TC,
  aRecord,
  aaaaRecord,
  cnameRecord,
  nsRecord,
  query,
  soaRecord,
  txtRecord,
} from '../harness/message.ts';
import { type Pair, startPair } from '../harness/pair.ts';
import { sleep } from '../harness/timing.ts';

const lab = useLab();

/** The upstream's answers to names whose first label is the key. */
const SAYS: Readonly<Record<string, (asked: Asked) => ResponseOptions>> = {
  ttl100: ({ name }) => ({ answers: [aRecord(name, 100)] }),
  ttl9999: ({ name }) => ({ answers: [aRecord(name, 9999)] }),
  ttl7: ({ name }) => ({ answers: [aRecord(name, 7)] }),
  ttl2: ({ name }) => ({ answers: [aRecord(name, 2)] }),
  ttl0: ({ name }) => ({ answers: [aRecord(name, 0)] }),
  mixed: ({ name }) => ({
    answers: [cnameRecord(name, 20, 'target.example'), aRecord('target.example', 7)],
    authorities: [nsRecord('example', 300, 'ns.example')],
    additionals: [aRecord('ns.example', 12)],
  }),
  lowns: ({ name }) => ({
    answers: [aRecord(name, 25)],
    authorities: [nsRecord('example', 9, 'ns.example')],
  }),
  lowadditional: ({ name }) => ({
    answers: [aRecord(name, 25)],
    additionals: [aRecord('ns.example', 8)],
  }),
  delegation: () => ({ authorities: [nsRecord('example', 300, 'ns.example')] }),
  empty: () => ({}),
  dangling: ({ name }) => ({ answers: [cnameRecord(name, 20, 'nowhere.example')] }),
  nodata: () => ({ authorities: [soaRecord('example', 300, 20)] }),
  nodata8: () => ({ authorities: [soaRecord('example', 8, 20)] }),
  nxdomain: () => ({ rcode: NXDOMAIN, authorities: [soaRecord('example', 300, 20)] }),
  nxdomain1: () => ({ rcode: NXDOMAIN, authorities: [soaRecord('example', 1, 1)] }),
  nxnosoa: () => ({ rcode: NXDOMAIN }),
  nxcname: ({ name }) => ({
    rcode: NXDOMAIN,
    answers: [cnameRecord(name, 30, 'nowhere.example')],
    authorities: [soaRecord('example', 300, 20)],
  }),
  typed: ({ name, type }) =>
    type === 28
      ? { answers: [aaaaRecord(name, 60)] }
      : { authorities: [soaRecord('example', 60, 60)] },
  servfail: () => ({ rcode: SERVFAIL }),
  notimp: () => ({ rcode: NOTIMP }),
  refused: () => ({ rcode: REFUSED }),
  formerr: () => ({ rcode: FORMERR }),
  truncated: ({ name }) => ({ flags: RA | TC, answers: [aRecord(name, 60)] }),
  signed: ({ name }) => ({ flags: RA | AD, answers: [aRecord(name, 60)] }),
  authoritative: ({ name }) => ({ flags: AA, answers: [aRecord(name, 60)] }),
  norecursion: ({ name }) => ({ flags: 0, answers: [aRecord(name, 60)] }),
  txt: ({ name }) => ({ answers: [txtRecord(name, 60, 100)] }),
};

const behaviour = (asked: Asked): void => {
  const says = SAYS[asked.name.toLowerCase().split(/[.-]/)[0]!];
  if (says === undefined) throw new Error(`no answer for ${asked.name}`);
  asked.answer(says(asked));
};

const wide = await startPair(lab, behaviour, { forward: 'prefer_udp' });
const thirty = await startPair(lab, behaviour, { lines: 'cache 30' });
const manifest = await startPair(lab, behaviour, {
  lines: 'cache {\n success 9984 30\n denial 9984 5\n}',
});
const floorless = await startPair(lab, behaviour, {
  lines: 'cache {\n success 9984 30 0\n denial 9984 5 0\n}',
});

function asks({ upstream }: Pair, name: string): number {
  return upstream.about(name).length;
}

describe('the TTL of every record, on the miss already, and how often the upstream is asked', () => {
  test.each([
    { pair: 'wide', name: 'ttl100', ttls: [100], asks: 1, because: 'it is within the bounds' },
    { pair: 'wide', name: 'ttl9999', ttls: [3600], asks: 1, because: 'success is 3600 by default' },
    { pair: 'thirty', name: 'ttl100', ttls: [30], asks: 1, because: 'cache 30 caps it' },
    { pair: 'thirty', name: 'ttl7', ttls: [7], asks: 1, because: 'it is below the cap' },
    { pair: 'thirty', name: 'ttl2', ttls: [5], asks: 1, because: 'the least is 5 by default' },
    { pair: 'thirty', name: 'ttl0', ttls: [5], asks: 1, because: 'the least is 5 by default' },
    { pair: 'thirty', name: 'mixed', ttls: [7, 7, 7, 7], asks: 1, because: 'the lowest counts' },
    { pair: 'thirty', name: 'lowns', ttls: [9, 9], asks: 1, because: 'authority counts too' },
    { pair: 'thirty', name: 'lowadditional', ttls: [8, 8], asks: 1, because: 'additional too' },
    { pair: 'thirty', name: 'delegation', ttls: [5], asks: 1, because: 'delegations get 5' },
    { pair: 'thirty', name: 'empty', ttls: [], asks: 1, because: 'no records, no SOA: kept 5 s' },
    { pair: 'thirty', name: 'nodata', ttls: [30], asks: 1, because: 'cache 30 caps denials too' },
    { pair: 'thirty', name: 'nodata8', ttls: [8], asks: 1, because: 'the SOA’s TTL counts' },
    { pair: 'wide', name: 'nodata', ttls: [300], asks: 1, because: 'and not its MINIMUM' },
    { pair: 'wide', name: 'nxdomain', ttls: [300], asks: 1, because: 'and not its MINIMUM' },
    { pair: 'manifest', name: 'nxdomain', ttls: [5], asks: 1, because: 'denial 9984 5 caps it' },
    { pair: 'manifest', name: 'nodata', ttls: [5], asks: 1, because: 'denial 9984 5 caps it' },
    { pair: 'manifest', name: 'ttl100', ttls: [30], asks: 1, because: 'success 9984 30 caps it' },
    { pair: 'thirty', name: 'nxdomain1', ttls: [5], asks: 1, because: 'the least is 5' },
    { pair: 'floorless', name: 'ttl0', ttls: [0], asks: 2, because: 'a lifetime of 0 is not kept' },
    { pair: 'floorless', name: 'ttl2', ttls: [2], asks: 1, because: 'the least is 0 there' },
    { pair: 'thirty', name: 'nxnosoa', ttls: [], asks: 2, because: 'without SOA it is not kept' },
    {
      pair: 'thirty',
      name: 'nxcname',
      ttls: [30, 30],
      asks: 1,
      because: 'an NXDOMAIN with SOA is',
    },
    { pair: 'thirty', name: 'refused', ttls: [], asks: 2, because: 'REFUSED is not kept' },
    { pair: 'thirty', name: 'formerr', ttls: [], asks: 2, because: 'FORMERR is not kept' },
    { pair: 'thirty', name: 'servfail', ttls: [], asks: 1, because: 'SERVFAIL is kept for 5 s' },
    { pair: 'thirty', name: 'notimp', ttls: [], asks: 1, because: 'NOTIMP is kept for 5 s' },
  ] as const)('$name in $pair: $ttls, asked $asks times: $because', async (row) => {
    const pair = { wide, thirty, manifest, floorless }[row.pair];
    const name = `${row.name}-table.example`;
    const miss = await ask(lab, pair.at, query(name, 'A'));
    expect(miss.ttls).toEqual(row.ttls);
    const again = await ask(lab, pair.at, query(name, 'A'));
    expect(again.rcode).toBe(miss.rcode);
    expect(again.counts).toEqual(miss.counts);
    for (const [i, ttl] of again.ttls.entries()) {
      expect(ttl).toBeLessThanOrEqual(row.ttls[i]!);
      expect(ttl).toBeGreaterThanOrEqual(row.ttls[i]! - 1);
    }
    expect(asks(pair, name)).toBe(row.asks);
  });

  test('a truncated answer gets its TTLs but is not kept', async () => {
    for (let i = 1; i <= 2; i++) {
      const reply = await ask(lab, thirty.at, query('ttl100-kept.example', 'A'));
      expect(reply.has(TC)).toBe(false);
    }
    expect(asks(thirty, 'ttl100-kept.example')).toBe(1);
    const pair = await startPair(lab, behaviour, { lines: 'cache 30', forward: 'prefer_udp' });
    for (let i = 1; i <= 2; i++) {
      const before = asks(pair, 'truncated.example');
      const reply = await ask(lab, pair.at, query('truncated.example', 'A'));
      expect(reply.has(TC) || reply.rcode === SERVFAIL).toBe(true);
      expect(asks(pair, 'truncated.example')).toBeGreaterThan(before);
    }
  });
});

describe('SERVFAIL', () => {
  test('a name that gave SERVFAIL is asked again after 5 s', async () => {
    const name = 'servfail-again.example';
    await ask(lab, thirty.at, query(name, 'A'));
    await sleep(3500);
    expect((await ask(lab, thirty.at, query(name, 'A'))).rcode).toBe(SERVFAIL);
    expect(asks(thirty, name)).toBe(1);
    await sleep(2000);
    await ask(lab, thirty.at, query(name, 'A'));
    expect(asks(thirty, name)).toBe(2);
  });

  test('SERVFAIL of one type says nothing about another', async () => {
    await ask(lab, thirty.at, query('servfail-types.example', 'A'));
    await ask(lab, thirty.at, query('servfail-types.example', 'AAAA'));
    expect(asks(thirty, 'servfail-types.example')).toBe(2);
  });

  test.each([
    { servfail: 'servfail 0', expected: 2 },
    { servfail: 'servfail 1m', expected: 1 },
  ])('$servfail: asked $expected times', async ({ servfail, expected }) => {
    const pair = await startPair(lab, behaviour, { lines: `cache 30 {\n ${servfail}\n}` });
    await ask(lab, pair.at, query('servfail.example', 'A'));
    await ask(lab, pair.at, query('servfail.example', 'A'));
    expect(asks(pair, 'servfail.example')).toBe(expected);
  });
});

describe('NXDOMAIN answers types that were denied themselves (RFC 2308 section 5, RFC 4074)', () => {
  test('NXDOMAIN for A is asked for again for each type that was not denied yet, as by CoreDNS', async () => {
    const name = 'nxdomain-types.example';
    for (const type of ['A', 'AAAA', 'MX'] as const) {
      for (let times = 0; times < 2; times++) {
        const reply = await ask(lab, wide.at, query(name, type));
        expect(reply).toMatchObject({ rcode: NXDOMAIN, counts: [1, 0, 1, 0] });
        expect(reply.question!.type).toBe({ A: 1, AAAA: 28, MX: 15 }[type]);
      }
    }
    expect(asks(wide, name)).toBe(3);
  });

  test('NXDOMAIN behind a CNAME denies no other type, since the name exists', async () => {
    await ask(lab, wide.at, query('nxcname-types.example', 'A'));
    await ask(lab, wide.at, query('nxcname-types.example', 'AAAA'));
    expect(asks(wide, 'nxcname-types.example')).toBe(2);
  });

  test('NODATA denies its own type only', async () => {
    const name = 'typed.example';
    expect(await ask(lab, wide.at, query(name, 'A'))).toMatchObject({ counts: [1, 0, 1, 0] });
    expect(await ask(lab, wide.at, query(name, 'AAAA'))).toMatchObject({ counts: [1, 1, 0, 0] });
    expect(await ask(lab, wide.at, query(name, 'A'))).toMatchObject({ counts: [1, 0, 1, 0] });
    expect(asks(wide, name)).toBe(2);
  });
});

describe('what tells entries apart: name, type, class, DO and CD', () => {
  test('case, RD, AD, EDNS and its size, and the transport do not make another entry', async () => {
    const same = [
      query('ttl100-same.example', 'A'),
      query('TTL100-SAME.EXAMPLE', 'A'),
      query('ttl100-same.example', 'A', { flags: 0 }),
      query('ttl100-same.example', 'A', { flags: RD | AD }),
      query('ttl100-same.example', 'A', { edns: {} }),
      query('ttl100-same.example', 'A', { edns: { payload: 4096 } }),
    ];
    for (const message of same) {
      expect((await ask(lab, wide.at, message)).rcode).toBe(NOERROR);
      expect((await askStream(lab, wide.at, message)).rcode).toBe(NOERROR);
    }
    expect(asks(wide, 'ttl100-same.example')).toBe(1);
  });

  test('DO, CD, both, the class and the type make another entry', async () => {
    const kinds = [
      query('ttl100-kinds.example', 'A'),
      query('ttl100-kinds.example', 'A', { edns: { dnssecOk: true } }),
      query('ttl100-kinds.example', 'A', { flags: RD | CD }),
      query('ttl100-kinds.example', 'A', { flags: RD | CD, edns: { dnssecOk: true } }),
      query('ttl100-kinds.example', 'AAAA'),
    ];
    for (let round = 0; round < 2; round++) {
      for (const message of kinds) await ask(lab, wide.at, message);
      expect(asks(wide, 'ttl100-kinds.example')).toBe(kinds.length);
    }
    await ask(lab, wide.at, query('ttl100-kinds.example', 'A', { qclass: CLASS_CH }));
    expect(asks(wide, 'ttl100-kinds.example')).toBe(kinds.length + 1);
  });

  test('DO and CD are passed upstream as the client sent them', async () => {
    const message = query('ttl100-passed.example', 'A', {
      flags: RD | CD,
      edns: { dnssecOk: true, payload: 1400 },
    });
    await ask(lab, thirty.at, message);
    const [asked] = thirty.upstream.about('ttl100-passed.example');
    expect(asked!.message.readUInt16BE(2) & (RD | CD)).toBe(RD | CD);
    expect(asked!.message.subarray(-11)).toEqual(message.subarray(-11));
  });
});

describe('the flags of an answer', () => {
  test.each([
    { name: 'ttl100', missAa: false, ra: true },
    { name: 'authoritative', missAa: true, ra: false },
    { name: 'norecursion', missAa: false, ra: false },
  ])('$name: AA as the upstream said on a miss, always on a hit; RA as it said', async (row) => {
    const message = query(`${row.name}-flags.example`, 'A');
    const miss = await ask(lab, wide.at, message);
    expect(miss.has(AA)).toBe(row.missAa);
    expect(miss.has(RA)).toBe(row.ra);
    const hit = await ask(lab, wide.at, message);
    expect(hit.has(AA)).toBe(true);
    expect(hit.has(RA)).toBe(row.ra);
  });

  test.each([{ flags: 0 }, { flags: RD }, { flags: RD | CD }, { flags: CD }])(
    'RD and CD are the client’s, on a miss and on a hit: flags $flags',
    async ({ flags }) => {
      const message = query(`ttl100-rdcd${flags}.example`, 'A', { flags });
      for (let i = 0; i < 2; i++) {
        const reply = await ask(lab, wide.at, message);
        expect(reply.flags & (RD | CD)).toBe(flags);
      }
    },
  );

  test('AD is set for clients that ask by AD or DO, also from an entry of another client’s query', async () => {
    const plain = query('signed.example', 'A');
    const asking = query('signed.example', 'A', { flags: RD | AD });
    expect((await ask(lab, wide.at, plain)).has(AD)).toBe(false);
    expect((await ask(lab, wide.at, asking)).has(AD)).toBe(true);
    expect((await ask(lab, wide.at, plain)).has(AD)).toBe(false);
    expect(asks(wide, 'signed.example')).toBe(1);
    const withDo = query('signed.example', 'A', { edns: { dnssecOk: true } });
    expect((await ask(lab, wide.at, withDo)).has(AD)).toBe(true);
    expect((await ask(lab, wide.at, withDo)).has(AD)).toBe(true);
  });

  test('AD is never set where the upstream did not', async () => {
    for (let i = 0; i < 2; i++) {
      const message = query('ttl100-ad.example', 'A', { flags: RD | AD });
      expect((await ask(lab, wide.at, message)).has(AD)).toBe(false);
    }
  });
});

describe('an entry’s life', () => {
  test('an entry ends with its TTL, and the upstream is asked again', async () => {
    const name = 'ttl2-life.example';
    await ask(lab, floorless.at, query(name, 'A'));
    await sleep(1100);
    const hit = await ask(lab, floorless.at, query(name, 'A'));
    expect(hit.ttls).toEqual([1]);
    await sleep(1200);
    const miss = await ask(lab, floorless.at, query(name, 'A'));
    expect(miss.ttls).toEqual([2]);
    expect(asks(floorless, name)).toBe(2);
  });

  test('answers of a zone outside of cache’s are passed through untouched', async () => {
    const pair = await startPair(lab, behaviour, { lines: 'cache 30 other.example' });
    for (let i = 1; i <= 2; i++) {
      const reply = await ask(lab, pair.at, query('ttl100.example', 'A'));
      expect(reply.ttls).toEqual([100]);
      expect(asks(pair, 'ttl100.example')).toBe(i);
    }
    for (let i = 1; i <= 2; i++) {
      const reply = await ask(lab, pair.at, query('ttl100.other.example', 'A'));
      expect(reply.ttls[0]).toBeLessThanOrEqual(30);
    }
    expect(asks(pair, 'ttl100.other.example')).toBe(1);
  });

  test('metrics count requests, hits by kind, and misses as node-cache does', async () => {
    const pair = await startPair(lab, behaviour, { lines: 'cache 30' });
    for (const name of ['ttl100', 'ttl100', 'nxdomain', 'nxdomain', 'nxdomain', 'refused']) {
      await ask(lab, pair.at, query(`${name}.example`, 'A'));
    }
    const metrics = await pair.metrics();
    const labels = { server: `dns://${pair.at.host}:${pair.at.port}`, zones: '.', view: '' };
    expect(metrics.sum('coredns_cache_requests_total', labels)).toBe(6);
    expect(metrics.sum('coredns_cache_misses_total', labels)).toBe(3);
    expect(metrics.sum('coredns_cache_hits_total', { ...labels, type: 'success' })).toBe(1);
    expect(metrics.sum('coredns_cache_hits_total', { ...labels, type: 'denial' })).toBe(2);
    expect(metrics.sum('coredns_cache_entries', { ...labels, type: 'success' })).toBe(1);
    expect(metrics.sum('coredns_cache_entries', { ...labels, type: 'denial' })).toBe(1);
  });
});
