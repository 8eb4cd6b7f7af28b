import { describe, expect, test } from 'vitest';
import { HEADER_OCTETS, readU16 } from '../dns/header.ts';
import { QueryView, readQuery } from '../dns/question.ts';
import { BADVERS, NOERROR, REFUSED, SERVFAIL } from '../dns/rcode.ts';
import { decodeMessage } from '../dns/codec.ts';
import { OPT_OCTETS } from '../dns/limits.ts';
import { PATIENCE_MS } from './life.ts';
import { Query } from './query.ts';
import { Response } from './response.ts';
import { askQuery, queryMessage } from './testing.ts';

test('the deadline of a query lies one patience after its arrival', () => {
  const { query } = askQuery('a.', 'A', { receivedMs: 1000 });
  expect([query.receivedMs, query.deadlineMs]).toEqual([1000, 1000 + PATIENCE_MS]);
});

const rcodes = (steps: (query: Query, say: (rcode: number) => Response) => void): number[] => {
  const { query, responses } = askQuery('a.', 'A');
  expect(query.answered).toBe(false);
  steps(query, (rcode) => Response.empty(query, rcode, 'x'));
  expect(query.answered).toBe(true);
  return responses.map(({ rcode }) => rcode);
};

describe('a query gets one answer', () => {
  test('the first answer of a query is the one that counts', () => {
    expect(
      rcodes((query, say) => {
        query.answer(say(NOERROR));
        query.answer(say(REFUSED));
        query.expire(say(SERVFAIL));
      }),
    ).toEqual([NOERROR]);
  });

  test('a query that expires first gets no answer after that', () => {
    expect(
      rcodes((query, say) => {
        query.expire(say(SERVFAIL));
        query.expire(say(REFUSED));
        query.answer(say(NOERROR));
      }),
    ).toEqual([SERVFAIL]);
  });

  test('a query takes no other answer while the first is on its way up', () => {
    const { query, responses } = askQuery('a.', 'A');
    query.chain = {
      run: () => undefined,
      isReachable: () => true,
      lookUp: () => undefined,
      unwind: (asked, _depth, response) => {
        asked.answer(Response.empty(asked, REFUSED, 'x')); // a handler that answers once more
        asked.deliver(response);
      },
    };
    query.answer(Response.empty(query, NOERROR, 'x'));
    expect(responses.map(({ rcode }) => rcode)).toEqual([NOERROR]);
  });
});

describe('a query is a copy of its own', () => {
  test('a query copies its message, wherever it stood', () => {
    const msg = queryMessage('A.Test.', 'AAAA', {
      edns: 1232,
      dnssecOk: true,
      checkingDisabled: true,
    });
    const buffer = Buffer.concat([new Uint8Array(40), msg, new Uint8Array(9)]);
    const view = new QueryView(7);
    readQuery(view, buffer, 40, 40 + msg.length);
    const query = new Query(view, undefined, 0, { deliver: () => undefined });
    const { nameHash } = view;
    buffer.fill(0);
    const other = queryMessage('b.', 'A');
    readQuery(view, other, 0, other.length);

    expect(Buffer.compare(query.msg, msg)).toBe(0);
    expect(query).toMatchObject({
      at: 0,
      end: msg.length,
      name: 'a.test.',
      nameOctets: 8,
      nameHash,
      qtype: 28,
      qclass: 1,
      hasEdns: true,
      dnssecOk: true,
      checkingDisabled: true,
      opcode: 0,
      payloadOctets: 1232,
      optAt: msg.length - OPT_OCTETS,
      client: undefined,
    });
    expect(Buffer.from(query.lowered).toString('latin1')).toBe('\u0001a\u0004test\u0000');
    // The spelling stays the client's.
    expect(query.msg[HEADER_OCTETS + 1]).toBe('A'.charCodeAt(0));
  });

  test('a copy of a query is a query too', () => {
    const { query } = askQuery('a.test.', 'A', { edns: 1232 });
    const again = new Query(query, undefined, 0, { deliver: () => undefined });
    expect(Buffer.compare(again.msg, query.msg)).toBe(0);
    expect([again.optAt, again.nameHash, again.name]).toEqual([
      query.optAt,
      query.nameHash,
      'a.test.',
    ]);
  });
});

describe('the message that is forwarded', () => {
  test('the forwarded message is the client’s, but for a lowered UDP payload size', () => {
    const { query } = askQuery('a.test.', 'A', { edns: 4096 });
    const before = query.msg.slice();
    expect(Buffer.compare(query.toForward(), before)).toBe(0);
    query.payloadOctets = 1232;
    const after = query.toForward();
    expect(readU16(after, after.length - OPT_OCTETS + 3)).toBe(1232);
    const differing = [...after.keys()].filter((at) => after[at] !== before[at]);
    expect(differing).toEqual([after.length - OPT_OCTETS + 3, after.length - OPT_OCTETS + 4]);
  });

  test('the forwarded message has no OPT if the client sent none', () => {
    const { query } = askQuery('a.test.', 'A');
    query.payloadOctets = 600;
    expect(Buffer.compare(query.toForward(), queryMessage('a.test.', 'A'))).toBe(0);
  });
});

describe('responses without records', () => {
  test('a bare RCODE carries its reason, and for how long a cache may repeat it', () => {
    const { query } = askQuery('A.Test.', 'A', { edns: 1232 });
    const response = Response.failed(query, SERVFAIL, 'no healthy proxies', 1);
    expect(response).toMatchObject({
      rcode: SERVFAIL,
      writer: '',
      failure: { message: 'no healthy proxies', restSec: 1 },
    });
    expect(decodeMessage(response.message.wire)).toMatchObject({
      rcode: SERVFAIL,
      questions: [{ name: 'A.Test.', qtype: 1, qclass: 1 }],
      additionals: [],
    });
  });

  test('an empty response has a writer, and may have an extended RCODE', () => {
    const { query } = askQuery('a.test.', 'A');
    expect(Response.empty(query, NOERROR, 'hosts')).toMatchObject({
      writer: 'hosts',
      failure: undefined,
    });
    expect(Response.empty(query, BADVERS, 'x').rcode).toBe(BADVERS);
  });

  test('the longest name fits into a response without records', () => {
    const { query } = askQuery('a.'.repeat(127), 'A');
    expect(Response.failed(query, SERVFAIL, '').message.nameOctets).toBe(255);
  });
});
