/**
 * A node's network in namespaces: `node` with kube-proxy's DNAT in both families, `pod` on it, and
 * `backend`, where kube-dns and other servers are. Nothing answers in it yet.
 */
import { Namespace } from './namespace.ts';

export const LINK_LOCAL = '169.254.20.10';
export const SERVICE = '10.96.0.10';
export const SERVICE6 = 'fd00:96::a';
export const ADDRESSES: readonly string[] = [LINK_LOCAL, SERVICE, SERVICE6];
export const UPSTREAM_SERVICE = '10.96.0.11';
/** Where kube-dns is, behind SERVICE and UPSTREAM_SERVICE, and behind SERVICE6. */
export const BACKEND = '10.2.0.2';
export const BACKEND6 = 'fd00:2::2';
/** Other servers on the backend. */
export const STUB_AT = '10.2.0.3';
export const OUTSIDE_AT = '10.2.0.4';
export const DEVICE = 'nodelocaldns';

/** How kube-proxy translates the addresses of Services. */
export type ProxyMode = 'iptables' | 'nftables' | 'ipvs';

export class NodeNetwork {
  readonly node: Namespace;
  readonly pod: Namespace;
  readonly backend: Namespace;

  private constructor(namespaces: readonly [Namespace, Namespace, Namespace]) {
    [this.node, this.pod, this.backend] = namespaces;
  }

  /** `close` it. */
  static async make(mode: ProxyMode = 'iptables'): Promise<NodeNetwork> {
    const network = new NodeNetwork([
      await Namespace.make('node'),
      await Namespace.make('pod'),
      await Namespace.make('dns'),
    ]);
    const { node, pod, backend } = network;
    await node.link(pod, ['10.1.0.1/24', 'fd00:1::1/64'], ['10.1.0.2/24', 'fd00:1::2/64']);
    const servers = [BACKEND, STUB_AT, OUTSIDE_AT].map((address) => `${address}/24`);
    await node.link(backend, ['10.2.0.1/24', 'fd00:2::1/64'], [...servers, `${BACKEND6}/64`]);
    for (const [namespace, n] of [
      [pod, 1],
      [backend, 2],
    ] as const) {
      await namespace.ip(`route add default via 10.${n}.0.1`);
      await namespace.ip(`-6 route add default via fd00:${n}::1`);
    }
    // An address of a Service is routed somewhere before it is translated.
    await node.ip(`route add default via ${BACKEND}`);
    await node.ip(`-6 route add default via ${BACKEND6}`);
    await node.set('net/ipv4/ip_forward', '1');
    await node.set('net/ipv6/conf/all/forwarding', '1');
    await network.#proxy(mode);
    await network.makeDevice();
    return network;
  }

  async #proxy(mode: ProxyMode): Promise<void> {
    const { node } = this;
    if (mode === 'nftables') {
      await node.run('nft', ['-f', '-'], NFT_PROXY);
      return;
    }
    if (mode === 'ipvs') {
      // The addresses are the node's own, and each packet to them is translated all the same; by
      // IPVS on its way to a socket there, by DNAT here.
      await node.ip('link add kube-ipvs0 type bridge');
      for (const address of [SERVICE, UPSTREAM_SERVICE]) {
        await node.ip(`addr add ${address}/32 dev kube-ipvs0`);
      }
      await node.ip(`addr add ${SERVICE6}/128 dev kube-ipvs0 nodad`);
    }
    for (const [command, services, to] of [
      ['iptables', [SERVICE, UPSTREAM_SERVICE], BACKEND],
      ['ip6tables', [SERVICE6], BACKEND6],
    ] as const) {
      await node.tables(command, '-t nat -N KUBE-SERVICES');
      for (const chain of ['PREROUTING', 'OUTPUT']) {
        await node.tables(command, `-t nat -A ${chain} -j KUBE-SERVICES`);
      }
      for (const protocol of ['udp', 'tcp']) {
        for (const service of services) {
          const rule = `-t nat -A KUBE-SERVICES -p ${protocol} -d ${service} --dport 53 -j DNAT`;
          await node.tables(command, `${rule} --to-destination ${to}`);
        }
      }
    }
  }

  /** The daemon makes it of type dummy, which not every kernel has. */
  async makeDevice(): Promise<void> {
    await this.node.ip(`link add ${DEVICE} type bridge`);
  }

  async close(): Promise<void> {
    for (const namespace of [this.node, this.pod, this.backend]) await namespace.close();
  }
}

/** As kube-proxy does it in the mode nftables: tables of its own, at the priority of DNAT. */
const NFT_PROXY = [
  { family: 'ip', services: [SERVICE, UPSTREAM_SERVICE], to: BACKEND },
  { family: 'ip6', services: [SERVICE6], to: BACKEND6 },
]
  .map(({ family, services, to }) => {
    const rules = services.map((service) => `${family} daddr ${service} th dport 53 dnat to ${to}`);
    const chain = (hook: string): string =>
      `chain nat-${hook} { type nat hook ${hook} priority -100; policy accept;
        meta l4proto { tcp, udp } ${rules.join('\n meta l4proto { tcp, udp } ')}
      }`;
    return `table ${family} kube-proxy {\n${chain('prerouting')}\n${chain('output')}\n}`;
  })
  .join('\n');
