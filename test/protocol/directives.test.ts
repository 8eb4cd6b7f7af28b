/** The directives that change little things, over real sockets: what a client and a collector get of them. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { StreamClient, ask, askStream } from '../harness/client.ts';
import { Daemon } from '../harness/daemon.ts';
import { FakeUpstream } from '../harness/fake-upstream.ts';
import { useLab } from '../harness/lab.ts';
import {
  NOERROR,
  NXDOMAIN,
  RA,
  type Reply,
  TC,
  aRecord,
  aaaaRecord,
  query,
  soaRecord,
} from '../harness/message.ts';
import { scrape } from '../harness/metrics.ts';
import { DNS_PORT } from '../harness/pair.ts';
import { freePort } from '../harness/ports.ts';

const lab = useLab();
const at = { host: lab.address(2), port: DNS_PORT };
const AAAA = 28;

/** `aN` has N addresses, `six` one of IPv6, `gone` does not exist; the rest of a name is of no interest. */
const upstream = await FakeUpstream.start(
  lab,
  { host: lab.address(1), port: DNS_PORT },
  (asked) => {
    const [first = ''] = asked.name.toLowerCase().split('.');
    const soa = soaRecord('example', 60, 5);
    const count = Number(/^a(\d+)$/.exec(first)?.[1] ?? 0);
    if (first === 'gone') asked.answer({ rcode: NXDOMAIN, authorities: [soa] });
    else if (first === 'six' && asked.type === AAAA)
      asked.answer({ answers: [aaaaRecord(asked.name, 60)] });
    else if (asked.type === AAAA || count === 0) asked.answer({ authorities: [soa] });
    else {
      const last = Array.from({ length: count }, (_, i) => i + 1);
      asked.answer({ answers: last.map((n) => aRecord(asked.name, 60, `192.0.2.${n}`)) });
    }
  },
);

interface Span {
  readonly traceId: string;
  readonly id: string;
  readonly parentId?: string;
  readonly name: string;
  readonly tags?: Readonly<Record<string, string>>;
}
const spans: Span[] = [];
const collector = createServer((request, response) => {
  let body = '';
  request.on('data', (chunk: Buffer) => (body += chunk.toString()));
  request.on('end', () => {
    spans.push(...(JSON.parse(body) as Span[]));
    response.writeHead(202).end();
  });
}).listen(0, lab.address(3));
lab.defer(() => {
  collector.closeAllConnections();
  collector.close();
});
await once(collector, 'listening');

const [metricsPort, pprofPort] = [await freePort(), await freePort()];
const daemon = await Daemon.start(
  lab,
  `whoami.example:${DNS_PORT} {
    bind ${at.host}
    whoami
}
.:${DNS_PORT} {
    metadata
    timeouts {
        idle 1s
        maxtcpqueries 3
    }
    bufsize 1232
    bind ${at.host}
    debug
    pprof ${at.host}:${pprofPort}
    prometheus ${at.host}:${metricsPort}
    log . "{name} {type} {rcode} via={/forward/upstream} {/log/type}"
    dns64 {
        allow_ipv4
    }
    loadbalance
    cache
    forward . ${upstream.to}
}
traced.example:${DNS_PORT} {
    metadata
    trace ${lab.address(3)}:${(collector.address() as AddressInfo).port} {
        zipkin_max_batch_interval 10ms
    }
    bind ${at.host}
    bufsize
    loadbalance
    cache
    forward . ${upstream.to}
}
`,
);

const addressesOf = ({ answers }: Reply): string[] => answers.map(({ data }) => String(data));
const sorted = (texts: readonly string[]): string[] => [...texts].sort();

describe('whoami', () => {
  test('whoami answers with address, port and transport', async () => {
    const udp = await ask(lab, at, query('Who.whoami.example', 'A'));
    expect(udp).toMatchObject({ rcode: NOERROR, counts: [1, 0, 0, 2] });
    expect(udp.additionals[1]).toMatchObject({ name: '_udp.Who.whoami.example', type: 'SRV' });
    expect(udp.flags & RA).toBe(0);
    const tcp = await askStream(lab, at, query('whoami.example', 'TXT'));
    expect(tcp.additionals[1]).toMatchObject({ name: '_tcp.whoami.example', ttl: 0 });
  });
});

describe('bufsize', () => {
  test.each(['a miss', 'a hit'])(
    'bufsize limits %s over UDP, and the OPT record says so',
    async () => {
      const asked = query('a90.big.traced.example', 'A', { edns: { payload: 4096 } });
      const reply = await ask(lab, at, asked);
      expect(reply.wire.length).toBeLessThanOrEqual(1232);
      expect(reply.wire.length).toBeGreaterThan(1200);
      expect(reply.flags & TC).toBe(TC);
      expect(reply.opt).toMatchObject({ payload: 1232 });
      const whole = await askStream(lab, at, asked);
      expect(whole.answers.length).toBe(90);
      expect(whole.opt).toMatchObject({ payload: 1232 });
    },
  );
});

describe('loadbalance', () => {
  test('loadbalance shuffles the cache’s answers, and counts as their writer', async () => {
    const orders = new Set<string>();
    for (let i = 0; i < 30; i++) {
      const reply = await ask(lab, at, query('a3.example', 'A'));
      expect(sorted(addressesOf(reply))).toEqual(['192.0.2.1', '192.0.2.2', '192.0.2.3']);
      orders.add(addressesOf(reply).join(' '));
    }
    expect(orders.size).toBeGreaterThan(2);
    expect(upstream.about('a3.example').length).toBe(1);
    const metrics = await scrape({ host: at.host, port: metricsPort });
    const by = (plugin: string): number =>
      metrics.sum('coredns_dns_responses_total', { plugin, zone: '.' });
    expect(by('loadbalance')).toBeGreaterThanOrEqual(30);
    expect(by('cache')).toBe(0);
  });
});

describe('dns64', () => {
  test.each([
    { name: 'a2.v4.example', rcode: NOERROR, is: ['64:ff9b::c000:201', '64:ff9b::c000:202'] },
    { name: 'six.example', rcode: NOERROR, is: ['2001:db8::1'] },
    { name: 'none.example', rcode: NOERROR, is: [] },
    { name: 'gone.example', rcode: NXDOMAIN, is: [] },
  ])('$name has $is', async ({ name, rcode, is }) => {
    for (const over of [ask, askStream]) {
      const reply = await over(lab, at, query(name, 'AAAA', { edns: { dnssecOk: true } }));
      expect(reply.rcode).toBe(rcode);
      expect(sorted(addressesOf(reply))).toEqual(is);
    }
    const metrics = await scrape({ host: at.host, port: metricsPort });
    expect(metrics.sum('coredns_dns_responses_total', { plugin: 'dns64' })).toBeGreaterThan(0);
  });
});

describe('timeouts', () => {
  test('a connection is closed after as many queries as it may bring', async () => {
    const client = await StreamClient.open(lab, at);
    client.send(...Array.from({ length: 5 }, () => query('a1.example', 'A')));
    for (let i = 0; i < 3; i++) expect((await client.next()).rcode).toBe(NOERROR);
    await client.ended;
    await expect(client.next()).rejects.toThrow('without an answer');
  });

  test('a connection is closed when nothing has come for the time that it may be idle', async () => {
    const client = await StreamClient.open(lab, at);
    client.send(query('a1.example', 'A'));
    await client.next();
    const endedMs = await client.ended;
    expect(endedMs).toBeGreaterThan(900);
    expect(endedMs).toBeLessThan(2500);
  });
});

describe('metadata', () => {
  test('metadata in the log names the upstream asked and the kind of answer', async () => {
    await ask(lab, at, query('a1.logged.example', 'A'));
    await ask(lab, at, query('a1.logged.example', 'A'));
    const line = (via: string): string => `[INFO] a1.logged.example. A NOERROR via=${via} NOERROR`;
    await daemon.child.ready(() => daemon.child.stdout.includes(line('-')));
    expect(daemon.child.stdout).toContain(line(upstream.to));
  });
});

describe('trace', () => {
  test('trace sends the spans of a query, and its ID is metadata', async () => {
    await ask(lab, at, query('A1.traced.example', 'A'));
    for (let i = 0; i < 100 && !spans.some(isRoot); i++)
      await new Promise((r) => setTimeout(r, 20));
    const root = spans.find(isRoot)!;
    expect(root.tags).toMatchObject({
      'coredns.io/type': 'A',
      'coredns.io/rcode': 'NOERROR',
      'coredns.io/proto': 'udp',
    });
    const own = spans.filter(({ traceId }) => traceId === root.traceId);
    const parent = ({ parentId }: Span): string => own.find(({ id }) => id === parentId)!.name;
    const tree = Object.fromEntries(
      own.filter((span) => span !== root).map((span) => [span.name, parent(span)]),
    );
    expect(tree).toEqual({
      loadbalance: 'servedns',
      cache: 'loadbalance',
      forward: 'cache',
      connect: 'forward',
    });
    const connect = own.find(({ name }) => name === 'connect')!;
    expect(connect.tags).toEqual({ 'peer.address': upstream.to });
  });
});

function isRoot({ name, tags }: Span): boolean {
  return name === 'servedns' && tags?.['coredns.io/name'] === 'a1.traced.example.';
}

describe('pprof', () => {
  test('pprof serves a profile of the CPU while DNS is answered', async () => {
    const url = `http://${at.host}:${pprofPort}/debug/pprof/profile?seconds=1`;
    const profile = fetch(url).then((response) => response.json());
    expect((await ask(lab, at, query('a1.example', 'A'))).rcode).toBe(NOERROR);
    expect(await profile).toHaveProperty('nodes');
  });
});
