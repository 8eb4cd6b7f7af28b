/** The image, built and run without a container engine: its contents, and its rights in a pod. */
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { DIRECTIVES } from '../../src/directives/index.ts';
import { dig } from '../harness/dig.ts';
import { useLab } from '../harness/lab.ts';
import { run } from '../harness/process.ts';
import { type Image, buildImage, projectPackage } from './build.ts';
import { runIn, startIn } from './confine.ts';

/** The first build was 176 MB, 150 of them Node's; growth beyond this bound needs a reason. */
const SIZE_MAX_OCTETS = 200e6;

const lab = useLab();
const project = projectPackage();
let image: Image;

beforeAll(async () => {
  image = await buildImage(lab, project.version);
}, 600_000);

const inImage = (path: string): boolean => existsSync(join(image.root, path));

describe('the contents of the image', () => {
  test('the entry point of the image takes the daemon’s flags', async () => {
    const { stdout, code } = await runIn(lab, image, [...image.config.Entrypoint, '-version']);
    expect({ stdout, code }).toEqual({ stdout: `nodelocald-${project.version}\n`, code: 0 });
  });

  test('the image stops on SIGTERM, runs as root like node-cache, and names its version', () => {
    const { StopSignal, User, Labels } = image.config;
    expect({ StopSignal, User }).toEqual({ StopSignal: 'SIGTERM', User: '0:0' });
    expect(Labels).toMatchObject({
      'org.opencontainers.image.title': 'nodelocald',
      'org.opencontainers.image.version': project.version,
      'org.opencontainers.image.licenses': 'Apache-2.0',
    });
  });

  test.each([
    [['ip', '-V'], /^ip utility/],
    [['nft', '--version'], /^nftables v/],
    [['iptables', '--version'], /nf_tables/],
    [['ip6tables', '--version'], /nf_tables/],
    [['iptables-save', '--version'], /nf_tables/],
    [['ip6tables-restore', '--version'], /nf_tables/],
    [['iptables-legacy', '--version'], /legacy/],
    [['ip6tables-legacy-save', '--version'], /legacy/],
  ])('the program %j of the image runs', async (argv, expected) => {
    expect((await runIn(lab, image, [`/usr/sbin/${argv[0]}`, ...argv.slice(1)])).stdout).toMatch(
      expected,
    );
  });

  test('the image has no shell, package manager or npm', () => {
    const directories = ['bin', 'sbin', 'usr/bin', 'usr/sbin', 'usr/local/bin'];
    const unwanted = ['sh', 'bash', 'dash', 'apt', 'apt-get', 'dpkg', 'perl', 'npm', 'npx', 'yarn'];
    const found = directories
      .flatMap((directory) => unwanted.map((name) => join(directory, name)))
      .filter(inImage);
    expect(found).toEqual([]);
  });

  test('the image has the packages that it needs to run, and none for building', () => {
    const present = (names: object): string[] =>
      Object.keys(names).filter((name) => inImage(join('app/node_modules', name)));
    const wanted = { ...project.dependencies, ...project.optionalDependencies };
    expect(present(wanted)).toEqual(Object.keys(wanted));
    expect(present(project.devDependencies)).toEqual([]);
    expect(['app/src', 'app/test', 'app/bench', 'app/.git'].filter(inImage)).toEqual([]);
  });

  test('the image has the manual pages that errors name', () => {
    const pages = DIRECTIVES.map(({ name }) => `docs/directives/${name}.md`);
    expect(pages.filter((page) => !inImage(join('app', page)))).toEqual([]);
  });

  test('the native part of koffi loads in the image', async () => {
    const load = 'require("/app/node_modules/koffi").load("libc.so.6")';
    expect(await runIn(lab, image, ['/usr/local/bin/node', '-e', load])).toMatchObject({ code: 0 });
  });

  test('the image lists the Debian packages of its files, for scanners', () => {
    const packages = readdirSync(join(image.root, 'var/lib/dpkg/status.d'));
    expect(packages).toEqual(
      expect.arrayContaining(['iproute2', 'iptables', 'libc6', 'libstdc++6', 'nftables']),
    );
    expect(packages.filter((name) => !inImage(`usr/share/doc/${name}/copyright`))).toEqual([]);
  });

  test(`the image is smaller than ${SIZE_MAX_OCTETS / 1e6} MB`, async () => {
    const { stdout } = await run(lab, ['du', '-sxb', image.root]);
    const octets = Number.parseInt(stdout, 10);
    console.log(`image: ${(octets / 1e6).toFixed(0)} MB uncompressed`);
    expect(octets).toBeGreaterThan(0);
    expect(octets).toBeLessThan(SIZE_MAX_OCTETS);
  });
});

describe('a pod with the manifest’s security context', () => {
  test.each([
    { who: 'root, port 53', user: 0, port: 53, host: 1 },
    {
      who: 'the unprivileged user without capabilities, port 1053',
      user: 65532,
      capabilities: [],
      port: 1053,
      host: 2,
    },
  ])('the daemon serves and stops in order as $who', async ({ port, host, ...confinement }) => {
    const at = { host: lab.address(host), port };
    const config = join(lab.directory, `config-${host}`);
    mkdirSync(config);
    lab.write(
      `config-${host}/Corefile`,
      `example.test:${port} {
    errors
    bind ${at.host}
    hosts /dev/null {
        192.0.2.1 a.example.test
    }
    health ${at.host}:8080
}
`,
    );
    const pod = startIn(lab, image, ['-conf', '/etc/coredns/Corefile'], { ...confinement, config });
    await pod.ready(() => /^nodelocald-\d/m.test(pod.stdout));
    const { status, answers } = await dig(lab, at, 'a.example.test', 'A');
    expect({ status, data: answers.map(({ data }) => data) }).toEqual({
      status: 'NOERROR',
      data: ['192.0.2.1'],
    });
    const health = await fetch(`http://${at.host}:8080/health`);
    expect({ status: health.status, body: await health.text() }).toEqual({
      status: 200,
      body: 'OK',
    });
    expect(await pod.stop()).toEqual({ code: 0, signal: null });
  });

  const rule = '-w 5 -t raw -A PREROUTING -p udp -d 169.254.20.10 --dport 53 -j NOTRACK'.split(' ');
  rule.push('-m', 'comment', '--comment', 'NodeLocal DNS Cache: skip conntrack');

  test.each([
    { what: 'iptables adds a rule', argv: ['iptables', ...rule], works: true },
    { what: 'nft adds a table', argv: ['nft', 'add', 'table', 'inet', 'nodelocald'], works: true },
    // A bridge, since not every kernel that runs tests has dummy links.
    { what: 'ip adds a link', argv: ['ip', 'link', 'add', 'nld0', 'type', 'bridge'], works: true },
    {
      what: 'iptables-legacy cannot add a rule without NET_RAW',
      argv: ['iptables-legacy', ...rule],
      works: false,
    },
    {
      what: 'iptables-legacy adds a rule with the component legacy-iptables',
      argv: ['iptables-legacy', ...rule],
      capabilities: ['net_admin', 'net_bind_service', 'net_raw'],
      works: true,
    },
  ])('$what', async ({ argv, works, ...confinement }) => {
    const command = [`/usr/sbin/${argv[0]}`, ...argv.slice(1)];
    const { code, stderr } = await runIn(lab, image, command, { ...confinement, ownNetwork: true });
    expect({ works: code === 0, stderr: works ? '' : stderr }).toEqual({
      works,
      stderr: works ? '' : expect.stringContaining('Permission denied'),
    });
  });
});
