/**
 * `rewrite` over real sockets, one rule of each field: what the upstream is asked, what the client
 * gets, and that dig finds nothing wrong with it. The meaning of each rule in all its forms is in
 * test/scenarios/rewrite.test.ts and src/directives/rewrite/.
 */
import { describe, expect, test } from 'vitest';
import { ask, askStream } from '../harness/client.ts';
import { dig } from '../harness/dig.ts';
import type { Asked } from '../harness/fake-upstream.ts';
import { useLab } from '../harness/lab.ts';
import {
  NXDOMAIN,
  REFUSED,
  aRecord,
  aaaaRecord,
  cnameRecord,
  opt,
  option,
  query,
  recordsEndAt,
} from '../harness/message.ts';
import { startPair } from '../harness/pair.ts';
import { timed } from '../harness/timing.ts';

const lab = useLab();

const RULES = `
    rewrite name exact exact.test real.example
    rewrite name prefix pre.ab pre.cd answer auto
    rewrite name suffix .suffix.test .suffix.example answer auto
    rewrite name substring middle other
    rewrite {
        name regex (.*)-eu\\.regex\\.test {1}.regex.example
        answer name (.*)\\.regex\\.example {1}-eu.regex.test
    }
    rewrite name regex ^stalls(a|aa)+\\.test never.example
    rewrite continue type TYPE65280 A
    rewrite continue class CH IN
    rewrite ttl exact ttl.test 7
    rewrite rcode exact rcode.test REFUSED NXDOMAIN
    rewrite continue cname exact old.example new.example
    rewrite continue edns0 local set 0xffee 0x0102
    rewrite continue edns0 subnet set 24 56
    rewrite continue edns0 nsid set revert
`;

/** Answers the question with an address, but for names that say otherwise. */
function upstream(asked: Asked): void {
  const { name } = asked;
  if (name === 'rcode.test') asked.answer({ rcode: REFUSED });
  else if (name === 'alias.test') {
    asked.answer({ answers: [cnameRecord(name, 60, 'old.example'), aRecord('old.example', 60)] });
  } else if (name === 'real.example') {
    asked.answer({
      answers: [cnameRecord(name, 60, 'a.real.example'), aRecord('a.real.example', 60)],
      additionals: [opt({ data: option(3, Buffer.from('server')) })],
    });
  } else asked.answer({ answers: [asked.type === 28 ? aaaaRecord(name, 60) : aRecord(name, 60)] });
}

const pairs = {
  cached: await startPair(lab, upstream, { lines: `cache 30\n${RULES}` }),
  uncached: await startPair(lab, upstream, { lines: RULES, forward: '' }),
};

describe.each(['cached', 'uncached'] as const)('%s', (which) => {
  const pair = pairs[which];
  const { at, upstream: above, daemon } = pair;

  test.each([
    { asked: 'Exact.TEST', seen: 'real.example', owners: ['Exact.TEST.', 'a.Exact.TEST.'] },
    { asked: 'pre.ab.test', seen: 'pre.cd.test', owners: ['pre.ab.test.'] },
    { asked: 'x.suffix.test', seen: 'x.suffix.example', owners: ['x.suffix.test.'] },
    { asked: 'x.middle.test', seen: 'x.other.test', owners: ['x.other.test.'] },
    { asked: 'x-eu.regex.test', seen: 'x.regex.example', owners: ['x-eu.regex.test.'] },
    { asked: 'none.test', seen: 'none.test', owners: ['none.test.'] },
  ])('$asked is asked as $seen, answered as $owners', async ({ asked, seen, owners }) => {
    for (const transport of ['+notcp', '+tcp']) {
      const { status, answers, warnings } = await dig(lab, at, asked, 'AAAA', transport);
      expect([status, warnings]).toEqual(['NOERROR', []]);
      expect(answers.map(({ name }) => name)).toEqual(owners);
    }
    expect(above.about(seen).length).toBeGreaterThan(0);
  });

  test('a type rule asks for another type', async () => {
    const reply = await ask(lab, at, query('type.test', 65_280));
    expect(reply.question).toEqual({ name: 'type.test', type: 65_280, qclass: 1 });
    expect(reply.answers).toMatchObject([{ name: 'type.test', type: 'A' }]);
    expect(above.about('type.test').map(({ type }) => type)).toEqual([1]);
  });

  test('a class rule asks for another class', async () => {
    const reply = await askStream(lab, at, query('class.test', 'A', { qclass: 3 }));
    expect(reply.question).toEqual({ name: 'class.test', type: 1, qclass: 3 });
    const [asked] = above.about('class.test');
    expect(asked!.message.readUInt16BE(12 + 'class.test'.length + 2 + 2)).toBe(1);
  });

  test('a ttl rule sets the TTLs of the answer', async () => {
    const reply = await ask(lab, at, query('ttl.test', 'A'));
    expect(reply.ttls).toEqual([7]);
  });

  test('an rcode rule replaces the RCODE of an answer without records', async () => {
    const reply = await ask(lab, at, query('rcode.test', 'A', { edns: {} }));
    expect([reply.rcode, reply.question!.name]).toEqual([NXDOMAIN, 'rcode.test']);
  });

  test('a cname rule makes a CNAME lead elsewhere', async () => {
    const reply = await ask(lab, at, query('alias.test', 'A'));
    expect(reply.answers.map(({ name, data }) => [name, data])).toEqual([
      ['alias.test', 'new.example'],
      ['new.example', '192.0.2.1'],
    ]);
  });

  test('options are sent upstream, and no OPT to a client that has sent none', async () => {
    const reply = await ask(lab, at, query('options.test', 'A'));
    expect([reply.opt, reply.counts]).toEqual([undefined, [1, 1, 0, 0]]);
    const { message } = above.about('options.test')[0]!;
    // The kernel sends from 127.0.0.1 to any loopback address.
    const options = Buffer.concat([
      option(0xffee, Buffer.of(1, 2)),
      option(8, Buffer.of(0, 1, 24, 0, 127, 0, 0)),
      option(3, Buffer.alloc(0)),
    ]);
    const end = recordsEndAt(message);
    expect(message.subarray(end - options.length, end)).toEqual(options);
  });

  test('a client with EDNS gets none of the upstream’s options', async () => {
    const reply = await ask(lab, at, query('exact.test', 'A', { edns: { payload: 1400 } }));
    expect(reply.opt).toMatchObject({ payload: 1400, codes: [] });
  });

  test('a pattern that would stall a backtracking engine is answered within 1 s', async () => {
    const name = `stalls${'a'.repeat(57)}.${'a'.repeat(63)}.${'a'.repeat(63)}.test`;
    const { tookMs } = await timed(() => ask(lab, at, query(name, 'A')));
    expect(tookMs).toBeLessThan(1000);
  });

  test('answers that a rule changed count as rewrite’s, and the log has no complaint', async () => {
    const scraped = await pair.metrics();
    const plugin = which === 'cached' ? 'cache' : 'rewrite';
    expect(scraped.sum('coredns_dns_responses_total', { plugin, rcode: 'NXDOMAIN' })).toBe(1);
    expect(daemon.complaints).toEqual([]);
  });
});
