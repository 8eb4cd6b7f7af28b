/** Where we listen, and where answers come from: both ways of reading datagrams, IPv4 and IPv6. */
import { describe, expect, test } from 'vitest';
import { DatagramClient, ask, askStream } from '../harness/client.ts';
import { Daemon } from '../harness/daemon.ts';
import { FakeUpstream } from '../harness/fake-upstream.ts';
import { useLab } from '../harness/lab.ts';
import { NOERROR, Reply, aRecord, query } from '../harness/message.ts';
import { DNS_PORT } from '../harness/pair.ts';
import { freePort } from '../harness/ports.ts';

const lab = useLab();
const upstream = await FakeUpstream.start(lab, { host: lab.address(1), port: DNS_PORT }, (asked) =>
  asked.answer({ answers: [aRecord(asked.name, 60)] }),
);

describe.each([
  { io: 'batch', own: 20, everywhere: ['127.0.0.1', lab.address(7), lab.address(8), '::1'] },
  // node:dgram does not tell which address was asked, so a wildcard is what interfaces have.
  { io: 'plain', own: 21, everywhere: ['127.0.0.1', '::1'] },
])('-udp-io $io', ({ io, own, everywhere }) => {
  const flags = ['-udp-io', io];

  test('a block without bind answers on every address, from the address that was asked', async () => {
    const port = await freePort();
    const daemon = await Daemon.start(
      lab,
      `.:${port} {\n cache\n forward . ${upstream.to}\n}\n`,
      flags,
    );
    for (const [i, host] of everywhere.entries()) {
      for (const name of ['once.example', 'once.example', `${io}-${i}.example`]) {
        // The client's socket is connected, so an answer from any other address is lost.
        expect(await ask(lab, { host, port }, query(name, 'A'))).toMatchObject({ rcode: NOERROR });
        expect((await askStream(lab, { host, port }, query(name, 'A'))).rcode).toBe(NOERROR);
      }
    }
    await daemon.child.stop();
  });

  test('several addresses in one bind are all served, ::1 among them', async () => {
    const port = await freePort();
    const hosts = [lab.address(11), lab.address(12), '::1'];
    const daemon = await Daemon.start(
      lab,
      `.:${port} {\n bind ${hosts.join(' ')}\n cache\n forward . ${upstream.to}\n}\n`,
      flags,
    );
    for (const host of hosts) {
      expect((await ask(lab, { host, port }, query('bound.example', 'A'))).rcode).toBe(NOERROR);
      expect((await askStream(lab, { host, port }, query('bound.example', 'A'))).rcode).toBe(
        NOERROR,
      );
    }
    expect(upstream.about('bound.example').length).toBeLessThanOrEqual(2);
    await daemon.child.stop();
  });

  test('200 queries in one burst from one socket, hits and misses, each get their answer', async () => {
    const at = { host: lab.address(own), port: DNS_PORT };
    await Daemon.start(
      lab,
      `.:${DNS_PORT} {\n bind ${at.host}\n cache\n forward . ${upstream.to}\n}\n`,
      flags,
    );
    await ask(lab, at, query('hit.example', 'A'));
    const client = await DatagramClient.open(lab, at);
    const names = Array.from({ length: 200 }, (_, i) =>
      i % 2 === 0 ? 'hit.example' : `${io}-miss-${i}.example`,
    );
    for (const [i, name] of names.entries()) client.send(query(name, 'A', { id: i }));
    const seen = new Set<number>();
    for (let i = 0; i < names.length; i++) {
      const octets = await client.nextOctets();
      expect(octets, `answer ${i}`).toBeDefined();
      const reply = new Reply(octets!);
      expect(reply.question!.name).toBe(names[reply.id]);
      expect(reply.rcode).toBe(NOERROR);
      seen.add(reply.id);
    }
    expect(seen.size).toBe(names.length);
  });
});

test('port 0 becomes one port of the kernel’s choice for UDP and TCP, and is logged at start', async () => {
  const host = lab.address(40);
  const daemon = await Daemon.start(lab, `.:0 {\n bind ${host}\n forward . ${upstream.to}\n}\n`);
  const said = /^\.:(\d+) on /m;
  await daemon.child.ready(() => said.test(daemon.child.stdout));
  const port = Number(said.exec(daemon.child.stdout)![1]);
  expect((await ask(lab, { host, port }, query('zero.example', 'A'))).rcode).toBe(NOERROR);
  expect((await askStream(lab, { host, port }, query('zero.example', 'A'))).rcode).toBe(NOERROR);
});
