/** Every port for operators is taken when the daemon starts: DNS is served, and so are they later. */
import { once } from 'node:events';
import { type Server, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { DatagramClient } from '../harness/client.ts';
import { Daemon } from '../harness/daemon.ts';
import { FakeUpstream } from '../harness/fake-upstream.ts';
import { useLab } from '../harness/lab.ts';
import { NOERROR, Reply, aRecord, query } from '../harness/message.ts';
import { scrape } from '../harness/metrics.ts';
import { DNS_PORT } from '../harness/pair.ts';
import { until } from '../harness/timing.ts';

const lab = useLab();
const PORTS = { health: 8080, ready: 8181, prometheus: 9253 } as const;

async function take(port: number): Promise<Server> {
  const server = createServer().listen(port, lab.address(2));
  lab.defer(() => server.close());
  await once(server, 'listening');
  return server;
}

async function statusOf(port: number, path: string): Promise<number> {
  try {
    return (await fetch(`http://${lab.address(2)}:${port}${path}`)).status;
  } catch {
    return 0;
  }
}

test('DNS is served without admin ports, which are logged, counted, and opened once they are free', async () => {
  const upstream = await FakeUpstream.start(
    lab,
    { host: lab.address(1), port: DNS_PORT },
    (asked) => asked.answer({ answers: [aRecord(asked.name, 60)] }),
  );
  const holders = await Promise.all(Object.values(PORTS).map(take));
  const at = { host: lab.address(2), port: DNS_PORT };
  const directives = Object.entries(PORTS).map(([name, port]) => ` ${name} ${at.host}:${port}\n`);
  // Where the metrics can be read meanwhile.
  const other = `other.test:${DNS_PORT} {\n bind ${at.host}\n prometheus ${lab.address(3)}:9253\n}\n`;
  const daemon = await Daemon.start(
    lab,
    `.:${DNS_PORT} {\n bind ${at.host}\n forward . ${upstream.to}\n${directives.join('')}}\n${other}`,
  );
  const client = await DatagramClient.open(lab, at);
  client.send(query('a.example', 'A'));
  expect(new Reply((await client.nextOctets())!).rcode).toBe(NOERROR);
  const told = daemon.complaints.map((line) => /plugin\/(\w+): Failed/.exec(line)?.[1]);
  expect(new Set(told)).toEqual(new Set(Object.keys(PORTS)));
  const metrics = await scrape({ host: lab.address(3), port: 9253 });
  for (const port of Object.values(PORTS)) {
    const address = `${at.host}:${port}`;
    expect(metrics.sum('nodelocald_listener_errors_total', { address })).toBeGreaterThan(0);
  }
  for (const holder of holders) holder.close();
  await until('all are served', async () => {
    const statuses = await Promise.all([
      statusOf(PORTS.health, '/health'),
      statusOf(PORTS.ready, '/ready'),
      statusOf(PORTS.prometheus, '/metrics'),
    ]);
    return statuses.join() === '200,200,200';
  });
});
