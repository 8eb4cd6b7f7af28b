import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadLibc } from '../sys/libc.ts';
import type { NativeMemory } from '../sys/libc.ts';
import { QUERY_JOURNAL_OCTETS, QueryJournal, socketNumber } from './query-journal.ts';

const SOCKET = socketNumber('127.0.0.1', 53);
const OFFSET_DS = 1_000_000;
const libc = loadLibc();

function memory(): NativeMemory {
  return libc!.allocate(QUERY_JOURNAL_OCTETS);
}

function journal(on: NativeMemory, nowDs = 10): QueryJournal {
  return new QueryJournal(libc!, on, nowDs, OFFSET_DS);
}

/** As the kernel fills the vector. */
function receive({ received }: QueryJournal, ...texts: string[]): void {
  texts.forEach((text, slot) => {
    received.addressTo(slot, Buffer.from(`from ${text}`), Buffer.from('to'));
    received.octets.set(Buffer.from(text), received.dataAt(slot));
    received.setReceivedOctets(slot, text.length);
  });
}

function inherited(of: QueryJournal, socket = SOCKET): string[] {
  return of
    .inheritedFor(socket)
    .map(
      ({ name, message }) => `${Buffer.from(name).toString()}: ${Buffer.from(message).toString()}`,
    );
}

describe.runIf(libc !== undefined)('queries that a worker had when it ended', () => {
  test('queries of the batch that a worker was about to answer are inherited, once', () => {
    const on = memory();
    const before = journal(on);
    before.begin(SOCKET, 10, false);
    receive(before, 'a', 'b');
    const after = journal(on);
    expect(inherited(after, SOCKET + 1)).toEqual([]);
    expect(inherited(after)).toEqual(['from a: a', 'from b: b']);
    expect(inherited(after)).toEqual([]);
    expect(inherited(journal(on))).toEqual([]);
  });

  test('queries that were answered are not inherited', () => {
    const on = memory();
    const before = journal(on);
    before.begin(SOCKET, 10, false);
    receive(before, 'a', 'b');
    before.end(2);
    before.begin(SOCKET, 10, false); // nothing came: the vector's contents are old
    expect(inherited(journal(on))).toEqual([]);
  });

  test('queries whose answer comes later are inherited until it is sent', () => {
    const on = memory();
    const before = journal(on);
    before.begin(SOCKET, 10, false);
    receive(before, 'a', 'b', 'c');
    const [, second] = [before.keep(0), before.keep(1), before.keep(2)];
    before.end(3);
    before.forget(second);
    expect(inherited(journal(on)).toSorted()).toEqual(['from a: a', 'from c: c']);
  });

  test.each([
    { what: 'a batch', later: false },
    { what: 'one whose answer comes later', later: true },
  ])('a query is retried only once, since it may be why a worker ended: $what', ({ later }) => {
    const on = memory();
    const first = journal(on);
    first.begin(SOCKET, 10, false);
    receive(first, 'a');
    if (later) {
      first.keep(0);
      first.end(1);
    }
    const second = journal(on);
    expect(inherited(second)).toEqual(['from a: a']);
    second.begin(SOCKET, 11, true);
    receive(second, 'a');
    if (later) {
      second.keep(0);
      second.end(1);
    }
    expect(inherited(journal(on))).toEqual([]);
  });

  test.each([
    { nowDs: 60, is: ['from a: a'], because: 'its client still waits' },
    { nowDs: 61, is: [], because: 'its client has given up after 5 s' },
  ])('of a query read at 10 and found at $nowDs, $is is left: $because', ({ nowDs, is }) => {
    const on = memory();
    const before = journal(on);
    before.begin(SOCKET, 10, false);
    receive(before, 'a');
    before.keep(0);
    before.end(1);
    expect(inherited(journal(on, nowDs))).toEqual(is);
  });

  test('the 1,024 newest queries are kept, and none longer than any name needs', () => {
    const on = memory();
    const before = journal(on);
    before.begin(SOCKET, 10, false);
    receive(before, 'x'.repeat(261));
    expect(before.keep(0)).toBe(0);
    before.begin(SOCKET, 10, false);
    const kept = Array.from({ length: 1100 }, (_, i) => {
      receive(before, `q${i}`);
      return before.keep(0);
    });
    before.forget(kept[0]!); // whose place another has taken
    before.end(1);
    const found = inherited(journal(on));
    expect(found).toHaveLength(1024);
    expect(found).toContain('from q76: q76');
    expect(found).not.toContain('from q75: q75');
  });

  test('memory of another layout holds no queries', () => {
    const on = memory();
    const before = journal(on);
    before.begin(SOCKET, 10, false);
    receive(before, 'a');
    new Uint32Array(on.octets.buffer, on.octets.byteOffset)[0] = 7;
    expect(inherited(journal(on))).toEqual([]);
  });

  test('the memory is read without a throw, whatever a crash has made of it', () => {
    const on = memory();
    const words = new Uint32Array(on.octets.buffer, on.octets.byteOffset, on.octets.length >> 2);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(words.length - 2), fc.integer({ min: 0, max: 0xffff_ffff }))),
        (scribbles) => {
          const before = journal(on);
          before.begin(SOCKET, 10, false);
          receive(before, 'a');
          before.keep(0);
          for (const [at, value] of scribbles) words[at + 1] = value;
          for (const { message, name, control } of journal(on).inheritedFor(SOCKET)) {
            expect(message.length).toBeLessThanOrEqual(4096);
            expect(name.length).toBeLessThanOrEqual(32);
            expect(control.length).toBeLessThanOrEqual(64);
          }
        },
      ),
    );
  });
});
