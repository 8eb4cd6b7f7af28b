/** An upstream that dies and comes back: an answer within 5 s throughout, and no restart of ours. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ask, askStream } from '../harness/client.ts';
import { Daemon } from '../harness/daemon.ts';
import { Knotd } from '../harness/knotd.ts';
import { useLab } from '../harness/lab.ts';
import { NOERROR, SERVFAIL, aRecord, query } from '../harness/message.ts';
import { DNS_PORT, METRICS_PORT, startPair } from '../harness/pair.ts';
import { sleep, timed, until } from '../harness/timing.ts';

const lab = useLab();
const LIMIT_MS = 5000;
/** Upstreams are checked every 500 ms while they are down. */
const RECOVERY_MS = 3000;

describe.each([{ transport: 'force_tcp' }, { transport: 'prefer_udp' }])(
  'knotd is killed and started again, $transport',
  ({ transport }) => {
    test('cached answers, SERVFAIL in time for others, then recovery', async () => {
      const n = transport === 'force_tcp' ? 1 : 3;
      const knotd = await Knotd.start(
        lab,
        { host: lab.address(n), port: DNS_PORT },
        {
          'example.com':
            '@ 300 SOA ns hostmaster 1 7200 1800 86400 300\n@ 300 NS ns\n* 300 A 192.0.2.1\n',
        },
      );
      const at = { host: lab.address(n + 1), port: DNS_PORT };
      const daemon = await Daemon.start(
        lab,
        `.:${DNS_PORT} {
    errors
    bind ${at.host}
    cache
    prometheus ${at.host}:${METRICS_PORT}
    forward . ${knotd.endpoint.host}:${DNS_PORT} {
        ${transport}
    }
}
`,
      );
      expect((await ask(lab, at, query('known.example.com', 'A'))).rcode).toBe(NOERROR);

      await knotd.kill();
      const asks = Array.from({ length: 30 }, (_, i) => `new${i}.example.com`);
      for (const names of [asks.slice(0, 10), asks.slice(10, 20), asks.slice(20)]) {
        const known = await timed(() => ask(lab, at, query('known.example.com', 'A')));
        expect(known.value.rcode).toBe(NOERROR);
        expect(known.tookMs).toBeLessThan(500);
        const failed = await Promise.all(
          names.map((name, i) =>
            timed(() => (i % 2 === 0 ? ask : askStream)(lab, at, query(name, 'A'))),
          ),
        );
        for (const { value, tookMs } of failed) {
          expect(value.rcode).toBe(SERVFAIL);
          expect(tookMs).toBeLessThan(LIMIT_MS);
        }
        await sleep(300);
      }

      await knotd.startAgain();
      let tries = 0;
      await until(
        'it resolves again',
        async () => {
          tries++;
          return (await ask(lab, at, query(`back${tries}.example.com`, 'A'))).rcode === NOERROR;
        },
        RECOVERY_MS,
      );
      for (let i = 0; i < 20; i++) {
        expect((await ask(lab, at, query(`well${i}.example.com`, 'A'))).rcode).toBe(NOERROR);
      }
      // Answers that failed for want of an upstream are not kept (CoreDNS): the names work at once.
      expect((await ask(lab, at, query('new0.example.com', 'A'))).rcode).toBe(NOERROR);
      expect(daemon.child.hasEnded).toBe(false);
    });
  },
);

describe('an upstream whose established flows die in silence', () => {
  test('is asked over a new connection, within a second', async () => {
    const dead = new Set<number>();
    const { at, upstream } = await startPair(lab, (asked) => {
      if (!dead.has(asked.connection)) asked.answer({ answers: [aRecord(asked.name, 60)] });
    });
    for (let i = 0; i < 5; i++) await ask(lab, at, query(`a${i}.example`, 'A'));
    for (let i = 0; i < upstream.accepted; i++) dead.add(i);
    for (let i = 0; i < 10; i++) {
      const { value, tookMs } = await timed(() => ask(lab, at, query(`b${i}.example`, 'A')));
      expect(value.rcode).toBe(NOERROR);
      expect(tookMs).toBeLessThan(1000);
    }
    expect(upstream.connected).toBeLessThanOrEqual(8);
  });

  test('while it flaps every 300 ms, each query gets an answer in time', async () => {
    const { at, upstream } = await startPair(lab, (asked) =>
      asked.answer({ answers: [aRecord(asked.name, 60)] }),
    );
    const flapping = { on: true };
    const flap = (async () => {
      while (flapping.on) {
        await upstream.close();
        await sleep(300);
        await upstream.open();
        await sleep(300);
      }
    })();
    const rcodes: number[] = [];
    for (let i = 0; i < 60; i++) {
      const { value, tookMs } = await timed(() => ask(lab, at, query(`f${i}.example`, 'A')));
      rcodes.push(value.rcode);
      expect(tookMs).toBeLessThan(LIMIT_MS);
      await sleep(30);
    }
    flapping.on = false;
    await flap;
    expect(rcodes.filter((rcode) => rcode === NOERROR).length).toBeGreaterThan(10);
    await sleep(1000);
    expect((await ask(lab, at, query('steady.example', 'A'))).rcode).toBe(NOERROR);
  });
});

describe('a file that names upstreams', () => {
  test('may come after the start: until then a warning and SERVFAIL, then answers', async () => {
    // Its lines name no port, so the upstream must be at 53.
    const named = await Knotd.start(
      lab,
      { host: lab.address(40), port: 53 },
      {
        'example.com':
          '@ 300 SOA ns hostmaster 1 7200 1800 86400 300\n@ 300 NS ns\n* 300 A 192.0.2.1\n',
      },
    );
    const at = { host: lab.address(41), port: DNS_PORT };
    const path = join(lab.directory, 'resolv.conf');
    const daemon = await Daemon.start(
      lab,
      `.:${DNS_PORT} {\n bind ${at.host}\n errors\n forward . ${path}\n}\n`,
    );
    expect(daemon.complaints.join('\n')).toContain(path);
    expect((await ask(lab, at, query('a.example.com', 'A'))).rcode).toBe(SERVFAIL);
    lab.write('resolv.conf', `search example.com\nnameserver ${named.endpoint.host}\n`);
    await until(
      'it resolves',
      async () => (await ask(lab, at, query('a.example.com', 'A'))).rcode === NOERROR,
      5000,
    );
  });
});
