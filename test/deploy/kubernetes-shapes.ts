/**
 * The shapes of the Kubernetes objects in deploy/: their fields and values, as far as we use them
 * (Kubernetes API reference 1.32; the CRDs of Cilium and of the Prometheus operator).
 *
 * Why not a package: the validators on npm (kubernetes-models: 27 packages, 25 MB) accept fields that
 * Kubernetes does not have, as its OpenAPI schema does, and a misspelt field is the usual mistake in a
 * manifest written by hand. Here every unknown field is a problem: add a new one below, with the API
 * reference at hand.
 */

/** The problems of a value, each with its path; none if it is right. */
type Shape = (value: unknown, path: string) => string[];

type Fields = Readonly<Record<string, Shape>>;

const problem = (path: string, value: unknown, expected: string): string[] => [
  `${path}: ${JSON.stringify(value)} is not ${expected}`,
];

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** An object with required and optional fields. */
function object(required: Fields, optional: Fields = {}): Shape {
  const fields: Fields = { ...required, ...optional };
  return (value, path) => {
    if (!isObject(value)) return problem(path, value, 'an object');
    const missing = Object.keys(required).filter((name) => !Object.hasOwn(value, name));
    return [
      ...missing.map((name) => `${path}.${name} is missing`),
      ...Object.entries(value).flatMap(([name, held]) => {
        const shape = Object.hasOwn(fields, name) ? fields[name] : undefined;
        return shape?.(held, `${path}.${name}`) ?? [`${path}.${name} is no field that we know`];
      }),
    ];
  };
}

const list =
  (item: Shape): Shape =>
  (value, path) =>
    Array.isArray(value)
      ? value.flatMap((one, i) => item(one, `${path}[${i}]`))
      : problem(path, value, 'a list');

const map =
  (item: Shape): Shape =>
  (value, path) =>
    isObject(value)
      ? Object.entries(value).flatMap(([key, one]) => item(one, `${path}.${key}`))
      : problem(path, value, 'a map');

const text =
  (pattern: RegExp = /^/): Shape =>
  (value, path) =>
    typeof value === 'string' && pattern.test(value)
      ? []
      : problem(path, value, `text like ${String(pattern)}`);

const integer =
  (least: number, most: number): Shape =>
  (value, path) =>
    Number.isInteger(value) && Number(value) >= least && Number(value) <= most
      ? []
      : problem(path, value, `an integer from ${least} to ${most}`);

const oneOf =
  (...allowed: readonly unknown[]): Shape =>
  (value, path) =>
    allowed.includes(value) ? [] : problem(path, value, `one of ${JSON.stringify(allowed)}`);

const flag = oneOf(true, false);
/** A DNS label, the form of most names. */
const label = text(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
const path = text(/^\//);
const port = integer(1, 65535);
const seconds = integer(0, 3600);
/** A number of pods, or a percentage. */
const podsOrShare: Shape = (value, at) =>
  typeof value === 'number' ? integer(0, 5000)(value, at) : text(/^\d+%$/)(value, at);
const protocol = oneOf('TCP', 'UDP');
/** A resource quantity in the forms that we use. */
const quantity = text(/^\d+(m|Mi|Gi)?$/);
const labels = map(text(/^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/));
const labelSelector = object({ matchLabels: labels });
const resources = object({}, { cpu: quantity, memory: quantity });
/** An address, or the placeholder for one. */
const host = text(/^(\d+(\.\d+){3}|__PILLAR__LOCAL__DNS__)$/);

const metadata = object({ name: label }, { namespace: label, labels, annotations: map(text()) });

const probe = object(
  { httpGet: object({ path, port }, { host }) },
  { initialDelaySeconds: seconds, periodSeconds: seconds, timeoutSeconds: seconds },
);

const capability = text(/^(ALL|NET_ADMIN|NET_BIND_SERVICE|NET_RAW)$/);

const container = object(
  { name: label, image: text(/^[a-z0-9./-]+:[\w.-]+$/), args: list(text(/^[^$]*$/)) },
  {
    ports: list(object({ name: label, containerPort: port, protocol })),
    resources: object({}, { requests: resources, limits: resources }),
    securityContext: object(
      {},
      {
        allowPrivilegeEscalation: flag,
        readOnlyRootFilesystem: flag,
        capabilities: object({}, { add: list(capability), drop: list(capability) }),
      },
    ),
    livenessProbe: probe,
    readinessProbe: probe,
    volumeMounts: list(object({ name: label, mountPath: path }, { readOnly: flag })),
  },
);

/** A volume has one source; `object` alone would accept two or none. */
const volume: Shape = (value, at) => {
  const sources: Fields = {
    hostPath: object({ path, type: oneOf('FileOrCreate', 'DirectoryOrCreate') }),
    configMap: object(
      { name: label },
      { optional: flag, items: list(object({ key: text(), path: text(/^[^/]/) })) },
    ),
    emptyDir: object({}, { medium: oneOf('Memory'), sizeLimit: quantity }),
  };
  const problems = object({ name: label }, sources)(value, at);
  const count = isObject(value) ? Object.keys(value).length - 1 : 0;
  return count === 1 ? problems : [...problems, `${at} has ${count} sources, not 1`];
};

const podSpec = object(
  { containers: list(container) },
  {
    automountServiceAccountToken: flag,
    dnsPolicy: oneOf('Default', 'ClusterFirst', 'ClusterFirstWithHostNet', 'None'),
    hostNetwork: flag,
    priorityClassName: oneOf('system-node-critical', 'system-cluster-critical'),
    securityContext: object(
      {},
      {
        runAsNonRoot: flag,
        runAsUser: integer(0, 2 ** 31 - 1),
        runAsGroup: integer(0, 2 ** 31 - 1),
        seccompProfile: object({ type: oneOf('RuntimeDefault') }),
        // One of the sysctls that Kubernetes allows every pod.
        sysctls: list(
          object({ name: oneOf('net.ipv4.ip_unprivileged_port_start'), value: text(/^\d+$/) }),
        ),
      },
    ),
    serviceAccountName: label,
    tolerations: list(
      object(
        { operator: oneOf('Exists') },
        { key: text(), effect: oneOf('NoExecute', 'NoSchedule') },
      ),
    ),
    volumes: list(volume),
  },
);

const daemonSetSpec = object(
  {
    selector: labelSelector,
    template: object({
      metadata: object({ labels }, { annotations: map(text()) }),
      spec: podSpec,
    }),
  },
  {
    updateStrategy: object({
      type: oneOf('RollingUpdate'),
      rollingUpdate: object({}, { maxUnavailable: podsOrShare, maxSurge: podsOrShare }),
    }),
    minReadySeconds: seconds,
  },
);

const serviceSpec = object(
  {
    selector: labels,
    ports: list(object({ name: label, port, targetPort: port }, { protocol })),
  },
  { clusterIP: oneOf('None') },
);

const redirectPolicySpec = object({
  redirectFrontend: object({ serviceMatcher: object({ serviceName: label, namespace: label }) }),
  redirectBackend: object({
    localEndpointSelector: labelSelector,
    toPorts: list(object({ name: label, port: text(/^\d+$/), protocol })),
  }),
});

const podMonitorSpec = object({
  selector: labelSelector,
  podMetricsEndpoints: list(
    object({
      relabelings: list(
        object(
          { sourceLabels: list(text(/^__meta_kubernetes_\w+$/)), targetLabel: text(/^\w+$/) },
          { regex: text(), replacement: text() },
        ),
      ),
    }),
  ),
});

const head = (apiVersion: string, kind: string): Fields => ({
  apiVersion: oneOf(apiVersion),
  kind: oneOf(kind),
  metadata,
});

const OBJECTS: Readonly<Record<string, Shape>> = {
  ServiceAccount: object(head('v1', 'ServiceAccount'), { automountServiceAccountToken: flag }),
  ConfigMap: object({ ...head('v1', 'ConfigMap'), data: map(text()) }),
  Service: object({ ...head('v1', 'Service'), spec: serviceSpec }),
  DaemonSet: object({ ...head('apps/v1', 'DaemonSet'), spec: daemonSetSpec }),
  CiliumLocalRedirectPolicy: object({
    ...head('cilium.io/v2', 'CiliumLocalRedirectPolicy'),
    spec: redirectPolicySpec,
  }),
  PodMonitor: object({
    ...head('monitoring.coreos.com/v1', 'PodMonitor'),
    spec: podMonitorSpec,
  }),
};

/** The problems of one object of a manifest. */
export function problemsOf(manifest: { readonly kind: string }): string[] {
  const shape = Object.hasOwn(OBJECTS, manifest.kind) ? OBJECTS[manifest.kind] : undefined;
  return shape?.(manifest, manifest.kind) ?? [`${manifest.kind} is no kind that we know`];
}
