import { describe, expect, test } from 'vitest';
import { A, AAAA } from '../../dns/rrtype.ts';
import { parseAs } from '../testing.ts';
import { rewrite } from './index.ts';

describe('the lines of explain about a query', () => {
  test.each<{ lines: string[]; says: string[]; below?: string }>([
    { lines: ['name x.test y.test'], says: [] },
    {
      lines: ['name a.test b.test'],
      says: [
        'asks b.test. A instead',
        'renames what the answer’s records lead to',
        'renames the owners of the answer’s records',
      ],
      below: 'b.test.',
    },
    {
      lines: ['continue name prefix a b', 'type A AAAA'],
      says: ['asks b.test. AAAA instead'],
      below: 'b.test.',
    },
    { lines: ['class IN CH'], says: ['asks a.test. CH A instead'] },
    { lines: ['edns0 subnet set 24 56'], says: ['changes the EDNS options of the query'] },
    { lines: ['edns0 nsid unset'], says: [] },
    { lines: ['ttl a.test 90'], says: ['sets TTLs to 1m30s'] },
    { lines: ['ttl a.test 5-90'], says: ['keeps TTLs from 5s to 1m30s'] },
    {
      lines: ['continue rcode a.test SERVFAIL NXDOMAIN', 'cname b c'],
      says: [
        'points some CNAMEs elsewhere, and looks up where they lead',
        'turns SERVFAIL into NXDOMAIN',
      ],
    },
    {
      lines: ['name regex ^a(.*) b..{1}'],
      says: ['answers SERVFAIL: the name becomes b...test.., which is none'],
    },
  ])('$lines: $says', ({ lines, says, below = 'a.test.' }) => {
    const rules = lines.map((line) => parseAs(rewrite, `rewrite ${line}`));
    const asked = { name: 'a.test.', qtype: A };
    expect(rewrite.explain!(rules, asked)).toEqual(says);
    const qtype = says[0]?.includes('AAAA') === true ? AAAA : A;
    expect(rewrite.asksInstead!(rules, asked)).toEqual({ name: below, qtype });
  });

  test('explain without a question shows the rules of rewrite as the Corefile has them', () => {
    expect(rewrite.explain!([parseAs(rewrite, 'rewrite name a b')], undefined)).toBeUndefined();
  });
});
