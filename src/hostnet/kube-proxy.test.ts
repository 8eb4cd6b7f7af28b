import { describe, expect, test } from 'vitest';
import { HostnetError, type Run } from './command.ts';
import { type Interception, type NodeSurvey, describeNode, findOwners } from './kube-proxy.ts';

const ADDRESSES = ['169.254.20.10', '10.96.0.10', 'fd00:96::a'];

function addressesOn(interfaces: Record<string, string[]>): Run {
  const devices = Object.entries(interfaces).map(([ifname, addresses]) => ({
    ifname,
    addr_info: addresses.map((local) => ({ local })),
  }));
  return () => Promise.resolve(JSON.stringify(devices));
}

describe('the owners of our addresses', () => {
  test.each([
    { on: 'kube-ipvs0', owned: true },
    { on: 'cilium_host', owned: true },
    { on: 'nodelocaldns', owned: false },
    { on: 'eth0', owned: false },
    { on: 'kube-ipvs01', owned: false },
  ])('$on owns addresses of ours: $owned', async ({ on, owned }) => {
    const owners = await findOwners(
      ADDRESSES,
      addressesOn({ lo: ['::1'], [on]: ADDRESSES.slice(1) }),
    );
    expect([...owners]).toEqual(owned ? ADDRESSES.slice(1).map((address) => [address, on]) : []);
  });

  test('no owners are found where ip fails, which the interface check reports', async () => {
    const run: Run = () => Promise.reject(new HostnetError('missing', 'ip', ''));
    expect((await findOwners(ADDRESSES, run)).size).toBe(0);
    expect((await findOwners(ADDRESSES, () => Promise.resolve('no JSON'))).size).toBe(0);
  });
});

describe('the line about the node', () => {
  const survey: NodeSurvey = { proxy: 'iptables', variant: 'nf_tables', warnings: [] };
  const usual: Interception = { diverted: ADDRESSES, ceded: new Map(), firewall: 'iptables' };

  test.each([
    {
      survey,
      interception: usual,
      line:
        'Node: kube-proxy in the mode iptables; our rules go through iptables (nf_tables); ' +
        "10.96.0.10 is a Service's where it is not diverted; " +
        "fd00:96::a is a Service's where it is not diverted; " +
        'queries to 169.254.20.10, 10.96.0.10, fd00:96::a are diverted here',
    },
    {
      survey: { ...survey, proxy: 'ipvs' as const },
      interception: {
        diverted: ['169.254.20.10'],
        ceded: new Map([['10.96.0.10', 'kube-ipvs0']]),
        firewall: 'nftables' as const,
      },
      line:
        'Node: kube-proxy in the mode ipvs; our rules go through nftables; 10.96.0.10 belongs to ' +
        'kube-ipvs0, and is left to it; queries to 169.254.20.10 are diverted here',
    },
    {
      survey: { ...survey, proxy: 'cilium' as const },
      interception: { diverted: [], ceded: new Map(), firewall: 'none' as const },
      line: 'Node: kube-proxy replaced by cilium; rules are left to others; no queries are diverted here',
    },
  ])('the line for kube-proxy as $survey.proxy', ({ survey: found, interception, line }) => {
    expect(describeNode(found, interception)).toBe(line);
  });
});
