import { describe, expect, test } from 'vitest';
import { nameFromText } from './name.ts';
import { hashOctet } from './question.ts';
import { RecordTable, hasOrder } from './records.ts';
import { type ResponseText, recordsToText, response } from './testing.ts';

const table = new RecordTable();
/** Messages do not stand at the beginning of a send buffer. */
const AT = 7;

function read(text: ResponseText): Uint8Array {
  const { wire } = response(text);
  const buffer = new Uint8Array(AT + wire.length);
  buffer.set(wire, AT);
  expect(table.read(buffer, AT, wire.length)).toBe(true);
  return buffer;
}

const CHAIN: ResponseText = {
  answers: [
    'a.test. 5 CNAME www.b.test.',
    'www.b.test. 1 A 192.0.2.1',
    'www.b.test. 2 A 192.0.2.2',
    'www.b.test. 3 A 192.0.2.3',
  ],
};

describe('the records of a response', () => {
  test('records are known by section, type and owner', () => {
    const msg = read({
      ...CHAIN,
      authorities: ['b.test. 5 NS ns.b.test.'],
      additionals: ['ns.b.test. 5 AAAA 2001:db8::1', 'NS.b.test. 5 A 192.0.2.9'],
    });
    expect(table.count).toBe(7);
    expect([...table.sectionEnd]).toEqual([4, 5, 7]);
    expect([...table.type.subarray(0, 7)]).toEqual([5, 1, 1, 1, 2, 28, 1]);
    expect([...table.order.subarray(0, 7)]).toEqual([0, 1, 2, 3, 4, 5, 6]);
    const owner = nameFromText('www.b.test.')!;
    expect([0, 1, 2, 3, 4].map((record) => table.isOwnedBy(record, owner))).toEqual([
      false,
      true,
      true,
      true,
      false,
    ]);
    expect(table.ownerHash(3, 7)).toBe(owner.reduce(hashOctet, 7));
    expect(table.isOwnedBy(6, nameFromText('ns.b.test.')!)).toBe(true);
    expect([...msg.subarray(AT + table.rdataAt(2), AT + table.rdataAt(2) + 4)]).toEqual([
      192, 0, 2, 2,
    ]);
  });

  test('records of another class have another meaning', () => {
    read({ question: 'a.test. CH A' });
    const { wire } = response(CHAIN);
    const other = wire.slice();
    // The class of the last record, whose RDATA ends the message.
    other[other.length - 11] = 3;
    expect(table.read(other, 0, other.length)).toBe(true);
    expect([...table.type.subarray(0, 4)]).toEqual([5, 1, 1, 0]);
  });

  test('records of a message that is cut are not read', () => {
    const { wire } = response(CHAIN);
    for (let octets = 25; octets < wire.length; octets++) {
      expect(table.read(wire.subarray(0, octets), 0, octets)).toBe(false);
    }
  });

  test.each([
    { text: CHAIN, has: true },
    { text: { answers: ['a.test. 5 A 192.0.2.1'] }, has: false },
    { text: {}, has: false },
    { text: { authorities: ['a. 5 NS b.', 'a. 5 NS c.'] }, has: true },
    { text: { additionals: ['a. 5 A 192.0.2.1', 'b. 5 A 192.0.2.1'] }, has: true },
  ])('does $text have an order? $has', ({ text, has }) => {
    expect(hasOrder(response(text).wire, 0)).toBe(has);
  });
});

describe('another order', () => {
  test('a table is not reordered until an order is set', () => {
    read(CHAIN);
    expect(table.isReordered).toBe(false);
  });

  test('addresses of one owner exchange their contents, TTLs too', () => {
    const msg = read(CHAIN);
    table.order.set([0, 3, 1, 2]);
    expect([table.isReordered, table.isExchange]).toEqual([true, true]);
    table.exchange();
    expect(recordsToText(msg.subarray(AT))).toEqual([
      'a.test. 5 CNAME www.b.test.',
      'www.b.test. 3 A 192.0.2.3',
      'www.b.test. 1 A 192.0.2.1',
      'www.b.test. 2 A 192.0.2.2',
    ]);
  });

  test.each([
    { order: [3, 1, 2, 0], because: 'a CNAME is no address' },
    { order: [1, 0, 2, 3], because: 'its target is what the others’ owners point to' },
  ])('the order $order is not an exchange: $because', ({ order }) => {
    read(CHAIN);
    table.order.set(order);
    expect(table.isExchange).toBe(false);
    const lines = CHAIN.answers!;
    expect(recordsToText(table.rewrite()!.wire)).toEqual(order.map((record) => lines[record]));
  });

  test('addresses with different owners or types are not exchanged', () => {
    const additionals = ['x.b.test. 5 A 192.0.2.1', 'y.x.b.test. 5 A 192.0.2.2'];
    const more = [...additionals, 'x.b.test. 5 AAAA 2001:db8::1'];
    for (const order of [
      [1, 0, 2],
      [2, 1, 0],
    ]) {
      read({ additionals: more });
      table.order.set(order);
      expect(table.isExchange).toBe(false);
      expect(recordsToText(table.rewrite()!.wire)).toEqual(order.map((record) => more[record]));
    }
  });

  test('another order keeps sections, header, and what is known of the response', () => {
    const before = response({
      ...CHAIN,
      authorities: ['b.test. 60 NS ns.b.test.', 'b.test. 60 SOA 5'],
      additionals: ['ns.b.test. 60 A 192.0.2.9'],
    });
    expect(table.read(before.wire, 0, before.wire.length)).toBe(true);
    table.order.set([3, 2, 1, 0, 5, 4, 6]);
    const after = table.rewrite()!;
    expect(after).toMatchObject({ answers: 4, hasQtype: true, hasSoa: true, ttlMinSec: 1 });
    expect(after.wire.subarray(0, 12)).toEqual(before.wire.subarray(0, 12));
    expect(after.ttlAt.length).toBe(7);
    expect(recordsToText(after.wire)!.map((line) => line.split(' ')[2])).toEqual([
      'A',
      'A',
      'A',
      'CNAME',
      'SOA',
      'NS',
      'A',
    ]);
  });
});
