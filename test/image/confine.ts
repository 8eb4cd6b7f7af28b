/**
 * Runs programs of an image as the DaemonSet's pods run them, without a container runtime: its files
 * as a read-only root, a writable /run, the capabilities of the manifest, no new privileges.
 *
 * Is not:  complete: there is no seccomp and no cgroup, and the bounding set also holds the
 *          capabilities of chroot, so a program with uid 0 has SYS_CHROOT, SETUID and SETGID beyond
 *          the manifest's two.
 */
import { type End, Child, run } from '../harness/process.ts';
import type { Lab } from '../harness/lab.ts';
import type { Image } from './build.ts';

export interface Confinement {
  /** As `add` of the manifest, in lower case; NET_ADMIN and NET_BIND_SERVICE by default. */
  readonly capabilities?: readonly string[];
  /** uid and gid; 0 by default. */
  readonly user?: number;
  /** Whether it has a network of its own, with only `lo`. */
  readonly ownNetwork?: boolean;
  /** A directory to mount as /etc/coredns. */
  readonly config?: string;
}

/** Mounts in a namespace of their own, which ends with the program. $1 root, $2 config or "". */
const MOUNT_AND_RUN = `
set -e
root=$1 config=$2
shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/run"
mkdir -m 1777 "$root/run/nodelocald"
if [ -n "$config" ]; then mount --bind -o ro "$config" "$root/etc/coredns"; fi
mount -o remount,bind,ro "$root"
exec "$@"
`;

const MANIFEST_CAPABILITIES = ['net_admin', 'net_bind_service'];

/** Capabilities that chroot itself needs, besides those of the program. */
const CHROOT_CAPABILITIES = ['sys_chroot', 'setuid', 'setgid'];

function argvOf(image: Image, argv: readonly string[], confinement: Confinement): string[] {
  const added = confinement.capabilities ?? MANIFEST_CAPABILITIES;
  const bounding = [...CHROOT_CAPABILITIES, ...added].map((name) => `+${name}`).join(',');
  const user = confinement.user ?? 0;
  const unshare = ['unshare', '--mount'];
  if (confinement.ownNetwork === true) unshare.push('--net');
  const mount = ['sh', '-c', MOUNT_AND_RUN, 'sh', image.root, confinement.config ?? ''];
  const env = ['env', '-i', ...image.config.Env];
  const drop = ['setpriv', `--bounding-set=-all,${bounding}`, '--inh-caps=-all', '--no-new-privs'];
  const chroot = ['chroot', `--userspec=${user}:${user}`, '--groups=', image.root];
  return [...unshare, ...mount, ...env, ...drop, ...chroot, ...argv];
}

/** Runs a program of the image to its end. */
export function runIn(
  lab: Lab,
  image: Image,
  argv: readonly string[],
  confinement: Confinement = {},
): Promise<End & { stdout: string; stderr: string }> {
  return run(lab, argvOf(image, argv, confinement));
}

/** Starts the image's entry point, as a pod with these args. */
export function startIn(
  lab: Lab,
  image: Image,
  args: readonly string[],
  confinement: Confinement = {},
): Child {
  return new Child(lab, 'pod', argvOf(image, [...image.config.Entrypoint, ...args], confinement));
}
