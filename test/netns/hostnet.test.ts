/**
 * The node's network in namespaces, by the kernel and the tools as they are: `node` is the node with
 * kube-proxy's DNAT, `pod` a pod on it, `backend` where kube-dns answers.
 */
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Run } from '../../src/hostnet/command.ts';
import { Nftables } from '../../src/hostnet/nftables.ts';
import { rulesFor } from '../../src/hostnet/rules.ts';
import { HostNetwork, type HostNetworkOptions } from '../../src/hostnet/sync.ts';
import { cleanUp } from '../../src/hostnet/teardown.ts';
import { surveyNode } from '../../src/hostnet/kube-proxy.ts';
import type { Namespace } from './namespace.ts';
import { crashSafe, nodeCacheRulesOf, savedRules } from './node-cache-rules.ts';
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

const LOCK_FILE = `/run/nodelocald-test-${process.pid}.lock`;
const TRANSPORTS = ['udp', 'tcp'] as const;

let place: NodeNetwork;
let node: Namespace;
let pod: Namespace;
let backend: Namespace;
let iptablesVariant: 'nft' | 'legacy';
let told: string[];
let started: HostNetwork[];

beforeEach(async () => {
  iptablesVariant = 'nft';
  told = [];
  started = [];
  place = await NodeNetwork.make();
  ({ node, pod, backend } = place);
});

afterEach(async () => {
  for (const each of started) await each.tearDown();
  await place.close();
});

beforeAll(async () => {
  await build({
    entryPoints: [path.join(import.meta.dirname, '../../src/hostnet/sync.ts')],
    outfile: SYNC,
    bundle: true,
    format: 'esm',
    platform: 'node',
  });
});

afterAll(async () => {
  await rm(LOCK_FILE, { force: true });
  await rm(SYNC, { force: true });
});

function hostNetwork(options: Partial<HostNetworkOptions> = {}): HostNetwork {
  const network = new HostNetwork(
    {
      addresses: ADDRESSES,
      dnsPort: 53,
      healthPort: 8080,
      interfaceName: DEVICE,
      interfaceKind: 'bridge',
      setupInterface: true,
      firewall: 'auto',
      crashSafe: true,
      run: runVariant,
      hold: node.hold,
      ...options,
    },
    {
      failed: (kind, error) => told.push(`failed ${kind}: ${error.message}`),
      repaired: (what) => told.push(what),
      info: (text) => told.push(text),
    },
  );
  started.push(network);
  return network;
}

/** The programs run as iptables and ip6tables, with a lock of their own on this machine. */
const runVariant: Run = (command, args, stdin, signal) =>
  /^ip6?tables/.test(command)
    ? node.run(
        'env',
        [
          `XTABLES_LOCKFILE=${LOCK_FILE}`,
          command.replace('tables', `tables-${iptablesVariant}`),
          ...args,
        ],
        stdin,
        signal,
      )
    : node.run(command, args, stdin, signal);

/** A line of the variant's iptables. */
async function tables(args: string): Promise<void> {
  await runVariant('iptables', args.split(' '));
}

function rules(command: 'iptables' | 'ip6tables'): Promise<string[]> {
  return savedRules(runVariant, command);
}

/** `{ 'pod ADDRESS': ANSWER }`, over both transports. */
async function expectAnswers(expected: Record<string, string>): Promise<void> {
  const answers = await Promise.all(
    [pod, node].map(async (client) => {
      const who = client === pod ? 'pod ' : 'node ';
      const addresses = Object.keys(expected)
        .filter((question) => question.startsWith(who))
        .map((question) => question.slice(who.length));
      const questions = addresses.flatMap((address) => TRANSPORTS.map((t) => `${t} ${address}`));
      if (questions.length === 0) return [];
      const heard = await client.ask(questions);
      return questions.map((question, i) => `${who}${question}: ${heard[i]}`);
    }),
  );
  const wanted = Object.entries(expected).flatMap(([question, answer]) => {
    const [who, address] = question.split(' ');
    return TRANSPORTS.map((transport) => `${who} ${transport} ${address}: ${answer}`);
  });
  expect(answers.flat().sort()).toEqual(wanted.sort());
}

/** The host's network by itself, for a process that can be killed. */
const SYNC = path.join(tmpdir(), `nodelocald-test-sync-${process.pid}.mjs`);

/** A process that listens and diverts. Arguments: sync.js, the firewall, the addresses. */
const DAEMON = `
  const [sync, firewall, ...addresses] = process.argv.slice(1);
  import(sync).then(async ({ HostNetwork }) => {
    await Promise.all(addresses.flatMap((address) => {
      const udp = require('dgram').createSocket(address.includes(':') ? 'udp6' : 'udp4');
      udp.on('message', (_, from) => udp.send('daemon', from.port, from.address));
      const tcp = require('net').createServer((socket) => socket.end('daemon'));
      return [
        new Promise((resolve) => udp.bind(53, address, resolve)),
        new Promise((resolve) => tcp.listen(53, address, resolve)),
      ];
    }));
    const network = new HostNetwork(
      { addresses, dnsPort: 53, healthPort: 8080, interfaceName: 'nodelocaldns',
        setupInterface: false, firewall, crashSafe: true },
      { failed: (kind, error) => console.error(error), repaired() {}, info() {} },
    );
    await network.divert();
    console.log('diverting');
  });
`;

describe('the interface', () => {
  test('one that has the name gets the addresses, whatever its type, and heals', async () => {
    const network = hostNetwork();
    await network.setUp();
    const addresses = async (): Promise<string> => node.ip(`-brief addr show dev ${DEVICE}`);
    for (const address of [`${LINK_LOCAL}/32`, `${SERVICE}/32`, `${SERVICE6}/128`]) {
      expect(await addresses()).toContain(address);
    }
    expect(await network.check()).toEqual([]);
    await node.ip(`addr del ${SERVICE}/32 dev ${DEVICE}`);
    await node.ip(`addr add 10.9.9.9/32 dev ${DEVICE}`);
    expect(await network.check()).toEqual([`address ${SERVICE}/32 on ${DEVICE}`]);
    expect(await addresses()).toContain('10.9.9.9/32');
    expect(told).toEqual([`address ${SERVICE}/32 on ${DEVICE}`]);
  });

  test('it is made, made again when it was deleted, and deleted in the end', async () => {
    await node.ip(`link del ${DEVICE}`);
    const network = hostNetwork();
    await network.setUp();
    await node.ip(`link del ${DEVICE}`);
    expect(await network.check()).toContain(`interface ${DEVICE} of type bridge`);
    expect(await node.ip(`-brief addr show dev ${DEVICE}`)).toContain(SERVICE6);
    await network.tearDown();
    await expect(node.ip(`link show ${DEVICE}`)).rejects.toThrow('does not exist');
  });

  test("a type that the kernel lacks is reported in both of node-cache's kinds", async () => {
    await node.ip(`link del ${DEVICE}`);
    await hostNetwork({ interfaceKind: 'no-such-type' }).setUp();
    expect(told).toEqual([
      expect.stringMatching(/^failed interface_add: .*Unknown device type/),
      expect.stringMatching(/^failed interface_check: .*Unknown device type/),
    ]);
  });
});

describe.each(['nft', 'legacy'] as const)('the rules through iptables-%s', (variant) => {
  beforeEach(() => {
    iptablesVariant = variant;
  });

  test("are node-cache's, one by one, and gone after tearing down", async () => {
    await tables('-A INPUT -p udp --dport 53 -j DROP');
    const before = [await rules('iptables'), await rules('ip6tables')];
    const network = hostNetwork({ crashSafe: false });
    await network.setUp();
    expect(await network.divert()).toBe(true);
    // The last address inserted stands first; the DROP that was there stays behind ours.
    const ours = nodeCacheRulesOf([LINK_LOCAL, SERVICE]);
    const drop = '-A INPUT -p udp -m udp --dport 53 -j DROP';
    expect((await rules('iptables')).sort()).toEqual([...ours, drop].sort());
    expect((await rules('iptables')).filter((rule) => rule !== drop)).toEqual(ours);
    expect(await rules('ip6tables')).toEqual(nodeCacheRulesOf([SERVICE6]));
    expect(await network.check()).toEqual([]);
    await network.tearDown();
    expect([await rules('iptables'), await rules('ip6tables')]).toEqual(before);
  });

  test('crash-safe, differ by the socket match and by what no socket match can do', async () => {
    const network = hostNetwork();
    await network.setUp();
    await network.divert();
    expect(await rules('iptables')).toEqual(crashSafe(nodeCacheRulesOf([LINK_LOCAL, SERVICE])));
    const owned = await node.run('nft', ['list', 'ruleset', 'inet']);
    expect(owned).toContain('flags owner');
    expect(owned).toContain(`ip daddr ${SERVICE} udp dport 53 notrack`);
    expect(owned).toContain(`ip6 daddr ${SERVICE6} tcp dport 53 notrack`);
    expect(await network.check()).toEqual([]);
  });

  test('are mended: missing, twice, without comment, and of the other form', async () => {
    await hostNetwork({ crashSafe: false }).divert();
    const clean = await rules('iptables');
    await tables(`-t raw -D OUTPUT 1`);
    await tables(`-t raw -I PREROUTING -d ${SERVICE} -p udp --dport 53 -j NOTRACK`);
    await tables(`-I INPUT -d ${SERVICE} -p udp --dport 53 -j ACCEPT`);
    await runVariant('iptables-restore', ['--noflush'], `*filter\n${clean.at(-1)!}\nCOMMIT\n`);
    await tables(
      `-t raw -A PREROUTING -d ${SERVICE} -p tcp --dport 53 -m socket --nowildcard -j NOTRACK`,
    );
    expect(await started[0]!.check()).toHaveLength(5);
    expect((await rules('iptables')).sort()).toEqual(clean.sort());
    // The next process, with the other form:
    await hostNetwork({ crashSafe: true }).divert();
    expect((await rules('iptables')).filter((rule) => rule.includes('--nowildcard'))).toHaveLength(
      4,
    );
    expect(await rules('iptables')).toHaveLength(22);
    await hostNetwork({ crashSafe: false }).divert();
    expect((await rules('iptables')).sort()).toEqual(clean.sort());
  });

  test('a lock that another process holds is reported as such, and withdrawing waits for it', async () => {
    const network = hostNetwork({ firewall: 'iptables' });
    let locked = 1;
    const run = runVariant;
    const busy = hostNetwork({
      firewall: 'iptables',
      run: async (command, args, stdin, signal) => {
        if (command === 'iptables-restore' && locked-- > 0) {
          await run('sh', ['-c', 'echo "Another app is holding the xtables lock" >&2; exit 4']);
        }
        return run(command, args, stdin, signal);
      },
    });
    await network.divert();
    expect(await busy.withdraw()).toBe(true);
    expect(await rules('iptables')).toEqual([]);
    expect(told).toContainEqual(expect.stringContaining('failed iptables_lock'));
  });
});

describe('the xtables lock', () => {
  test('a lock held for longer than our wait is reported as such, and the next check mends the rules', async () => {
    iptablesVariant = 'legacy';
    const network = hostNetwork({ addresses: [SERVICE], firewall: 'iptables', crashSafe: false });
    const holder = node.run('flock', [LOCK_FILE, 'sleep', '6']);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await network.divert()).toBe(false);
    expect(told).toContainEqual(expect.stringMatching(/^failed iptables_lock: /));
    await holder;
    expect(await network.check()).toHaveLength(12);
    expect(await rules('iptables')).toHaveLength(12);
  });
});

describe.each(['iptables', 'nftables'] as const)('diversion by %s', (firewall) => {
  test('takes queries of pods and of the host, untracked, and withdrawing gives them back', async () => {
    await backend.serve('kube-dns', [BACKEND, BACKEND6]);
    await expectAnswers({ [`pod ${SERVICE}`]: 'kube-dns', [`node ${SERVICE6}`]: 'kube-dns' });
    const network = hostNetwork({ firewall });
    await network.setUp();
    await node.serve('cache', ADDRESSES);
    await expectAnswers({ [`pod ${SERVICE}`]: 'kube-dns', [`node ${SERVICE6}`]: 'kube-dns' });
    await network.divert();
    await node.run('conntrack', ['-F']);
    await expectAnswers({
      [`pod ${SERVICE}`]: 'cache',
      [`pod ${SERVICE6}`]: 'cache',
      [`pod ${LINK_LOCAL}`]: 'cache',
      [`node ${SERVICE}`]: 'cache',
      [`node ${SERVICE6}`]: 'cache',
      [`node ${LINK_LOCAL}`]: 'cache',
    });
    for (const address of ADDRESSES) expect(await node.tracked(address)).toEqual([]);
    expect(await network.check()).toEqual([]);

    const startedMs = performance.now();
    await network.withdraw('diversion');
    expect(performance.now() - startedMs).toBeLessThan(1000);
    await expectAnswers({
      [`pod ${SERVICE}`]: 'kube-dns',
      [`pod ${SERVICE6}`]: 'kube-dns',
      [`node ${SERVICE}`]: 'kube-dns',
      [`node ${SERVICE6}`]: 'kube-dns',
      [`pod ${LINK_LOCAL}`]: 'cache',
    });
    expect(await node.tracked(LINK_LOCAL)).toEqual([]);
    await network.withdraw();
    expect([...(await rules('iptables')), ...(await rules('ip6tables'))]).toEqual([]);
    expect(await node.run('nft', ['list', 'tables', 'inet'])).toBe('');
    expect(told.filter((line) => line.startsWith('failed'))).toEqual([]);
  });

  test.each([SERVICE, SERVICE6])(
    'beginning and withdrawing lose no query to %s',
    async (address) => {
      await backend.serve('kube-dns', [BACKEND, BACKEND6]);
      const network = hostNetwork({ firewall });
      const losses = await pod.askOnAndOn(address, async () => {
        await network.setUp();
        const server = await node.serve('cache', ADDRESSES);
        await network.divert();
        await expectAnswers({ [`pod ${address}`]: 'cache' });
        await network.withdraw('diversion');
        await expectAnswers({ [`pod ${address}`]: 'kube-dns' });
        await server.kill();
        await network.tearDown();
      });
      expect(losses.asked).toBeGreaterThan(100);
      expect(losses).toMatchObject({ lost: 0 });
    },
  );

  test('a SIGKILL loses at most what was in the socket that moment', async () => {
    await backend.serve('kube-dns', [BACKEND, BACKEND6]);
    const network = hostNetwork({ firewall });
    await network.setUp();
    const server = await node.serve('cache', ADDRESSES);
    await network.divert();
    const { spanMs } = await pod.askOnAndOn(SERVICE, async () => {
      await expectAnswers({ [`pod ${SERVICE}`]: 'cache' });
      await server.kill();
      await expectAnswers({ [`pod ${SERVICE}`]: 'kube-dns' });
    });
    expect(spanMs).toBeLessThan(100);
  });

  test('ends by itself when the listeners are killed, and begins again with them', async () => {
    await backend.serve('kube-dns', [BACKEND, BACKEND6]);
    const network = hostNetwork({ firewall });
    await network.setUp();
    const server = await node.serve('cache', ADDRESSES);
    await network.divert();
    await expectAnswers({ [`pod ${SERVICE}`]: 'cache', [`pod ${SERVICE6}`]: 'cache' });
    await server.kill();
    await expectAnswers({ [`pod ${SERVICE}`]: 'kube-dns', [`pod ${SERVICE6}`]: 'kube-dns' });
    expect((await node.tracked(SERVICE)).length).toBeGreaterThan(0);
    await node.serve('cache again', ADDRESSES);
    await expectAnswers({ [`pod ${SERVICE}`]: 'cache again', [`pod ${SERVICE6}`]: 'cache again' });
  });

  test("ends when everything is killed with SIGKILL, for the host's own queries too", async () => {
    await backend.serve('kube-dns', [BACKEND, BACKEND6]);
    await node.ip(`addr add ${SERVICE}/32 dev ${DEVICE}`);
    await node.ip(`addr add ${SERVICE6}/128 dev ${DEVICE} nodad`);
    const daemon = await node.script(DAEMON, [SYNC, firewall, SERVICE, SERVICE6]);
    const all = (answer: string): Record<string, string> =>
      Object.fromEntries(
        ['pod', 'node'].flatMap((who) => [SERVICE, SERVICE6].map((ip) => [`${who} ${ip}`, answer])),
      );
    await expectAnswers(all('daemon'));
    await daemon.kill();
    await expectAnswers(all('kube-dns'));
    expect(await node.run('nft', ['list', 'tables', 'inet'])).not.toContain('nodelocald_host');
  });

  test("node-cache's rules, without crash safety, leave pods with nobody", async () => {
    await backend.serve('kube-dns', [BACKEND, BACKEND6]);
    const network = hostNetwork({ firewall, crashSafe: false });
    await network.setUp();
    const server = await node.serve('cache', ADDRESSES);
    await network.divert();
    await expectAnswers({ [`pod ${SERVICE}`]: 'cache', [`node ${SERVICE6}`]: 'cache' });
    await server.kill();
    await expectAnswers({ [`pod ${SERVICE}`]: 'nobody', [`node ${SERVICE6}`]: 'nobody' });
  });
});

describe('--cleanup', () => {
  const options = { addresses: [SERVICE], dnsPort: 53, healthPort: 8080, interfaceName: DEVICE };

  test('removes what every backend and older images left, and then finds nothing', async () => {
    const own = '-A INPUT -p tcp -m tcp --dport 53 -j ACCEPT';
    await node.tables('iptables', own);
    const network = hostNetwork({ firewall: 'iptables', crashSafe: false });
    await network.setUp();
    await network.divert();
    await new Nftables(node.run).apply(rulesFor({ ...options, crashSafe: true }).slice(0, 8), []);
    // Without a comment, of an address that only the interface knows:
    await node.tables('iptables', `-t raw -A OUTPUT -d ${LINK_LOCAL} -p udp --dport 53 -j NOTRACK`);
    const legacy = `-t raw -A PREROUTING -d ${SERVICE} -p udp --dport 53 -j NOTRACK`;
    await node.run('iptables-legacy', legacy.split(' '));
    for (const holder of started.splice(0)) holder.unwatch();

    const { removed, failures } = await cleanUp({ ...options, run: node.run });
    expect(failures).toEqual([]);
    expect(removed.filter((line) => line.includes('removed: '))).toHaveLength(24 + 12 + 1 + 1 + 1);
    expect(removed.at(-1)).toBe(`interface ${DEVICE}`);
    expect(await rules('iptables')).toEqual([own]);
    expect(await rules('ip6tables')).toEqual([]);
    expect(await node.run('iptables-legacy-save', ['-t', 'raw'])).not.toContain('-A');
    await expect(node.ip(`link show ${DEVICE}`)).rejects.toThrow('does not exist');
    expect(await cleanUp({ ...options, run: node.run })).toEqual({ removed: [], failures: [] });
  });
});

describe('without NET_ADMIN', () => {
  test('it is reported once, and nothing waits', async () => {
    const network = hostNetwork({
      run: (command, args, stdin, signal) => {
        const drop = ['--bounding-set=-net_admin', '--inh-caps=-net_admin', command, ...args];
        return node.run('setpriv', drop, stdin, signal);
      },
    });
    await network.setUp();
    expect(await network.divert()).toBe(false);
    await network.check();
    await network.tearDown();
    expect(told.filter((line) => line.startsWith('failed'))).toEqual([
      expect.stringMatching(/^failed interface_check: .*NET_ADMIN capability is missing/),
    ]);
  });
});

describe('the survey at start', () => {
  test('names the mode of kube-proxy, and who else has our addresses', async () => {
    const look = async (): Promise<unknown> =>
      surveyNode({ addresses: ADDRESSES, interfaceName: DEVICE, run: node.run });
    const variant = 'nf_tables';
    expect(await look()).toEqual({ proxy: 'iptables', variant, warnings: [] });
    await node.run('nft', ['flush', 'ruleset']);
    expect(await look()).toEqual({ proxy: 'unknown', variant, warnings: [] });
    await node.run('iptables-legacy', ['-t', 'nat', '-N', 'KUBE-SERVICES']);
    expect(await look()).toEqual({
      proxy: 'iptables',
      variant,
      warnings: [expect.stringContaining("kube-proxy's rules are in iptables-legacy")],
    });
    await node.ip('link add kube-ipvs0 type bridge');
    await node.ip(`addr add ${SERVICE}/32 dev kube-ipvs0`);
    expect(await look()).toEqual({
      proxy: 'ipvs',
      variant,
      warnings: [
        expect.anything(),
        expect.stringContaining(`${SERVICE} is on the interface kube-ipvs0 too`),
      ],
    });
  });
});
