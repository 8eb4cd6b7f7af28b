/** EDNS towards clients, and how much they get at once: RFC 6891 section 6, RFC 2181 section 9. */
import { describe, expect, test } from 'vitest';
import { ask, askStream } from '../harness/client.ts';
import { kdig } from '../harness/dig.ts';
import { useLab } from '../harness/lab.ts';
import {
  type EdnsOptions,
  TC,
  aRecord,
  nsRecord,
  opt,
  option,
  query,
  txtRecord,
} from '../harness/message.ts';
import { startPair } from '../harness/pair.ts';

const lab = useLab();

/** `aN.example` has N addresses of 25 octets each, given names of five octets and that zone. */
const pair = await startPair(lab, (asked) => {
  const [first = ''] = asked.name.split('.');
  const count = Number(/\d+/.exec(first)?.[0] ?? 1);
  if (first.startsWith('glue')) {
    asked.answer({
      answers: [aRecord(asked.name, 60)],
      additionals: Array.from({ length: count }, () => txtRecord(asked.name, 60, 100)),
    });
  } else if (first.startsWith('txt')) {
    asked.answer({ answers: [txtRecord(asked.name, 60, count)] });
  } else if (first.startsWith('opt')) {
    asked.answer({
      answers: [aRecord(asked.name, 60)],
      additionals: [opt({ payload: 4096, data: option(10, Buffer.alloc(16, 7)) })],
    });
  } else {
    asked.answer({
      answers: Array.from({ length: count }, (_, i) => aRecord(asked.name, 60, `192.0.2.${i}`)),
      authorities: [nsRecord('example', 60, 'ns.example')],
    });
  }
});
const { at } = pair;

// 12 octets of header, the question, and 16 octets for each A record whose owner is a pointer.
const questionOctets = (name: string): number => name.length + 2 + 4;
const addressesIn = (limit: number, name: string, optOctets: number): number =>
  Math.floor((limit - 12 - questionOctets(name) - optOctets) / 16);

describe.each([
  { how: 'a miss', prepare: false },
  { how: 'a hit', prepare: true },
])('what a client gets over UDP: $how', ({ how, prepare }) => {
  test.each<{ edns?: EdnsOptions; limit: number; because: string }>([
    { limit: 512, because: 'it said nothing about its buffer' },
    { edns: { payload: 0 }, limit: 512, because: 'less than 512 means 512' },
    { edns: { payload: 511 }, limit: 512, because: 'less than 512 means 512' },
    { edns: { payload: 512 }, limit: 512, because: 'it said so' },
    { edns: { payload: 700 }, limit: 700, because: 'it said so' },
    { edns: { payload: 1232 }, limit: 1232, because: 'it said so' },
  ])('at most $limit octets, with TC: $because ($edns.payload)', async ({ edns, limit }) => {
    const name = `a200-${edns?.payload ?? 'none'}-${prepare ? 'hit' : 'miss'}.example`;
    if (prepare) await askStream(lab, at, query(name, 'A'));
    const message = query(name, 'A', edns === undefined ? {} : { edns });
    const reply = await ask(lab, at, message);
    expect(how).toBeTruthy();
    expect(reply.wire.length).toBeLessThanOrEqual(limit);
    expect(reply.has(TC)).toBe(true);
    expect(reply.answers).toHaveLength(addressesIn(limit, name, edns === undefined ? 0 : 11));
    expect(reply.authorities).toHaveLength(0);
    expect(reply.opt === undefined).toBe(edns === undefined);
  });

  test('an answer that fits is sent whole, without TC', async () => {
    const name = `a200-large-${prepare ? 'hit' : 'miss'}.example`;
    if (prepare) await askStream(lab, at, query(name, 'A'));
    const reply = await ask(lab, at, query(name, 'A', { edns: { payload: 4096 } }));
    expect(reply.answers).toHaveLength(200);
    expect(reply.authorities).toHaveLength(1);
    expect(reply.has(TC)).toBe(false);
    expect(reply.opt).toMatchObject({ payload: 4096, version: 0, codes: [] });
  });

  test('TC is set where only additional records are left out, as CoreDNS does', async () => {
    const name = `glue9-${prepare ? 'hit' : 'miss'}.example`;
    if (prepare) await askStream(lab, at, query(name, 'A'));
    const reply = await ask(lab, at, query(name, 'A'));
    expect(reply.answers).toHaveLength(1);
    expect(reply.additionals.length).toBeLessThan(9);
    expect(reply.has(TC)).toBe(true);
  });
});

describe('what a client gets over TCP (RFC 7766 section 8)', () => {
  test.each([{ octets: 2000 }, { octets: 65_000 }])(
    'a TXT record of $octets octets, whole, missed and hit, whatever its UDP buffer',
    async ({ octets }) => {
      for (const edns of [{ payload: 512 }, undefined]) {
        const message = query(`txt${octets}.example`, 'TXT', edns === undefined ? {} : { edns });
        const reply = await askStream(lab, at, message);
        expect(reply.has(TC)).toBe(false);
        expect(reply.wire.length).toBeGreaterThan(octets);
      }
      expect(pair.upstream.about(`txt${octets}.example`)).toHaveLength(1);
    },
  );
});

describe('the OPT record of an answer', () => {
  test.each([
    { what: 'a miss', name: 'fresh-opt.example' },
    { what: 'a hit', name: 'fresh-opt.example' },
    { what: 'an upstream that adds one unasked', name: 'opt1.example' },
  ])('an answer has an OPT record if and only if the query has: $what', async ({ name }) => {
    const without = await ask(lab, at, query(name, 'A'));
    expect(without.opt).toBeUndefined();
    expect(without.counts[3]).toBe(0);
    const having = await ask(lab, at, query(name, 'A', { edns: { payload: 1400 } }));
    expect(having.opt).toEqual({ payload: 1400, dnssecOk: false, version: 0, codes: [] });
  });

  test('the OPT record repeats DO, and no cookies or subnets of either side', async () => {
    const data = Buffer.concat([option(10, Buffer.alloc(8, 1)), option(8, Buffer.of(0, 1, 0, 0))]);
    const edns = { dnssecOk: true, data };
    for (let i = 0; i < 2; i++) {
      const reply = await ask(lab, at, query('opt2.example', 'A', { edns }));
      expect(reply.opt).toMatchObject({ dnssecOk: true });
      expect(reply.opt!.codes).not.toContain(8);
    }
  });

  test('kdig finds no fault in answers with or without an OPT record', async () => {
    for (const flags of [['+edns'], ['+noedns'], ['+dnssec'], ['+tcp', '+edns'], ['+cookie']]) {
      const answer = await kdig(lab, at, 'a3.example', 'A', ...flags);
      expect(answer).toMatchObject({ status: 'NOERROR', warnings: [] });
      expect(answer.answers).toHaveLength(3);
    }
  });
});
