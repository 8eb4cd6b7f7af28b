/** TCP towards clients: RFC 7766, RFC 1035 section 4.2.2; the times are CoreDNS's. */
import { describe, expect, test } from 'vitest';
import { StreamClient, ask, askStream, framed } from '../harness/client.ts';
import type { Asked } from '../harness/fake-upstream.ts';
import { useLab } from '../harness/lab.ts';
import {
  FORMERR,
  NOERROR,
  NOTIMP,
  QR,
  RD,
  aRecord,
  header,
  query,
  txtRecord,
} from '../harness/message.ts';
import { startPair } from '../harness/pair.ts';
import { sleep, until, within } from '../harness/timing.ts';

const lab = useLab();
const held: Asked[] = [];
const pair = await startPair(lab, (asked) => {
  if (asked.name.startsWith('held')) held.push(asked);
  else if (asked.name.startsWith('big')) {
    asked.answer({ answers: [txtRecord(asked.name, 60, 40_000)] });
  } else asked.answer({ answers: [aRecord(asked.name, 60)] });
});
const { at } = pair;

async function release(name: string): Promise<void> {
  await until(`the upstream is asked for ${name}`, () => held.some((asked) => asked.name === name));
  const index = held.findIndex((asked) => asked.name === name);
  const [asked] = held.splice(index, 1);
  asked!.answer({ answers: [aRecord(name, 60)] });
}

describe('pipelining (RFC 7766 sections 6.2.1.1 and 7)', () => {
  test('a slow answer delays nobody behind it', async () => {
    const client = await StreamClient.open(lab, at);
    const slow = query('held-1.example', 'A');
    const fast = query('fast-1.example', 'A');
    client.send(slow, fast);
    const first = await client.next();
    expect(first).toMatchObject({ id: fast.readUInt16BE(0), counts: [1, 1, 0, 0] });
    await release('held-1.example');
    expect(await client.next()).toMatchObject({ id: slow.readUInt16BE(0), rcode: NOERROR });
    client.destroy();
  });

  test('hits overtake a miss', async () => {
    const warm = query('warm.example', 'A');
    await ask(lab, at, warm);
    const client = await StreamClient.open(lab, at);
    const slow = query('held-2.example', 'A');
    client.send(slow, warm);
    expect((await client.next()).question!.name).toBe('warm.example');
    await release('held-2.example');
    expect((await client.next()).question!.name).toBe('held-2.example');
    client.destroy();
  });

  test('300 queries in one write each get their answer, with their ID', async () => {
    const client = await StreamClient.open(lab, at);
    const queries = Array.from({ length: 300 }, (_, i) =>
      query(`p${i % 40}.example`, 'A', { id: i }),
    );
    client.send(...queries);
    const names = new Map<number, string>();
    for (let i = 0; i < queries.length; i++) {
      const reply = await client.next();
      names.set(reply.id, reply.question!.name);
    }
    expect(names.size).toBe(300);
    for (const [id, name] of names) expect(name).toBe(`p${id % 40}.example`);
    client.destroy();
  });

  test('two queries with one ID on a connection are both answered', async () => {
    const client = await StreamClient.open(lab, at);
    client.send(query('p1.example', 'A', { id: 5 }), query('p2.example', 'A', { id: 5 }));
    const names = [await client.next(), await client.next()].map(({ question }) => question!.name);
    expect(names.sort()).toEqual(['p1.example', 'p2.example']);
    client.destroy();
  });
});

describe('framing', () => {
  test('a query whose octets drip in, one by one, is answered', async () => {
    const client = await StreamClient.open(lab, at);
    for (const octet of framed(query('drip.example', 'A'))) {
      client.write(Buffer.of(octet));
      await sleep(5);
    }
    expect(await client.next()).toMatchObject({ rcode: NOERROR, counts: [1, 1, 0, 0] });
    client.destroy();
  });

  test('messages that are cut at any place into two writes are answered', async () => {
    const client = await StreamClient.open(lab, at);
    const stream = Buffer.concat([
      framed(query('cut-1.example', 'A')),
      framed(query('cut-2.example', 'A')),
    ]);
    for (let cut = 1; cut < stream.length; cut += 3) {
      client.write(stream.subarray(0, cut));
      await sleep(2);
      client.write(stream.subarray(cut));
      expect((await client.next()).rcode).toBe(NOERROR);
      expect((await client.next()).rcode).toBe(NOERROR);
    }
    client.destroy();
  });

  test('a message that is no query gets an error or silence, and the connection goes on', async () => {
    const client = await StreamClient.open(lab, at);
    client.send(
      query('a.example', 'A', { flags: QR }),
      query('a.example', 'A', { opcode: 2, id: 1 }),
      header(2, RD, [0, 0, 0, 0]),
      query('a.example', 'A', { id: 3 }),
    );
    expect(await client.next()).toMatchObject({ id: 1, rcode: NOTIMP });
    expect(await client.next()).toMatchObject({ id: 2, rcode: FORMERR });
    expect(await client.next()).toMatchObject({ id: 3, rcode: NOERROR });
    client.destroy();
  });

  test('a length too short for a header ends the connection, since the framing is lost', async () => {
    const client = await StreamClient.open(lab, at);
    client.write(Buffer.of(0, 0));
    await within('the connection is closed', client.ended, 1000);
  });

  test('an answer of 40,000 octets arrives whole, 50 times on one connection', async () => {
    const client = await StreamClient.open(lab, at);
    client.send(...Array.from({ length: 50 }, () => query('big.example', 'TXT')));
    for (let i = 0; i < 50; i++) expect((await client.next()).wire.length).toBeGreaterThan(40_000);
    client.destroy();
  });
});

describe('the end of a connection', () => {
  test('a client that ends its side still gets what is outstanding (RFC 7766 section 6.2.4)', async () => {
    const client = await StreamClient.open(lab, at);
    client.send(query('held-3.example', 'A'), query('fast-3.example', 'A'));
    client.end();
    expect((await client.next()).question!.name).toBe('fast-3.example');
    await release('held-3.example');
    expect((await client.next()).question!.name).toBe('held-3.example');
    await within('the server ends its side too', client.ended, 1000);
  });

  test('a client that is gone before its answer costs the others nothing', async () => {
    const client = await StreamClient.open(lab, at);
    client.send(query('held-4.example', 'A'));
    await until('it is asked', () => held.some(({ name }) => name === 'held-4.example'));
    client.destroy();
    await release('held-4.example');
    expect(await askStream(lab, at, query('held-4.example', 'A'))).toMatchObject({
      rcode: NOERROR,
    });
  });

  test('a connection is closed after 3 s without a first message, dripped octets or not', async () => {
    const silent = await StreamClient.open(lab, at);
    const dripping = await StreamClient.open(lab, at);
    const octets = framed(query('never.example', 'A'));
    const drip = (async () => {
      for (let i = 0; i < octets.length - 1; i++) {
        dripping.write(octets.subarray(i, i + 1));
        await sleep(200);
      }
    })();
    for (const client of [silent, dripping]) {
      const afterMs = await within('it is closed', client.ended, 6000);
      expect(afterMs).toBeGreaterThan(2900);
      expect(afterMs).toBeLessThan(4000);
    }
    await drip;
  });

  test('a connection is closed after 10 s without another message, and not before', async () => {
    const client = await StreamClient.open(lab, at);
    client.send(query('p1.example', 'A'));
    await client.next();
    await sleep(8000);
    client.send(query('p1.example', 'A'));
    await client.next();
    const saidMs = performance.now();
    await within('it is closed', client.ended, 13_000);
    const idleMs = performance.now() - saidMs;
    expect(idleMs).toBeGreaterThan(9800);
    expect(idleMs).toBeLessThan(11_500);
  });

  test('a client that takes none of its answers is cut off, and costs little until then', async () => {
    await askStream(lab, at, query('big.example', 'TXT'));
    const before = pair.daemon.residentOctets();
    const client = await StreamClient.open(lab, at);
    client.pause();
    // 2,000 queries in 62,000 octets ask for 80 MB, all of it in the cache.
    client.send(...Array.from({ length: 2000 }, () => query('big.example', 'TXT')));
    const cutOff = client.closedByPeer();
    let most = 0;
    for (let i = 0; i < 20; i++) {
      await sleep(50);
      most = Math.max(most, pair.daemon.residentOctets() - before);
    }
    expect(await ask(lab, at, query('p1.example', 'A'))).toMatchObject({ rcode: NOERROR });
    await within('it is cut off', cutOff, 12_000);
    expect(most).toBeLessThan(16 << 20);
  });
});
