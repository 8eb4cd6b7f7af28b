import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HEADER_OCTETS } from '../dns/header.ts';
import { acceptResponse } from './accept.ts';
import { queryFor, responseFor } from './testing.ts';

const QUERY = queryFor('www.example.com.');
const NAME_OCTETS = QUERY.length - HEADER_OCTETS - 4;
const SENT = { query: QUERY, nameOctets: NAME_OCTETS };

function accept(message: Uint8Array, stream: boolean = true): unknown {
  const verdict = acceptResponse(SENT, message, 0, message.length, stream);
  return typeof verdict === 'string' ? verdict : 'accepted';
}

function lower(octets: Uint8Array): string {
  return String.fromCharCode(...octets).toLowerCase();
}

function changed(at: number, value: number): Uint8Array {
  const message = responseFor(QUERY);
  message[at] = value;
  return message;
}

describe('what answers a query (RFC 5452 section 9.1)', () => {
  test.each([
    { what: 'the response', message: responseFor(QUERY), verdict: 'accepted' },
    { what: 'another spelling of the name', message: changed(13, 0x57), verdict: 'accepted' },
    { what: 'the query itself', message: QUERY, verdict: 'not-a-response' },
    { what: 'another name', message: changed(13, 0x58), verdict: 'wrong-question' },
    { what: 'another type', message: changed(QUERY.length - 3, 28), verdict: 'wrong-question' },
    { what: 'another class', message: changed(QUERY.length - 1, 3), verdict: 'wrong-question' },
    { what: 'no question', message: changed(5, 0), verdict: 'wrong-question' },
    { what: 'a record that is not there', message: changed(7, 1), verdict: 'malformed' },
    { what: 'truncation on a stream', message: changed(2, 0x83), verdict: 'truncated-stream' },
    { what: 'half a header', message: responseFor(QUERY).subarray(0, 11), verdict: 'malformed' },
  ])('$what: $verdict', ({ message, verdict }) => {
    expect(accept(message)).toBe(verdict);
  });

  test('truncation over UDP is for the caller to mend', () => {
    expect(accept(changed(2, 0x83), false)).toBe('accepted');
  });

  test('a header alone is an answer only if it says what is wrong', () => {
    const header = responseFor(QUERY).slice(0, HEADER_OCTETS);
    header[5] = 0;
    expect(accept(header)).toBe('wrong-question');
    header[3] = 1;
    expect(accept(header)).toBe('accepted');
  });

  test('octets of any kind give a verdict, and are believed only with our question', () => {
    const octets = fc.uint8Array({ maxLength: 100 });
    fc.assert(
      fc.property(octets, fc.boolean(), (message, stream) => {
        expect(accept(message, stream)).not.toBe('accepted');
      }),
    );
    const edits = fc.array(fc.tuple(fc.nat(QUERY.length - 1), fc.nat(255)), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(edits, octets, (changes, behind) => {
        const message = Uint8Array.from([...responseFor(QUERY), ...behind]);
        for (const [at, value] of changes) message[at] = value;
        const verdict = accept(message);
        if (verdict !== 'accepted') return;
        const question = message.subarray(HEADER_OCTETS, QUERY.length);
        expect(lower(question)).toBe(lower(QUERY.subarray(HEADER_OCTETS)));
      }),
      { numRuns: 2000 },
    );
  });
});
