/**
 * The daemon as deploy/base installs it: the arguments, environment and files that its pod gets, laid
 * out below a directory.
 *
 * Owns:    reading the manifests, and what a cluster fills in: the placeholders, the address of the
 *          Service kube-dns-upstream, the mounts.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

export interface Installation {
  /** Addresses of `-localip`, comma-separated. */
  readonly localIp: string;
  readonly upstreamService: string;
  /** Changes the Corefile of the manifests before the daemon sees it. */
  readonly change?: (corefile: string) => string;
}

/**
 * The pod's /run/nodelocald is made by this shell in a mount namespace of its own; the directory for
 * handovers is the host's, which all pods share.
 */
const MOUNT =
  'mount --bind "$0/etc" /etc && mount -t tmpfs tmpfs /run && ' +
  'mkdir /run/nodelocald /run/nodelocald-handover && ' +
  'mount --bind "$0/handover" /run/nodelocald-handover && exec "$@"';

/** Where the daemon says that it serves and diverts. */
export const PID_FILE = '/run/nodelocald/node-cache.pid';

export class Install {
  readonly #directory: string;
  readonly #manifests: string;
  readonly #installation: Installation;

  /** `directory` is to be empty; `manifests` is deploy/base; `etc` the files to begin with. */
  constructor(directory: string, manifests: string, installation: Installation) {
    this.#directory = directory;
    this.#manifests = manifests;
    this.#installation = installation;
    rmSync(join(directory, 'etc'), { recursive: true, force: true });
    cpSync('/etc', join(directory, 'etc'), { recursive: true, verbatimSymlinks: true });
    mkdirSync(join(directory, 'handover'), { mode: 0o700, recursive: true });
    mkdirSync(join(directory, 'etc/kube-dns'));
    mkdirSync(join(directory, 'etc/coredns'));
    this.setCorefile(this.corefile());
  }

  /** The Corefile of the manifests, with what an installation fills in. */
  corefile(): string {
    const map = read(join(this.#manifests, 'config-map.yaml')) as { data: { Corefile: string } };
    const filled = this.#fill(map.data.Corefile).replaceAll(
      '__PILLAR__DNS__DOMAIN__',
      'cluster.local',
    );
    return this.#installation.change?.(filled) ?? filled;
  }

  /** As kubelet does it: the ConfigMap's files appear by the swap of one symbolic link. */
  setCorefile(text: string): void {
    swap(join(this.#directory, 'etc/coredns'), { 'Corefile.base': text });
  }

  /** The ConfigMap kube-dns. */
  setKubeDns(files: Readonly<Record<string, string>>): void {
    swap(join(this.#directory, 'etc/kube-dns'), files);
  }

  /** The node's; undefined if it has none. */
  setResolvConf(text: string | undefined): void {
    const file = join(this.#directory, 'etc/resolv.conf');
    rmSync(file, { force: true });
    if (text !== undefined) writeFileSync(file, text);
  }

  /** The arguments of the manifests' container. */
  args(): string[] {
    const set = read(join(this.#manifests, 'daemon-set.yaml')) as DaemonSet;
    return set.spec.template.spec.containers[0]!.args.map((arg) => this.#fill(arg));
  }

  environment(): Record<string, string> {
    return {
      PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin',
      KUBE_DNS_UPSTREAM_SERVICE_HOST: this.#installation.upstreamService,
    };
  }

  /** The command line that runs `argv` with the pod's files; to be put behind `ip netns exec NAME`. */
  argv(argv: readonly string[]): string[] {
    return ['sh', '-c', MOUNT, this.#directory, ...argv];
  }

  #fill(text: string): string {
    const { localIp } = this.#installation;
    return text
      .replaceAll('__PILLAR__LOCAL__DNS__,__PILLAR__DNS__SERVER__', localIp)
      .replaceAll('__PILLAR__LOCAL__DNS__ __PILLAR__DNS__SERVER__', localIp.replaceAll(',', ' '))
      .replaceAll('__PILLAR__LOCAL__DNS__', localIp.split(',')[0]!);
  }
}

interface DaemonSet {
  readonly spec: {
    readonly template: { readonly spec: { readonly containers: readonly { args: string[] }[] } };
  };
}

function read(file: string): unknown {
  return parse(readFileSync(file, 'utf8'));
}

let swaps = 0;

function swap(directory: string, files: Readonly<Record<string, string>>): void {
  const data = `..${Date.now()}_${swaps++}`;
  mkdirSync(join(directory, data));
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(directory, data, name), text);
  }
  symlinkSync(data, join(directory, '..data_tmp'));
  renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
  for (const name of readdirSync(directory)) {
    if (!name.startsWith('..') && !(name in files)) rmSync(join(directory, name));
  }
  for (const name of Object.keys(files)) {
    const visible = join(directory, name);
    if (!existsSync(visible)) symlinkSync(join('..data', name), visible);
  }
}
