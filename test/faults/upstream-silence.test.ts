/** Clients' view of upstreams that do not really accept TCP, and of upstreams that are all gone. */
import { describe, expect, test } from 'vitest';
import { ask } from '../harness/client.ts';
import { type Asked, FakeUpstream } from '../harness/fake-upstream.ts';
import { useLab } from '../harness/lab.ts';
import { Daemon } from '../harness/daemon.ts';
import { NOERROR, aRecord, query } from '../harness/message.ts';
import { DNS_PORT, startPair } from '../harness/pair.ts';
import { sleep, timed, until } from '../harness/timing.ts';

const lab = useLab();

function good(asked: Asked): void {
  asked.answer({ answers: [aRecord(asked.name, 60)] });
}

describe('prefer_tcp', () => {
  test('an upstream that accepts TCP and says nothing there is asked over UDP', async () => {
    const { at, upstream } = await startPair(
      lab,
      (asked) => {
        if (asked.transport === 'udp') good(asked);
      },
      { forward: 'prefer_tcp' },
    );
    const first = await timed(() => ask(lab, at, query('first.example', 'A')));
    expect(first.value.rcode).toBe(NOERROR);
    expect(first.tookMs).toBeLessThan(1000);
    for (let i = 0; i < 20; i++) {
      const { value, tookMs } = await timed(() => ask(lab, at, query(`q${i}.example`, 'A')));
      expect(value.rcode).toBe(NOERROR);
      expect(tookMs).toBeLessThan(200);
    }
    expect(upstream.asked.filter(({ transport }) => transport === 'tcp')).toHaveLength(1);
  });

  test('an upstream that takes TCP is asked over TCP', async () => {
    const { at, upstream } = await startPair(lab, good, { forward: 'prefer_tcp' });
    for (let i = 0; i < 20; i++) await ask(lab, at, query(`q${i}.example`, 'A'));
    expect(upstream.asked.every(({ transport }) => transport === 'tcp')).toBe(true);
  });
});

describe('serve_stale, and every upstream stopped', () => {
  const NAMES = 50;
  const RECHECK_SEC = 5;
  const LATEST_MS = 100;

  test('known names are answered, upstreams left in peace, news taken within a recheck', async () => {
    let address = '192.0.2.1';
    const behaviour = (asked: Asked): void =>
      asked.answer({ answers: [aRecord(asked.name, 1, address)] });
    const upstreams: FakeUpstream[] = [];
    for (const n of [60, 61]) {
      const endpoint = { host: lab.address(n), port: DNS_PORT };
      upstreams.push(await FakeUpstream.start(lab, endpoint, behaviour));
    }
    const at = { host: lab.address(62), port: DNS_PORT };
    await Daemon.start(
      lab,
      `.:${DNS_PORT} {
    errors
    bind ${at.host}
    cache {
        success 9984 1 1
        serve_stale 1h verify 1s 1s ${RECHECK_SEC}s
    }
    forward . ${upstreams.map(({ to }) => to).join(' ')} {
        force_tcp
    }
}
`,
    );
    const names = Array.from({ length: NAMES }, (_, i) => `known${i}.example`);
    for (const name of names) await ask(lab, at, query(name, 'A'));
    await sleep(2000); // all have expired

    for (const upstream of upstreams) await upstream.close();
    // The first ones learn that nobody is there.
    for (const name of names) expect((await ask(lab, at, query(name, 'A'))).rcode).toBe(NOERROR);
    const tookMs: number[] = [];
    const untilMs = performance.now() + 6000;
    while (performance.now() < untilMs) {
      for (const name of names) {
        const reply = await timed(() => ask(lab, at, query(name, 'A')));
        expect(reply.value).toMatchObject({ rcode: NOERROR, answers: [{ data: '192.0.2.1' }] });
        tookMs.push(reply.tookMs);
      }
      await sleep(100);
    }
    const sorted = tookMs.toSorted((a, b) => a - b);
    expect(sorted[Math.floor(sorted.length * 0.99)]!).toBeLessThan(LATEST_MS);

    // Back, but with SERVFAIL only: each name is asked for once in a recheck, at each upstream.
    let asked = 0;
    for (const upstream of upstreams) {
      upstream.behaviour = (query) => {
        asked++;
        query.answer({ rcode: 2 });
      };
      await upstream.open();
    }
    await sleep(1500); // health checks find them
    asked = 0;
    const beganMs = performance.now();
    while (performance.now() < beganMs + RECHECK_SEC * 1000) {
      for (const name of names) {
        const reply = await ask(lab, at, query(name, 'A'));
        expect(reply.answers).toMatchObject([{ data: '192.0.2.1' }]);
      }
      await sleep(100);
    }
    const rechecks = 1 + (performance.now() - beganMs) / (RECHECK_SEC * 1000);
    expect(asked).toBeLessThanOrEqual(upstreams.length * NAMES * Math.ceil(rechecks));

    // Well again, with news.
    address = '192.0.2.2';
    for (const upstream of upstreams) upstream.behaviour = behaviour;
    await until(
      'every name has its new address',
      async () => {
        const replies = await Promise.all(names.map((name) => ask(lab, at, query(name, 'A'))));
        return replies.every(({ answers }) => answers[0]!.data === address);
      },
      RECHECK_SEC * 1000 + 2000,
    );
  });
});
