/**
 * A node in namespaces, with what is around it:
 *
 *   pods (10.244.N.2) -- node -- 10.2.0.0/24 -- another host: two kube-dns backends, and a resolver
 *
 * Owns:    the addresses, the routes, and kube-proxy's rules: DNAT of two Services, kube-dns and
 *          kube-dns-upstream, to the two backends at random.
 */
import { type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Ending } from './ending.ts';
import type { Counts } from './kube-dns.ts';
import { Namespace } from './namespace.ts';

export const LOCAL = '169.254.20.10';
export const SERVICE = '10.96.0.10';
export const UPSTREAM_SERVICE = '10.96.0.11';
export const BACKENDS = ['10.2.0.11', '10.2.0.12'] as const;
const RESOLVER = '10.2.0.20';
const NODE = '10.2.0.1';
const PODS = 4;
const DEVICE = 'nodelocaldns';

export class Cluster {
  readonly node: Namespace;
  readonly pods: readonly Namespace[];
  /** Where the backends run. */
  readonly host: Namespace;
  readonly backends: readonly Backend[];
  readonly #resolver: Backend;
  /** A process in each of these namespaces, whose files in /proc tell of it. */
  readonly #holders: ReadonlyMap<Namespace, ChildProcess>;

  private constructor(ending: Ending) {
    this.node = new Namespace(ending, 'node');
    this.host = new Namespace(ending, 'host');
    this.node.link(this.host, 'eth0', `${NODE}/24`, '10.2.0.2/24');
    for (const address of [...BACKENDS, RESOLVER]) {
      this.host.run(`ip addr add ${address}/24 dev eth0`);
    }
    // An address of a Service is routed somewhere before it is translated.
    this.node.run('ip route add default via 10.2.0.2');
    this.pods = Array.from({ length: PODS }, (_, i) => {
      const pod = new Namespace(ending, `pod${i}`);
      this.node.link(pod, `pod${i}`, `10.244.${i}.1/24`, `10.244.${i}.2/24`);
      pod.etc('nsswitch.conf', 'hosts: dns\n');
      return pod;
    });
    this.node.run('tee /proc/sys/net/ipv4/ip_forward', '1');
    this.node.etc('resolv.conf', `nameserver ${RESOLVER}\n`);
    this.node.run('iptables-restore --noflush', kubeProxyRules());
    this.#holders = new Map(
      [this.node, this.host].map((namespace) => [
        namespace,
        namespace.start(['sleep', 'infinity']),
      ]),
    );
    this.backends = BACKENDS.map((address) => new Backend(this.host, address));
    this.#resolver = new Backend(this.host, RESOLVER);
  }

  static async make(ending: Ending): Promise<Cluster> {
    const cluster = new Cluster(ending);
    await Promise.all([...cluster.backends, cluster.#resolver].map((backend) => backend.ready()));
    return cluster;
  }

  /** The backend with the most connections open: the one that would be missed. */
  async busiestBackend(): Promise<string> {
    const open = await Promise.all(this.backends.map(async (one) => (await one.counts()).open));
    return this.backends[open.indexOf(Math.max(...open))]!.address;
  }

  /** Not every kernel can make the interface of type dummy that the daemon makes if there is none. */
  makeDevice(): void {
    const links = this.node.run('ip -brief link show');
    if (!links.includes(DEVICE)) this.node.run(`ip link add ${DEVICE} type bridge`);
  }

  /** Sets the nameserver for programs that the pod starts from now on. */
  setNameserver(pod: Namespace, address: string): void {
    const search = 'search default.svc.cluster.local svc.cluster.local cluster.local';
    pod.etc('resolv.conf', `nameserver ${address}\n${search}\noptions ndots:5\n`);
  }

  /** A counter of `node` or `host`, as /proc/net/snmp names it: `Udp RcvbufErrors`. */
  kernelCounter(namespace: Namespace, name: string): number {
    const [group, field] = name.split(' ');
    const file = `/proc/${this.#holders.get(namespace)!.pid}/net/snmp`;
    const lines = readFileSync(file, 'utf8').split('\n');
    const [names, values] = lines.filter((line) => line.startsWith(`${group}: `));
    return Number(values!.split(' ')[names!.split(' ').indexOf(field!)]);
  }
}

/** A kube-dns backend, or the resolver outside the cluster. */
export class Backend {
  readonly address: string;
  readonly #child: ChildProcess;
  readonly #lines: Interface;

  constructor(host: Namespace, address: string) {
    this.address = address;
    const program = join(import.meta.dirname, 'kube-dns.js');
    this.#child = host.start([process.execPath, program, address]);
    this.#child.stderr!.pipe(process.stderr);
    this.#lines = createInterface({ input: this.#child.stdout! });
  }

  async ready(): Promise<void> {
    await once(this.#lines, 'line', { signal: AbortSignal.timeout(10_000) });
  }

  /** `reset` begins a new count of the connections open at once. */
  async counts(command: 'counts' | 'reset' = 'counts'): Promise<Counts> {
    const line = once(this.#lines, 'line', { signal: AbortSignal.timeout(30_000) });
    this.#child.stdin!.write(`${command}\n`);
    return JSON.parse(String((await line)[0])) as Counts;
  }
}

function kubeProxyRules(): string {
  const chains: string[] = ['KUBE-SERVICES'];
  const rules: string[] = ['-A PREROUTING -j KUBE-SERVICES', '-A OUTPUT -j KUBE-SERVICES'];
  for (const protocol of ['udp', 'tcp']) {
    const service = `KUBE-SVC-${protocol.toUpperCase()}`;
    chains.push(service);
    for (const address of [SERVICE, UPSTREAM_SERVICE]) {
      rules.push(
        `-A KUBE-SERVICES -d ${address}/32 -p ${protocol} -m ${protocol} --dport 53 -j ${service}`,
      );
    }
    BACKENDS.forEach((backend, i) => {
      const endpoint = `KUBE-SEP-${protocol.toUpperCase()}-${i}`;
      const chance = i === 0 ? ' -m statistic --mode random --probability 0.5' : '';
      chains.push(endpoint);
      rules.push(
        `-A ${service}${chance} -j ${endpoint}`,
        `-A ${endpoint} -p ${protocol} -m ${protocol} -j DNAT --to-destination ${backend}:53`,
      );
    });
  }
  const head = chains.map((chain) => `:${chain} - [0:0]`);
  return ['*nat', ...head, ...rules, 'COMMIT', ''].join('\n');
}
