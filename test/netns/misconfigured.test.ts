/** Faults at which node-cache does not start, or ends, leave the daemon serving the rest (user demand A7). */
import { afterAll, describe, expect, test } from 'vitest';
import { until } from '../harness/timing.ts';
import { KUBE_DNS, NodeFixture, OUTSIDE } from './node-fixture.ts';
import { ADDRESSES, LINK_LOCAL, OUTSIDE_AT, SERVICE } from './node-network.ts';

const CLUSTER = 'kubernetes.default.svc.cluster.local';
const OTHER = 'www.example.com';
/** A resolver of the node that forwards to us, as systemd-resolved does if it is configured to. */
const RESOLVED = '127.0.0.53';

const fixtures: NodeFixture[] = [];
afterAll(async () => {
  for (const fixture of fixtures) await fixture.close();
});

interface Case {
  readonly what: string;
  readonly prepare?: (fixture: NodeFixture) => Promise<void> | void;
  readonly args?: readonly string[];
  readonly prefix?: readonly string[];
  /** Who answers names of the cluster, and all others. */
  readonly cluster: string;
  readonly other: string;
  /** In /health; undefined if all is well. */
  readonly tells?: RegExp;
  readonly isReady: boolean;
}

const usual = { cluster: KUBE_DNS, other: '', isReady: true } as const;
const unknownService = {
  cluster: '',
  other: OUTSIDE,
  isReady: false,
} as const;

const CASES: readonly Case[] = [
  {
    ...usual,
    what: 'a resolver that forwards to us',
    prepare: async ({ node, install }) => {
      install.setResolvConf(`nameserver ${RESOLVED}\n`);
      await node.script(RELAY, [RESOLVED, LINK_LOCAL]);
    },
    tells: /what the block \. forwards comes back here/,
  },
  {
    ...usual,
    what: 'a resolv.conf that names us',
    prepare: ({ install }) => install.setResolvConf(`nameserver ${LINK_LOCAL}\n`),
    tells: /an upstream of \. is us: 169\.254\.20\.10:53/,
  },
  {
    ...usual,
    what: 'no resolv.conf',
    prepare: ({ install }) => install.setResolvConf(undefined),
    tells: /the block \. has no upstream/,
  },
  {
    ...usual,
    what: 'an empty resolv.conf',
    prepare: ({ install }) => install.setResolvConf('# nothing yet\n'),
    tells: /the block \. has no upstream/,
  },
  {
    ...unknownService,
    what: 'no Service kube-dns-upstream',
    prefix: ['env', '-u', 'KUBE_DNS_UPSTREAM_SERVICE_HOST'],
    tells: /The environment variable KUBE_DNS_UPSTREAM_SERVICE_HOST is not set/,
  },
  {
    ...unknownService,
    what: 'an upstream Service that is our own address',
    args: ['-upstreamsvc', SERVICE],
    tells: /which -localip names too/,
  },
  {
    ...usual,
    other: OUTSIDE,
    what: 'blanks and commas too many in -localip',
    args: ['-localip', ` ${ADDRESSES.join(' ,')},`],
  },
];

describe.concurrent('the daemon serves on with', () => {
  test.each(CASES)('$what', async (given) => {
    const { prepare, args = [], prefix = [], cluster, other, tells, isReady } = given;
    const fixture = await NodeFixture.make();
    fixtures.push(fixture);
    await prepare?.(fixture);
    const daemon = await fixture.start(args, prefix);
    const { pod } = fixture;
    const health = (): Promise<string> => fixture.get(`http://${LINK_LOCAL}:8080/health`);
    if (tells === undefined) expect(await health()).toBe('OK\n');
    else await until(`/health tells ${tells.source}`, async () => tells.test(await health()));
    expect(await fixture.ask(pod, LINK_LOCAL, CLUSTER)).toBe(cluster);
    expect(await fixture.ask(pod, SERVICE, CLUSTER)).toBe(cluster);
    expect(await fixture.ask(pod, LINK_LOCAL, OTHER, '+time=5')).toBe(other);
    const ready = `http://${LINK_LOCAL}:8080/ready`;
    if (isReady) await until('it is ready', async () => (await fixture.get(ready)) === 'OK\n');
    else expect(await fixture.get(ready)).toMatch(tells!);
    if (tells?.source.includes('no upstream') === true) {
      fixture.install.setResolvConf(`nameserver ${OUTSIDE_AT}\n`);
      await until('the node has a resolver', async () => {
        return (await fixture.ask(pod, LINK_LOCAL, `new.${OTHER}`)) === OUTSIDE;
      });
      expect(await health()).toBe('OK\n');
    }
    expect(await daemon.end('SIGTERM')).toBe(0);
  });
});

/** Arguments: where to listen, and where to send what comes, and answers back; UDP. */
const RELAY = `
  const [at, to] = process.argv.slice(1);
  const server = require('dgram').createSocket('udp4');
  server.on('message', (query, from) => {
    const socket = require('dgram').createSocket('udp4');
    socket.on('error', () => {});
    socket.on('message', (answer) => { server.send(answer, from.port, from.address); socket.close(); });
    socket.send(query, 53, to);
  });
  server.bind(53, at, () => console.log('listening'));
`;
