/**
 * Builds the image from the Dockerfile without a container engine or a registry: with buildah, Debian
 * packages for the base image, and Node and npm from npm packages.
 *
 * Owns:    its files, all in the lab's directory, including buildah's storage.
 * Is not:  the build of a release, which uses the Dockerfile's own base images.
 */
import { mkdirSync, readFileSync, renameSync } from 'node:fs';
import { arch } from 'node:os';
import { join } from 'node:path';
import type { Lab } from '../harness/lab.ts';
import { run } from '../harness/process.ts';

const ROOT = join(import.meta.dirname, '..', '..');

/** The runtime of the Dockerfile's base images. */
const NODE_MAJOR = 26;

/** The OCI image configuration. */
interface ImageConfig {
  readonly Entrypoint: readonly string[];
  readonly Env: readonly string[];
  readonly User: string;
  readonly StopSignal: string;
  readonly Labels: Readonly<Record<string, string>>;
}

export interface Image {
  /** The directory where its files are mounted. */
  readonly root: string;
  readonly config: ImageConfig;
}

/** Builds the image and mounts it until the lab is closed. Takes one to three minutes. */
export async function buildImage(lab: Lab, version: string): Promise<Image> {
  const [base, npmCache] = [join(lab.directory, 'base'), join(lab.directory, 'npm-cache')];

  const runtime = join(lab.directory, 'runtime');
  mkdirSync(base);
  mkdirSync(runtime);
  const node = `node-linux-${arch()}`;
  await must(lab, ['npm', 'install', '--prefix', runtime, `${node}@${NODE_MAJOR}`, 'npm@11']);
  await makeBase(lab, base, join(runtime, 'node_modules'), node);

  // Filled by the machine's own npm configuration, so that the build needs neither one nor a network.
  const packages = join(lab.directory, 'packages');
  mkdirSync(packages);
  await must(lab, ['cp', join(ROOT, 'package.json'), join(ROOT, 'package-lock.json'), packages]);
  await must(lab, ['npm', 'ci', '--ignore-scripts', '--prefix', packages, '--cache', npmCache]);

  const buildah = buildahIn(lab);
  lab.defer(() => run(lab, [...buildah, 'rm', '--all']));
  lab.write('base/Dockerfile', 'FROM scratch\nADD base.tar /\n');
  const bud = [...buildah, 'bud', '--isolation=chroot'];
  await must(lab, [...bud, '--tag', 'base', base]);
  const replacements = [
    'BUILD_IMAGE=localhost/base',
    'RUNTIME_IMAGE=localhost/base',
    'NPM_FLAGS=--offline',
    `VERSION=${version}`,
  ].flatMap((argument) => ['--build-arg', argument]);
  const context = ['--build-context', `npm-cache=${npmCache}`];
  await must(lab, [...bud, '--tag', 'nodelocald', ...replacements, ...context, ROOT]);
  const container = await must(lab, [...buildah, 'from', '--pull-never', 'localhost/nodelocald']);
  const inspected = await must(lab, [...buildah, 'inspect', '--type', 'image', 'nodelocald']);
  const { OCIv1 } = JSON.parse(inspected) as { OCIv1: { config: ImageConfig } };
  return { root: await must(lab, [...buildah, 'mount', container]), config: OCIv1.config };
}

/** Makes base.tar in `directory`, with only the programs that the Dockerfile expects of base images. */
async function makeBase(lab: Lab, directory: string, modules: string, node: string): Promise<void> {
  const tar = join(directory, 'base.tar');
  await must(lab, [
    'mmdebstrap',
    '--quiet',
    '--variant=essential',
    '--include=iptables,nftables,iproute2,libatomic1,libstdc++6',
    '--dpkgopt=path-exclude=/usr/share/doc/*',
    '--dpkgopt=path-exclude=/usr/share/locale/*',
    '--dpkgopt=path-exclude=/usr/share/man/*',
    '--dpkgopt=path-include=/usr/share/doc/*/copyright',
    '--customize-hook=mkdir -p "$1/usr/local/lib/node_modules"',
    `--customize-hook=copy-in ${join(modules, node, 'bin', 'node')} /usr/local/bin`,
    `--customize-hook=copy-in ${join(modules, 'npm')} /usr/local/lib/node_modules`,
    '--customize-hook=ln -s ../lib/node_modules/npm/bin/npm-cli.js "$1/usr/local/bin/npm"',
    'bookworm',
    `${tar}.part`,
  ]);
  renameSync(`${tar}.part`, tar);
}

/** buildah with storage in the lab. vfs works on every filesystem, even inside a container. */
function buildahIn(lab: Lab): string[] {
  const storage = join(lab.directory, 'storage');
  return ['buildah', '--root', storage, '--runroot', `${storage}-run`, '--storage-driver', 'vfs'];
}

/** Runs a program and returns its output, trimmed. Throws with all that it printed if it fails. */
async function must(lab: Lab, argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(lab, argv);
  if (code !== 0) throw new Error(`${argv.join(' ')}: exit code ${code}\n${stdout}${stderr}`);
  return stdout.trim();
}

/** The project's package.json, as far as the image depends on it. */
export function projectPackage(): {
  version: string;
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
} {
  const text = readFileSync(join(ROOT, 'package.json'), 'utf8');
  return JSON.parse(text) as ReturnType<typeof projectPackage>;
}
