import { describe, expect, test } from 'vitest';
import { Iptables, changeTo, removalOf } from './iptables.ts';
import { type FirewallRule, rulesFor } from './rules.ts';
import { FakeNode } from './testing.ts';

const OPTIONS = { addresses: ['10.96.0.10'], dnsPort: 53, healthPort: 8080, crashSafe: false };
const ALL = rulesFor(OPTIONS);
/** raw PREROUTING udp: one rule is enough to show what is done to it. */
const ONE: readonly FirewallRule[] = [ALL[1]!];
const ONE_SAFE: readonly FirewallRule[] = [rulesFor({ ...OPTIONS, crashSafe: true })[1]!];

const MATCH = '-d 10.96.0.10/32 -p udp -m udp --dport 53';
const COMMENT = '-m comment --comment "NodeLocal DNS Cache: skip conntrack"';
const RULE = `PREROUTING ${MATCH} ${COMMENT} -j NOTRACK`;
const SAFE = `PREROUTING ${MATCH} -m socket --nowildcard ${COMMENT} -j NOTRACK`;
const BARE = `PREROUTING ${MATCH} -j NOTRACK`;

function saved(table: string, ...rules: string[]): string {
  const lines = rules.map((rule) => `-A ${rule}`);
  return ['# Generated', `*${table}`, ':PREROUTING ACCEPT [0:0]', ...lines, 'COMMIT'].join('\n');
}

function batch(...lines: string[]): string {
  return lines.length === 0 ? '' : `*raw\n${lines.join('\n')}\nCOMMIT\n`;
}

describe('the saved rules are compared with the wanted ones', () => {
  test.each<[string, string[], readonly FirewallRule[], string[]]>([
    ['missing is inserted', [], ONE, [`-I ${RULE}`]],
    ['present is left alone', [RULE], ONE, []],
    ['twice loses one', [RULE, RULE], ONE, [`-D ${RULE}`]],
    ['without the comment is replaced', [BARE], ONE, [`-D ${BARE}`, `-I ${RULE}`]],
    ['without the comment beside ours goes', [BARE, RULE], ONE, [`-D ${BARE}`]],
    ['with the socket match is replaced', [SAFE], ONE, [`-D ${SAFE}`, `-I ${RULE}`]],
    ['without the socket match is replaced', [RULE], ONE_SAFE, [`-D ${RULE}`, `-I ${SAFE}`]],
    ['with the socket match is kept', [SAFE], ONE_SAFE, []],
    ['not wanted any more is removed', [RULE, BARE, SAFE], [], ['RULE', 'BARE', 'SAFE']],
    ['spelt with CT is known', [RULE.replace('NOTRACK', 'CT --notrack')], ONE, []],
  ])('a rule %s', (_, present, wanted, expected) => {
    const names: Record<string, string> = { RULE, BARE, SAFE };
    const lines = expected.map((line) => (line in names ? `-D ${names[line]!}` : line));
    expect(changeTo(saved('raw', ...present), wanted, ALL).batch).toBe(batch(...lines));
  });

  test.each([
    ['another address', RULE.replace('10.96.0.10', '10.96.0.11')],
    ['a network', RULE.replace('10.96.0.10/32', '10.96.0.10/24')],
    ['a negation', RULE.replace('-d', '! -d')],
    ['an interface', RULE.replace('PREROUTING', 'PREROUTING -i eth0')],
    ['a source too', RULE.replace('-d', '-s 10.1.0.0/16 -d')],
    ['another port', RULE.replace('--dport 53', '--dport 5353')],
    ['a range of ports', RULE.replace('--dport 53', '--dport 53:54')],
    ['a source port too', RULE.replace('--dport 53', '--sport 53 --dport 53')],
    ['another chain', RULE.replace('PREROUTING', 'KUBE-FOO')],
    ['another target', RULE.replace('NOTRACK', 'DROP')],
    ['another match', RULE.replace(COMMENT, `-m conntrack --ctstate NEW ${COMMENT}`)],
  ])('a rule with %s is foreign, and stays', (_, foreign) => {
    expect(changeTo(saved('raw', foreign), [], ALL).batch).toBe('');
  });

  test('a rule like ours in a table of another name is foreign', () => {
    expect(changeTo(saved('nat', RULE), [], ALL).batch).toBe('');
  });

  test('all twelve rules go into one batch, each at the head, in the order of the list', () => {
    const lines = changeTo('', ALL, ALL).batch.trim().split('\n');
    const chains = lines.map((line) =>
      /^-I (\S+) .* -m (\w+) --[ds]port (\d+)/.exec(line)?.slice(1),
    );
    expect(lines[0]).toBe('*raw');
    expect(chains.filter((found) => found !== undefined).map((found) => found.join(' '))).toEqual([
      'PREROUTING tcp 53',
      'PREROUTING udp 53',
      'OUTPUT tcp 53',
      'OUTPUT udp 53',
      'OUTPUT tcp 53',
      'OUTPUT udp 53',
      'OUTPUT tcp 8080',
      'OUTPUT tcp 8080',
      'INPUT tcp 53',
      'INPUT udp 53',
      'OUTPUT tcp 53',
      'OUTPUT udp 53',
    ]);
    expect(lines.filter((line) => line === 'COMMIT')).toHaveLength(2);
  });

  test('an IPv6 address is known in any spelling', () => {
    const rules = rulesFor({ ...OPTIONS, addresses: ['fd00:0:0::000a'] });
    const { batch: first } = changeTo('', rules, rules);
    expect(first).toContain('-d fd00::a/128');
    const printed = first.replaceAll('-I ', '-A ');
    expect(changeTo(printed, rules, rules)).toEqual({ batch: '', changes: [] });
  });
});

describe('cleaning up', () => {
  test('cleaning up finds rules by their comment, and those without it by shape', () => {
    const other = RULE.replace('10.96.0.10', '10.96.0.99');
    const foreign = 'PREROUTING -d 10.96.0.99/32 -p udp -m udp --dport 53 -j NOTRACK';
    const quoted = `PREROUTING -m comment --comment "a \\"b\\" NodeLocal" -j ACCEPT`;
    const text = saved('raw', other, foreign, BARE, quoted);
    expect(removalOf(text, ALL).batch).toBe(batch(`-D ${other}`, `-D ${BARE}`));
  });
});

describe('the commands', () => {
  test('each family with addresses is restored once, or not at all if nothing differs', async () => {
    const node = new FakeNode();
    const rules = rulesFor({ ...OPTIONS, addresses: ['10.96.0.10', 'fd00::a'] });
    expect(await new Iptables(node.run).apply(rules, rules)).toHaveLength(24);
    expect(node.lines.sort()).toEqual([
      'ip6tables-restore --noflush --wait 5',
      'ip6tables-save -t filter',
      'ip6tables-save -t raw',
      'iptables-restore --noflush --wait 5',
      'iptables-save -t filter',
      'iptables-save -t raw',
    ]);
    node.lines.length = 0;
    expect(await new Iptables(node.run).apply(rules, rules)).toEqual([]);
    expect(node.lines.some((line) => line.includes('restore'))).toBe(false);
  });

  test('rules that changed between reading and writing are read again, once', async () => {
    const node = new FakeNode();
    let failures = 1;
    node.fail = (line) =>
      line.includes('restore') && failures-- > 0 ? { code: 'failed', said: 'Bad rule' } : undefined;
    expect(await new Iptables(node.run).apply(ALL, ALL)).toHaveLength(12);
    failures = 2;
    await expect(new Iptables(node.run).apply([], ALL)).rejects.toThrow('Bad rule');
  });

  test("one family's failure does not keep the other from its rules", async () => {
    const node = new FakeNode();
    node.missing.add('iptables-save');
    const rules = rulesFor({ ...OPTIONS, addresses: ['10.96.0.10', 'fd00::a'] });
    await expect(new Iptables(node.run).apply(rules, rules)).rejects.toThrow('not installed');
    expect(node.allRules).toHaveLength(12);
  });
});
