import { describe, expect, test } from 'vitest';
import { describeRule, rulesFor } from './rules.ts';

const OPTIONS = { dnsPort: 53, healthPort: 8080, crashSafe: false };

describe("the list is node-cache's, in its order", () => {
  const at = '10.96.0.10';
  test.each([
    [1, `raw PREROUTING tcp to ${at}:53 NOTRACK`],
    [2, `raw PREROUTING udp to ${at}:53 NOTRACK`],
    [3, `filter INPUT tcp to ${at}:53 ACCEPT`],
    [4, `filter INPUT udp to ${at}:53 ACCEPT`],
    [5, `raw OUTPUT tcp from ${at}:53 NOTRACK`],
    [6, `raw OUTPUT udp from ${at}:53 NOTRACK`],
    [7, `filter OUTPUT tcp from ${at}:53 ACCEPT`],
    [8, `filter OUTPUT udp from ${at}:53 ACCEPT`],
    [9, `raw OUTPUT tcp to ${at}:53 NOTRACK`],
    [10, `raw OUTPUT udp to ${at}:53 NOTRACK`],
    [11, `raw OUTPUT tcp to ${at}:8080 NOTRACK`],
    [12, `raw OUTPUT tcp from ${at}:8080 NOTRACK`],
  ])('rule %i of an address is %s', (number, expected) => {
    expect(rulesFor({ ...OPTIONS, addresses: [at] }).map(describeRule)[number - 1]).toBe(expected);
  });

  test('addresses of both families have twelve rules each, one address after the other', () => {
    const rules = rulesFor({ ...OPTIONS, addresses: ['10.96.0.10', 'FD00:0::A'], dnsPort: 1053 });
    expect(rules).toHaveLength(24);
    expect(describeRule(rules[12]!)).toBe('raw PREROUTING tcp to [fd00::a]:1053 NOTRACK');
    expect(rules.map(({ family }) => family)).toEqual([
      ...Array.from({ length: 12 }, () => 4),
      ...Array.from({ length: 12 }, () => 6),
    ]);
  });

  test('an address that stands twice counts once', () => {
    const rules = rulesFor({ ...OPTIONS, addresses: ['fd00::a', 'fd00:0::a'] });
    expect(rules).toHaveLength(12);
  });

  test('a text that is not an address is refused', () => {
    expect(() => rulesFor({ ...OPTIONS, addresses: ['10.96.0'] })).toThrow('not an IP address');
  });
});

/** The rules that end with someone. */
const ends = (address: string): string[] =>
  rulesFor({ ...OPTIONS, addresses: [address], crashSafe: true })
    .filter(({ life }) => life !== 'always')
    .map(describeRule);

describe('crash-safe, no rule that diverts outlives its listeners', () => {
  test("a pod's queries follow the socket, the host's follow the process", () => {
    expect(ends('10.96.0.10')).toEqual([
      'raw PREROUTING tcp to 10.96.0.10:53 NOTRACK while-listening',
      'raw PREROUTING udp to 10.96.0.10:53 NOTRACK while-listening',
      'raw OUTPUT tcp to 10.96.0.10:53 NOTRACK while-alive',
      'raw OUTPUT udp to 10.96.0.10:53 NOTRACK while-alive',
    ]);
  });

  test.each(['169.254.20.10', 'fe80::10'])(
    'no rule for the link-local %s diverts, and only those for pods can end',
    (address) => {
      expect(ends(address)).toHaveLength(2);
      const rules = rulesFor({ ...OPTIONS, addresses: [address], crashSafe: true });
      expect(rules.filter(({ diverts }) => diverts)).toEqual([]);
    },
  );

  test.each([true, false])('with crashSafe %s, the same four rules divert', (crashSafe) => {
    const rules = rulesFor({ ...OPTIONS, addresses: ['10.96.0.10'], crashSafe });
    expect(rules.flatMap(({ diverts }, i) => (diverts ? [i + 1] : []))).toEqual([1, 2, 9, 10]);
  });
});

describe('tracked', () => {
  const tracked = (address: string): string[] =>
    rulesFor({ ...OPTIONS, addresses: [address], tracked: true }).map(describeRule);

  test('packets of a tracked link-local address are only let in and out', () => {
    expect(tracked('169.254.20.10')).toEqual([
      'filter INPUT tcp to 169.254.20.10:53 ACCEPT',
      'filter INPUT udp to 169.254.20.10:53 ACCEPT',
      'filter OUTPUT tcp from 169.254.20.10:53 ACCEPT',
      'filter OUTPUT udp from 169.254.20.10:53 ACCEPT',
    ]);
  });

  test("a tracked Service's address is kept from translation for pods and the host while we live", () => {
    expect(tracked('fd00::a').slice(4)).toEqual([
      'nat PREROUTING tcp to [fd00::a]:53 KEEP while-alive',
      'nat PREROUTING udp to [fd00::a]:53 KEEP while-alive',
      'nat OUTPUT tcp to [fd00::a]:53 KEEP while-alive',
      'nat OUTPUT udp to [fd00::a]:53 KEEP while-alive',
    ]);
  });
});
