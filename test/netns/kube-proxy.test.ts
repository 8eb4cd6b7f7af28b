/** Who answers a pod before, while and after the daemon runs, by kube-proxy's mode (user demand B2). */
import { afterAll, describe, expect, test } from 'vitest';
import { until } from '../harness/timing.ts';
import { KUBE_DNS, NodeFixture } from './node-fixture.ts';
import { ADDRESSES, LINK_LOCAL, type ProxyMode, SERVICE, SERVICE6 } from './node-network.ts';

const NAME = 'kubernetes.default.svc.cluster.local';

const fixtures: NodeFixture[] = [];
afterAll(async () => {
  for (const fixture of fixtures) await fixture.close();
});

interface Case {
  readonly mode: ProxyMode;
  readonly addresses: readonly string[];
  /** The addresses of `addresses` that the daemon takes over. */
  readonly diverted: readonly string[];
  readonly says: RegExp;
}

const LINK_LOCAL_ONLY = [LINK_LOCAL];
const CASES: readonly Case[] = [
  {
    mode: 'iptables',
    addresses: ADDRESSES,
    diverted: [SERVICE, SERVICE6],
    says: /mode iptables; .*10\.96\.0\.10 is a Service's.*queries to 169.*, 10\.96\.0\.10, fd00/,
  },
  {
    mode: 'nftables',
    addresses: ADDRESSES,
    diverted: [SERVICE, SERVICE6],
    says: /mode nftables; .*queries to 169\.254\.20\.10, 10\.96\.0\.10, fd00:96::a are diverted/,
  },
  {
    mode: 'ipvs',
    addresses: ADDRESSES,
    diverted: [],
    says: /mode ipvs; .*10\.96\.0\.10 belongs to kube-ipvs0.*queries to 169\.254\.20\.10 are/,
  },
  ...(['iptables', 'nftables', 'ipvs'] as const).map((mode) => ({
    mode,
    addresses: LINK_LOCAL_ONLY,
    diverted: [],
    says: new RegExp(`mode ${mode}; .*queries to 169\\.254\\.20\\.10 are diverted`),
  })),
];

describe.concurrent('kube-proxy in the mode', () => {
  test.each(CASES)('$mode, with $addresses', async ({ mode, addresses, diverted, says }) => {
    const fixture = await NodeFixture.make(mode, addresses);
    fixtures.push(fixture);
    fixture.install.setCorefile(
      fixture.install.corefile().replaceAll(/bind .*/g, `bind ${addresses.join(' ')}`),
    );
    const { node, pod } = fixture;

    /** Who answers a pod at each address, and whether connection tracking took part. */
    async function answers(): Promise<Record<string, string>> {
      await node.run('conntrack', ['-F']);
      const heard: Record<string, string> = {};
      for (const address of [SERVICE, SERVICE6, LINK_LOCAL]) {
        const answer = await fixture.ask(pod, address, NAME, '+time=1');
        const tracked = (await node.tracked(address)).length > 0;
        heard[address] = answer === KUBE_DNS && tracked ? 'kube-dns' : answer;
      }
      return heard;
    }
    const without = { [SERVICE]: 'kube-dns', [SERVICE6]: 'kube-dns', [LINK_LOCAL]: 'nobody' };
    const ours = [...diverted, LINK_LOCAL];
    const during = { ...without, ...Object.fromEntries(ours.map((each) => [each, KUBE_DNS])) };

    expect(await answers()).toEqual(without);
    const daemon = await fixture.start();
    expect(await answers()).toEqual(during);
    await until('the node is described', () => says.test(daemon.output));
    expect(await daemon.end('SIGTERM')).toBe(0);
    expect(await answers()).toEqual(without);
    await fixture.network.makeDevice();
    const next = await fixture.start();
    expect(await answers()).toEqual(during);
    const health = await fixture.get(`http://${LINK_LOCAL}:8080/health`);
    const isDegraded = mode === 'ipvs' && addresses === ADDRESSES;
    expect(health.startsWith(isDegraded ? 'OK, degraded\n' : 'OK\n')).toBe(true);
    expect(await next.end('SIGTERM')).toBe(0);
  });
});
