import { describe, expect, test } from 'vitest';
import { readU16 } from '../../dns/header.ts';
import { askQuery } from '../../query/testing.ts';
import { PASS } from '../../query/verdict.ts';
import { parseAs, refusal, testBuilding } from '../testing.ts';
import { bufsize } from './index.ts';

describe('SIZE', () => {
  test.each([
    { use: 'bufsize', octets: 1232 },
    { use: 'bufsize 512', octets: 512 },
    { use: 'bufsize 4096', octets: 4096 },
  ])('of $use is $octets', ({ use, octets }) => {
    expect(parseAs(bufsize, use)).toBe(octets);
  });

  test.each([
    ['bufsize 511', 'Corefile:1:9: bufsize: 511 is out of range; expected an integer from 512 to'],
    ['bufsize 4097', 'Corefile:1:9: bufsize: 4097 is out of range'],
    ['bufsize -1', 'Corefile:1:9: bufsize: -1 is out of range'],
    ['bufsize 1k', 'Corefile:1:9: bufsize: strconv.Atoi: parsing "1k": invalid syntax'],
    ['bufsize 512 1232', 'Corefile:1:13: bufsize: Wrong argument count'],
    ['bufsize {\n}', 'bufsize takes no block'],
  ])('%j is refused: %s', (use, message) => {
    expect(refusal(bufsize, use)).toContain(message);
  });

  test('the SIZE of the first use of bufsize counts', () => {
    expect(bufsize.repeat).toBe('first');
  });
});

describe('the payload size of a query (RFC 6891 section 6.2.3)', () => {
  const handler = bufsize.build!([1232], testBuilding())!;

  test.each([
    { asks: { edns: 4096 }, octets: 1232, because: 'it is lowered' },
    { asks: { edns: 1232 }, octets: 1232, because: 'it is just that' },
    { asks: { edns: 800 }, octets: 800, because: 'a client that offers less has a reason' },
    { asks: { edns: 0 }, octets: 512, because: 'less than 512 counts as 512' },
    { asks: {}, octets: 512, because: 'without EDNS it is 512' },
    { asks: { edns: 4096, transport: 'tcp' }, octets: 1232, because: 'TCP makes no difference' },
    { asks: { edns: 4096, qclass: 'CH' }, octets: 1232, because: 'nor does the class' },
  ] as const)('with $asks it is $octets: $because', ({ asks, octets }) => {
    const { query } = askQuery('.', 'A', asks);
    expect(handler.onQuery!(query)).toBe(PASS);
    expect(query.payloadOctets).toBe(octets);
  });

  test('bufsize lowers the payload size that the upstream is offered', () => {
    const { query } = askQuery('a.test.', 'A', { edns: 4096, dnssecOk: true });
    handler.onQuery!(query);
    expect(readU16(query.toForward(), query.optAt + 3)).toBe(1232);
  });

  test('bufsize counts for hits too, which have their own walk', () => {
    expect(handler).toMatchObject({ seesHits: false, onHits: { payloadOctetsMax: 1232 } });
  });
});
