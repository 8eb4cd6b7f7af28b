/**
 * -notrack=false, where policies know connections only (user demand B16): what goes to a pod must belong
 * to a connection, by a table of the node that no ACCEPT of ours can overrule.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HostNetwork } from '../../src/hostnet/sync.ts';
import {
  ADDRESSES,
  BACKEND,
  BACKEND6,
  DEVICE,
  LINK_LOCAL,
  NodeNetwork,
  SERVICE,
  SERVICE6,
} from './node-network.ts';

const POLICY = `table inet policies {
  chain to_pods {
    type filter hook output priority 10; policy accept;
    ip daddr 10.1.0.0/24 ct state established accept
    ip daddr 10.1.0.0/24 drop
    ip6 daddr fd00:1::/64 ct state established accept
    ip6 daddr fd00:1::/64 udp sport 53 drop
    ip6 daddr fd00:1::/64 tcp sport 53 drop
  }
}`;

let place: NodeNetwork;
let told: string[];
let started: HostNetwork[];

beforeEach(() => {
  [told, started] = [[], []];
});
afterEach(async () => {
  for (const network of started) await network.tearDown();
  await place.close();
});

async function divert(tracked: boolean): Promise<HostNetwork> {
  const { node } = place;
  const network = new HostNetwork(
    {
      addresses: ADDRESSES,
      dnsPort: 53,
      healthPort: 8080,
      interfaceName: DEVICE,
      setupInterface: true,
      firewall: 'auto',
      crashSafe: true,
      tracked,
      run: node.run,
      hold: node.hold,
    },
    {
      failed: (kind, error) => told.push(`failed ${kind}: ${error.message}`),
      repaired: (what) => told.push(what),
      info: () => undefined,
    },
  );
  started.push(network);
  await network.setUp();
  return network;
}

/** Who answers the pod over UDP and TCP at each address. */
async function heard(): Promise<Record<string, string>> {
  const questions = ADDRESSES.flatMap((address) => [`udp ${address}`, `tcp ${address}`]);
  const answers = await place.pod.ask(questions);
  const at = (address: string): string =>
    [...new Set(answers.filter((_, i) => questions[i]!.endsWith(` ${address}`)))].join();
  return { linkLocal: at(LINK_LOCAL), service: at(SERVICE), service6: at(SERVICE6) };
}

describe.each(['iptables', 'nftables'] as const)('with kube-proxy in the mode %s', (mode) => {
  test('queries come here in connections, past its DNAT, and go back to it at the end', async () => {
    place = await NodeNetwork.make(mode);
    const { node, backend } = place;
    await backend.serve('kube-dns', [BACKEND, BACKEND6]);
    await node.run('nft', ['-f', '-'], POLICY);
    const kubeDns = { linkLocal: 'nobody', service: 'kube-dns', service6: 'kube-dns' };
    expect(await heard()).toEqual(kubeDns);

    // As node-cache has it, no response reaches a pod.
    const untracked = await divert(false);
    const server = await node.serve('cache', ADDRESSES);
    await untracked.divert();
    const nobody = { linkLocal: 'nobody', service: 'nobody', service6: 'nobody' };
    expect(await heard()).toEqual(nobody);

    await node.run('conntrack', ['-F']);
    const network = await divert(true);
    expect(await network.divert()).toBe(true);
    const ours = { linkLocal: 'cache', service: 'cache', service6: 'cache' };
    expect(await heard()).toEqual(ours);
    for (const address of ADDRESSES) expect(await node.tracked(address)).not.toEqual([]);
    expect(await node.ask([`udp ${SERVICE}`, `tcp ${SERVICE6}`])).toEqual(['cache', 'cache']);
    expect(await network.check()).toEqual([]);

    await network.withdraw('diversion');
    expect(await heard()).toEqual({ ...ours, service: 'kube-dns', service6: 'kube-dns' });
    await network.tearDown();
    await server.kill();
    expect(await heard()).toEqual(kubeDns);
    expect(told.filter((line) => line.startsWith('failed'))).toEqual([]);
  });
});
