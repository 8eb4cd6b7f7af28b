import { describe, expect, test } from 'vitest';
import { type ResourceRecord, decodeMessage } from '../dns/codec.ts';
import { NXDOMAIN, SERVFAIL } from '../dns/rcode.ts';
import { normalize } from '../dns/response.ts';
import { A, IN } from '../dns/rrtype.ts';
import { synthesize } from './synthesize.ts';
import { askQuery } from './testing.ts';

const record = (name: string, address = '192.0.2.1'): ResourceRecord => ({
  name,
  type: A,
  rrClass: IN,
  ttlSec: 60,
  rdata: { kind: 'address', address },
});

describe('an answer of our own', () => {
  test('an answer of our own is authoritative, offers no recursion, and copies RD, CD and the spelling', () => {
    const { query } = askQuery('A.Example.', 'A', { checkingDisabled: true });
    const response = synthesize(query, 'hosts', { answers: [record('a.example.')] });
    const decoded = decodeMessage(response.message.wire)!;
    expect(decoded.flags.toString(16)).toBe('8510'); // QR, AA, RD, CD
    expect(decoded.questions[0]!.name).toBe('A.Example.');
    expect(response).toMatchObject({ writer: 'hosts', rcode: 0, failure: undefined });
    expect(response.message).toMatchObject({ answers: 1, hasQtype: true, ttlMinSec: 60 });
  });

  test('an answer of our own may have an RCODE and records in each section', () => {
    const { query } = askQuery('a.', 'A', { recursionDesired: false });
    const response = synthesize(query, 'template', {
      rcode: NXDOMAIN,
      answers: [record('a.')],
      authorities: [record('b.'), record('c.')],
      additionals: [record('d.')],
    });
    const decoded = decodeMessage(response.message.wire)!;
    expect(decoded.flags.toString(16)).toBe('8403');
    expect(decoded.answers.map(({ name }) => name)).toEqual(['a.']);
    expect(decoded.authorities.map(({ name }) => name)).toEqual(['b.', 'c.']);
    expect(decoded.additionals.map(({ name }) => name)).toEqual(['d.']);
  });

  test('an answer of our own may be truncated already', () => {
    const { query } = askQuery('a.', 'A');
    const { wire } = synthesize(query, 'template', { truncated: true }).message;
    expect(decodeMessage(wire)!.flags.toString(16)).toBe('8700');
  });

  test('an answer of our own is cut at 65,535 octets, with TC', () => {
    const { query } = askQuery('a.', 'A');
    const answers = Array.from({ length: 5000 }, () => record('a.'));
    const { wire } = synthesize(query, 'hosts', { answers }).message;
    expect(wire.length).toBeLessThanOrEqual(65535);
    expect(wire[2]! & 0x02).toBe(0x02);
  });

  test.each([{}, { rcode: NXDOMAIN, truncated: true }])(
    'without records is what is read in its octets: %j',
    (synthesis) => {
      const { query } = askQuery('A.Example.', 'A', { edns: 1232, qclass: 'CH' });
      const { message } = synthesize(query, 'template', synthesis);
      expect(message).toEqual(normalize(message.wire, 0, message.wire.length));
    },
  );

  test('an answer of our own may have an extended error for clients with EDNS', () => {
    const { query } = askQuery('a.', 'A');
    const extendedError = { code: 21, text: 'x' };
    const response = synthesize(query, 'template', { extendedError });
    expect(response.extendedError).toBe(extendedError);
    expect(response.with(response.message, 'cache')).toMatchObject({
      writer: 'cache',
      extendedError,
    });
  });

  test('an answer with a record that cannot be written is a SERVFAIL that says so', () => {
    const { query } = askQuery('a.', 'A');
    const response = synthesize(query, 'template', { answers: [record('a.', 'nonsense')] });
    expect(response).toMatchObject({
      rcode: SERVFAIL,
      failure: { message: 'a record of a. cannot be written' },
    });
  });
});
