/** Identical misses in flight cost one upstream query; whoever waited gets an answer of its own. */
import { expect, test } from 'vitest';
import { DatagramClient, ask, askStream } from '../harness/client.ts';
import type { Asked } from '../harness/fake-upstream.ts';
import { useLab } from '../harness/lab.ts';
import {
  NOERROR,
  type QueryOptions,
  Reply,
  SERVFAIL,
  TC,
  aRecord,
  query,
  txtRecord,
} from '../harness/message.ts';
import { startPair } from '../harness/pair.ts';
import { until } from '../harness/timing.ts';

const lab = useLab();
const CLIENTS = 1000;

test('1,000 clients that ask for one cold name at once get answers from one upstream query', async () => {
  const { at, upstream } = await startPair(lab, (asked) => {
    // Less than the 250 ms after which a silent connection is doubted and the query sent once more.
    setTimeout(() => asked.answer({ answers: [aRecord(asked.name, 60)] }), 100);
  });
  const clients = await Promise.all(
    Array.from({ length: CLIENTS }, () => DatagramClient.open(lab, at)),
  );
  clients.forEach((client, i) => {
    const name = i % 2 === 0 ? 'hot.example' : 'HOT.eXample';
    client.send(
      query(name, 'A', { id: i, ...(i % 3 === 0 ? { edns: { payload: 1000 + i } } : {}) }),
    );
  });
  const replies = await Promise.all(clients.map((client) => client.nextOctets()));
  replies.forEach((octets, i) => {
    expect(octets, `the answer to client ${i}`).toBeDefined();
    const reply = new Reply(octets!);
    expect(reply.id).toBe(i);
    expect(reply.rcode).toBe(NOERROR);
    expect(reply.question!.name).toBe(i % 2 === 0 ? 'hot.example' : 'HOT.eXample');
    expect(reply.answers).toHaveLength(1);
    expect(reply.opt?.payload).toBe(i % 3 === 0 ? 1000 + i : undefined);
  });
  expect(upstream.asked).toHaveLength(1);
  for (const client of clients) client.close();
});

test('questions that differ in type, DO or CD are each asked, and transports share a query', async () => {
  const held: Asked[] = [];
  const { at, upstream } = await startPair(lab, (asked) => void held.push(asked));
  const kinds: QueryOptions[] = [{}, { flags: 0x0110 }, { edns: { dnssecOk: true } }, { edns: {} }];
  const replies = [
    ...kinds.map((options) => ask(lab, at, query('kinds.example', 'A', options))),
    ...kinds.map((options) => askStream(lab, at, query('kinds.example', 'A', options))),
    ask(lab, at, query('kinds.example', 'AAAA')),
  ];
  await until('three kinds of A and one AAAA are asked', () => upstream.asked.length >= 4);
  for (const asked of held) asked.answer({ answers: [] });
  for (const reply of await Promise.all(replies)) expect(reply.rcode).toBe(NOERROR);
  expect(upstream.asked).toHaveLength(4);
});

test('each waiter gets what fits its buffer, and TC if that is not all', async () => {
  const held: Asked[] = [];
  const { at, upstream } = await startPair(lab, (asked) => void held.push(asked));
  const small = ask(lab, at, query('large.example', 'TXT', { edns: { payload: 512 } }));
  const large = ask(lab, at, query('large.example', 'TXT', { edns: { payload: 4096 } }));
  const stream = askStream(lab, at, query('large.example', 'TXT', { edns: { payload: 512 } }));
  await until('it is asked', () => held.length > 0);
  held[0]!.answer({ answers: [txtRecord('large.example', 60, 2000)] });
  expect((await small).has(TC)).toBe(true);
  expect((await large).has(TC)).toBe(false);
  expect((await stream).wire.length).toBeGreaterThan(2000);
  expect(upstream.asked).toHaveLength(1);
});

test('if the leading query fails, all that wait for it get SERVFAIL in time', async () => {
  const { at, upstream } = await startPair(lab, () => undefined);
  const replies = await Promise.all(
    Array.from({ length: 50 }, () => ask(lab, at, query('mute.example', 'A'))),
  );
  for (const reply of replies) expect(reply.rcode).toBe(SERVFAIL);
  expect(upstream.asked.length).toBeLessThanOrEqual(2);
});

test('a waiter that joins late is answered within its own patience', async () => {
  const { at } = await startPair(lab, () => undefined);
  const first = ask(lab, at, query('late.example', 'A'));
  const others: Promise<Reply>[] = [];
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => {
      setTimeout(resolve, 500);
    });
    others.push(ask(lab, at, query('late.example', 'A')));
  }
  for (const reply of await Promise.all([first, ...others])) expect(reply.rcode).toBe(SERVFAIL);
});
