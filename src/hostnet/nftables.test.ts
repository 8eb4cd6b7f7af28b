import { describe, expect, test } from 'vitest';
import { Nftables, tableText } from './nftables.ts';
import { rulesFor } from './rules.ts';
import { FakeNode } from './testing.ts';

const OPTIONS = { addresses: ['10.96.0.10'], dnsPort: 53, healthPort: 8080, crashSafe: true };
const RULES = rulesFor(OPTIONS).filter(({ life }) => life !== 'while-alive');

describe('the table of our own', () => {
  test('our table holds the rules at the hooks and priorities of the iptables tables', () => {
    const skip = 'notrack comment "NodeLocal DNS Cache: skip conntrack"';
    const allow = 'accept comment "NodeLocal DNS Cache: allow DNS traffic"';
    expect(tableText(RULES)).toBe(`table inet nodelocald {
  chain prerouting {
    type filter hook prerouting priority raw; policy accept;
    ip daddr 10.96.0.10 udp dport 53 socket transparent { 0, 1 } ${skip}
    ip daddr 10.96.0.10 tcp dport 53 socket transparent { 0, 1 } ${skip}
  }
  chain output_raw {
    type filter hook output priority raw; policy accept;
    ip saddr 10.96.0.10 tcp sport 8080 ${skip}
    ip daddr 10.96.0.10 tcp dport 8080 ${skip}
    ip saddr 10.96.0.10 udp sport 53 ${skip}
    ip saddr 10.96.0.10 tcp sport 53 ${skip}
  }
  chain input {
    type filter hook input priority filter; policy accept;
    ip daddr 10.96.0.10 udp dport 53 ${allow}
    ip daddr 10.96.0.10 tcp dport 53 ${allow}
  }
  chain output {
    type filter hook output priority filter; policy accept;
    ip saddr 10.96.0.10 udp sport 53 ${allow}
    ip saddr 10.96.0.10 tcp sport 53 ${allow}
  }
}
`);
  });

  test('our table is written once, and again only when it has changed', async () => {
    const node = new FakeNode();
    const firewall = new Nftables(node.run);
    expect(await firewall.apply(RULES, RULES)).toHaveLength(10);
    expect(await firewall.apply(RULES, RULES)).toEqual([]);
    node.nftTable = node.nftTable!.replace('8080', '8081');
    expect(await firewall.apply(RULES, RULES)).toHaveLength(10);
    node.nftTable = undefined;
    expect(await firewall.apply(RULES, RULES)).toHaveLength(10);
    expect(await firewall.apply([], RULES)).toEqual(['removed: nftables table inet nodelocald']);
    expect(node.nftTable).toBeUndefined();
    expect(await firewall.apply([], RULES)).toEqual([]);
  });

  test('a table left by an earlier process is replaced in one transaction', async () => {
    const node = new FakeNode();
    node.nftTable = 'table inet nodelocald { }';
    expect(await new Nftables(node.run).apply(RULES, RULES)).toHaveLength(10);
    expect(node.lines.filter((line) => line === 'nft -f -')).toHaveLength(1);
  });
});
