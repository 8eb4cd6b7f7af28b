import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { HostNetwork, type HostNetworkOptions } from './sync.ts';
import { FakeNode } from './testing.ts';

let node: FakeNode;
let reported: string[];

beforeEach(() => {
  node = new FakeNode();
  reported = [];
});

function network(options: Partial<HostNetworkOptions> = {}): HostNetwork {
  return new HostNetwork(
    {
      addresses: ['169.254.20.10', '10.96.0.10'],
      dnsPort: 53,
      healthPort: 8080,
      interfaceName: 'nodelocaldns',
      setupInterface: true,
      firewall: 'auto',
      crashSafe: true,
      run: node.run,
      hold: node.hold,
      random: () => 0.5,
      ...options,
    },
    {
      failed: (kind, error) => reported.push(`failed ${kind} ${error.code}`),
      repaired: (what) => reported.push(`repaired ${what}`),
      info: (text) => reported.push(`info ${text}`),
    },
  );
}

describe('one life, in order', () => {
  test('rules come with divert, and rules and interface go with tearDown', async () => {
    const host = network();
    await host.setUp();
    expect(node.interfaces.get('nodelocaldns')).toEqual(['169.254.20.10', '10.96.0.10']);
    await host.check();
    expect(node.allRules).toEqual([]);
    expect(host.isDiverting).toBe(false);
    expect(await host.divert()).toBe(true);
    expect(host.isDiverting).toBe(true);
    expect(node.allRules).toHaveLength(22);
    expect(node.held).toBe(1);
    expect(await host.check()).toEqual([]);
    await host.tearDown();
    expect(host.isDiverting).toBe(false);
    expect(node.allRules).toEqual([]);
    expect(node.held).toBe(0);
    expect(node.interfaces.has('nodelocaldns')).toBe(false);
    const order = node.lines.filter((line) => /restore|link del/.test(line));
    expect(order.at(-1)).toBe('ip link del nodelocaldns');
    expect(reported).toEqual([`info The firewall's rules go through iptables.`]);
  });

  test('with tracking, rules of the other kind are replaced, and diverting needs nftables', async () => {
    const before = network({ crashSafe: false });
    await before.divert();
    expect(node.allRules).toHaveLength(24);
    const host = network({ tracked: true });
    expect(await host.divert()).toBe(true);
    expect(node.allRules).toHaveLength(8);
    expect(node.allRules.every((rule) => rule.endsWith('ACCEPT'))).toBe(true);
    expect([node.held, host.isDivertingHost]).toEqual([1, true]);
    await host.withdraw('diversion');
    expect([node.held, node.allRules.length]).toEqual([0, 8]);
    node.fail = (line) => (line === 'nft -i' ? { code: 'failed', said: 'no owner' } : undefined);
    expect(await host.divert()).toBe(false);
    expect(host.isDiverting).toBe(false);
    expect(reported).toContain('failed iptables failed');
  });

  test('ceded addresses are neither added nor diverted, and rules of an earlier process still go', async () => {
    const before = network({ crashSafe: false });
    await before.setUp();
    await before.divert();
    expect(node.allRules).toHaveLength(24);
    node.interfaces.clear();
    const host = network();
    host.cede(['10.96.0.10']);
    await host.withdraw();
    expect(node.allRules).toEqual([]);
    await host.setUp();
    await host.divert();
    expect(node.interfaces.get('nodelocaldns')).toEqual(['169.254.20.10']);
    expect(node.allRules).toHaveLength(12);
    expect(node.allRules.filter((rule) => rule.includes('10.96.0.10'))).toEqual([]);
  });

  test.each<'iptables' | 'nftables'>(['iptables', 'nftables'])(
    'through %s, rules of addresses that another daemon serves stay, and so does the interface',
    async (firewall) => {
      const host = network({ firewall, crashSafe: false });
      await host.setUp();
      await host.divert();
      const rulesFor = (address: string): string[] =>
        firewall === 'iptables'
          ? node.allRules.filter((rule) => rule.includes(`${address}/32`))
          : (node.nftTable ?? '').split('\n').filter((line) => line.includes(` ${address} `));
      const before = rulesFor('169.254.20.10');
      expect(before).toHaveLength(12);
      host.leaveTo(['169.254.20.10']);
      await host.tearDown();
      expect(rulesFor('169.254.20.10')).toEqual(before);
      expect(rulesFor('10.96.0.10')).toEqual([]);
      expect(node.interfaces.has('nodelocaldns')).toBe(true);
    },
  );

  test('a node whose addresses are all served by another daemon is left as it is', async () => {
    const host = network({ crashSafe: false });
    await host.setUp();
    await host.divert();
    const before = [...node.allRules];
    host.leaveTo(['169.254.20.10', '10.96.0.10']);
    await host.tearDown();
    expect(node.allRules).toEqual(before);
    expect(node.interfaces.has('nodelocaldns')).toBe(true);
    // Once the other daemon has gone, everything is taken out.
    host.leaveTo([]);
    await host.tearDown();
    expect(node.allRules).toEqual([]);
    expect(node.interfaces.has('nodelocaldns')).toBe(false);
  });

  test('a check repairs what was lost, and reports each thing', async () => {
    const host = network({ crashSafe: false });
    await host.setUp();
    await host.divert();
    node.interfaces.clear();
    node.rules.get('iptables raw')!.pop();
    const repaired = await host.check();
    expect(repaired).toEqual([
      'interface nodelocaldns of type dummy',
      'address 169.254.20.10/32 on nodelocaldns',
      'address 10.96.0.10/32 on nodelocaldns',
      'added: raw PREROUTING tcp to 169.254.20.10:53 NOTRACK',
    ]);
    expect(reported.filter((line) => line.startsWith('repaired'))).toHaveLength(4);
  });

  test("withdrawing the diversion keeps the link-local's rules and those of responses", async () => {
    const host = network();
    await host.divert();
    expect(await host.withdraw('diversion')).toBe(true);
    const left = node.allRules.filter((rule) => rule.includes('10.96.0.10'));
    expect(left.some((rule) => rule.startsWith('-A PREROUTING'))).toBe(false);
    expect(left).toHaveLength(8);
    expect(node.allRules).toHaveLength(20);
    expect(node.held).toBe(0);
    await host.check();
    expect(node.allRules).toHaveLength(20);
  });

  test('rules of an earlier process can be withdrawn before anything else is done', async () => {
    await network({ crashSafe: false }).divert();
    expect(await network().withdraw()).toBe(true);
    expect(node.allRules).toEqual([]);
  });

  test('with -setupinterface=false and -setupiptables=false no program is run', async () => {
    const host = network({ setupInterface: false, firewall: 'none' });
    await host.setUp();
    expect(await host.divert()).toBe(true);
    await host.check();
    await host.tearDown();
    expect(node.lines).toEqual([]);
  });
});

describe('which firewall', () => {
  test.each([
    [[], 'auto', 'iptables'],
    [['iptables'], 'auto', 'nftables'],
    [[], 'nftables', 'nftables'],
  ] as const)('without %j, --firewall %s means %s', async (missing, firewall, expected) => {
    for (const command of missing) node.missing.add(command);
    expect(await network({ firewall }).divert()).toBe(true);
    expect(reported).toEqual([`info The firewall's rules go through ${expected}.`]);
    expect(node.nftTable === undefined).toBe(expected === 'iptables');
  });

  test('rules that an earlier process left in the other firewall are removed', async () => {
    await network({ firewall: 'nftables', crashSafe: false }).divert();
    await network({ firewall: 'iptables' }).divert();
    expect(node.nftTable).toBeUndefined();
    await network({ firewall: 'nftables' }).divert();
    expect(node.allRules).toEqual([]);
  });

  test('a node with neither iptables nor nft is reported once', async () => {
    node.missing.add('iptables').add('nft');
    const host = network();
    await host.setUp();
    expect(await host.divert()).toBe(false);
    node.interfaces.clear();
    await host.check();
    expect(reported.filter((line) => line.startsWith('failed'))).toEqual([
      'failed iptables missing',
    ]);
    expect(node.interfaces.has('nodelocaldns')).toBe(true);
    await host.tearDown();
    expect(node.interfaces.has('nodelocaldns')).toBe(false);
  });
});

describe('what a node may lack', () => {
  test("without the socket match node-cache's own rules go in, reported once", async () => {
    node.fail = (_, stdin) =>
      stdin.includes('socket') ? { code: 'failed', said: "Couldn't load match" } : undefined;
    const host = network();
    expect(await host.divert()).toBe(true);
    expect(node.allRules).toHaveLength(24);
    await host.check();
    expect(reported.slice(1)).toEqual([expect.stringContaining('no socket match')]);
  });

  test('the socket match is kept when something else was the failure', async () => {
    let failing = true;
    node.fail = (line) =>
      failing && line.includes('restore') ? { code: 'failed', said: 'busy' } : undefined;
    const host = network();
    expect(await host.divert()).toBe(false);
    failing = false;
    await host.check();
    expect(node.allRules.some((rule) => rule.includes('--nowildcard'))).toBe(true);
  });

  test("without owned tables the host's queries are not diverted, reported once", async () => {
    node.fail = (line) => (line === 'nft -i' ? { code: 'failed', said: 'Error: x' } : undefined);
    const host = network();
    expect(await host.divert()).toBe(true);
    await host.check();
    expect(node.held).toBe(0);
    expect(reported.slice(1)).toEqual([expect.stringContaining("host's own processes")]);
    node.fail = () => undefined; // nft was only slow
    await host.check();
    expect(node.held).toBe(1);
  });

  test('a lack of NET_ADMIN is reported once, and nothing is tried again', async () => {
    node.fail = (line) =>
      line.includes('show') ? undefined : { code: 'forbidden', said: 'Operation not permitted' };
    const host = network();
    await host.setUp();
    const tried = node.lines.length;
    expect(await host.divert()).toBe(false);
    await host.check();
    await host.tearDown();
    expect(reported.filter((line) => line.startsWith('failed'))).toEqual([
      'failed interface_add forbidden',
    ]);
    expect(node.lines.length).toBe(tried);
  });
});

describe('one after another', () => {
  test('withdrawing aborts a check, which puts nothing back', async () => {
    const host = network();
    await host.divert();
    node.rules.clear();
    const check = host.check();
    const withdrawn = host.withdraw();
    void host.check();
    expect(await withdrawn).toBe(true);
    await check;
    await host.check();
    expect(node.allRules).toEqual([]);
  });

  test('withdrawing goes on while another holds the lock', async () => {
    const host = network();
    await host.divert();
    let times = 3;
    node.fail = (line) =>
      line.includes('restore') && times-- > 0
        ? { code: 'locked', said: 'holding the xtables lock' }
        : undefined;
    expect(await host.withdraw()).toBe(true);
    expect(reported.filter((line) => line === 'failed iptables_lock locked')).toHaveLength(3);
    expect(node.allRules).toEqual([]);
  });
});

describe('the watch', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('the watch checks at its interval, until it is ended', async () => {
    const host = network();
    await host.setUp();
    host.watch(60_000);
    node.interfaces.clear();
    await vi.advanceTimersByTimeAsync(59_000);
    expect(node.interfaces.size).toBe(0);
    await vi.advanceTimersByTimeAsync(2000);
    expect(node.interfaces.size).toBe(1);
    host.unwatch();
    node.interfaces.clear();
    await vi.advanceTimersByTimeAsync(600_000);
    expect(node.interfaces.size).toBe(0);
  });

  test('the watch comes back sooner while another holds the lock, later each time', async () => {
    const host = network({ setupInterface: false });
    node.fail = (line) => (line.includes('restore') ? { code: 'locked', said: '' } : undefined);
    expect(await host.divert()).toBe(false);
    node.lines.length = 0;
    host.watch(60_000);
    const restores = (): number => node.lines.filter((line) => line.includes('restore')).length;
    for (const [afterMs, expected] of [
      [1100, 1],
      [2000, 2],
      [4000, 3],
      [8000, 4],
    ] as const) {
      await vi.advanceTimersByTimeAsync(afterMs);
      expect(restores()).toBe(expected);
    }
    node.fail = () => undefined;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(node.allRules).toHaveLength(22);
    host.unwatch();
  });
});
