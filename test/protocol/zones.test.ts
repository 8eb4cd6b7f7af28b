/** Which server block answers: the longest matching zone, by whole labels (RFC 1034 section 4.3.2). */
import { describe, expect, test } from 'vitest';
import { ask } from '../harness/client.ts';
import { Daemon } from '../harness/daemon.ts';
import { useLab } from '../harness/lab.ts';
import { NOERROR, REFUSED, query } from '../harness/message.ts';
import { DNS_PORT } from '../harness/pair.ts';
import { FakeUpstream } from '../harness/fake-upstream.ts';
import { txtRecord } from '../harness/message.ts';

const lab = useLab();
const at = { host: lab.address(1), port: DNS_PORT };
const elsewhere = { host: lab.address(2), port: DNS_PORT };

/** Each zone has an upstream of its own, whose answers tell its index by their length. */
const ZONES = ['.', 'test', 'b.test', 'a.b.test', 'UPPER.test', '2.10.in-addr.arpa'] as const;
const upstreams = await Promise.all(
  ZONES.map((_, i) =>
    FakeUpstream.start(lab, { host: lab.address(10 + i), port: DNS_PORT }, (asked) =>
      asked.answer({ answers: [txtRecord(asked.name, 60, 10 + i)] }),
    ),
  ),
);
const block = (zone: string, host: string, i: number): string =>
  `${zone}:${DNS_PORT} {\n bind ${host}\n errors\n forward . ${upstreams[i]!.to}\n}\n`;
await Daemon.start(
  lab,
  [
    ...ZONES.map((zone, i) => block(zone, at.host, i)),
    block('only.test', elsewhere.host, 1),
    block('b.only.test', elsewhere.host, 2),
  ].join(''),
);

async function zoneOf(name: string, type: 'TXT' | 'DS', where = at): Promise<string | undefined> {
  const reply = await ask(lab, where, query(name, type));
  if (reply.rcode === REFUSED) return undefined;
  expect(reply.rcode).toBe(NOERROR);
  const [text] = reply.answers[0]!.data as Buffer[];
  return ZONES[text!.length + 1 - 10];
}

describe('the block of the longest zone that holds the name', () => {
  test.each([
    { name: 'example.org', zone: '.' },
    { name: '.', zone: '.' },
    { name: 'test', zone: 'test' },
    { name: 'x.test', zone: 'test' },
    { name: 'xtest', zone: '.' },
    { name: 'b.test', zone: 'b.test' },
    { name: 'xb.test', zone: 'test' },
    { name: 'c.b.test', zone: 'b.test' },
    { name: 'a.b.test', zone: 'a.b.test' },
    { name: 'deep.down.a.b.test', zone: 'a.b.test' },
    { name: 'A.b.TEST', zone: 'a.b.test' },
    { name: 'x.upper.test', zone: 'UPPER.test' },
    { name: '9.2.10.in-addr.arpa', zone: '2.10.in-addr.arpa' },
    { name: '9.3.10.in-addr.arpa', zone: '.' },
    { name: 'test.', zone: 'test' },
  ])('$name is answered by $zone', async ({ name, zone }) => {
    expect(await zoneOf(name, 'TXT')).toBe(zone);
  });
});

describe('DS belongs to the parent (RFC 4035 section 3.1.4.1): the shortest zone but the root', () => {
  test.each([
    { name: 'b.test', zone: 'test' },
    { name: 'a.b.test', zone: 'test' },
    { name: 'test', zone: 'test' },
    { name: 'example', zone: '.' },
  ])('$name DS is asked of $zone', async ({ name, zone }) => {
    expect(await zoneOf(name, 'DS')).toBe(zone);
  });
});

describe('an address where no zone holds the name', () => {
  test.each([
    { name: 'example.org', zone: undefined },
    { name: 'test', zone: undefined },
    { name: '.', zone: undefined },
    { name: 'only.test', zone: 'test' },
    { name: 'b.only.test', zone: 'b.test' },
  ])('$name is answered by $zone: undefined is REFUSED', async ({ name, zone }) => {
    expect(await zoneOf(name, 'TXT', elsewhere)).toBe(zone);
  });
});
