/**
 * The daemon as its pod runs it: dist/main.js with the arguments and files of deploy/base, in a
 * namespace that is the node's network.
 */
import { existsSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sleep, until } from '../harness/timing.ts';
import type { Namespace } from './namespace.ts';
import { crashSafe, nodeCacheRulesOf } from './node-cache-rules.ts';
import { KUBE_DNS, NodeFixture, OUTSIDE, STUB } from './node-fixture.ts';
import { ADDRESSES, DEVICE, LINK_LOCAL, SERVICE, SERVICE6, STUB_AT } from './node-network.ts';

const CLUSTER_NAME = 'kubernetes.default.svc.cluster.local';

let fixture: NodeFixture;

beforeEach(async () => {
  fixture = await NodeFixture.make();
});

afterEach(async () => {
  await fixture.close();
});

describe("a fresh install from the manifests' own arguments", () => {
  test("puts in node-cache's rules and the addresses, and takes all away after SIGTERM", async () => {
    const before = await fixture.rules();
    const daemon = await fixture.start(['-crash-safe-diversion=false']);
    expect(await fixture.rules()).toEqual({
      v4: nodeCacheRulesOf([LINK_LOCAL, SERVICE]),
      v6: nodeCacheRulesOf([SERVICE6]),
    });
    const device = await fixture.node.ip(`-brief addr show dev ${DEVICE}`);
    for (const address of [`${LINK_LOCAL}/32`, `${SERVICE}/32`, `${SERVICE6}/128`]) {
      expect(device).toContain(address);
    }
    expect(await daemon.end('SIGTERM')).toBe(0);
    expect(await fixture.rules()).toEqual(before);
    await expect(fixture.node.ip(`link show ${DEVICE}`)).rejects.toThrow('does not exist');
    expect(daemon.complaints).toEqual([]);
  });

  test("differs from node-cache's rules by the socket match, and by the owned table", async () => {
    const daemon = await fixture.start();
    expect(await fixture.rules()).toEqual({
      v4: crashSafe(nodeCacheRulesOf([LINK_LOCAL, SERVICE])),
      v6: crashSafe(nodeCacheRulesOf([SERVICE6])),
    });
    expect(await fixture.node.run('nft', ['list', 'tables', 'inet'])).toContain('nodelocald_host');
    await daemon.end('SIGTERM');
    expect(await fixture.node.run('nft', ['list', 'tables', 'inet'])).toBe('');
    expect(await fixture.rules()).toEqual({ v4: [], v6: [] });
  });

  test('answers pods and the host on every address, over UDP and TCP, untracked', async () => {
    const { node, pod } = fixture;
    await fixture.start();
    await node.run('conntrack', ['-F']);
    for (const address of ADDRESSES) {
      for (const options of [[], ['+tcp']]) {
        for (const client of [pod, node]) {
          const who = `${client.name} ${address} ${options.join()}`;
          expect([who, await fixture.ask(client, address, CLUSTER_NAME, ...options)]).toEqual([
            who,
            KUBE_DNS,
          ]);
        }
      }
      expect(await node.tracked(address)).toEqual([]);
    }
    expect(await fixture.ask(pod, SERVICE, 'www.example.com')).toBe(OUTSIDE);
  });

  test('begins and ends without losing a query to the Service', async () => {
    const heard = await fixture.askOnAndOn(SERVICE, CLUSTER_NAME, async () => {
      await sleep(300);
      const daemon = await fixture.start();
      await sleep(300);
      await daemon.end('SIGTERM');
      await sleep(300);
    });
    expect(heard).toMatchObject({ lost: 0, answers: [KUBE_DNS] });
    expect(heard.asked).toBeGreaterThan(150);
  });

  test('a pod is answered once its queries are diverted, and nothing is diverted before', async () => {
    const { node, pod, network } = fixture;
    for (let i = 0; i < 3; i++) {
      const before = await dropped();
      const flood = fixture.flood(SERVICE, CLUSTER_NAME, 5000);
      await sleep(200);
      const daemon = fixture.launch([...fixture.install.args(), '-drain', '0']);
      // kube-dns has it through connection tracking; we have it without.
      await until('a query is diverted', async () => {
        const { v4 } = await fixture.rules();
        return v4.some((rule) => rule.startsWith(`-A PREROUTING -d ${SERVICE}/32 -p udp`));
      });
      expect(await fixture.ask(pod, SERVICE, CLUSTER_NAME)).toBe(KUBE_DNS);
      const { asked, lost } = await flood.end();
      const after = await dropped();
      expect(asked).toBeGreaterThan(500);
      expect(after.onNode).toBe(before.onNode);
      // A busy machine lets the buffers of kube-dns or of the client run over.
      expect(lost).toBeLessThanOrEqual(after.elsewhere - before.elsewhere);
      await daemon.end('SIGTERM');
      await network.makeDevice();
    }

    /** Datagrams for which the node had no socket or no room, and the others no room. */
    async function dropped(): Promise<{ onNode: number; elsewhere: number }> {
      return {
        onNode: (await udpCounter(node, 'NoPorts')) + (await udpCounter(node, 'RcvbufErrors')),
        elsewhere:
          (await udpCounter(network.backend, 'RcvbufErrors')) +
          (await udpCounter(pod, 'RcvbufErrors')),
      };
    }

    async function udpCounter(where: Namespace, name: string): Promise<number> {
      const snmp = await where.run('cat', ['/proc/net/snmp']);
      const [names, values] = snmp.split('\n').filter((line) => line.startsWith('Udp: '));
      return Number(values!.split(' ')[names!.split(' ').indexOf(name)]);
    }
  });

  test('is ready when it diverts and kube-dns has answered, and not before', async () => {
    await fixture.stopKubeDns();
    const daemon = await fixture.start();
    const ready = `http://${LINK_LOCAL}:8080/ready`;
    expect(await fixture.get(ready)).toBe(
      'no upstream of the block cluster.local. has answered\n\n',
    );
    await fixture.startKubeDns();
    await until('it is ready', async () => (await fixture.get(ready)) === 'OK\n', 15_000);
    await fixture.stopKubeDns();
    await sleep(3500); // longer than our own sockets may be silent
    expect(await fixture.get(ready)).toBe('OK\n');
    expect(await fixture.get(`http://${LINK_LOCAL}:8080/health`)).toBe('OK\n');
    expect(await daemon.end('SIGTERM')).toBe(0);
  });

  test('tells its health on 8080, its metrics on 9253 and 9353, and its process ID', async () => {
    const daemon = await fixture.start();
    expect(await fixture.get(`http://${LINK_LOCAL}:8080/health`)).toBe('OK\n');
    for (const url of ['http://127.0.0.1:9253/metrics', 'http://127.0.0.1:9353/metrics']) {
      const metrics = await fixture.get(url);
      expect(metrics).toMatch(/^coredns_nodecache_setup_errors_total\{errortype="iptables"\} 0$/m);
    }
    expect(existsSync(daemon.pidFile)).toBe(true);
  });
});

describe('the template', () => {
  test('is expanded again after kubelet has swapped a ConfigMap, and no query is lost', async () => {
    fixture.install.setKubeDns({ stubDomains: '{}' });
    const daemon = await fixture.start();
    const heard = await fixture.askOnAndOn(SERVICE, 'host.corp.example', async () => {
      await sleep(1000);
      fixture.install.setKubeDns({ stubDomains: `{"corp.example": ["${STUB_AT}"]}` });
      await sleep(3000);
    });
    expect(heard).toMatchObject({ lost: 0, answers: [OUTSIDE, STUB] });
    expect(heard.asked).toBeGreaterThan(300);
    expect(daemon.complaints).toEqual([]);
    fixture.install.setCorefile(
      `${fixture.install.corefile()}\nextra.example:53 {\n    bind ${LINK_LOCAL} ${SERVICE}\n    forward . ${STUB_AT}\n}\n`,
    );
    await sleep(3000);
    expect(await fixture.ask(fixture.pod, LINK_LOCAL, 'host.extra.example')).toBe(STUB);
  });

  test('that has become wrong leaves what serves, and says where it is wrong', async () => {
    const daemon = await fixture.start();
    fixture.install.setCorefile(fixture.install.corefile().replace('denial', 'denail'));
    await sleep(3000);
    expect(await fixture.ask(fixture.pod, SERVICE, CLUSTER_NAME)).toBe(KUBE_DNS);
    const why = /5:9: cache: .*denail.* did you mean .*denial/;
    expect(daemon.output).toMatch(why);
    expect(await fixture.get(`http://${LINK_LOCAL}:8080/health`)).toMatch(why);
    const metrics = await fixture.get('http://127.0.0.1:9253/metrics');
    expect(metrics).toMatch(/^nodelocald_troubles\{kind="configuration"\} 1$/m);
    fixture.install.setCorefile(fixture.install.corefile());
    await until('all is well', async () => {
      return (await fixture.get(`http://${LINK_LOCAL}:8080/health`)) === 'OK\n';
    });
  });
});

describe('an end without notice', () => {
  test("leaves queries to the Service to kube-proxy's DNAT; the next daemon diverts them again", async () => {
    const { pod, node } = fixture;
    const daemon = await fixture.start();
    const { lost } = await fixture.askOnAndOn(SERVICE, CLUSTER_NAME, async () => {
      await sleep(300);
      await daemon.end('SIGKILL');
      await sleep(1000);
    });
    expect(lost).toBeLessThan(20); // 100 ms: what was in the socket in that moment
    for (const address of [SERVICE, SERVICE6]) {
      expect(await fixture.ask(pod, address, CLUSTER_NAME)).toBe(KUBE_DNS);
      expect(await node.tracked(address)).not.toEqual([]);
    }
    const heard = await fixture.askOnAndOn(SERVICE, CLUSTER_NAME, async () => {
      await fixture.start();
      await sleep(300);
    });
    expect(heard).toMatchObject({ lost: 0 });
    await node.run('conntrack', ['-F']);
    expect(await fixture.ask(pod, SERVICE, CLUSTER_NAME)).toBe(KUBE_DNS);
    expect(await node.tracked(SERVICE)).toEqual([]);
  });

  // The worker still reads the Corefile before it withdraws the rules that an earlier daemon left.
  test("diverts no client to nothing, even if the next daemon's Corefile is wrong", async () => {
    const daemon = await fixture.start(['-crash-safe-diversion=false']);
    await daemon.end('SIGKILL');
    expect(await fixture.ask(fixture.pod, SERVICE, CLUSTER_NAME)).toBe('nobody');
    fixture.install.setCorefile('.:53 {\n    forwrad . 192.0.2.9\n}\n');
    expect(await fixture.runMain(fixture.install.args())).toMatchObject({ code: 1 });
    expect(await fixture.ask(fixture.pod, SERVICE, CLUSTER_NAME)).toBe(KUBE_DNS);
  });

  test('is cleared up by -cleanup, down to nothing', async () => {
    const before = await fixture.rules();
    const daemon = await fixture.start(['-crash-safe-diversion=false']);
    await daemon.end('SIGKILL');
    const first = await fixture.runMain(['-cleanup', '-localip', ADDRESSES.join(',')]);
    expect(first).toMatchObject({ code: 0 });
    expect(first.output).toContain(`interface ${DEVICE}`);
    expect(await fixture.rules()).toEqual(before);
    expect(await fixture.runMain(['-cleanup'])).toEqual({ code: 0, output: '' });
  });
});

/** More of them by hand: NODELOCALD_ENDS=100. */
const ENDS = Number(process.env['NODELOCALD_ENDS'] ?? 5);

describe('SIGTERM', () => {
  test(
    'up to 3 s after a new Corefile leaves nothing behind, and takes no long',
    async () => {
      for (let i = 0; i < ENDS; i++) {
        const delayMs = ENDS === 1 ? 1000 : (3000 * i) / (ENDS - 1);
        const daemon = await fixture.start();
        const text = fixture.install.corefile();
        // Every other one cannot be loaded.
        fixture.install.setCorefile(text.replace('cache 30', i % 2 === 0 ? 'cache 20' : 'cash 20'));
        await sleep(delayMs);
        const beganMs = performance.now();
        expect([delayMs, await daemon.end('SIGTERM')]).toEqual([delayMs, 0]);
        expect(performance.now() - beganMs).toBeLessThan(5000);
        expect(await fixture.rules()).toEqual({ v4: [], v6: [] });
        await expect(fixture.node.ip(`link show ${DEVICE}`)).rejects.toThrow('does not exist');
        fixture.install.setCorefile(text);
        await fixture.network.makeDevice();
      }
    },
    20_000 + ENDS * 8000,
  );

  test('takes the diversion away at once, and answers on for -drain', async () => {
    const { node, pod } = fixture;
    const daemon = await fixture.start(['-drain', '3s']);
    const ready = `http://${LINK_LOCAL}:8080/ready`;
    await until('it is ready', async () => (await fixture.get(ready)) === 'OK\n');
    let ended: Promise<number | null> | undefined;
    const beganMs = performance.now();
    const heard = await fixture.askOnAndOn(LINK_LOCAL, CLUSTER_NAME, async () => {
      ended = daemon.end('SIGTERM');
      await until('the diversion is gone', async () => {
        const { v4, v6 } = await fixture.rules();
        return ![...v4, ...v6].some((rule) => /-A PREROUTING -d (10\.96|fd00)/.test(rule));
      });
      expect(performance.now() - beganMs).toBeLessThan(1000);
      expect(await fixture.get(ready)).toBe('shutting down\n\n');
      expect(await fixture.get(`http://${LINK_LOCAL}:8080/health`)).toBe('OK\n');
      // kube-dns has the Service's clients, by way of connection tracking.
      await node.run('conntrack', ['-F']);
      expect(await fixture.ask(pod, SERVICE, CLUSTER_NAME)).toBe(KUBE_DNS);
      expect(await node.tracked(SERVICE)).not.toEqual([]);
      await sleep(Math.max(0, 2700 - (performance.now() - beganMs)));
    });
    expect(heard).toMatchObject({ lost: 0, answers: [KUBE_DNS] });
    expect(await ended).toBe(0);
    const tookMs = performance.now() - beganMs;
    expect(tookMs).toBeGreaterThan(2900);
    expect(await fixture.rules()).toEqual({ v4: [], v6: [] });
  });

  test('a second time ends that', async () => {
    const daemon = await fixture.start(['-drain', '1m']);
    const ended = daemon.end('SIGTERM');
    await sleep(500);
    const beganMs = performance.now();
    await daemon.end('SIGTERM');
    expect(await ended).toBe(0);
    expect(performance.now() - beganMs).toBeLessThan(3000);
  });

  test('at any moment of the start leaves no rules behind', async () => {
    for (let delayMs = 100; delayMs < 900; delayMs += 50) {
      const daemon = fixture.launch([...fixture.install.args(), '-drain', '0']);
      await sleep(delayMs);
      await daemon.end('SIGTERM');
      expect([delayMs, await fixture.rules()]).toEqual([delayMs, { v4: [], v6: [] }]);
      const links = await fixture.node.ip('-brief link show');
      if (!links.includes(DEVICE)) await fixture.network.makeDevice();
    }
  });
});

describe('flags', () => {
  test('that are not known end it, with the nearest one that is', async () => {
    const { code, output } = await fixture.runMain([...fixture.install.args(), '-localips', '::1']);
    expect(code).toBe(1);
    expect(output).toContain('flag provided but not defined: -localips; did you mean -localip?');
  });

  test('-setupiptables=false and -setupinterface=false leave both to others', async () => {
    for (const address of [LINK_LOCAL, SERVICE]) {
      await fixture.node.ip(`addr add ${address}/32 dev ${DEVICE}`);
    }
    await fixture.node.ip(`addr add ${SERVICE6}/128 dev ${DEVICE} nodad`);
    const daemon = await fixture.start(['-setupiptables=false', '-setupinterface=false']);
    expect(await fixture.rules()).toEqual({ v4: [], v6: [] });
    expect(await fixture.ask(fixture.pod, LINK_LOCAL, CLUSTER_NAME)).toBe(KUBE_DNS);
    await daemon.end('SIGTERM');
    expect(await fixture.node.ip(`-brief addr show dev ${DEVICE}`)).toContain(SERVICE);
  });

  test('-skipteardown leaves interface and rules', async () => {
    const daemon = await fixture.start(['-skipteardown']);
    const rules = await fixture.rules();
    await daemon.end('SIGTERM');
    expect(await fixture.rules()).toEqual(rules);
    expect(await fixture.node.ip(`-brief addr show dev ${DEVICE}`)).toContain(SERVICE);
    expect(await fixture.ask(fixture.pod, SERVICE, CLUSTER_NAME)).toBe(KUBE_DNS);
  });
});

describe('without NET_ADMIN', () => {
  test('it says so once, and serves on the addresses that are there', async () => {
    for (const address of [LINK_LOCAL, SERVICE]) {
      await fixture.node.ip(`addr add ${address}/32 dev ${DEVICE}`);
    }
    await fixture.node.ip(`addr add ${SERVICE6}/128 dev ${DEVICE} nodad`);
    const drop = ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin'];
    const daemon = await fixture.start(['-syncinterval', '1'], drop);
    expect(await fixture.ask(fixture.pod, LINK_LOCAL, CLUSTER_NAME)).toBe(KUBE_DNS);
    await sleep(2500);
    const told = daemon.output.split('\n').filter((line) => /^\[ERROR\].*NET_ADMIN/.test(line));
    expect(told).toHaveLength(1);
    expect(await fixture.get('http://127.0.0.1:9353/metrics')).toMatch(
      /^coredns_nodecache_setup_errors_total\{errortype="iptables"\} 1$/m,
    );
    const health = await fixture.get(`http://${LINK_LOCAL}:8080/health`);
    expect(health).toMatch(/^OK, degraded\n.*NET_ADMIN/);
    expect(await fixture.get(`http://${LINK_LOCAL}:8080/ready`)).toMatch(/NET_ADMIN/);
    expect(await daemon.end('SIGTERM')).toBe(0);
  });
});
