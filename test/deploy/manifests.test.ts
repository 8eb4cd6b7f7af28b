/** The promises of deploy/: each overlay, rendered and read as the API server would. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type Corefile, parseCorefile } from '../../src/corefile/blocks.ts';
import { NO_KUBE_DNS_CONFIG, expandCorefile } from '../../src/node-cache/pillar.ts';
import { DIRECTIVES } from '../../src/directives/index.ts';
import { problemsOf } from './kubernetes-shapes.ts';
import {
  type Manifest,
  DEPLOY,
  corefileOf,
  find,
  kustomize,
  podOf,
  read,
  render,
  renderFilled,
} from './render.ts';

const OVERLAYS = readdirSync(join(DEPLOY, 'overlays'));
const COMPONENTS = readdirSync(join(DEPLOY, 'components'));
/** The overlays that take over an address of the host. */
const HOST_OVERLAYS = OVERLAYS.filter((name) => name !== 'cilium');

const LOCAL_DNS = '169.254.20.10';
const KUBE_DNS = '10.96.0.10';
const UPSTREAM_SERVICE = '10.96.77.7';

/** Values that an operator puts in by sed, for the overlays that ask for it. */
const VALUES = {
  __PILLAR__LOCAL__DNS__: LOCAL_DNS,
  __PILLAR__DNS__SERVER__: KUBE_DNS,
  __PILLAR__DNS__DOMAIN__: 'cluster.local',
};

/** Flags of node-cache 1.26. Without -handover the manifests run its image, which is the way back. */
const NODE_CACHE_FLAGS = new Set(
  (
    'basecorefile conf dns.port health-port interfacename kubednscm localip metrics-listen-address ' +
    'p pidfile plugins quiet reloadwithsignal setupinterface setupiptables skipteardown ' +
    'syncinterval upstreamsvc version'
  ).split(' '),
);

describe.each(['base', ...OVERLAYS.map((name) => `overlays/${name}`)])('deploy/%s', (folder) => {
  const manifests = render(folder);
  const pod = podOf(manifests);
  const [container] = pod.containers;

  test('the overlay holds only fields that Kubernetes knows, and only objects of kube-system', () => {
    expect(manifests.flatMap(problemsOf)).toEqual([]);
    expect(new Set(manifests.map(({ metadata }) => metadata.namespace))).toEqual(
      new Set(['kube-system']),
    );
  });

  test('the overlay holds the objects of nodelocaldns.yaml', () => {
    for (const [kind, name] of [
      ['ServiceAccount', 'node-local-dns'],
      ['Service', 'kube-dns-upstream'],
      ['ConfigMap', 'node-local-dns'],
      ['DaemonSet', 'node-local-dns'],
      ['Service', 'node-local-dns'],
    ] as const) {
      expect(find(manifests, kind, name)).toBeDefined();
    }
  });

  test('the container mounts every volume of the pod and no other', () => {
    expect(container.volumeMounts.map(({ name }) => name).toSorted()).toEqual(
      pod.volumes.map(({ name }) => name).toSorted(),
    );
  });

  test('the daemon writes its Corefile and its pid file to an emptyDir', () => {
    const written = ['-conf', '-pidfile'].map((flag) => argAfter(container.args, flag));
    for (const path of written.filter((value) => value !== undefined)) {
      expect(path).toMatch(/^\/run\/nodelocald\//);
    }
    expect(pod.volumes).toContainEqual(
      expect.objectContaining({ name: 'run', emptyDir: expect.anything() }),
    );
    expect(container.volumeMounts).toContainEqual({ name: 'run', mountPath: '/run/nodelocald' });
  });

  test('the container has only flags of node-cache, and -handover on the host’s network', () => {
    const names = container.args
      .filter((arg) => arg.startsWith('-'))
      .map((arg) => arg.replace(/^-|=.*$/g, ''));
    expect(names.filter((name) => !NODE_CACHE_FLAGS.has(name))).toEqual(
      pod.hostNetwork === true ? ['handover'] : [],
    );
  });

  test('the container keeps only the rights that it needs', () => {
    const add = pod.hostNetwork === true ? ['NET_ADMIN', 'NET_BIND_SERVICE'] : [];
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], add },
    });
    expect(pod).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
    });
  });

  test('the pod survives a node in trouble, and uses the node’s own resolvers', () => {
    expect(pod).toMatchObject({
      priorityClassName: 'system-node-critical',
      dnsPolicy: 'Default',
      tolerations: [
        { key: 'CriticalAddonsOnly', operator: 'Exists' },
        { effect: 'NoExecute', operator: 'Exists' },
        { effect: 'NoSchedule', operator: 'Exists' },
      ],
    });
  });

  test('the Corefile has the four blocks of nodelocaldns.yaml', () => {
    const filled = renderFilled(folder, VALUES);
    const localIps = argAfter(podOf(filled).containers[0].args, '-localip')!.split(',');
    expect(summaryOf(parse(expand(corefileOf(filled), localIps)))).toEqual(
      expectedBlocks(localIps.join(' '), folder.endsWith('cilium') ? '' : ` ${LOCAL_DNS}:8080`),
    );
  });
});

describe.each(['base', ...HOST_OVERLAYS.map((name) => `overlays/${name}`)])(
  'deploy/%s, on the host’s network',
  (folder) => {
    const manifests = renderFilled(folder, VALUES);
    const pod = podOf(manifests);
    const [container] = pod.containers;

    test('a new pod starts beside the old one, and finds it by a directory of the host', () => {
      const { updateStrategy, minReadySeconds } = find(manifests, 'DaemonSet', 'node-local-dns')
        .spec as Readonly<Record<string, unknown>>;
      expect(updateStrategy).toEqual({
        type: 'RollingUpdate',
        rollingUpdate: { maxSurge: '10%', maxUnavailable: 0 },
      });
      expect(minReadySeconds).toBeGreaterThanOrEqual(5);
      const path = argAfter(container.args, '-handover');
      const mount = container.volumeMounts.find(({ mountPath }) => mountPath === path);
      expect(mount).toEqual({ name: 'handover', mountPath: path });
      expect(pod.volumes).toContainEqual({
        name: 'handover',
        hostPath: { path, type: 'DirectoryOrCreate' },
      });
    });

    test('the container declares no port, which would keep a second pod off the node', () => {
      expect(pod.hostNetwork).toBe(true);
      expect(container.ports).toBeUndefined();
    });

    test('the container has the arguments of node-cache, and -handover', () => {
      const linkLocalOnly = /cluster-dns|ipvs/.test(folder);
      expect(container.args).toEqual([
        '-localip',
        linkLocalOnly ? LOCAL_DNS : `${LOCAL_DNS},${KUBE_DNS}`,
        '-conf',
        '/run/nodelocald/Corefile',
        '-upstreamsvc',
        'kube-dns-upstream',
        '-pidfile',
        '/run/nodelocald/node-cache.pid',
        '-handover',
        '/run/nodelocald-handover',
      ]);
    });

    test('the probes ask for health and readiness at the link-local address', () => {
      const httpGet = { host: LOCAL_DNS, path: '/health', port: 8080 };
      expect(container.livenessProbe).toEqual({
        httpGet,
        initialDelaySeconds: 60,
        timeoutSeconds: 5,
      });
      expect(container.readinessProbe).toEqual({
        httpGet: { ...httpGet, path: '/ready' },
        periodSeconds: 5,
        timeoutSeconds: 5,
      });
    });

    test('the pod shares the lock of iptables with the host, and has the kube-dns ConfigMap', () => {
      expect(pod.volumes).toEqual(
        expect.arrayContaining([
          {
            name: 'xtables-lock',
            hostPath: { path: '/run/xtables.lock', type: 'FileOrCreate' },
          },
          { name: 'kube-dns-config', configMap: { name: 'kube-dns', optional: true } },
          {
            name: 'config-volume',
            configMap: {
              name: 'node-local-dns',
              items: [{ key: 'Corefile', path: 'Corefile.base' }],
            },
          },
        ]),
      );
    });
  },
);

describe('deploy/overlays/cilium', () => {
  const manifests = render('overlays/cilium');
  const pod = podOf(manifests);
  const [container] = pod.containers;

  test('the pod for Cilium is of an ordinary user and does not touch the host', () => {
    expect(pod).toMatchObject({
      hostNetwork: false,
      securityContext: { runAsNonRoot: true, runAsUser: 65532 },
    });
    expect(container.args).toEqual(
      expect.arrayContaining(['-setupinterface=false', '-setupiptables=false']),
    );
    expect(pod.volumes.map(({ name }) => name)).not.toContain('xtables-lock');
  });

  test('the pod for Cilium declares the ports that the policy redirects to', () => {
    const { spec } = find(manifests, 'CiliumLocalRedirectPolicy', 'node-local-dns');
    const { toPorts } = (spec as { redirectBackend: { toPorts: readonly object[] } })
      .redirectBackend;
    expect(toPorts).toEqual(
      container.ports?.map(({ containerPort, ...port }) => ({
        ...port,
        port: String(containerPort),
      })),
    );
  });
});

describe('deploy/overlays/example', () => {
  test('the example overlay gives the same as sed on overlays/iptables', () => {
    const filled = renderFilled('overlays/iptables', VALUES);
    const example = render('overlays/example');
    expect({ ...podOf(example).containers[0], image: '' }).toEqual({
      ...podOf(filled).containers[0],
      image: '',
    });
    const localIps = [LOCAL_DNS, KUBE_DNS];
    expect(expand(corefileOf(example), localIps)).toBe(expand(corefileOf(filled), localIps));
  });
});

describe('deploy/components', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'nodelocald-deploy-'));
  afterAll(() => rmSync(scratch, { recursive: true }));

  /** An overlay that adds one component to `overlay`. */
  function renderWith(component: string, overlay: string): Manifest[] {
    const path = (folder: string): string => relative(scratch, join(DEPLOY, folder));
    writeFileSync(
      join(scratch, 'kustomization.yaml'),
      `resources: ['${path(`overlays/${overlay}`)}']\n` +
        `components: ['${path(`components/${component}`)}']\n`,
    );
    return read(kustomize(scratch));
  }

  test.each(COMPONENTS.filter((name) => name !== 'settings'))(
    'the component %s fits overlays/iptables',
    (name) => {
      expect(renderWith(name, 'iptables').flatMap(problemsOf)).toEqual([]);
    },
  );

  test('the component legacy-iptables adds NET_RAW and nothing else', () => {
    expect(podOf(renderWith('legacy-iptables', 'iptables')).containers[0].securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'NET_BIND_SERVICE', 'NET_RAW'] },
    });
  });
});

test('the image’s tag is the version of package.json', () => {
  const path = join(DEPLOY, '..', 'package.json');
  const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version: string };
  expect(podOf(render('base')).containers[0].image).toBe(`nodelocald:${version}`);
});

/** The value that follows a flag. */
function argAfter(args: readonly string[], flag: string): string | undefined {
  const at = args.indexOf(flag);
  return at === -1 ? undefined : args[at + 1];
}

/** The Corefile that the daemon makes of the ConfigMap on its node. */
function expand(template: string, localIps: readonly string[]): string {
  return expandCorefile(template, {
    localIps,
    clusterDnsIp: UPSTREAM_SERVICE,
    kubeDns: NO_KUBE_DNS_CONFIG,
    dnsPort: 53,
  }).text.replaceAll(/ +$/gm, '');
}

function parse(text: string): Corefile {
  return parseCorefile(text, {
    file: 'Corefile',
    known: new Set(DIRECTIVES.map(({ name }) => name)),
  });
}

/** Each block as its keys and, by name, the arguments and options of its directives. */
function summaryOf({ blocks }: Corefile): object[] {
  return blocks.map(({ keys, uses }) => ({
    keys: keys.map(({ zone, port }) => `${zone}:${port}`),
    ...Object.fromEntries(
      uses.map(({ name, args, options }) => [
        name,
        [
          args.map(({ text }) => text).join(' '),
          ...options.map((line) => [line.name, ...line.args].map(({ text }) => text).join(' ')),
        ],
      ]),
    ),
  }));
}

/** The blocks of nodelocaldns.yaml. `health` has the arguments of that directive in the first. */
function expectedBlocks(bind: string, health: string): object[] {
  const common = { errors: [''], reload: [''], loop: [''], bind: [bind], prometheus: [':9253'] };
  const toCluster = { forward: [`. ${UPSTREAM_SERVICE}`, 'force_tcp'] };
  return [
    {
      keys: ['cluster.local.:53'],
      ...common,
      ...toCluster,
      cache: ['', 'success 9984 30', 'denial 9984 5'],
      health: [health.trim()],
    },
    { keys: ['in-addr.arpa.:53'], ...common, ...toCluster, cache: ['30'] },
    { keys: ['ip6.arpa.:53'], ...common, ...toCluster, cache: ['30'] },
    { keys: ['.:53'], ...common, forward: ['. /etc/resolv.conf'], cache: ['30'] },
  ];
}
