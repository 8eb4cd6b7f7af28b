import { decode } from 'dns-packet';
import { describe, expect, test } from 'vitest';
import { buildQuery } from './build-query.ts';
import { emptyOpt } from './edns.ts';
import { RD } from './header.ts';
import { nameFromText } from './name.ts';
import { A, AAAA } from './rrtype.ts';

const NAME = nameFromText('a.example.')!;

describe('a query made from its parts (RFC 1035 section 4.1)', () => {
  test('the parts stand where the RFC has them', () => {
    const message = buildQuery({ name: NAME, qtype: AAAA, id: 4711, flags: RD << 8 });
    expect(Buffer.from(message).toString('hex')).toBe(
      '1267010000010000000000000161076578616d706c6500001c0001',
    );
  });

  test('without ID and flags both are 0, and the class is IN', () => {
    const query = decode(Buffer.from(buildQuery({ name: NAME, qtype: A })));
    expect(query).toMatchObject({ id: 0, flags: 0, type: 'query' });
    expect(query.questions).toMatchObject([{ name: 'a.example', type: 'A', class: 'IN' }]);
    expect(query.additionals).toEqual([]);
  });

  test.each([
    { opt: emptyOpt(1232), records: 1 },
    { opt: new Uint8Array(0), records: 0 },
  ])('an OPT record of $opt.length octets makes $records additional records', (given) => {
    const query = decode(Buffer.from(buildQuery({ name: NAME, qtype: A, opt: given.opt })));
    expect(query.additionals).toHaveLength(given.records);
  });
});
