/** The manifests of deploy/ as an operator applies them: rendered by kubectl, read as YAML. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

export const DEPLOY: string = join(import.meta.dirname, '..', '..', 'deploy');

/** An object as in the YAML; kubernetes-shapes.ts checks its shape. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: unknown;
}

interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly securityContext: object;
  readonly resources: object;
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

interface Probe {
  readonly httpGet: { readonly host?: string; readonly path: string; readonly port: number };
}

export interface PodSpec {
  readonly hostNetwork?: boolean;
  readonly containers: readonly [Container];
  readonly volumes: readonly { readonly name: string }[];
}

/** `kubectl kustomize` of a folder in deploy/, in the order of its output. Needs no cluster. */
export function render(folder: string): Manifest[] {
  return read(kustomize(join(DEPLOY, folder)));
}

/** Like render, with the placeholders replaced first, as by the `sed` of docs/migration.md. */
export function renderFilled(folder: string, values: Readonly<Record<string, string>>): Manifest[] {
  let text = kustomize(join(DEPLOY, folder));
  for (const [name, value] of Object.entries(values)) text = text.replaceAll(name, value);
  return read(text);
}

/** `kubectl kustomize` of any directory. */
export function kustomize(directory: string): string {
  return execFileSync('kubectl', ['kustomize', directory], { encoding: 'utf8' });
}

export function read(text: string): Manifest[] {
  return parseAllDocuments(text).map((document) => {
    if (document.errors.length > 0) throw new AggregateError(document.errors, 'not YAML');
    return document.toJS() as Manifest;
  });
}

/** The object of that kind and name. Throws if there is none. */
export function find(manifests: readonly Manifest[], kind: string, name: string): Manifest {
  const found = manifests.find((one) => one.kind === kind && one.metadata.name === name);
  if (found === undefined) throw new Error(`no ${kind} ${name}`);
  return found;
}

export function podOf(manifests: readonly Manifest[]): PodSpec {
  const { spec } = find(manifests, 'DaemonSet', 'node-local-dns');
  return (spec as { template: { spec: PodSpec } }).template.spec;
}

export function corefileOf(manifests: readonly Manifest[]): string {
  return find(manifests, 'ConfigMap', 'node-local-dns').data!['Corefile']!;
}
