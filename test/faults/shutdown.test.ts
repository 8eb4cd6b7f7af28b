/** The end of the process, and of an address: what was asked before is answered. */
import { expect, test } from 'vitest';
import { DatagramClient, StreamClient } from '../harness/client.ts';
import { Daemon } from '../harness/daemon.ts';
import { FakeUpstream } from '../harness/fake-upstream.ts';
import { useLab } from '../harness/lab.ts';
import { NOERROR, Reply, aRecord, query } from '../harness/message.ts';
import { DNS_PORT } from '../harness/pair.ts';
import { sleep } from '../harness/timing.ts';

const lab = useLab();
const SLOW_MS = 500;

test('queries that wait for an upstream at SIGTERM are answered, over UDP and TCP', async () => {
  const upstream = await FakeUpstream.start(
    lab,
    { host: lab.address(1), port: DNS_PORT },
    (asked) => {
      setTimeout(() => asked.answer({ answers: [aRecord(asked.name, 60)] }), SLOW_MS);
    },
  );
  const at = { host: lab.address(2), port: DNS_PORT };
  const corefile = `.:${DNS_PORT} {\n bind ${at.host}\n cache\n forward . ${upstream.to}\n}\n`;
  const daemon = await Daemon.start(lab, corefile);
  const datagrams = await DatagramClient.open(lab, at);
  const stream = await StreamClient.open(lab, at);
  datagrams.send(query('udp.example', 'A'));
  stream.send(query('tcp.example', 'A'));
  await sleep(SLOW_MS / 5);
  const stopped = daemon.child.stop();
  expect(new Reply((await datagrams.nextOctets())!).rcode).toBe(NOERROR);
  expect((await stream.next()).rcode).toBe(NOERROR);
  await stopped;
});
