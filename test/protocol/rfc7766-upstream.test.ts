/** Connections to upstreams: pipelined, few, and none trusted longer than it answers (RFC 7766). */
import { describe, expect, test } from 'vitest';
import { DatagramClient, ask } from '../harness/client.ts';
import { Daemon } from '../harness/daemon.ts';
import { type Asked, FakeUpstream } from '../harness/fake-upstream.ts';
import { useLab } from '../harness/lab.ts';
import { NOERROR, Reply, SERVFAIL, aRecord, query, responseTo } from '../harness/message.ts';
import { DNS_PORT, startPair } from '../harness/pair.ts';
import { sleep, timed, until } from '../harness/timing.ts';

const lab = useLab();
const PATIENCE_MS = 4500;

const good = (asked: Asked): void => asked.answer({ answers: [aRecord(asked.name, 60)] });

describe('pipelining (RFC 7766 section 6.2.1.1)', () => {
  test('a slow answer among 200 fast ones delays none of them', async () => {
    const { at, upstream } = await startPair(lab, (asked) => {
      if (asked.name.startsWith('slow')) setTimeout(() => good(asked), 1500);
      else good(asked);
    });
    await ask(lab, at, query('first.example', 'A'));
    const slow = timed(() => ask(lab, at, query('slow.example', 'A')));
    await until('the slow one is asked', () => upstream.about('slow.example').length > 0);
    const fast = await Promise.all(
      Array.from({ length: 200 }, (_, i) => timed(() => ask(lab, at, query(`f${i}.example`, 'A')))),
    );
    expect(fast.every(({ value }) => value.rcode === NOERROR)).toBe(true);
    expect(Math.max(...fast.map(({ tookMs }) => tookMs))).toBeLessThan(1000);
    expect((await slow).value.rcode).toBe(NOERROR);
    expect(upstream.accepted).toBeLessThanOrEqual(4);
  });

  test('answers in the reverse order of the queries reach the right clients', async () => {
    const held: Asked[] = [];
    const { at, upstream } = await startPair(lab, (asked) => {
      held.push(asked);
      if (held.length < 100) return;
      for (const one of held.toReversed()) {
        one.answer({ answers: [aRecord(one.name, 60, `192.0.2.${/\d+/.exec(one.name)![0]}`)] });
      }
    });
    const replies = await Promise.all(
      Array.from({ length: 100 }, (_, i) => ask(lab, at, query(`n${i}.example`, 'A'))),
    );
    replies.forEach((reply, i) => expect(reply.answers[0]!.data).toBe(`192.0.2.${i}`));
    expect(upstream.accepted).toBeLessThanOrEqual(8);
  });

  test('fast answers do not wait for slow ones of an upstream that answers a connection in turn', async () => {
    // CoreDNS reads the next query of a connection when it has answered the one before.
    const busy = new Map<number, Promise<void>>();
    const { at } = await startPair(lab, (asked) => {
      const before = busy.get(asked.connection) ?? Promise.resolve();
      const turn = async (): Promise<void> => {
        await before;
        await sleep(asked.name.startsWith('slow') ? 1800 : 1);
        good(asked);
      };
      busy.set(asked.connection, turn());
    });
    for (let i = 0; i < 20; i++) await ask(lab, at, query(`warm${i}.example`, 'A'));
    const slow = ask(lab, at, query('slow.example', 'A'));
    await sleep(20);
    const fast = await Promise.all(
      Array.from({ length: 40 }, (_, i) => timed(() => ask(lab, at, query(`f${i}.example`, 'A')))),
    );
    expect(fast.every(({ value }) => value.rcode === NOERROR)).toBe(true);
    expect(Math.max(...fast.map(({ tookMs }) => tookMs))).toBeLessThan(1000);
    expect((await slow).rcode).toBe(NOERROR);
  });

  test('1,000 outstanding misses take eight connections at most, and none is lost', async () => {
    const { at, upstream } = await startPair(
      lab,
      (asked) => void setTimeout(() => good(asked), 300),
    );
    // Ten sockets, since the kernel's default buffer of one holds 256 answers.
    const clients = await Promise.all(
      Array.from({ length: 10 }, () => DatagramClient.open(lab, at)),
    );
    for (let i = 0; i < 1000; i++) clients[i % 10]!.send(query(`o${i}.example`, 'A', { id: i }));
    const ids = new Set<number>();
    for (let i = 0; i < 1000; i++) {
      const octets = await clients[i % 10]!.nextOctets();
      expect(octets, `answer ${i}`).toBeDefined();
      const reply = new Reply(octets!);
      expect(reply.rcode).toBe(NOERROR);
      ids.add(reply.id);
    }
    expect(ids.size).toBe(1000);
    expect(upstream.accepted).toBeLessThanOrEqual(8);
  });
});

describe('an upstream that cannot be relied on: SERVFAIL in time, two attempts at most', () => {
  test('an upstream that accepts and closes gives SERVFAIL in time', async () => {
    const { at, upstream } = await startPair(lab, good);
    upstream.onConnection = (socket) => socket.destroy();
    for (let i = 0; i < 3; i++) {
      const before = upstream.accepted;
      const { value, tookMs } = await timed(() => ask(lab, at, query(`c${i}.example`, 'A')));
      expect(value.rcode).toBe(SERVFAIL);
      expect(tookMs).toBeLessThan(PATIENCE_MS);
      // Two attempts, and at most a health check or two meanwhile.
      expect(upstream.accepted - before).toBeLessThanOrEqual(4);
    }
  });

  test('an upstream that accepts, reads the query and closes gives SERVFAIL in time', async () => {
    const { at, upstream } = await startPair(lab, (asked) => asked.close());
    const { value, tookMs } = await timed(() => ask(lab, at, query('read.example', 'A')));
    expect(value.rcode).toBe(SERVFAIL);
    expect(tookMs).toBeLessThan(PATIENCE_MS);
    expect(upstream.about('read.example').length).toBeLessThanOrEqual(2);
  });

  test.each([{ forward: 'force_tcp' }, { forward: 'prefer_udp' }])(
    'it is mute, $forward',
    async ({ forward }) => {
      const { at, upstream } = await startPair(lab, () => undefined, { forward });
      upstream.answersHealthChecks = false;
      for (let i = 0; i < 2; i++) {
        const name = `mute${i}.example`;
        const { value, tookMs } = await timed(() => ask(lab, at, query(name, 'A')));
        expect(value).toMatchObject({ rcode: SERVFAIL, question: { name } });
        expect(tookMs).toBeLessThan(PATIENCE_MS);
        expect(upstream.about(name).length).toBeLessThanOrEqual(2);
      }
    },
  );

  test('after a wrong length prefix no client gets a wrong answer, and the next query a right one', async () => {
    const { at } = await startPair(lab, (asked) => {
      const response = responseTo(asked.message, { answers: [aRecord(asked.name, 60)] });
      if (asked.name.startsWith('long')) asked.raw(response, response.length + 40);
      else if (asked.name.startsWith('brief')) asked.raw(response, response.length - 10);
      else asked.raw(response);
    });
    for (const name of ['long.example', 'brief.example']) {
      const { value, tookMs } = await timed(() => ask(lab, at, query(name, 'A')));
      expect(value).toMatchObject({ rcode: SERVFAIL, question: { name } });
      expect(tookMs).toBeLessThan(PATIENCE_MS);
      const next = await timed(() => ask(lab, at, query(`after-${name}`, 'A')));
      expect(next.value).toMatchObject({ rcode: NOERROR, answers: [{ data: '192.0.2.1' }] });
      expect(next.tookMs).toBeLessThan(2500);
    }
  });
});

describe('two upstreams, one of them broken: every query gets its answer from the other', () => {
  test.each([
    { what: 'mute', limitMs: 1000 },
    { what: 'closing', limitMs: 1000 },
    { what: 'refusing', limitMs: 1000 },
    { what: 'lying', limitMs: 1000 },
  ])('$what: within $limitMs ms', async ({ what, limitMs }) => {
    const broken = await FakeUpstream.start(
      lab,
      { host: lab.address(100), port: DNS_PORT },
      (asked) => {
        if (what === 'closing') asked.close();
        if (what === 'lying') asked.raw(asked.message);
      },
    );
    broken.answersHealthChecks = false;
    const healthy = await FakeUpstream.start(lab, { host: lab.address(101), port: DNS_PORT }, good);
    if (what === 'refusing') await broken.close();
    const at = { host: lab.address(102), port: DNS_PORT };
    const daemon = await Daemon.start(
      lab,
      `.:${DNS_PORT} {
    bind ${at.host}
    forward . ${broken.to} ${healthy.to} {
        force_tcp
        policy sequential
    }
}
`,
    );
    for (let i = 0; i < 20; i++) {
      const { value, tookMs } = await timed(() => ask(lab, at, query(`q${i}.example`, 'A')));
      expect(value).toMatchObject({ rcode: NOERROR, counts: [1, 1, 0, 0] });
      expect(tookMs).toBeLessThan(limitMs);
    }
    expect(broken.asked.length).toBeLessThanOrEqual(20);
    await daemon.child.stop();
    await broken.close();
    await healthy.close();
  });
});

describe('the life of a connection', () => {
  test('an idle connection is closed before 10 s, when CoreDNS would close it', async () => {
    const { at, upstream } = await startPair(lab, good);
    await ask(lab, at, query('a.example', 'A'));
    expect(upstream.connected).toBe(1);
    await until('it is closed', () => upstream.connected === 0, 10_000);
  });

  test('a connection that the upstream closed while idle is replaced without a failed query', async () => {
    const { at, upstream } = await startPair(lab, good);
    for (let i = 0; i < 5; i++) {
      const { value, tookMs } = await timed(() => ask(lab, at, query(`i${i}.example`, 'A')));
      expect(value.rcode).toBe(NOERROR);
      expect(tookMs).toBeLessThan(1000);
      upstream.asked.at(-1)!.close();
      await sleep(50);
    }
    expect(upstream.asked).toHaveLength(5);
  });

  test('no pooled connection is ever opened ahead of need', async () => {
    const { upstream } = await startPair(lab, good);
    await sleep(500);
    expect(upstream.accepted).toBe(0);
  });
});
