/** node-cache's rules as iptables-save prints them, and those that are there. */
import type { Run } from '../../src/hostnet/command.ts';

/** The rules of the raw table, then those of the filter table, in their order. */
export async function savedRules(run: Run, command: 'iptables' | 'ip6tables'): Promise<string[]> {
  const raw = await run(`${command}-save`, ['-t', 'raw']);
  const filter = await run(`${command}-save`, ['-t', 'filter']);
  return `${raw}\n${filter}`
    .replaceAll('-j CT --notrack', '-j NOTRACK') // two spellings of one rule
    .split('\n')
    .filter((line) => line.startsWith('-A'));
}

/** node-cache's list for an address, in the order in which its inserting leaves each chain. */
function nodeCacheRules(address: string): string[] {
  const host = `${address}/${address.includes(':') ? 128 : 32}`;
  const skip = '-m comment --comment "NodeLocal DNS Cache: skip conntrack" -j NOTRACK';
  const allow = '-m comment --comment "NodeLocal DNS Cache: allow DNS traffic" -j ACCEPT';
  return [
    `-A PREROUTING -d ${host} -p udp -m udp --dport 53 ${skip}`,
    `-A PREROUTING -d ${host} -p tcp -m tcp --dport 53 ${skip}`,
    `-A OUTPUT -s ${host} -p tcp -m tcp --sport 8080 ${skip}`,
    `-A OUTPUT -d ${host} -p tcp -m tcp --dport 8080 ${skip}`,
    `-A OUTPUT -d ${host} -p udp -m udp --dport 53 ${skip}`,
    `-A OUTPUT -d ${host} -p tcp -m tcp --dport 53 ${skip}`,
    `-A OUTPUT -s ${host} -p udp -m udp --sport 53 ${skip}`,
    `-A OUTPUT -s ${host} -p tcp -m tcp --sport 53 ${skip}`,
    `-A INPUT -d ${host} -p udp -m udp --dport 53 ${allow}`,
    `-A INPUT -d ${host} -p tcp -m tcp --dport 53 ${allow}`,
    `-A OUTPUT -s ${host} -p udp -m udp --sport 53 ${allow}`,
    `-A OUTPUT -s ${host} -p tcp -m tcp --sport 53 ${allow}`,
  ];
}

/** node-cache's rules for these addresses as iptables-save prints them: the last address first. */
export function nodeCacheRulesOf(addresses: readonly string[]): string[] {
  const all = addresses.toReversed().flatMap(nodeCacheRules);
  const ofChain = (start: string, action: string): string[] =>
    all.filter((rule) => rule.startsWith(start) && rule.endsWith(action));
  return [
    ...ofChain('-A PREROUTING', 'NOTRACK'),
    ...ofChain('-A OUTPUT', 'NOTRACK'),
    ...ofChain('-A INPUT', 'ACCEPT'),
    ...ofChain('-A OUTPUT', 'ACCEPT'),
  ];
}

/** The rules where they are to divert queries only while somebody listens. */
export function crashSafe(rules: readonly string[]): string[] {
  return (
    rules
      // The host's own queries to the addresses of Services are diverted by a table of nftables.
      .filter((rule) => !/^-A OUTPUT -d (10\.96|fd00).*--dport 53 .*NOTRACK$/.test(rule))
      .map((rule) =>
        rule.startsWith('-A PREROUTING')
          ? rule.replace('-m comment', '-m socket --nowildcard -m comment')
          : rule,
      )
  );
}
