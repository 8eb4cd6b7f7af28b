import { describe, expect, test } from 'vitest';
import { decodeMessage } from '../../dns/codec.ts';
import { SERVFAIL } from '../../dns/rcode.ts';
import { IN, className, typeName } from '../../dns/rrtype.ts';
import { type AskOptions, askQuery } from '../../query/testing.ts';
import { ANSWERED, PASS } from '../../query/verdict.ts';
import { parseAs, refusal, testBuilding } from '../testing.ts';
import { whoami } from './index.ts';

const handler = whoami.build!([parseAs(whoami, 'whoami')], testBuilding())!;

/** The additional section, as in a zone file; nothing else has records. */
function answer(name: string, type: string, options: AskOptions = {}): string[] {
  const { query, responses } = askQuery(name, type, options);
  expect(handler.onQuery!(query)).toBe(ANSWERED);
  const [response] = responses;
  expect(response).toMatchObject({ writer: 'whoami', rcode: 0, failure: undefined });
  const decoded = decodeMessage(response!.message.wire)!;
  expect(decoded.flags & 0x0480).toBe(0x0400); // AA, not RA
  expect(decoded.questions[0]!.name).toBe(name);
  expect([decoded.answers, decoded.authorities]).toEqual([[], []]);
  return decoded.additionals.map(({ name: owner, ttlSec, rrClass, type: rrType, rdata }) => {
    const { kind: _, ...data } = rdata;
    const inClass = rrClass === IN ? '' : `${className(rrClass)} `;
    return `${owner} ${ttlSec} ${inClass}${typeName(rrType)} ${Object.values(data).join(' ')}`;
  });
}

describe('whoami tells a client its address and port', () => {
  test.each<{ name: string; type: string; options: AskOptions; is: readonly string[] }>([
    {
      name: 'A.Test.',
      type: 'A',
      options: {},
      is: ['A.Test. 0 A 127.0.0.1', '_udp.A.Test. 0 SRV 0 0 43008 .'],
    },
    {
      name: 'a.test.',
      type: 'MX',
      options: { transport: 'tcp', remoteAddress: '2001:db8::1', remotePort: 1 },
      is: ['a.test. 0 AAAA 2001:db8::1', '_tcp.a.test. 0 SRV 0 0 1 .'],
    },
    {
      name: '.',
      type: 'TYPE65280',
      options: { edns: 1232, dnssecOk: true, checkingDisabled: true },
      is: ['. 0 A 127.0.0.1', '_udp. 0 SRV 0 0 43008 .'],
    },
    {
      name: 'a.',
      type: 'TXT',
      options: { qclass: 'CH' },
      is: ['a. 0 CH A 127.0.0.1', '_udp.a. 0 CH SRV 0 0 43008 .'],
    },
    {
      name: 'a.',
      type: 'A',
      options: { remoteAddress: 'fe80::1%eth0' },
      is: ['a. 0 AAAA fe80::1', '_udp.a. 0 SRV 0 0 43008 .'],
    },
  ])('that asks for $name $type $options', ({ name, type, options, is }) => {
    expect(answer(name, type, options)).toEqual(is);
  });

  test('a client that asks whoami for a name too long to stand below _udp gets SERVFAIL', () => {
    const { query, responses } = askQuery('a.'.repeat(126), 'A');
    handler.onQuery!(query);
    expect(responses[0]).toMatchObject({ rcode: SERVFAIL, failure: { restSec: 0 } });
  });

  test('whoami passes a query of our own on', () => {
    expect(handler.onQuery!(askQuery('a.', 'A', { ours: true }).query)).toBe(PASS);
  });
});

describe('what is refused', () => {
  test.each([
    ['whoami x', 'Corefile:1:8: whoami: Wrong argument count'],
    ['whoami {\n}', 'whoami takes no block'],
  ])('%j: %s', (use, message) => {
    expect(refusal(whoami, use)).toContain(message);
  });
});
