/** Node-cache's counts of messages that no block answers, and the frame of answers of our own. */
import { expect, test } from 'vitest';
import { ask, askOrSilence } from '../harness/client.ts';
import { Daemon } from '../harness/daemon.ts';
import { useLab } from '../harness/lab.ts';
import { AA, AD, CD, NOERROR, QR, RA, RD, REFUSED, TC, header, query } from '../harness/message.ts';
import { scrape } from '../harness/metrics.ts';
import { DNS_PORT, METRICS_PORT } from '../harness/pair.ts';

const lab = useLab();
const at = { host: lab.address(1), port: DNS_PORT };
const hosts = lab.write('hosts', '192.0.2.7 a.here.test\n2001:db8::7 a.here.test\n');
await Daemon.start(
  lab,
  `here.test:${DNS_PORT} {
    bind ${at.host}
    prometheus ${at.host}:${METRICS_PORT}
    hosts ${hosts}
}
`,
);
const server = `dns://${at.host}:${at.port}`;

async function counted(): Promise<{ requests: number; dropped: number; refused: number }> {
  const metrics = await scrape({ host: at.host, port: METRICS_PORT });
  return {
    requests: metrics.sum('coredns_dns_requests_total'),
    dropped: metrics.sum('coredns_dns_requests_total', { server, zone: 'dropped' }),
    refused: metrics.sum('coredns_dns_responses_total', {
      server,
      zone: 'dropped',
      rcode: 'REFUSED',
      plugin: '',
    }),
  };
}

test('a refused query counts in the zone "dropped", with no plugin', async () => {
  const before = await counted();
  expect((await ask(lab, at, query('elsewhere.test', 'A'))).rcode).toBe(REFUSED);
  const chaos = query('a.here.test', 'A', { qclass: 3 });
  expect((await ask(lab, at, chaos)).rcode).toBe(REFUSED);
  expect(await counted()).toEqual({
    requests: before.requests + 2,
    dropped: before.dropped + 2,
    refused: before.refused + 2,
  });
});

test('BADVERS, NOTIMP, FORMERR and silence are not counted at all', async () => {
  const before = await counted();
  await ask(lab, at, query('a.here.test', 'A', { edns: { version: 1 } }));
  await ask(lab, at, query('a.here.test', 'A', { opcode: 2 }));
  await ask(lab, at, header(1, RD, [0, 0, 0, 0]));
  await askOrSilence(lab, at, query('a.here.test', 'A', { flags: QR }), 200);
  expect(await counted()).toEqual(before);
});

test.each([{ flags: 0 }, { flags: RD }, { flags: RD | CD }, { flags: RD | AD }])(
  'an answer of our own has AA, no RA, AD or TC, and RD and CD as asked: flags $flags',
  async ({ flags }) => {
    for (const type of ['A', 'AAAA'] as const) {
      const reply = await ask(lab, at, query('A.here.TEST', type, { flags }));
      expect(reply).toMatchObject({ rcode: NOERROR, question: { name: 'A.here.TEST' } });
      expect(reply.answers).toHaveLength(1);
      expect(reply.has(AA)).toBe(true);
      expect(reply.flags & (RA | AD | TC)).toBe(0);
      expect(reply.flags & (RD | CD)).toBe(flags & (RD | CD));
    }
  },
);

test('refused and failed answers have the question, spelled as asked, and no AA', async () => {
  const reply = await ask(lab, at, query('ELSEwhere.test', 'A', { flags: RD | CD, edns: {} }));
  expect(reply).toMatchObject({
    rcode: REFUSED,
    counts: [1, 0, 0, 1],
    question: { name: 'ELSEwhere.test' },
  });
  expect(reply.flags & (AA | RA | RD | CD)).toBe(RD | CD);
});
